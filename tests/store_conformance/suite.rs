//! What every store promises.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::time::Duration;

use nanna_cache::config::units::Span;
use nanna_cache::nix::hash::Sha256;
use nanna_cache::nix::store_path::StoreDir;
use nanna_cache::plan::observed::{CacheContent, Observation};
use nanna_cache::plan::time::Time;
use nanna_cache::provider::binary_cache::observe::{Look, observe};
use nanna_cache::provider::binary_cache::prune::{Candidates, Decision, prune};
use nanna_cache::provider::binary_cache::push::push;
use nanna_cache::provider::binary_cache::{
    Area, CacheStore, IfThere, Outcome, Put, SMALL_OBJECT, StoreError,
};
use nanna_cache::sys::clock::SystemClock;
use nanna_cache::transfer::progress::Progress;
use nanna_cache::transfer::sink::FileFacts;

use super::cache_support::{INFO, path, world};

/// What a store can beyond what all can.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Able {
    /// It writes "only if there is none" and "only if it is this one".
    pub(crate) conditions: bool,
    /// It replaces objects by others that are as old.
    pub(crate) replaces: bool,
    /// It knows whose process is dead.
    pub(crate) knows_the_dead: bool,
}

impl Default for Able {
    fn default() -> Self {
        Self {
            conditions: true,
            replaces: false,
            knows_the_dead: false,
        }
    }
}

type Open<'a> = &'a dyn Fn(&str) -> Box<dyn CacheStore>;

