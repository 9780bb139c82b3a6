//! Pushing into a folder: what is published is whole, whatever happens on the way.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod cache_support;

use std::sync::atomic::Ordering;

use cache_support::{batched, check, class, dying, look, path, world};
use nanna_cache::nix::content_address::{ContentAddress, path_of_directory};
use nanna_cache::nix::narinfo::NarInfo;
use nanna_cache::nix::store_path::{HashPart, StoreDir, StorePath};
use nanna_cache::plan::observed::{Narinfo, Observation};
use nanna_cache::provider::binary_cache::CacheStore;
use nanna_cache::provider::binary_cache::push::{Batch, ClassDone, PushDone, PushError, push_into};
use nanna_cache::provider::binary_cache::terms::Terms;
use nanna_cache::sys::clock::SystemClock;
use nanna_cache::transfer::progress::Progress;

#[test]
fn a_push_publishes_everything_and_a_second_one_only_renews() {
    let world = world(40);
    let store = world.create();
    let done = world.push(&store).unwrap();
    assert_eq!(done.failed, []);
    assert_eq!(done.classes[&class()].uploaded.len(), 40);
    assert_eq!(check(&world.cache()).len(), 40);
    let content = look(&store);
    assert_eq!((content.paths.len(), content.roots.len()), (40, 1));
    assert!(
        content.intents.is_empty() && content.leftovers.is_empty() && content.damages.is_empty()
    );
    assert!(content.elsewhere.is_empty() && content.partial.is_none() && content.folders);
    assert!(
        content
            .narinfos
            .iter()
            .all(|narinfo| narinfo.nar().is_some())
    );
    // Eight of forty share one file.
    assert_eq!(content.nars.len(), 33);
    let items = world.batch.items.iter();
    let pushed = &done.classes[&class()];
    assert_eq!(
        pushed.nar_bytes,
        items.map(|item| item.nar_size).sum::<u64>()
    );
    let files = content.narinfos.iter().filter_map(Narinfo::nar);
    let files: u64 = files.map(|nar| content.nars.size(nar)).sum();
    assert_eq!(pushed.file_bytes, files, "a shared file counts for each");
    let done = world.push(&store).unwrap();
    assert!(done.classes[&class()].uploaded.is_empty());
    assert_eq!(
        (done.classes[&class()].present.len(), done.roots.len()),
        (40, 1)
    );
    assert_eq!(look(&store).nars, content.nars);
}

#[test]
fn abort_at_every_call_leaves_it_whole_and_a_rerun_converges() {
    let world = world(40);
    // With one worker the calls come in nearly the same order each time.
    let mut batch = world.batch.clone();
    batch.threads = 1;
    let whole = {
        let (store, calls) = dying(&world.cache(), u64::MAX);
        store.create(cache_support::INFO).unwrap();
        calls.store(0, Ordering::SeqCst);
        let _ = batched(&store, &batch).unwrap();
        calls.load(Ordering::SeqCst)
    };
    assert!(whole > 300, "{whole} calls");
    let mut visible = std::collections::BTreeSet::new();
    let mut told = std::collections::BTreeSet::new();
    for at in 0..whole {
        std::fs::remove_dir_all(world.cache()).unwrap();
        world.create();
        let (store, _) = dying(&world.cache(), at);
        let (clock, progress) = (SystemClock::new(), Progress::default());
        let mut done = PushDone::default();
        let result = push_into(
            &Terms::STANDARD,
            &store,
            &batch,
            &|_| None,
            (&clock, &progress),
            &mut done,
        );
        drop(store);
        let there = check(&world.cache()).len();
        visible.insert(there);
        // What is there is told, whatever ended it; a write that failed may have come through.
        let uploaded = |class: &ClassDone| class.uploaded.len();
        let uploaded = done.classes.values().map(uploaded).sum::<usize>();
        assert!(
            uploaded <= there && there - uploaded <= 1,
            "{uploaded} of {there}"
        );
        told.insert(uploaded);
        // Folders that are synced last may fail without anything being lost.
        if result.is_err() {
            let done = world.push(&world.store()).unwrap();
            assert!(done.failed.is_empty());
        }
        assert_eq!(check(&world.cache()).len(), 40, "after call {at}");
    }
    assert!(
        visible.contains(&0) && visible.contains(&40) && visible.len() > 10,
        "{visible:?}"
    );
    assert!(told.len() > 10, "{told:?}");
}

