//! A folder as a store: locks that cannot be had, what a power cut must not turn round, and files of others.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod cache_support;

use std::io;
use std::sync::{Arc, Mutex};

use cache_support::{World, age, batched, check, look, path, world};
use nanna_cache::config::model::PinName;
use nanna_cache::config::units::Span;
use nanna_cache::nix::store_path::StoreDir;
use nanna_cache::plan::observed::CacheContent;
use nanna_cache::plan::record::{PinBody, PinRecord};
use nanna_cache::plan::time::Time;
use nanna_cache::provider::binary_cache::folder::FolderStore;
use nanna_cache::provider::binary_cache::observe::Look;
use nanna_cache::provider::binary_cache::pins;
use nanna_cache::provider::binary_cache::prune::{
    Candidates, Decision, PruneDone, PruneError, prune_by,
};
use nanna_cache::provider::binary_cache::terms::Terms;
use nanna_cache::provider::binary_cache::{Area, CacheStore, CacheView, Meta};
use nanna_cache::sys::clock::SystemClock;
use nanna_cache::transfer::progress::Progress;

const INTENT: &str = "nanna-cache/v1/intents/00000000000000000000000001.json";

fn meta_of(store: &FolderStore, area: Area) -> Option<Meta> {
    let mut found = None;
    store
        .list(area, &mut |listed| found = found.or(listed.meta))
        .unwrap();
    found
}

/// A store on a file system where `call` fails with this number.
fn failing(world: &World, call: &'static str, number: i32) -> FolderStore {
    FolderStore::with_hook(world.cache(), move |name, key| {
        let fails = name == call && (name != "lock" || key.contains(".nanna-cache.tmp."));
        if fails {
            return Err(io::Error::from_raw_os_error(number));
        }
        Ok(())
    })
}

#[test]
fn a_record_whose_lock_cannot_be_taken_is_never_seen() {
    let world = world(1);
    world.create();
    // EIO, and ENOLCK where the file system has locks otherwise.
    for number in [5, 37] {
        let store = failing(&world, "lock", number);
        assert!(store.put_record(INTENT, b"{}".to_vec()).is_err());
        assert_eq!(meta_of(&world.store(), Area::Intents), None);
        assert_eq!(look(&world.store()).leftovers, []);
    }
    let store = world.store();
    let meta = store.put_record(INTENT, b"{}".to_vec()).unwrap();
    assert_eq!(meta.gone, Some(false));
    let seen = meta_of(&world.store(), Area::Intents).unwrap();
    assert_eq!(seen.gone, Some(false));
    drop(store);
    let seen = meta_of(&world.store(), Area::Intents).unwrap();
    assert_eq!(seen.gone, Some(true));
}

#[test]
fn without_locks_the_age_of_a_record_counts() {
    let world = world(1);
    world.create();
    let store = || {
        FolderStore::with_hook(world.cache(), |call, _| match call {
            // EOPNOTSUPP, EBADF.
            "probe" => Err(io::Error::from_raw_os_error(95)),
            "lock" => Err(io::Error::from_raw_os_error(9)),
            _ => Ok(()),
        })
    };
    assert!(store().capabilities().by_age);
    assert!(!world.store().capabilities().by_age);
    let first = store();
    let meta = first.put_record(INTENT, b"{}".to_vec()).unwrap();
    assert_eq!(meta.gone, None);
    drop(first);
    // Its process is dead, which nobody can know.
    assert_eq!(meta_of(&store(), Area::Intents).unwrap().gone, None);
    assert!(!look_with(&store()).intents[0].gone);
    age(&world.cache(), 25);
    assert!(look_with(&store()).intents[0].gone);
}

fn look_with(store: &FolderStore) -> CacheContent {
    let body = br#"{"schema":1,"requires":[],"writer":"x","class":"things","tops":[],"paths":"","began":"2026-01-01T00:00:00Z"}"#;
    let file = store.path().join(INTENT);
    let then = file.metadata().unwrap().modified().unwrap();
    std::fs::write(&file, body).unwrap();
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_modified(then).unwrap();
    look(store)
}