/// Runs every part on a cache of its own.
pub(crate) fn suite(open: Open<'_>, able: Able) {
    type Part = fn(Open<'_>, &dyn CacheStore, &str, Able);
    let parts: [(&str, Part); 14] = [
        ("nothing", nothing),
        ("made", made),
        ("objects", objects),
        ("if-there", if_there),
        ("races", races),
        ("areas", areas),
        ("many", many),
        ("uploads", uploads),
        ("large", large),
        ("touch", touch),
        ("records", records),
        ("replace", replace),
        ("keys", keys),
        ("whole", whole),
    ];
    for (name, part) in parts {
        let store = open(name);
        if name != "nothing" {
            store
                .create(INFO)
                .unwrap_or_else(|e| panic!("{name}: {}", told(&e)));
        }
        part(open, store.as_ref(), name, able);
    }
}

fn told(error: &StoreError) -> String {
    use std::error::Error as _;
    let source = error.source().map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

fn put(store: &dyn CacheStore, key: &str, text: &str) {
    let written = put_if(store, key, text, IfThere::Replace);
    assert_eq!(written, Outcome::Written);
}

fn put_if(store: &dyn CacheStore, key: &str, text: &str, if_there: IfThere) -> Outcome {
    let put = store.put(Put {
        key: key.into(),
        bytes: text.into(),
        if_there,
    });
    put.unwrap_or_else(|error| panic!("{key}: {}", told(&error)))
}

fn read(store: &dyn CacheStore, key: &str) -> Option<String> {
    let object = store.view().get(key, SMALL_OBJECT);
    let object = object.unwrap_or_else(|error| panic!("{key}: {}", told(&error)));
    object.map(|object| String::from_utf8(object.bytes).unwrap())
}

fn listed(store: &dyn CacheStore, area: Area) -> Vec<String> {
    let mut keys = Vec::new();
    let listed = store
        .view()
        .list(area, &mut |one| keys.push(one.key.to_owned()));
    listed.unwrap_or_else(|error| panic!("{area:?}: {}", told(&error)));
    keys.sort();
    keys
}

const AREAS: [Area; 11] = [
    Area::Top,
    Area::Nars,
    Area::Intents,
    Area::Prunes,
    Area::Roots,
    Area::Pins,
    Area::Runs,
    Area::Realisations,
    Area::Debug,
    Area::Strays,
    Area::Versions,
];

fn narinfo(number: usize) -> String {
    format!("{}.narinfo", path(number).hash())
}

fn nothing(_: Open<'_>, store: &dyn CacheStore, _: &str, _: Able) {
    let view = store.view();
    assert!(!view.exists().unwrap());
    for area in AREAS {
        assert_eq!(listed(store, area), [""; 0], "{area:?}");
    }
    assert_eq!(view.head("nar/x").unwrap(), None);
    assert_eq!(view.get("nar/x", 10).unwrap(), None);
    assert!(view.open("nar/x").unwrap().is_none());
    assert!(!store.touch("nar/x").unwrap());
    assert!(store.delete(&["nar/x".into()]).pop().unwrap().is_ok());
    let found = view.get_many(&["a".into(), "b".into()], 10);
    assert!(found.into_iter().all(|found| found.unwrap().is_none()));
}

fn made(open: Open<'_>, store: &dyn CacheStore, name: &str, able: Able) {
    assert!(store.view().exists().unwrap());
    assert!(store.view().has_folders().unwrap());
    assert_eq!(read(store, "nix-cache-info").as_deref(), Some(INFO));
    // Again, with another text; and another process sees what was found of the conditions.
    store.create("StoreDir: /nix/store\n").unwrap();
    let other = open(name);
    let text = read(other.as_ref(), "nix-cache-info");
    assert_eq!(text.as_deref(), Some("StoreDir: /nix/store\n"));
    let unconditional = other.view().capabilities().unconditional;
    assert_eq!(unconditional, !able.conditions);
}

fn objects(_: Open<'_>, store: &dyn CacheStore, _: &str, _: Able) {
    let view = store.view();
    for text in ["", "a\n", &"long ".repeat(50_000)] {
        put(store, "a.narinfo", text);
        let object = view.get("a.narinfo", SMALL_OBJECT).unwrap().unwrap();
        assert!(object.bytes == text.as_bytes(), "{} bytes", text.len());
        assert_eq!(object.meta.size, text.len() as u64);
        let head = view.head("a.narinfo").unwrap().unwrap();
        assert_eq!(
            (head.size, head.modified),
            (object.meta.size, object.meta.modified)
        );
        let again = view.head("a.narinfo").unwrap().unwrap();
        assert_eq!(head.revision, again.revision);
        let mut streamed = String::new();
        let stream = view.open("a.narinfo").unwrap();
        stream.unwrap().read_to_string(&mut streamed).unwrap();
        assert!(streamed == text);
        let age = view.now().unwrap().since(head.modified).0;
        assert!(age < 60, "{age} s old");
    }
    let before = view.head("a.narinfo").unwrap().unwrap().revision;
    put(store, "a.narinfo", "another");
    assert_ne!(view.head("a.narinfo").unwrap().unwrap().revision, before);
    let too_large = view.get("a.narinfo", 6);
    assert!(matches!(
        too_large,
        Err(StoreError::TooLarge { limit: 6, .. })
    ));
    assert!(view.get("a.narinfo", 7).unwrap().is_some());
    let (there, not) = ("a.narinfo".to_owned(), "b.narinfo".to_owned());
    let many = view.get_many(&[not.clone(), there.clone(), not.clone()], 100);
    let many: Vec<bool> = many.into_iter().map(|one| one.unwrap().is_some()).collect();
    assert_eq!(many, [false, true, false]);
    let heads = view.head_many(&[there, not]);
    let heads: Vec<bool> = heads
        .into_iter()
        .map(|one| one.unwrap().is_some())
        .collect();
    assert_eq!(heads, [true, false]);
}

fn if_there(_: Open<'_>, store: &dyn CacheStore, _: &str, _: Able) {
    assert_eq!(
        put_if(store, "x.narinfo", "1", IfThere::Keep),
        Outcome::Written
    );
    assert_eq!(
        put_if(store, "x.narinfo", "2", IfThere::Keep),
        Outcome::Kept
    );
    assert_eq!(read(store, "x.narinfo").as_deref(), Some("1"));
    put(store, "x.narinfo", "3");
    assert_eq!(read(store, "x.narinfo").as_deref(), Some("3"));
    let one = |key: &str, text: &str| Put {
        key: key.into(),
        bytes: text.into(),
        if_there: IfThere::Keep,
    };
    let levels = vec![
        vec![one("y.narinfo", "1"), one("x.narinfo", "4")],
        vec![],
        vec![one("z.narinfo", "1")],
    ];
    let outcomes = store.put_levels(levels);
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        outcomes,
        [Outcome::Written, Outcome::Kept, Outcome::Written]
    );
    let order = store.put_in_order(vec![one("p.narinfo", "1"), one("z.narinfo", "2")]);
    let order: Vec<Outcome> = order.into_iter().map(Result::unwrap).collect();
    assert_eq!(order, [Outcome::Written, Outcome::Kept]);
}

fn races(open: Open<'_>, store: &dyn CacheStore, name: &str, able: Able) {
    // Losers wait for seconds on some.
    for round in 0..2 {
        let key = format!("race-{round}.narinfo");
        let racers: Vec<Box<dyn CacheStore>> = (0..8).map(|_| open(name)).collect();
        let written = std::thread::scope(|scope| {
            let tasks: Vec<_> = racers
                .iter()
                .enumerate()
                .map(|(number, racer)| {
                    let (key, text) = (&key, format!("{number}").repeat(1000));
                    scope.spawn(move || put_if(racer.as_ref(), key, &text, IfThere::Keep))
                })
                .collect();
            let outcomes = tasks.into_iter().map(|task| task.join().unwrap());
            outcomes.filter(|one| *one == Outcome::Written).count()
        });
        if able.conditions {
            assert_eq!(written, 1, "round {round}");
        }
        let text = read(store, &key).unwrap();
        let first = text.get(..1).unwrap().repeat(1000);
        assert_eq!(text, first, "an object of two writers");
    }
}

fn areas(_: Open<'_>, store: &dyn CacheStore, _: &str, _: Able) {
    let hash = path(1).hash();
    let all = [
        (Area::Nars, "nar/a.nar.zst".to_owned()),
        (Area::Intents, "nanna-cache/v1/intents/a.json".to_owned()),
        (Area::Prunes, "nanna-cache/v1/prunes/a.json".to_owned()),
        (
            Area::Roots,
            format!("nanna-cache/v1/roots/things/{hash}.json"),
        ),
        (Area::Roots, format!("nanna-cache/v1/roots/x/{hash}.json")),
        (Area::Pins, format!("nanna-cache/v1/pins/p/{hash}.json")),
        (Area::Runs, "nanna-cache/v1/runs/p/1-a.jsonl.zst".to_owned()),
        (
            Area::Realisations,
            "realisations/sha256:a!out.doi".to_owned(),
        ),
        (Area::Realisations, "build-trace-v2/a/out.doi".to_owned()),
        (Area::Debug, "debuginfo/a".to_owned()),
    ];
    for (area, key) in &all {
        if *area == Area::Intents || *area == Area::Prunes {
            store.put_record(key, b"{}".to_vec()).unwrap();
        } else {
            put(store, key, "{}");
        }
    }
    put(store, &narinfo(1), "x");
    put(store, &format!("{hash}.ls"), "x");
    for area in AREAS {
        let mut expected: Vec<String> = all
            .iter()
            .filter(|(of, _)| *of == area)
            .map(|(_, key)| key.clone())
            .collect();
        match area {
            Area::Top => {
                expected.extend([narinfo(1), format!("{hash}.ls"), "nix-cache-info".into()]);
            }
            Area::Versions => expected.push("nanna-cache/v1/".into()),
            _ => {}
        }
        expected.sort();
        assert_eq!(listed(store, area), expected, "{area:?}");
        let has_meta = !matches!(area, Area::Top | Area::Versions);
        let mut each = |one: nanna_cache::provider::binary_cache::Listed<'_>| {
            assert!(one.meta.is_some() || !has_meta, "{}", one.key);
        };
        store.view().list(area, &mut each).unwrap();
    }
    put(store, "nanna-cache/v7/x.json", "{}");
    let versions = listed(store, Area::Versions);
    assert_eq!(versions, ["nanna-cache/v1/", "nanna-cache/v7/"]);
    let keys: Vec<String> = all.iter().map(|(_, key)| key.clone()).collect();
    assert!(store.delete(&keys).iter().all(Result::is_ok));
    assert_eq!(listed(store, Area::Roots), [""; 0]);
    assert_eq!(listed(store, Area::Intents), [""; 0]);
}

