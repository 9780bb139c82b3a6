//! Pushes beside prunes, and pushes that are held up.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod cache_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use cache_support::{batched, check, class, look, path, world};
use nanna_cache::config::units::Span;
use nanna_cache::nix::store_path::HashPart;
use nanna_cache::provider::binary_cache::CacheStore;
use nanna_cache::provider::binary_cache::folder::FolderStore;
use nanna_cache::provider::binary_cache::push::{PushError, push};
use nanna_cache::sys::clock::{Clock, SystemClock};
use nanna_cache::transfer::progress::Progress;

const PRUNE: &str = "nanna-cache/v1/prunes/00000000000000000000000001.json";

fn prune_of(phase: &str, paths: &[HashPart], nars: &str) -> Vec<u8> {
    let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
    format!(
        r#"{{"schema":1,"requires":[],"writer":"x","phase":"{phase}","paths":"{}","nars":"{nars}","plan":"","began":"2026-01-01T00:00:00Z"}}"#,
        paths.join(" ")
    )
    .into_bytes()
}

/// Pushes while another process is in the midst of a prune that does `then` after a while; says
/// whether the push waited for it.
fn push_beside(record: Vec<u8>, then: impl FnOnce(FolderStore)) -> bool {
    let world = world(12);
    let store = world.create();
    let other = world.store();
    other.put_record(PRUNE, record).unwrap();
    let over = AtomicBool::new(false);
    let waited = std::thread::scope(|scope| {
        let task = scope.spawn(|| {
            let _ = batched(&store, &world.batch).unwrap();
            over.load(Ordering::SeqCst)
        });
        std::thread::sleep(Duration::from_millis(700));
        over.store(true, Ordering::SeqCst);
        then(other);
        task.join().unwrap()
    });
    assert_eq!(check(&world.cache()).len(), 12);
    assert!(look(&store).intents.is_empty());
    waited
}

