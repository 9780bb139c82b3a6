//! Pruning a folder: only what is dead goes, in an order that keeps the rest whole.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod cache_support;

use std::sync::atomic::{AtomicU64, Ordering};

use cache_support::{World, age, batched, check, class, dying, look, path, world};
use nanna_cache::config::units::Span;
use nanna_cache::nix::store_path::{HashPart, StoreDir};
use nanna_cache::plan::observed::{CacheContent, Observation};
use nanna_cache::plan::record::{PrunePhase, Root};
use nanna_cache::plan::step::RootToWrite;
use nanna_cache::provider::binary_cache::CacheStore;
use nanna_cache::provider::binary_cache::folder::FolderStore;
use nanna_cache::provider::binary_cache::observe::{Look, observe};
use nanna_cache::provider::binary_cache::prune::{
    Candidates, Decision, PruneDone, PruneError, prune, prune_into,
};
use nanna_cache::provider::binary_cache::terms::Terms;
use nanna_cache::sys::clock::{Clock, SystemClock};
use nanna_cache::transfer::progress::Progress;

const GRACE: Span = Span(24 * 3600);

/// What is not reached from a root, an open push or a young narinfo is dead.
fn decide(content: &CacheContent) -> Decision {
    let intents = content
        .intents
        .iter()
        .filter(|i| !i.gone)
        .flat_map(|i| i.paths.iter().copied());
    let roots = content.roots.iter().map(|root| root.hash).chain(intents);
    let rows: Vec<u32> = roots.filter_map(|hash| content.paths.row(&hash)).collect();
    let young = content.paths.rows().filter(|row| {
        content
            .now
            .since(content.narinfos[*row as usize].modified())
            < GRACE
    });
    let live = content.paths.refs().reach(rows.into_iter().chain(young));
    let dead = content.paths.rows().filter(|row| !live.contains(*row));
    Decision {
        dead: dead.map(|row| content.paths.hash(row)).collect(),
        ended: Vec::new(),
    }
}

fn run(store: &FolderStore, candidates: &Candidates) -> Result<PruneDone, PruneError> {
    let dir = StoreDir::default();
    let (clock, progress) = (SystemClock::new(), Progress::default());
    let look = Look::new(&dir);
    prune(
        store,
        candidates,
        &look,
        GRACE,
        &mut decide,
        &clock,
        &progress,
    )
}

fn run_into(
    store: &FolderStore,
    candidates: &Candidates,
    done: &mut PruneDone,
) -> Result<(), PruneError> {
    let dir = StoreDir::default();
    let (clock, progress) = (SystemClock::new(), Progress::default());
    let look = Look::new(&dir);
    let with = (&clock as &dyn Clock, &progress);
    prune_into(
        &Terms::STANDARD,
        store,
        candidates,
        &look,
        GRACE,
        &mut decide,
        with,
        done,
    )
}

fn all(content: &CacheContent) -> Candidates {
    Candidates {
        paths: content
            .paths
            .rows()
            .map(|row| content.paths.hash(row))
            .collect(),
        ..Candidates::default()
    }
}

fn root(number: usize) -> RootToWrite {
    RootToWrite {
        path: path(number),
        class: class(),
        attr: None,
        new: true,
    }
}

/// A cache of 30 paths, two days old, of which the first 11 are kept by a root.
fn old_cache() -> World {
    let mut world = world(30);
    world.batch.roots = vec![root(10)];
    let store = world.create();
    let _ = world.push(&store).unwrap();
    age(&world.cache(), 48);
    world
}