fn many(_: Open<'_>, store: &dyn CacheStore, _: &str, _: Able) {
    let keys: Vec<String> = (0..1_203).map(narinfo).collect();
    let puts: Vec<Put> = keys
        .iter()
        .map(|key| Put {
            key: key.clone(),
            bytes: key.clone().into_bytes(),
            if_there: IfThere::Replace,
        })
        .collect();
    for result in store.put_levels(vec![puts]) {
        assert_eq!(result.unwrap(), Outcome::Written);
    }
    let found = listed(store, Area::Top);
    let once: BTreeSet<&String> = found.iter().collect();
    assert_eq!(found.len(), once.len(), "some are listed twice");
    assert_eq!(found.len(), keys.len() + 1);
    // All but one, with one that is not there, by one question.
    let mut going: Vec<String> = keys.iter().skip(1).cloned().collect();
    going.insert(600, "absent.narinfo".into());
    let answers = store.delete(&going);
    assert_eq!(answers.len(), going.len());
    for (key, answer) in going.iter().zip(answers) {
        answer.unwrap_or_else(|error| panic!("{key}: {}", told(&error)));
    }
    let mut left = vec![keys[0].clone(), "nix-cache-info".into()];
    left.sort();
    assert_eq!(listed(store, Area::Top), left);
    assert!(store.delete(&[]).is_empty());
}