#[test]
fn a_damaged_path_fails_alone_with_what_refers_to_it() {
    let mut world = world(20);
    let damaged = path(10);
    let item = world
        .batch
        .items
        .iter()
        .find(|item| item.path == damaged)
        .unwrap();
    std::fs::write(item.root.join("file"), "other content").unwrap();
    let longer = path(13);
    let item = world
        .batch
        .items
        .iter()
        .find(|item| item.path == longer)
        .unwrap();
    std::fs::write(item.root.join("file"), "other content".repeat(10_000)).unwrap();
    world
        .batch
        .roots
        .push(nanna_cache::plan::step::RootToWrite {
            path: path(9),
            class: class(),
            attr: None,
            new: true,
        });
    let store = world.create();
    let done = world.push(&store).unwrap();
    let of = |path| {
        done.failed
            .iter()
            .find(|failed| failed.path == path)
            .map(|f| f.why.clone())
    };
    assert!(
        of(damaged.clone()).unwrap().contains("should have"),
        "{:?}",
        of(damaged)
    );
    assert!(
        of(longer.clone()).unwrap().contains("should have")
            || of(longer).unwrap().contains("refers")
    );
    assert!(of(path(11)).unwrap().contains("it refers to"));
    assert_eq!(done.failed.len(), 10);
    assert_eq!(check(&world.cache()).len(), 10);
    // Only the root whose closure is whole was written; the intent stays to say whose the rest is.
    let content = look(&store);
    assert_eq!(
        content.roots.iter().map(|r| r.hash).collect::<Vec<_>>(),
        [path(9).hash()]
    );
    assert_eq!(content.intents.len(), 1);
    assert!(!content.intents[0].gone);
    drop(store);
    assert!(
        look(&world.store()).intents[0].gone,
        "a dead process holds nothing"
    );
}

#[test]
fn what_is_relied_on_must_be_there() {
    let mut world = world(10);
    let missing = path(0);
    world.batch.items.retain(|item| item.path != missing);
    let store = world.create();
    let error = world.push(&store).unwrap_err();
    assert!(
        matches!(error, PushError::Moved(hash) if hash == missing.hash()),
        "{error}"
    );
    assert!(look(&store).intents.is_empty());
    // Not even listed: the path that refers to it is refused.
    world.batch.closure.retain(|hash| *hash != missing.hash());
    let done = world.push(&store).unwrap();
    assert!(
        done.failed
            .iter()
            .any(|f| f.why.contains("neither in the cache nor pushed"))
    );
    assert_eq!(check(&world.cache()).len(), 0);
    // An upstream has it.
    world.batch.upstream.insert(missing.hash());
    let done = world.push(&store).unwrap();
    assert_eq!(
        (done.failed.len(), done.classes[&class()].uploaded.len()),
        (0, 9)
    );
}

#[test]
fn broken_narinfos_are_repaired() {
    let world = world(10);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let narinfo = |number| {
        world
            .cache()
            .join(format!("{}.narinfo", path(number).hash()))
    };
    let text = std::fs::read_to_string(narinfo(3)).unwrap();
    std::fs::write(narinfo(3), &text[..text.len() - 5]).unwrap();
    std::fs::write(narinfo(4), "").unwrap();
    std::fs::copy(narinfo(2), narinfo(5)).unwrap();
    let text = std::fs::read_to_string(narinfo(7)).unwrap();
    let url = text
        .lines()
        .find_map(|line| line.strip_prefix("URL: "))
        .unwrap();
    std::fs::remove_file(world.cache().join(url)).unwrap();
    let add = |number, line: &str| {
        let text = std::fs::read_to_string(narinfo(number)).unwrap();
        std::fs::write(narinfo(number), text + line).unwrap();
    };
    add(8, "Sig: nonsense\n");
    let lie = "CA: fixed:r:sha256:0wj0c1sq5fv4z0wv62hb72wdz4x4aq4bw3cl8pzyc9nnhrw32f7s\n";
    add(9, lie);
    let content = look(&store);
    assert_eq!(content.paths.len(), 6);
    assert_eq!(content.damages.len(), 5, "{:?}", content.damages);
    assert_eq!(
        content
            .narinfos
            .iter()
            .filter(|n| n.nar().is_none())
            .count(),
        1
    );
    assert!(!content.elsewhere.is_empty());
    let done = world.push(&store).unwrap();
    assert_eq!(done.classes[&class()].uploaded.len(), 6);
    assert_eq!(check(&world.cache()).len(), 10);
    assert!(look(&store).damages.is_empty());
}

/// What somebody else wrote so that every Nix can read it is as good as ours.
#[test]
fn what_others_wrote_in_their_way_is_not_written_again() {
    let mut world = world(4);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let cache = world.cache();
    let file = |path: &StorePath| cache.join(format!("{}.narinfo", path.hash()));
    let text = |path: &StorePath| std::fs::read_to_string(file(path)).unwrap();
    let url = |text: &str, url: &str| {
        let line = text.lines().find(|line| line.starts_with("URL: ")).unwrap();
        text.replace(line, &format!("URL: {url}"))
    };
    // Its NAR is elsewhere on the net, which is not ours to judge.
    for (number, elsewhere) in [
        (1, "https://example.org/x.nar.zst"),
        (2, "nar/x.nar.zst?v=1"),
    ] {
        let changed = url(&text(&path(number)), elsewhere);
        std::fs::write(file(&path(number)), changed).unwrap();
    }
    // A name that follows from the content needs no signature.
    let dir = StoreDir::default();
    let item = &world.batch.items[0];
    let named = path_of_directory(item.nar_hash, "thing", &dir).unwrap();
    let info = NarInfo::parse(&text(&item.path), &dir).unwrap();
    let info = NarInfo {
        store_path: named.clone(),
        ca: Some(ContentAddress::of_nar(item.nar_hash)),
        references: Vec::new(),
        signatures: Vec::new(),
        ..info
    };
    std::fs::write(file(&named), info.display(&dir).to_string()).unwrap();
    let mut item = item.clone();
    (item.path, item.references) = (named.clone(), Vec::new());
    world.batch.items.push(item);
    world.batch.closure.push(named.hash());

    let before: Vec<String> = [path(1), path(2), named.clone()].iter().map(text).collect();
    let done = world.push(&store).unwrap();
    let class = &done.classes[&class()];
    assert_eq!((class.uploaded.len(), class.present.len()), (0, 5));
    let after: Vec<String> = [path(1), path(2), named].iter().map(text).collect();
    assert_eq!(after, before);
}

