//! Looking at a folder: the index is never believed about presence, and nothing is written.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod cache_support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_support::{path, world};
use nanna_cache::nix::base32;
use nanna_cache::nix::store_path::StoreDir;
use nanna_cache::plan::observed::{CacheContent, Observation};
use nanna_cache::provider::binary_cache::CacheStore;
use nanna_cache::provider::binary_cache::folder::FolderStore;
use nanna_cache::provider::binary_cache::observe::{Look, observe};
use nanna_cache::transfer::progress::Progress;

fn seen(store: &FolderStore, index: Option<&Path>) -> CacheContent {
    let dir = StoreDir::default();
    let look = Look {
        index,
        ..Look::new(&dir)
    };
    match observe(store.view(), &look, &Progress::default()) {
        Observation::Present(content) => content,
        other => panic!("{other:?}"),
    }
}

fn facts(content: &CacheContent) -> Vec<(String, u64, Vec<String>, Option<String>)> {
    let base = |row| content.paths.base_name(row);
    content
        .paths
        .rows()
        .map(|row| {
            let references = content
                .paths
                .refs()
                .references(row)
                .iter()
                .map(|r| base(*r))
                .collect();
            let nar = content.narinfos[row as usize]
                .nar()
                .map(|n| content.nars.key(n));
            (base(row), content.paths.nar_size(row), references, nar)
        })
        .collect()
}