fn sent(store: &dyn CacheStore, bytes: &[u8]) -> String {
    let mut sink = store.upload().unwrap();
    for piece in bytes.chunks(100_000) {
        sink.write(piece).unwrap();
    }
    let facts = FileFacts {
        hash: Sha256::of(bytes),
        size: bytes.len() as u64,
        suffix: ".zst",
    };
    sink.finish(&facts).unwrap()
}

fn uploads(_: Open<'_>, store: &dyn CacheStore, _: &str, _: Able) {
    let bytes = b"the bytes of a NAR file".repeat(1000);
    let key = sent(store, &bytes);
    assert_eq!(
        key,
        format!("nar/{}.nar.zst", Sha256::of(&bytes).to_nix32())
    );
    assert_eq!(listed(store, Area::Nars), std::slice::from_ref(&key));
    let before = store.view().head(&key).unwrap().unwrap().modified;
    std::thread::sleep(Duration::from_millis(1_100));
    // The same once more: it is as young as a new one.
    assert_eq!(sent(store, &bytes), key);
    let after = store.view().head(&key).unwrap().unwrap().modified;
    assert!(after > before, "{after} {before}");
    // One that is given up leaves nothing that a listing shows.
    let mut sink = store.upload().unwrap();
    sink.write(&bytes).unwrap();
    drop(sink);
    assert_eq!(listed(store, Area::Nars), [key]);
}