#[test]
fn a_content_address_is_published_if_the_path_follows_from_it() {
    let mut world = world(2);
    let store = world.create();
    let dir = StoreDir::default();
    let item = world.batch.items[0].clone();
    let ca = Some(ContentAddress::of_nar(item.nar_hash));
    let named = path_of_directory(item.nar_hash, "thing", &dir).unwrap();
    // One whose path follows from its content, and one that only says so: Nix would refuse to read that.
    for path in [named.clone(), path(77)] {
        let mut item = item.clone();
        (item.path, item.references, item.ca) = (path, Vec::new(), ca);
        world.batch.closure.push(item.path.hash());
        world.batch.items.push(item);
    }
    let done = world.push(&store).unwrap();
    assert_eq!(done.failed, []);
    let said = |path: &StorePath| {
        let file = world.cache().join(format!("{}.narinfo", path.hash()));
        let text = std::fs::read_to_string(file).unwrap();
        NarInfo::parse(&text, &dir).unwrap().ca
    };
    assert_eq!(said(&named), ca);
    assert_eq!(said(&path(77)), None);
}

#[test]
fn a_folder_that_is_absent_or_goes_away() {
    let world = world(5);
    let store = world.store();
    let dir = nanna_cache::nix::store_path::StoreDir::default();
    let observe = |store: &dyn CacheStore| {
        nanna_cache::provider::binary_cache::observe::observe(
            store.view(),
            &nanna_cache::provider::binary_cache::observe::Look::new(&dir),
            &nanna_cache::transfer::progress::Progress::default(),
        )
    };
    assert!(matches!(observe(&store), Observation::Absent));
    assert!(!world.cache().exists());
    assert!(matches!(world.push(&store), Err(PushError::Store(_))));
    assert!(!world.cache().exists());
    let store = world.create();
    std::fs::remove_dir_all(world.cache()).unwrap();
    assert!(matches!(observe(&store), Observation::Absent));
    let error = world.push(&store).unwrap_err();
    assert!(error.to_string().contains("cache"), "{error}");
    assert!(!world.cache().exists());
}

#[test]
fn a_batch_that_cannot_be_is_refused_before_anything_is_written() {
    let refused = |change: fn(&mut Batch)| {
        let mut world = world(4);
        change(&mut world.batch);
        let store = world.create();
        match world.push(&store).unwrap_err() {
            PushError::Batch { path, why } => {
                assert!(look(&store).intents.is_empty() && check(&world.cache()).is_empty());
                let items = &world.batch.items;
                let at = items.iter().position(|item| item.path == path);
                (at.unwrap(), why)
            }
            other => panic!("{other}"),
        }
    };
    let twice = refused(|batch| batch.items.push(batch.items[2].clone()));
    assert_eq!(twice, (2, "it is in the batch twice".to_owned()));
    let empty = refused(|batch| batch.items[1].nar_size = 0);
    assert_eq!(empty, (1, "a NAR has more than 0 bytes".to_owned()));
    let (_, why) = refused(|batch| {
        let paths = [0, 1].map(|at: usize| batch.items[at].path.clone());
        batch.items[0].references = vec![paths[1].clone()];
        batch.items[1].references = vec![paths[0].clone()];
    });
    assert_eq!(why, "its references lead back to it");
}

/// Narinfos are asked for in portions of 256.
#[test]
fn what_is_there_is_told_apart_beyond_the_first_portion() {
    let mut world = world(270);
    let store = world.create();
    // So that nothing refers to what comes later.
    world
        .batch
        .items
        .sort_by_key(|item| (0..270).position(|at| path(at) == item.path));
    let later = world.batch.items.split_off(260);
    let whole = world.batch.closure.clone();
    let is_later = |hash: &HashPart| later.iter().any(|item| item.path.hash() == *hash);
    world.batch.closure.retain(|hash| !is_later(hash));
    let done = world.push(&store).unwrap();
    assert_eq!(done.classes[&class()].uploaded.len(), 260);
    let last = later[9].path.clone();
    world.batch.closure = whole;
    world.batch.items.extend(later);
    let done = world.push(&store).unwrap();
    let class = &done.classes[&class()];
    assert_eq!((class.uploaded.len(), class.present.len()), (10, 260));
    assert!(class.uploaded.contains(&last));
    assert_eq!(check(&world.cache()).len(), 270);
}