/// A store that counts the narinfos that it hands out.
fn counting(cache: &Path) -> (FolderStore, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    let store = FolderStore::with_hook(cache, move |call, key| {
        if call == "get" && key.ends_with(".narinfo") {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    });
    (store, count)
}

#[test]
fn the_index_saves_reading_and_changes_nothing() {
    let world = world(50);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let index = world.dir.path().join("state/index");
    let plain = facts(&seen(&store, None));
    assert_eq!(plain.len(), 50);
    let (store, count) = counting(&world.cache());
    let reads = || count.swap(0, Ordering::SeqCst);
    assert_eq!(facts(&seen(&store, Some(&index))), plain);
    assert_eq!(reads(), 50);
    assert_eq!(facts(&seen(&store, Some(&index))), plain);
    assert_eq!(reads(), 0);
    // One goes, one is written again with other references: read anew, alone.
    let key = |number| {
        world
            .cache()
            .join(format!("{}.narinfo", path(number).hash()))
    };
    std::fs::remove_file(key(49)).unwrap();
    let text = std::fs::read_to_string(key(48)).unwrap();
    let changed: String = text
        .lines()
        .map(|line| {
            if line.starts_with("References:") {
                "References: \n".into()
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    std::fs::write(world.dir.path().join("new"), changed).unwrap();
    std::fs::rename(world.dir.path().join("new"), key(48)).unwrap();
    let content = seen(&store, Some(&index));
    assert_eq!(reads(), 1);
    assert_eq!(facts(&content), facts(&seen(&store, None)));
    assert_eq!(content.paths.len(), 49);
    let row = content.paths.row(&path(48).hash()).unwrap();
    assert!(content.paths.refs().references(row).is_empty());
    reads();
    // Damage costs reads, nothing else.
    let mut bytes = std::fs::read(&index).unwrap();
    let at = bytes.len() - 10;
    bytes[at] ^= 0x40;
    std::fs::write(&index, bytes).unwrap();
    assert_eq!(facts(&seen(&store, Some(&index))), facts(&content));
    assert!((1..50).contains(&reads()));
    std::fs::write(&index, "nonsense").unwrap();
    assert_eq!(facts(&seen(&store, Some(&index))), facts(&content));
    assert_eq!(reads(), 49);
    seen(&store, Some(&index));
    assert_eq!(reads(), 0);
    // A folder in its place is no error either.
    std::fs::remove_file(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    assert_eq!(facts(&seen(&store, Some(&index))), facts(&content));
}

#[test]
fn looking_writes_nothing() {
    let world = world(10);
    let _ = world.push(&world.create()).unwrap();
    let mut calls = std::collections::BTreeSet::new();
    let seen_calls = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let log = Arc::clone(&seen_calls);
    let store = FolderStore::with_hook(world.cache(), move |call, _| {
        log.lock().unwrap().insert(call);
        Ok(())
    });
    // Also where nothing can be written (root may write all the same; the calls tell).
    let folders = ["", "nar", "nanna-cache/v1", "nanna-cache/v1/roots/things"];
    let mode = |bits| {
        for folder in folders {
            let bits = std::fs::Permissions::from_mode(bits);
            std::fs::set_permissions(world.cache().join(folder), bits).unwrap();
        }
    };
    mode(0o555);
    let content = seen(&store, None);
    mode(0o755);
    assert!(
        content.partial.is_none() && content.paths.len() == 10,
        "{:?}",
        content.partial
    );
    calls.extend(seen_calls.lock().unwrap().iter().copied());
    // `probe` and `lock` take locks of files that are there.
    assert_eq!(
        calls.into_iter().collect::<Vec<_>>(),
        ["get", "list", "lock", "probe"]
    );
}

#[test]
fn what_cannot_be_read_makes_the_look_partial() {
    let world = world(10);
    let _ = world.push(&world.create()).unwrap();
    let hash = path(3).hash().to_string();
    for (call, part) in [
        ("list", "nar"),
        ("list", "nanna-cache/v1/roots"),
        ("list", "nanna-cache/v1/intents"),
        ("get", hash.as_str()),
        ("get", "nix-cache-info"),
    ] {
        let part = part.to_owned();
        let store = FolderStore::with_hook(world.cache(), {
            let part = part.clone();
            move |now, key: &str| {
                if now == call
                    && key.starts_with(&part)
                    && (call == "get" || key.len() == part.len())
                {
                    return Err(std::io::ErrorKind::PermissionDenied.into());
                }
                Ok(())
            }
        });
        let content = seen(&store, None);
        let why = content.partial.unwrap_or_else(|| panic!("{call} {part}")).0;
        assert!(why.contains(&part), "{why}");
    }
}

#[test]
fn foreign_damage_of_every_kind_is_told() {
    let world = world(8);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let file = |number| {
        world
            .cache()
            .join(format!("{}.narinfo", path(number).hash()))
    };
    let text = |number| std::fs::read_to_string(file(number)).unwrap();
    std::fs::write(file(1), text(1).replace('\n', "\r\n")).unwrap();
    std::fs::write(
        file(2),
        text(2) + "CA: fixed:r:sha256:0wj0c1sq5fv4z0wv62hb72wdz4x4aq4bw3cl8pzyc9nnhrw32f7s\n",
    )
    .unwrap();
    std::fs::write(file(3), [0xff; 40]).unwrap();
    std::fs::write(file(4), text(4) + "Sig: nonsense\n").unwrap();
    std::fs::write(world.cache().join("nonsense.narinfo"), "x").unwrap();
    let content = seen(&store, None);
    let told = content.damages.join("\n");
    for word in [
        "carriage return",
        "content address",
        "UTF-8",
        "malformed signature",
        "nonsense.narinfo",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert_eq!((content.damages.len(), content.paths.len()), (5, 5));
    assert!(content.partial.is_none());
}

/// A narinfo's NAR is found by half of its hash. Nobody can make two such hashes of content; whoever gives a
/// file such a name gets no prune.
#[test]
fn two_nars_of_nearly_the_same_name_make_the_look_partial() {
    let world = world(3);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let content = seen(&store, None);
    assert_eq!(content.partial, None);
    let key = content.nars.key(content.narinfos[0].nar().unwrap());
    let hash = key.strip_prefix("nar/").unwrap().split_once('.').unwrap();
    let mut bytes = base32::decode::<32>(hash.0.as_bytes()).unwrap();
    bytes[31] ^= 1;
    let other = format!("nar/{}.{}", base32::encode(&bytes), hash.1);
    std::fs::write(world.cache().join(other), "x").unwrap();
    let why = seen(&store, None).partial.unwrap().0;
    assert!(why.contains("nearly the same name"), "{why}");
}

/// A store that counts its calls, by name, for narinfos and listings of folders that hold objects.
fn watched(cache: &Path) -> (FolderStore, impl Fn() -> (u64, u64, u64) + use<>) {
    let counts: Arc<[AtomicU64; 3]> = Arc::default();
    let counter = Arc::clone(&counts);
    let store = FolderStore::with_hook(cache, move |call, key| {
        let narinfo = key.ends_with(".narinfo");
        let which = match call {
            "list" if ["", "nar"].contains(&key) => 0,
            "head" if narinfo => 1,
            "get" if narinfo => 2,
            _ => return Ok(()),
        };
        counter[which].fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let taken = move || {
        let [lists, heads, gets] = counts.as_ref();
        let take = |count: &AtomicU64| count.swap(0, Ordering::SeqCst);
        (take(lists), take(heads), take(gets))
    };
    (store, taken)
}

/// Long enough that a folder counts as one that did not change just now.
fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(4_100));
}

#[test]
fn a_planner_believes_a_folder_in_which_no_name_changed_and_who_deletes_does_not() {
    let world = world(20);
    let _ = world.push(&world.create()).unwrap();
    let index = world.dir.path().join("state/index");
    let (store, calls) = watched(&world.cache());
    let planner = || facts(&seen(&store, Some(&index)));
    let dir = StoreDir::default();
    let thorough = || {
        let look = Look {
            index: Some(&index),
            thorough: true,
            ..Look::new(&dir)
        };
        match observe(store.view(), &look, &Progress::default()) {
            Observation::Present(content) => facts(&content),
            other => panic!("{other:?}"),
        }
    };
    let plain = facts(&seen(&store, None));
    calls();
    // It changed just now, so it is not believed yet.
    assert_eq!((planner(), calls()), (plain.clone(), (2, 0, 20)));
    assert_eq!((planner(), calls()), (plain.clone(), (2, 20, 0)));
    settle();
    assert_eq!((planner(), calls()), (plain.clone(), (2, 20, 0)));
    assert_eq!((planner(), calls()), (plain.clone(), (0, 0, 0)));
    assert_eq!((thorough(), calls()), (plain.clone(), (2, 20, 0)));
    assert_eq!((planner(), calls()), (plain.clone(), (0, 0, 0)));

    // Damage of what is remembered costs reads, once.
    let mut bytes = std::fs::read(&index).unwrap();
    let name = path(7).name().as_bytes().to_vec();
    let at = bytes.windows(name.len()).position(|window| window == name);
    bytes[at.unwrap()] ^= 0x10;
    std::fs::write(&index, &bytes).unwrap();
    assert_eq!(planner(), plain);
    assert!((1..20).contains(&calls().2));
    assert_eq!(planner(), plain);
    calls();
    assert_eq!((planner(), calls()), (plain.clone(), (0, 0, 0)));

    // Somebody writes into a narinfo: who deletes sees it at once.
    let key = |number| {
        world
            .cache()
            .join(format!("{}.narinfo", path(number).hash()))
    };
    let text = std::fs::read_to_string(key(19)).unwrap();
    let line = text.lines().find(|line| line.starts_with("References:"));
    let changed = text.replace(line.unwrap(), "References: ");
    std::fs::write(key(19), changed).unwrap();
    let now = thorough();
    assert_ne!(now, plain);
    assert_eq!(now, facts(&seen(&store, None)));
    assert_eq!(planner(), now);

    // Names that come, go or are replaced are seen by everybody.
    std::fs::write(world.dir.path().join("new"), &text).unwrap();
    std::fs::rename(world.dir.path().join("new"), key(19)).unwrap();
    assert_eq!(planner(), plain);
    settle();
    assert_eq!((planner(), planner()), (plain.clone(), plain.clone()));
    calls();
    assert_eq!((planner(), calls()), (plain.clone(), (0, 0, 0)));
    let nar = plain.iter().find_map(|fact| fact.3.clone()).unwrap();
    std::fs::remove_file(world.cache().join(nar)).unwrap();
    let now = facts(&seen(&store, None));
    assert_ne!(now, plain);
    assert_eq!(planner(), now);
    std::fs::remove_file(key(19)).unwrap();
    let now = facts(&seen(&store, None));
    assert_eq!((planner(), now.len()), (now.clone(), 19));
}

#[test]
fn the_time_of_a_nar_that_nobody_names_is_never_remembered() {
    let world = world(3);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let orphan = format!("nar/{}.nar.zst", "0".repeat(52));
    let file = world.cache().join(&orphan);
    std::fs::write(&file, "left").unwrap();
    let index = world.dir.path().join("state/index");
    settle();
    let age = || {
        let content = seen(&store, Some(&index));
        let found = content.nars.iter().find(|nar| nar.key == orphan).unwrap();
        (content.now.since(found.modified).0, found.size)
    };
    assert!(age().0 < 60);
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(48);
    let handle = std::fs::File::options().append(true).open(&file).unwrap();
    handle.set_modified(long_ago).unwrap();
    let (seconds, size) = age();
    assert!(seconds >= 48 * 3_600 && size == 4, "{seconds} {size}");
}