#[test]
fn a_push_waits_for_a_prune_of_what_it_relies_on_and_for_no_other() {
    let ours = [path(3).hash()];
    assert!(push_beside(prune_of("paths", &ours, ""), drop));
    assert!(push_beside(prune_of("paths", &ours, ""), |other| {
        // Narrowed: it spares the path after all.
        other
            .put_record(PRUNE, prune_of("paths", &[path(99).hash()], ""))
            .unwrap();
        std::thread::sleep(Duration::from_secs(2));
    }));
    assert!(!push_beside(
        prune_of("paths", &[path(99).hash()], ""),
        drop
    ));
    assert!(!push_beside(prune_of("ended", &ours, ""), drop));
    assert!(
        push_beside(br#"{"schema":9,"writer":"x"}"#.to_vec(), drop),
        "an unknown record condemns all"
    );
}

#[test]
fn a_push_waits_for_a_prune_of_its_nars_and_makes_them_again() {
    let world = world(4);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let nars = look(&store).nars;
    std::fs::remove_dir_all(world.cache()).unwrap();
    let store = world.create();
    let other = world.store();
    let key = nars.key(1);
    other
        .put_record(PRUNE, prune_of("nars", &[], &key))
        .unwrap();
    std::thread::scope(|scope| {
        let task = scope.spawn(|| batched(&store, &world.batch).unwrap());
        std::thread::sleep(Duration::from_millis(700));
        assert!(!task.is_finished());
        // Its delete lands on the file that was just uploaded.
        std::fs::remove_file(world.cache().join(&key)).unwrap();
        drop(other);
        assert!(task.join().unwrap().failed.is_empty());
    });
    assert_eq!(check(&world.cache()).len(), 4);
}

#[test]
fn a_nar_that_grew_old_in_a_wait_is_young_when_it_is_named() {
    let mut world = world(4);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let key = look(&store).nars.key(1);
    std::fs::remove_dir_all(world.cache()).unwrap();
    let store = world.create();
    let other = world.store();
    other
        .put_record(PRUNE, prune_of("nars", &[], &key))
        .unwrap();
    // After a second a NAR may be so old that a prune which began meanwhile takes it for left over.
    world.batch.grace = Span(2);
    let let_go = std::thread::scope(|scope| {
        let task = scope.spawn(|| batched(&store, &world.batch).unwrap());
        std::thread::sleep(Duration::from_millis(1600));
        assert!(!task.is_finished());
        let now = SystemTime::now();
        drop(other);
        assert!(task.join().unwrap().failed.is_empty());
        now
    });
    for nar in std::fs::read_dir(world.cache().join("nar")).unwrap() {
        let nar = nar.unwrap();
        let written = nar.metadata().unwrap().modified().unwrap();
        assert!(written >= let_go, "{nar:?}: {written:?}, {let_go:?}");
    }
}

#[test]
fn a_prune_that_deletes_a_nar_and_dies_at_once_is_noticed() {
    let world = world(4);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let key = look(&store).nars.key(1);
    std::fs::remove_dir_all(world.cache()).unwrap();
    world.create();
    let other = std::sync::Mutex::new(Some(world.store()));
    other
        .lock()
        .unwrap()
        .as_ref()
        .unwrap()
        .put_record(PRUNE, prune_of("nars", &[], &key))
        .unwrap();
    // Between the upload and the look at prunes: the delete lands, and its process is killed. Its
    // record stays as it was.
    let (file, done, lists) = (
        world.cache().join(&key),
        AtomicBool::new(false),
        AtomicU64::new(0),
    );
    let store = FolderStore::with_hook(world.cache(), move |call, folder| {
        if call == "list" && folder.ends_with("/prunes") {
            lists.fetch_add(1, Ordering::SeqCst);
        }
        if file.exists() && lists.load(Ordering::SeqCst) > 0 && !done.swap(true, Ordering::SeqCst) {
            std::fs::remove_file(&file)?;
            drop(other.lock().unwrap().take());
        }
        Ok(())
    });
    let _ = world.push(&store).unwrap();
    assert_eq!(check(&world.cache()).len(), 4);
}

/// A delete that was sent long ago may land after the last look at prunes.
#[test]
fn what_goes_while_the_last_path_is_published_is_pushed_again() {
    for with_record in [true, false] {
        let world = world(12);
        world.create();
        let (cache, published) = (world.cache(), AtomicU64::new(0));
        let gone = cache.join(format!("{}.narinfo", path(0).hash()));
        let file = gone.clone();
        let store = FolderStore::with_hook(cache.clone(), move |call, key| {
            let is_last = call == "rename"
                && key.ends_with(".narinfo")
                && published.fetch_add(1, Ordering::SeqCst) == 11;
            if is_last {
                std::fs::remove_file(&file)?;
                if with_record {
                    let record = cache.join(PRUNE);
                    std::fs::create_dir_all(record.parent().unwrap())?;
                    std::fs::write(record, prune_of("ended", &[], ""))?;
                }
            }
            Ok(())
        });
        let done = world.push(&store).unwrap();
        assert_eq!(done.classes[&class()].uploaded.len(), 12);
        // Without a trace of a prune nobody looks: that is not what a prune does.
        assert_eq!(gone.exists(), with_record);
    }
}

/// What was published without a root is kept alive by the intent alone.
#[test]
fn a_push_that_cannot_go_on_leaves_its_intent_if_it_published_something() {
    let mut world = world(12);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let relied_on = path(0);
    world.batch.items.retain(|item| item.path != relied_on);
    let file = |number: usize| {
        let key = format!("{}.narinfo", path(number).hash());
        world.cache().join(key)
    };
    let begin = |uploads: bool| {
        let published = AtomicU64::new(0);
        let gone = file(0);
        let text = std::fs::read(&gone).unwrap();
        let record = world.cache().join(PRUNE);
        let store = FolderStore::with_hook(world.cache(), move |call, key| {
            let is_last = call == "rename"
                && key.ends_with(".narinfo")
                && published.fetch_add(1, Ordering::SeqCst) == 10;
            if is_last {
                std::fs::remove_file(&gone)?;
                std::fs::create_dir_all(record.parent().unwrap())?;
                std::fs::write(&record, prune_of("ended", &[], ""))?;
            }
            Ok(())
        });
        if uploads {
            for number in 1..12 {
                std::fs::remove_file(file(number)).unwrap();
            }
        } else {
            std::fs::remove_file(file(0)).unwrap();
        }
        let error = world.push(&store).unwrap_err();
        assert!(
            matches!(error, PushError::Moved(hash) if hash == relied_on.hash()),
            "{error}"
        );
        std::fs::write(file(0), text).unwrap();
        look(&store).intents.len()
    };
    assert_eq!(begin(false), 0);
    assert_eq!(begin(true), 1);
}

/// A clock that makes one leap.
struct Leaping {
    real: SystemClock,
    calls: AtomicU64,
    at: u64,
}

impl Clock for Leaping {
    fn unix(&self) -> i64 {
        self.real.unix()
    }

    fn elapsed(&self) -> Duration {
        let leapt = self.calls.fetch_add(1, Ordering::SeqCst) >= self.at;
        self.real.elapsed()
            + if leapt {
                Duration::from_hours(2)
            } else {
                Duration::ZERO
            }
    }

    fn sleep(&self, time: Duration) {
        self.real.sleep(time);
    }
}

#[test]
fn a_push_that_slept_begins_again_with_a_new_intent() {
    let world = world(12);
    let mut intents = std::collections::BTreeSet::new();
    for at in 0..60 {
        let _ = std::fs::remove_dir_all(world.cache());
        let ids = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
        let log = Arc::clone(&ids);
        world.create();
        let store = FolderStore::with_hook(world.cache(), move |call, key| {
            if call == "rename" && key.contains("/intents/") {
                log.lock().unwrap().insert(key.to_owned());
            }
            Ok(())
        });
        let clock = Leaping {
            real: SystemClock::new(),
            calls: AtomicU64::new(0),
            at,
        };
        let done = push(&store, &world.batch, &clock, &Progress::default()).unwrap();
        assert_eq!(done.classes[&class()].uploaded.len(), 12, "{at}");
        assert_eq!(
            (check(&world.cache()).len(), look(&store).roots.len()),
            (12, 1)
        );
        intents.insert(ids.lock().unwrap().len());
    }
    assert_eq!(intents.into_iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_push_that_begins_again_counts_each_failure_once() {
    let world = world(12);
    let damaged = world.batch.items.iter().find(|item| item.path == path(5));
    std::fs::write(damaged.unwrap().root.join("file"), "other").unwrap();
    let mut most = 0;
    for at in 0..60 {
        let _ = std::fs::remove_dir_all(world.cache());
        let store = world.create();
        let clock = Leaping {
            real: SystemClock::new(),
            calls: AtomicU64::new(0),
            at,
        };
        let done = push(&store, &world.batch, &clock, &Progress::default()).unwrap();
        let once: std::collections::BTreeSet<_> = done.failed.iter().map(|one| &one.path).collect();
        assert_eq!(done.failed.len(), once.len(), "{at}: {:?}", done.failed);
        most = most.max(once.len());
    }
    assert!(most >= 2, "what refers to it failed, too");
}

#[test]
fn a_push_that_is_stopped_leaves_it_whole_and_says_what_it_did() {
    let world = world(30);
    let progress = Arc::new(Progress::default());
    world.create();
    let (stop, count) = (Arc::clone(&progress), AtomicU64::new(0));
    let store = FolderStore::with_hook(world.cache(), move |call, key| {
        if call == "rename" && key.starts_with("nar/") && count.fetch_add(1, Ordering::SeqCst) == 10
        {
            stop.stop();
        }
        Ok(())
    });
    match push(&store, &world.batch, &SystemClock::new(), &progress) {
        Err(PushError::Stopped(done)) => {
            let uploaded = done
                .classes
                .get(&class())
                .map_or(0, |class| class.uploaded.len());
            assert_eq!(uploaded, check(&world.cache()).len());
            assert!(uploaded < 30);
        }
        other => panic!("{other:?}"),
    }
    drop(store);
    let done = world.push(&world.store()).unwrap();
    assert!(done.failed.is_empty());
    assert_eq!(check(&world.cache()).len(), 30);
}

#[test]
fn two_pushes_at_once_publish_each_path_once() {
    let world = world(30);
    world.create();
    let done: Vec<_> = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| batched(&world.store(), &world.batch).unwrap()))
            .collect();
        tasks.into_iter().map(|task| task.join().unwrap()).collect()
    });
    let uploaded: usize = done
        .iter()
        .map(|d| d.classes[&class()].uploaded.len())
        .sum();
    assert_eq!(uploaded, 30);
    assert_eq!(check(&world.cache()).len(), 30);
    let content = look(&world.store());
    assert!(content.intents.is_empty() && content.leftovers.is_empty());
}

#[test]
fn a_full_disk_is_told_and_nothing_is_broken() {
    let world = world(20);
    world.create();
    let count = AtomicU64::new(0);
    let store = FolderStore::with_hook(world.cache(), move |call, key| {
        if call == "write" && key.starts_with("nar/") && count.fetch_add(1, Ordering::SeqCst) > 8 {
            return Err(std::io::Error::from_raw_os_error(28));
        }
        Ok(())
    });
    let error = world.push(&store).unwrap_err();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(
        text.contains("No space left") && text.contains("/cache/nar/"),
        "{text}"
    );
    drop(store);
    check(&world.cache());
    assert_eq!(look(&world.store()).leftovers, []);
    let _ = world.push(&world.store()).unwrap();
    assert_eq!(check(&world.cache()).len(), 20);
}