#[test]
fn what_no_root_reaches_goes_with_its_nar() {
    let world = old_cache();
    let store = world.store();
    let before = look(&store);
    let done = run(&store, &all(&before)).unwrap();
    assert_eq!((done.paths.len(), done.spared.len()), (19, 11));
    assert_eq!(check(&world.cache()).len(), 11);
    // The file that 6 equal paths share stays, because two of them stay.
    let after = look(&store);
    assert_eq!(before.nars.len() - after.nars.len(), done.objects.len());
    assert_eq!(after.nars.len(), 10);
    assert_eq!(after.prunes.len(), 1);
    let bytes = |content: &CacheContent| content.nars.iter().map(|nar| nar.size).sum::<u64>();
    assert_eq!(bytes(&before) - bytes(&after), done.bytes);
    let again = run(&store, &all(&after)).unwrap();
    assert!(again.paths.is_empty() && again.objects.is_empty());
    // What was deleted can be pushed again.
    let pushed = batched(&store, &world.batch).unwrap();
    assert_eq!(pushed.classes[&class()].uploaded.len(), 19);
    assert_eq!(check(&world.cache()).len(), 30);
}

#[test]
fn abort_at_every_call_leaves_it_whole_and_a_rerun_converges() {
    let world = old_cache();
    let calls = {
        let copy = copy_of(&world);
        let (store, calls) = dying(&copy.path().join("cache"), u64::MAX);
        let content = look(&store);
        calls.store(0, Ordering::SeqCst);
        run(&store, &all(&content)).unwrap();
        calls.load(Ordering::SeqCst)
    };
    let mut left = std::collections::BTreeSet::new();
    let mut told = std::collections::BTreeSet::new();
    for at in 0..calls {
        let copy = copy_of(&world);
        let cache = copy.path().join("cache");
        let candidates = all(&look(&FolderStore::new(&cache)));
        let (store, _) = dying(&cache, at);
        let mut done = PruneDone::default();
        let result = run_into(&store, &candidates, &mut done);
        drop(store);
        let there = check(&cache).len();
        left.insert(there);
        // What is known to be gone is told, whatever ended it; a delete that failed may have come through.
        assert!(done.paths.len() <= 30 - there, "after call {at}");
        told.insert(done.paths.len());
        if result.is_err() {
            run(&FolderStore::new(&cache), &candidates).unwrap();
        }
        assert_eq!(check(&cache).len(), 11, "after call {at} of {calls}");
    }
    assert!(
        left.contains(&30) && left.contains(&11) && left.len() > 5,
        "{left:?}"
    );
    assert!(told.len() > 5, "{told:?}");
}

/// A copy with the same times.
fn copy_of(world: &World) -> tempfile::TempDir {
    let dir = tempfile::tempdir_in(world.dir.path()).unwrap();
    let status = std::process::Command::new("cp")
        .arg("-a")
        .arg(world.cache())
        .arg(dir.path().join("cache"))
        .status()
        .unwrap();
    assert!(status.success());
    dir
}

#[test]
fn only_candidates_go_and_nothing_that_stays_loses_a_reference() {
    let world = old_cache();
    let store = world.store();
    // 12 is dead, but 29 and others that are no candidates refer to it.
    let candidates = Candidates {
        paths: vec![path(12).hash(), path(29).hash()],
        ..Candidates::default()
    };
    let done = run(&store, &candidates).unwrap();
    assert_eq!(done.paths, [path(29).hash()]);
    assert_eq!(done.spared, [path(12).hash()]);
    assert_eq!(check(&world.cache()).len(), 29);
}

#[test]
fn open_pushes_young_paths_and_new_roots_are_spared() {
    let world = old_cache();
    let store = world.store();
    let candidates = all(&look(&store));
    // Another process is pushing 20.
    let other = world.store();
    let body = |hash: HashPart| {
        format!(
            r#"{{"schema":1,"requires":[],"writer":"x","class":"things","tops":[],"paths":"{hash}","began":"2026-01-01T00:00:00Z"}}"#
        )
    };
    let key = "nanna-cache/v1/intents/00000000000000000000000001.json";
    other
        .put_record(key, body(path(20).hash()).into_bytes())
        .unwrap();
    let done = run(&store, &candidates).unwrap();
    assert_eq!((done.paths.len(), check(&world.cache()).len()), (9, 21));
    // It dies without having written its root.
    drop(other);
    let done = run(&store, &candidates).unwrap();
    assert_eq!((done.paths.len(), check(&world.cache()).len()), (10, 11));
}

