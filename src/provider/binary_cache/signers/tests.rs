//! On a folder with narinfos of two keys.

use super::*;
use crate::config::model::ClassName;
use crate::nix::hash::Sha256;
use crate::nix::key::SecretKey;
use crate::nix::narinfo::NarInfo;
use crate::plan::observed::Observation;
use crate::plan::record::Root;
use crate::plan::time::Time;
use crate::provider::binary_cache::folder::FolderStore;
use crate::provider::binary_cache::observe::{Look, observe};

fn key(name: &str, seed: u8) -> SecretKey {
    SecretKey::generate(name, [seed; 32]).unwrap()
}

/// A cache of so many paths, each signed by the keys that `by` says.
fn cache(count: usize, by: impl Fn(usize) -> Vec<SecretKey>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("nar")).unwrap();
    for at in 0..count {
        let digest = Sha256::of(at.to_string().as_bytes());
        let hash = HashPart::from_bytes(digest.0[..20].try_into().unwrap());
        let nar = digest.to_nix32();
        let text = format!(
            "StorePath: /nix/store/{hash}-p{at}\nURL: nar/{nar}.nar\nCompression: none\n\
             NarHash: sha256:{nar}\nNarSize: 9\nReferences: \n"
        );
        let mut info = NarInfo::parse(&text, &StoreDir::default()).unwrap();
        for key in by(at) {
            info.sign(&key, &StoreDir::default());
        }
        let text = info.display(&StoreDir::default()).to_string();
        std::fs::write(dir.path().join(info.file_name()), text).unwrap();
    }
    dir
}

fn ask(dir: &tempfile::TempDir, question: Question<'_>) -> Signed {
    let store = FolderStore::new(dir.path());
    let (store_dir, progress) = (StoreDir::default(), Progress::default());
    let Observation::Present(content) = observe(&store, &Look::new(&store_dir), &progress) else {
        panic!("there is a cache")
    };
    signed(&store, &store_dir, &content, question, &progress).unwrap()
}

#[test]
fn a_lost_key_is_found_by_a_single_signature() {
    let dir = cache(700, |at| match at {
        699 => vec![key("dev-1", 1), key("other-1", 2)],
        _ => vec![key("other-1", 2)],
    });
    let found = ask(&dir, Question::Name("dev-1"));
    assert_eq!((found.name.as_str(), found.paths), ("dev-1", 1));
    assert_eq!(ask(&dir, Question::Name("other-1")).paths, 700);
    // A name that only begins so is another one.
    assert_eq!(ask(&dir, Question::Name("dev")).paths, 0);
}

#[test]
fn the_key_at_hand_is_held_against_a_few() {
    let mine = key("dev-1", 1).public();
    let dir = cache(700, |_| vec![key("dev-1", 1)]);
    let found = ask(&dir, Question::Key(&mine));
    assert!((20..=SAMPLE as u64).contains(&found.paths), "{found:?}");
    assert_eq!(found.verified, found.paths);

    let dir = cache(5, |_| vec![key("dev-1", 9)]);
    let found = ask(&dir, Question::Key(&mine));
    assert_eq!((found.paths, found.verified), (5, 0));

    let dir = cache(4, |at| vec![key("dev-1", if at == 0 { 1 } else { 9 })]);
    let found = ask(&dir, Question::Key(&mine));
    assert_eq!((found.paths, found.verified), (4, 1));
    let dir = cache(3, |_| Vec::new());
    assert_eq!(ask(&dir, Question::Key(&mine)), Signed::of("dev-1"));
}

#[test]
fn a_damaged_narinfo_says_nothing() {
    let dir = cache(2, |_| vec![key("dev-1", 1)]);
    let one = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "narinfo"))
        .unwrap();
    std::fs::write(one, "junk").unwrap();
    assert_eq!(ask(&dir, Question::Name("dev-1")).paths, 1);
}

fn content(dir: &tempfile::TempDir) -> CacheContent {
    let store = FolderStore::new(dir.path());
    let store_dir = StoreDir::default();
    match observe(&store, &Look::new(&store_dir), &Progress::default()) {
        Observation::Present(content) => content,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_held_against_the_key_is_spread_over_the_cache_with_our_newest_roots() {
    let dir = cache(700, |_| Vec::new());
    let mut content = content(&dir);
    let spread = sample(&content);
    assert!((20..=SAMPLE).contains(&spread.len()), "{}", spread.len());
    let others = content.paths.rows().map(|row| content.paths.hash(row));
    let mut others: Vec<HashPart> = others.filter(|hash| !spread.contains(hash)).collect();
    others.truncate(2 * SAMPLE);
    content.roots = (0..)
        .zip(&others)
        .map(|(age, hash)| Root {
            class: ClassName::new("any"),
            hash: *hash,
            modified: Time(1_000_000 - age),
            path: None,
            attr: None,
        })
        .collect();
    content.roots.reverse();
    let with_roots = sample(&content);
    assert_eq!(with_roots.len(), spread.len() + SAMPLE / 4);
    let newest = &others[..SAMPLE / 4];
    assert!(newest.iter().all(|hash| with_roots.contains(hash)));
}

#[test]
fn what_is_compressed_by_another_method_is_found() {
    let dir = cache(5, |_| Vec::new());
    let known: Vec<Known> = (0..5)
        .map(|at: usize| {
            let digest = Sha256::of(at.to_string().as_bytes());
            Known {
                hash: HashPart::from_bytes(digest.0[..20].try_into().unwrap()),
                nar_hash: digest,
                nar_size: 9,
                references: BTreeSet::new(),
            }
        })
        .collect();
    let store = FolderStore::new(dir.path());
    let short = |method| {
        let standard = Standard { key: None, method };
        let dir = StoreDir::default();
        short_of(standard, &store, &dir, &known, &Progress::default())
    };
    let zstd = short(Some(Method::Zstd));
    let mut all: Vec<HashPart> = known.iter().map(|known| known.hash).collect();
    all.sort_unstable();
    assert_eq!((zstd.otherwise, zstd.unsigned.len()), (all, 0));
    assert!(short(Some(Method::None)).otherwise.is_empty());
    assert!(short(None).otherwise.is_empty());
}