fn large(_: Open<'_>, store: &dyn CacheStore, _: &str, _: Able) {
    // Too large for one request, and no whole number of parts.
    let bytes: Vec<u8> = (0..20_000_001_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let key = sent(store, &bytes);
    let mut found = Vec::new();
    let stream = store.view().open(&key).unwrap().unwrap();
    { stream }.read_to_end(&mut found).unwrap();
    assert!(found == bytes, "{} of {} bytes", found.len(), bytes.len());
    let before = store.view().head(&key).unwrap().unwrap();
    assert_eq!(before.size, bytes.len() as u64);
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(sent(store, &bytes), key);
    let after = store.view().head(&key).unwrap().unwrap();
    assert!(after.modified > before.modified);
    // Half a stream that nobody reads on is let go.
    let mut half = store.view().open(&key).unwrap().unwrap();
    half.read_exact(&mut [0; 1000]).unwrap();
}

fn touch(_: Open<'_>, store: &dyn CacheStore, _: &str, _: Able) {
    put(store, "nar/t.nar", "some bytes");
    let before = store.view().head("nar/t.nar").unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    assert!(store.touch("nar/t.nar").unwrap());
    let after = store.view().head("nar/t.nar").unwrap().unwrap();
    assert!(after.modified > before.modified);
    assert_eq!(read(store, "nar/t.nar").as_deref(), Some("some bytes"));
    assert!(!store.touch("nar/absent.nar").unwrap());
}

fn records(_: Open<'_>, store: &dyn CacheStore, _: &str, able: Able) {
    let key = "nanna-cache/v1/intents/00000000000000000000000001.json";
    let now = store.view().now().unwrap();
    let meta = store.put_record(key, b"{\"a\":1}".to_vec()).unwrap();
    let Time(seconds) = meta.modified;
    assert!((seconds - now.0).abs() < 30, "{meta:?} {now}");
    let found = || {
        let mut found = Vec::new();
        let mut each =
            |one: nanna_cache::provider::binary_cache::Listed<'_>| found.extend(one.meta);
        store.view().list(Area::Intents, &mut each).unwrap();
        found
    };
    let [listed] = found()[..] else {
        panic!("one record")
    };
    assert_eq!((listed.size, listed.modified), (7, meta.modified));
    assert_eq!(listed.gone, able.knows_the_dead.then_some(false));
    assert_eq!(store.view().capabilities().by_age, !able.knows_the_dead);
    let again = store.put_record(key, b"{\"a\":2}".to_vec()).unwrap();
    assert!(again.modified >= meta.modified);
    assert_ne!(found()[0].revision, listed.revision);
    assert!(store.delete(&[key.to_owned()]).pop().unwrap().is_ok());
    assert!(found().is_empty());
}

fn replace(_: Open<'_>, store: &dyn CacheStore, _: &str, able: Able) {
    put(store, "r.narinfo", "one");
    let was = store.view().get("r.narinfo", 100).unwrap().unwrap().meta;
    put(store, "r.narinfo", "two!");
    let outcome = store.replace("r.narinfo", b"three".to_vec(), &was).unwrap();
    assert_eq!(outcome, Outcome::Kept);
    assert_eq!(read(store, "r.narinfo").as_deref(), Some("two!"));
    let is = store.view().get("r.narinfo", 100).unwrap().unwrap().meta;
    let outcome = store.replace("r.narinfo", b"three".to_vec(), &is).unwrap();
    assert_eq!(store.view().capabilities().replace, able.replaces);
    let (expected, text) = if able.replaces {
        (Outcome::Written, "three")
    } else {
        (Outcome::Kept, "two!")
    };
    assert_eq!(outcome, expected);
    assert_eq!(read(store, "r.narinfo").as_deref(), Some(text));
    let gone = store.replace("absent.narinfo", b"x".to_vec(), &is).unwrap();
    assert_eq!(gone, Outcome::Kept);
}

fn keys(_: Open<'_>, store: &dyn CacheStore, _: &str, _: Able) {
    for key in ["../x", "nar/../../x", "/x"] {
        let bad = |error: StoreError| assert!(matches!(error, StoreError::BadKey(_)), "{key}");
        bad(store.view().get(key, 10).unwrap_err());
        bad(store.view().head(key).unwrap_err());
        bad(store.delete(&[key.to_owned()]).pop().unwrap().unwrap_err());
        let put = store.put(Put {
            key: key.into(),
            bytes: Vec::new(),
            if_there: IfThere::Replace,
        });
        bad(put.unwrap_err());
    }
}

fn look(store: &dyn CacheStore, look: &Look<'_>) -> CacheContent {
    match observe(store.view(), look, &Progress::default()) {
        Observation::Present(content) => content,
        other => panic!("{other:?}"),
    }
}

/// The protocol over the store: a push, a push again, a prune of everything.
fn whole(_: Open<'_>, store: &dyn CacheStore, _: &str, able: Able) {
    let world = world(60);
    let (clock, progress) = (SystemClock::new(), Progress::default());
    let done = push(store, &world.batch, &clock, &progress).unwrap();
    assert_eq!(done.failed, []);
    assert_eq!(done.classes.values().next().unwrap().uploaded.len(), 60);
    let dir = StoreDir::default();
    let index = world.dir.path().join("index");
    let how = Look {
        index: Some(&index),
        ..Look::new(&dir)
    };
    for _ in 0..2 {
        let content = look(store, &how);
        assert_eq!(content.partial, None);
        assert_eq!(content.damages, [""; 0]);
        assert_eq!(content.paths.len(), 60);
        assert_eq!(content.elsewhere, []);
        assert_eq!(content.roots.len(), 1);
        // A request that got no answer leaves the intent to age.
        assert!(content.intents.is_empty() || store.has_unanswered());
        let has_nar = |one: &nanna_cache::plan::observed::Narinfo| one.nar().is_some();
        assert!(content.narinfos.iter().all(has_nar));
    }
    let again = push(store, &world.batch, &clock, &progress).unwrap();
    let class = again.classes.values().next().unwrap();
    assert_eq!((class.uploaded.len(), class.present.len()), (0, 60));
    let content = look(store, &how);
    let all: Vec<_> = content
        .paths
        .rows()
        .map(|row| content.paths.hash(row))
        .collect();
    let candidates = Candidates {
        paths: all.clone(),
        roots: content
            .roots
            .iter()
            .map(|root| nanna_cache::plan::record::Root::key(&root.class, root.hash))
            .collect(),
        objects: listed(store, Area::Nars),
        ..Candidates::default()
    };
    let mut decide = |_: &CacheContent| Decision {
        dead: all.clone(),
        ended: candidates.roots.clone(),
    };
    let done = prune(
        store,
        &candidates,
        &how,
        Span(0),
        &mut decide,
        &clock,
        &progress,
    )
    .unwrap();
    assert_eq!(done.paths.len(), 60);
    assert_eq!(done.spared, []);
    // rclone may go on showing a file that two wrote at once.
    if able.conditions {
        assert_eq!(listed(store, Area::Nars), [""; 0]);
    }
    assert_eq!(listed(store, Area::Top), ["nix-cache-info"]);
    assert_eq!(look(store, &how).paths.len(), 0);
}