#[test]
fn who_may_only_read_sees_which_records_live() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = world(1);
    let store = world.create();
    store.put_record(INTENT, b"{}".to_vec()).unwrap();
    let lock = world.cache().join("nanna-cache/v1/lock");
    std::fs::set_permissions(&lock, std::fs::Permissions::from_mode(0o444)).unwrap();
    let seen = meta_of(&world.store(), Area::Intents).unwrap();
    assert_eq!(seen.gone, Some(false));
}

type Log = Arc<Mutex<Vec<(&'static str, String)>>>;

fn logged(world: &World) -> (FolderStore, Log) {
    let log = Log::default();
    let kept = Arc::clone(&log);
    let store = FolderStore::with_hook(world.cache(), move |call, key| {
        kept.lock().unwrap().push((call, key.to_owned()));
        Ok(())
    });
    (store, log)
}

/// Where in the log the first or last call is of which this is true.
fn at(log: &Log, last: bool, so: impl Fn(&str, &str) -> bool) -> usize {
    let log = log.lock().unwrap();
    let mut found = log.iter().enumerate().filter(|(_, (c, k))| so(c, k));
    let found = if last {
        found.next_back()
    } else {
        found.next()
    };
    found.unwrap().0
}

#[test]
fn what_is_referred_to_is_durable_first() {
    let world = world(8);
    world.create();
    let (store, log) = logged(&world);
    let _ = batched(&store, &world.batch).unwrap();
    let narinfo = |c: &str, k: &str| c == "rename" && k.ends_with(".narinfo");
    let root = |c: &str, k: &str| c == "rename" && k.contains("/roots/");
    let of = |folder: &'static str| move |c: &str, k: &str| c == "sync" && k == folder;
    // NARs, then narinfos, then roots, then the intent goes; each with its folder.
    let nar = |c: &str, k: &str| c == "rename" && k.starts_with("nar/");
    assert!(at(&log, false, nar) < at(&log, false, of("nar")));
    assert!(at(&log, false, of("nar")) < at(&log, false, narinfo));
    assert!(at(&log, true, narinfo) < at(&log, true, of("")));
    assert!(at(&log, true, of("")) < at(&log, false, root));
    let class = of("nanna-cache/v1/roots/things");
    let intent = |c: &str, k: &str| c == "remove" && k.contains("/intents/");
    assert!(at(&log, true, root) < at(&log, true, class));
    assert!(at(&log, true, class) < at(&log, false, intent));
    // The new folder of the class has a name that has to last, too.
    assert!(at(&log, false, of("nanna-cache/v1/roots")) < at(&log, false, root));

    age(&world.cache(), 48);
    let (store, log) = logged(&world);
    let content = look(&world.store());
    run(&store, &everything(&content), 100_000).unwrap();
    let narinfo = |c: &str, k: &str| c == "remove" && k.ends_with(".narinfo");
    let nar = |c: &str, k: &str| c == "remove" && k.starts_with("nar/");
    assert!(at(&log, true, narinfo) < at(&log, true, of("")));
    assert!(at(&log, true, of("")) < at(&log, false, nar));
}

fn everything(content: &CacheContent) -> Candidates {
    let rows = content.paths.refs().order_references_first(&{
        let mut all = nanna_cache::nix::closure::RowSet::new(content.paths.len());
        for row in content.paths.rows() {
            all.insert(row);
        }
        all
    });
    Candidates {
        paths: rows
            .rows
            .iter()
            .rev()
            .map(|row| content.paths.hash(*row))
            .collect(),
        objects: content.leftovers.iter().map(|o| o.key.clone()).collect(),
        ..Candidates::default()
    }
}

/// Prunes by the rule that nothing is needed.
fn run(
    store: &FolderStore,
    candidates: &Candidates,
    round: usize,
) -> Result<PruneDone, PruneError> {
    let terms = Terms {
        round,
        ..Terms::STANDARD
    };
    let mut decide = |content: &CacheContent| Decision {
        dead: content
            .paths
            .rows()
            .map(|row| content.paths.hash(row))
            .collect(),
        ended: Vec::new(),
    };
    prune_by(
        &terms,
        store,
        candidates,
        &Look::new(&StoreDir::default()),
        Span(24 * 3600),
        &mut decide,
        &SystemClock::new(),
        &Progress::default(),
    )
}

#[test]
fn very_many_go_in_rounds_referrers_first() {
    let world = world(30);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    age(&world.cache(), 48);
    let content = look(&store);
    let candidates = everything(&content);
    let (store, log) = logged(&world);
    let done = run(&store, &candidates, 7).unwrap();
    assert_eq!((done.paths.len(), done.spared.len()), (30, 0));
    assert!(check(&world.cache()).is_empty());
    assert!(look(&store).nars.is_empty());
    // Announced, narrowed: five times; then the NARs, then the end.
    let log = log.lock().unwrap();
    let records = log
        .iter()
        .filter(|(c, k)| *c == "rename" && k.contains("/prunes/"));
    assert_eq!(records.count(), 5 * 2 + 2);
}

#[test]
fn a_narinfo_that_only_others_can_read_keeps_what_it_refers_to() {
    let world = world(6);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let file = world.cache().join(format!("{}.narinfo", path(5).hash()));
    let text = std::fs::read_to_string(&file).unwrap();
    let refers: Vec<_> = (0..5)
        .map(path)
        .filter(|p| text.contains(&p.to_string()))
        .collect();
    assert!(!refers.is_empty());
    // Nix does not look at the byte behind the colon.
    std::fs::write(&file, text.replace("Compression: ", "Compression:\t")).unwrap();
    age(&world.cache(), 48);
    let content = look(&store);
    assert!(
        content.damages[0].contains("no blank after the colon"),
        "{:?}",
        content.damages
    );
    assert!(
        refers
            .iter()
            .all(|path| content.bound.contains(&path.hash()))
    );
    let done = run(&store, &everything(&content), 100_000).unwrap();
    let left = |path: &nanna_cache::nix::store_path::StorePath| {
        let narinfo = world.cache().join(format!("{}.narinfo", path.hash()));
        narinfo.exists()
    };
    assert!(refers.iter().all(left) && left(&path(5)));
    assert!(done.paths.len() < 5);
    // Its NAR as well.
    let url = text.lines().find_map(|l| l.strip_prefix("URL: ")).unwrap();
    assert!(world.cache().join(url).exists());
    // One that cannot be read at all: nothing goes, and it is named.
    std::fs::write(&file, vec![b'x'; 2 << 20]).unwrap();
    let why = look(&store).partial.unwrap().0;
    assert!(why.contains(&path(5).hash().to_string()), "{why}");
    assert!(matches!(
        run(&store, &everything(&content), 100_000),
        Err(PruneError::Unsure { .. })
    ));
}

#[test]
fn what_others_wrote_about_what_goes_goes_before_it() {
    let world = world(3);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let (cache, content) = (world.cache(), look(&store));
    let nar = content.nars.key(0);
    std::fs::create_dir_all(cache.join("debuginfo")).unwrap();
    std::fs::create_dir_all(cache.join("nanna-cache/v1/prunes")).unwrap();
    std::fs::create_dir_all(cache.join("build-trace-v2/x.drv")).unwrap();
    let write = |key: &str, text: String| std::fs::write(cache.join(key), text).unwrap();
    let realised = |path: &str| format!(r#"{{"id":"x","outPath":"{path}","signatures":[]}}"#);
    write(
        "realisations/sha256:aa!out.doi",
        realised(&path(2).to_string()),
    );
    write(
        "realisations/sha256:bb!out.doi",
        realised(&path(77).to_string()),
    );
    write("realisations/sha256:cc!out.doi", "no JSON".into());
    let newer = format!(r#"{{"key":{{}},"value":{{"outPath":"{}"}}}}"#, path(1));
    write("build-trace-v2/x.drv/out.doi", newer);
    write(
        "debuginfo/1234",
        format!(r#"{{"archive":"../{nar}","member":"x"}}"#),
    );
    write(
        "debuginfo/5678",
        r#"{"archive":"../nar/other","member":"x"}"#.into(),
    );
    for stray in [
        "nanna-cache/v1",
        "nanna-cache/v1/intents",
        "nanna-cache/v1/prunes",
        "log",
    ] {
        write(
            &format!("{stray}/.nanna-cache.tmp.4194305.1"),
            "left".into(),
        );
    }
    write("realisations/x.doi.tmp.4194305.1", "left".into());
    write("00000000000000000000000000000001.ls", "{}".into());
    write(&format!("{}.ls", path(0).hash()), "{}".into());
    let young = everything(&look(&store));
    assert_eq!(young.objects.len(), 6, "{:?}", young.objects);
    assert_eq!(
        run(
            &store,
            &Candidates {
                paths: vec![],
                ..young
            },
            9
        )
        .unwrap()
        .objects
        .len(),
        0
    );
    age(&cache, 48);
    let (store, log) = logged(&world);
    let done = run(&store, &everything(&look(&store)), 100_000).unwrap();
    assert_eq!(
        (done.paths.len(), done.objects.len()),
        (3, 3 + 6),
        "{:?}",
        done.objects
    );
    let left = |folder: &str| std::fs::read_dir(cache.join(folder)).unwrap().count();
    assert_eq!((left("realisations"), left("build-trace-v2/x.drv")), (2, 0));
    assert_eq!((left("debuginfo"), left("nar"), left("log")), (1, 0, 0));
    let removed = |key: String| move |c: &str, k: &str| c == "remove" && k == key;
    let narinfo = at(&log, false, |c, k| c == "remove" && k.ends_with(".narinfo"));
    let first = at(
        &log,
        false,
        removed("realisations/sha256:aa!out.doi".into()),
    );
    assert!(first < narinfo);
    assert!(at(&log, false, removed("debuginfo/1234".into())) < at(&log, false, removed(nar)));
    let own = format!("{}.narinfo", path(0).hash());
    let listing = format!("{}.ls", path(0).hash());
    assert!(at(&log, false, removed(own)) < at(&log, false, removed(listing)));
}

#[test]
fn a_pin_is_a_record_until_it_is_removed() {
    let world = world(1);
    let store = world.create();
    let (v1, pinned) = (PinName::new("v1"), Time(1_700_000_000));
    pins::write(&store, &v1, "demo", &path(0), Some("release"), pinned).unwrap();
    let key = PinRecord::key(&v1, path(0).hash());
    let text = std::fs::read(world.cache().join(&key)).unwrap();
    let body: PinBody = serde_json::from_slice(&text).unwrap();
    assert_eq!((&body.path, &body.name), (&path(0), &v1));
    assert_eq!(body.project.as_deref(), Some("demo"));
    assert_eq!(body.because.as_deref(), Some("release"));
    assert_eq!(body.pinned, pinned);
    let seen = |store: &FolderStore| -> Vec<_> {
        let pins = look(store).pins.into_iter();
        pins.map(|pin| (pin.name, pin.hash)).collect()
    };
    assert_eq!(seen(&store), [(v1.clone(), path(0).hash())]);
    // Another name's record of the path stays.
    let other = PinName::new("other");
    pins::write(&store, &other, "demo", &path(0), None, pinned).unwrap();
    for _ in 0..2 {
        pins::remove(&store, &v1, path(0).hash()).unwrap();
        assert_eq!(seen(&store), [(other.clone(), path(0).hash())]);
    }
}