#[test]
fn young_files_stay_and_old_left_overs_go() {
    let world = old_cache();
    let store = world.store();
    let nar = world.cache().join("nar");
    std::fs::write(nar.join("young.nar.zst"), "x").unwrap();
    std::fs::write(nar.join("old.nar.zst"), "xx").unwrap();
    std::fs::write(nar.join("old.nar.zst.tmp.123.4"), "xxx").unwrap();
    std::fs::write(
        nar.join(format!(".nanna-cache.tmp.{}.9", std::process::id())),
        "xxxx",
    )
    .unwrap();
    std::fs::write(
        world.cache().join("00000000000000000000000000000001.ls"),
        "{}",
    )
    .unwrap();
    for name in [
        "nar/old.nar.zst",
        "nar/old.nar.zst.tmp.123.4",
        "00000000000000000000000000000001.ls",
    ] {
        let file = std::fs::File::open(world.cache().join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_hours(25))
            .unwrap();
    }
    let content = look(&store);
    assert_eq!(content.leftovers.len(), 3, "{:?}", content.leftovers);
    let named = content.nars.key(content.narinfos[0].nar().unwrap());
    let leftovers = content.leftovers.iter().map(|o| o.key.clone());
    let objects = ["nar/young.nar.zst", "nar/old.nar.zst", "nix-cache-info"].map(str::to_owned);
    let candidates = Candidates {
        objects: objects
            .into_iter()
            .chain(leftovers)
            .chain([named])
            .collect(),
        ..Candidates::default()
    };
    let done = run(&store, &candidates).unwrap();
    assert_eq!(
        done.objects,
        [
            "00000000000000000000000000000001.ls",
            "nar/old.nar.zst",
            "nar/old.nar.zst.tmp.123.4"
        ]
    );
    assert_eq!(done.bytes, 2 + 2 + 3);
    assert_eq!(check(&world.cache()).len(), 30);
}

#[test]
fn ended_roots_go_unless_an_open_push_relies_on_them() {
    let mut world = old_cache();
    world.batch.roots = vec![root(3), root(4)];
    let store = world.store();
    let _ = world.push(&store).unwrap();
    let other = world.store();
    let body = format!(
        r#"{{"schema":1,"requires":[],"writer":"x","class":"things","tops":[],"paths":"{}","began":"2026-01-01T00:00:00Z"}}"#,
        path(3).hash()
    );
    other
        .put_record(
            "nanna-cache/v1/intents/00000000000000000000000001.json",
            body.into_bytes(),
        )
        .unwrap();
    let key = |number| Root::key(&class(), path(number).hash());
    let candidates = Candidates {
        roots: vec![key(3), key(4)],
        ..Candidates::default()
    };
    let dir = StoreDir::default();
    let mut ended = |content: &CacheContent| Decision {
        ended: content
            .roots
            .iter()
            .map(|root| Root::key(&root.class, root.hash))
            .collect(),
        dead: Vec::new(),
    };
    let (clock, progress) = (SystemClock::new(), Progress::default());
    let done = prune(
        &store,
        &candidates,
        &Look::new(&dir),
        GRACE,
        &mut ended,
        &clock,
        &progress,
    )
    .unwrap();
    assert_eq!(done.roots, [key(4)]);
    assert_eq!(look(&store).roots.len(), 2);
}

#[test]
fn what_is_not_understood_keeps_everything() {
    let world = old_cache();
    let store = world.store();
    let candidates = all(&look(&store));
    let put = |key: &str, text: &str| {
        store.write(key, text.into()).unwrap();
    };
    let strange = [
        (
            "nanna-cache/v1/intents/00000000000000000000000002.json",
            r#"{"schema":1,"requires":["wings"],"writer":"x"}"#,
        ),
        ("nanna-cache/v1/roots/things/what.json", "{}"),
        ("nanna-cache/v2/anything", "{}"),
        (
            "nanna-cache/v1/pins/v1/00000000000000000000000000000001.json",
            "{",
        ),
    ];
    for (key, text) in strange {
        put(key, text);
        let error = run(&store, &candidates).unwrap_err();
        assert!(matches!(error, PruneError::Unsure { .. }), "{key}: {error}");
        assert_eq!(check(&world.cache()).len(), 30);
        let mut gone = world.cache().join(key);
        std::fs::remove_file(&gone).unwrap();
        gone.pop();
        let _ = std::fs::remove_dir(gone);
    }
    assert!(run(&store, &candidates).is_ok());
}

#[test]
fn one_prune_at_a_time_and_a_dead_one_is_no_hindrance() {
    let world = old_cache();
    let store = world.store();
    let candidates = all(&look(&store));
    let other = world.store();
    let body = r#"{"schema":1,"requires":[],"writer":"x","phase":"paths","paths":"","plan":"","began":"2026-01-01T00:00:00Z"}"#;
    let key = "nanna-cache/v1/prunes/00000000000000000000000001.json";
    other.put_record(key, body.into()).unwrap();
    assert!(matches!(
        run(&store, &candidates),
        Err(PruneError::Busy { .. })
    ));
    assert_eq!(check(&world.cache()).len(), 30);
    drop(other);
    assert!(run(&store, &candidates).is_ok());
    // Records of what was over long ago go at last, unless something that one names is there still.
    let named = body.replace(r#""paths":"""#, &format!(r#""paths":"{}""#, path(0).hash()));
    assert_ne!(named, body);
    let needed = "nanna-cache/v1/prunes/00000000000000000000000002.json";
    store.write(needed, named.into()).unwrap();
    age(&world.cache(), 48);
    run(&store, &candidates).unwrap();
    let left: Vec<_> = look(&store).prunes;
    let left: Vec<&str> = left.iter().map(|prune| prune.id.as_str()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(left[0], "00000000000000000000000002");
}

/// The record is all that tells the next prune whose the rest is: the roots may be gone.
#[test]
fn the_record_of_a_prune_that_failed_midway_names_what_is_left() {
    let left = |fails: &'static [usize]| {
        let world = old_cache();
        let refused: Vec<String> = fails
            .iter()
            .map(|number| format!("{}.narinfo", path(*number).hash()))
            .collect();
        let store = FolderStore::with_hook(world.cache(), move |call, key| {
            if call == "remove" && refused.iter().any(|one| one == key) {
                return Err(std::io::Error::from_raw_os_error(5));
            }
            Ok(())
        });
        let candidates = all(&look(&store));
        let mut done = PruneDone::default();
        run_into(&store, &candidates, &mut done).unwrap_err();
        let record = look(&store).prunes.remove(0);
        assert_eq!(record.phase, PrunePhase::Ended);
        let gone: Vec<_> = done.paths.iter().collect();
        assert!(record.paths.iter().all(|hash| !gone.contains(&hash)));
        (gone.len(), record.paths.len())
    };
    // Of 30 paths 11 are kept by a root, and nothing refers to the last one.
    assert_eq!(
        left(&[29]),
        (0, 0),
        "nothing went, so nothing is to be told"
    );
    let (gone, rest) = left(&[11]);
    assert!(gone > 0 && rest > 0);
    assert_eq!(gone + rest, 19);
}

/// It decides by the cache as it is, and by the records of all prunes but itself.
#[test]
fn the_second_look_of_a_prune_believes_no_index_and_not_itself() {
    let world = old_cache();
    let index = world.dir.path().join("state/index");
    let store = world.store();
    let dir = StoreDir::default();
    let how = Look {
        index: Some(&index),
        ..Look::new(&dir)
    };
    // So long that a folder does not count as changed just now.
    std::thread::sleep(std::time::Duration::from_millis(4_100));
    for _ in 0..2 {
        let seen = observe(store.view(), &how, &Progress::default());
        assert!(matches!(seen, Observation::Present(_)));
    }
    // Somebody writes into a narinfo: no name changed, so a planner sees nothing of it.
    let file = |number| {
        world
            .cache()
            .join(format!("{}.narinfo", path(number).hash()))
    };
    let text = std::fs::read_to_string(file(10)).unwrap();
    let line = text.lines().find(|line| line.starts_with("References:"));
    let more = format!("{} {}", line.unwrap(), path(20));
    std::fs::write(file(10), text.replace(line.unwrap(), &more)).unwrap();
    let other = r#"{"schema":1,"requires":[],"writer":"x","phase":"ended","paths":"","plan":"","began":"2026-01-01T00:00:00Z"}"#;
    let key = "nanna-cache/v1/prunes/00000000000000000000000001.json";
    store.put_record(key, other.into()).unwrap();

    let (clock, progress) = (SystemClock::new(), Progress::default());
    let mut prunes = Vec::new();
    let mut decide = |content: &CacheContent| {
        prunes.extend(content.prunes.iter().map(|prune| prune.id.clone()));
        decide(content)
    };
    let candidates = all(&look(&store));
    let done = prune(
        &store,
        &candidates,
        &how,
        GRACE,
        &mut decide,
        &clock,
        &progress,
    )
    .unwrap();
    assert!(!done.paths.contains(&path(20).hash()));
    assert!(!done.paths.is_empty());
    assert_eq!(prunes, ["00000000000000000000000001"]);
}

#[test]
fn only_the_intent_of_a_push_that_is_gone_goes() {
    let world = old_cache();
    let (store, alive) = (world.store(), world.store());
    let key = |number: u8| format!("nanna-cache/v1/intents/0000000000000000000000000{number}.json");
    let body = format!(
        r#"{{"schema":1,"requires":[],"writer":"x","class":"things","tops":[],"paths":"{}","began":"2026-01-01T00:00:00Z"}}"#,
        path(3).hash()
    );
    let put = |store: &FolderStore, number| {
        let _ = store.put_record(&key(number), body.clone().into()).unwrap();
    };
    put(&alive, 1);
    let gone = world.store();
    put(&gone, 2);
    drop(gone);
    let candidates = Candidates {
        objects: vec![key(1), key(2)],
        ..Candidates::default()
    };
    let done = run(&store, &candidates).unwrap();
    assert_eq!(done.objects, [key(2)]);
    let left: Vec<String> = look(&store).intents.into_iter().map(|one| one.id).collect();
    assert_eq!(left, ["00000000000000000000000001"]);
}

#[test]
fn what_later_rounds_would_have_taken_is_named_by_the_record_too() {
    let world = old_cache();
    let terms = Terms {
        round: 7,
        ..Terms::STANDARD
    };
    // The first narinfo of the second round cannot be removed.
    let removed = AtomicU64::new(0);
    let store = FolderStore::with_hook(world.cache(), move |call, key| {
        if call == "remove" && key.ends_with(".narinfo") {
            let before = removed.fetch_add(1, Ordering::SeqCst);
            if before >= 7 {
                return Err(std::io::Error::from_raw_os_error(5));
            }
        }
        Ok(())
    });
    let dir = StoreDir::default();
    let (clock, progress) = (SystemClock::new(), Progress::default());
    let content = look(&store);
    // Referrers first, and what stays last.
    let live: Vec<HashPart> = (0..=10).map(|number| path(number).hash()).collect();
    let dead = (11..30).rev().map(|number| path(number).hash());
    let candidates = Candidates {
        paths: dead.chain(live).collect(),
        ..Candidates::default()
    };
    assert_eq!(candidates.paths.len(), content.paths.len());
    let mut done = PruneDone::default();
    prune_into(
        &terms,
        &store,
        &candidates,
        &Look::new(&dir),
        GRACE,
        &mut decide,
        (&clock as &dyn Clock, &progress),
        &mut done,
    )
    .unwrap_err();
    assert_eq!(done.paths.len(), 7);
    let record = look(&store).prunes.remove(0);
    // Of 19 that were dead; what lives is nobody's left-over.
    assert_eq!(record.paths.len(), 19 - 7);
}
