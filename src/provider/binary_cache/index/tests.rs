use super::*;

fn hash(first: u8, last: u8) -> HashPart {
    let mut bytes = [0; 20];
    (bytes[0], bytes[19]) = (first, last);
    HashPart::from_bytes(bytes)
}

const STAMP: Stamp = Stamp([1, 2, 3, 4]);

fn entry(last: u8) -> Entry<'static> {
    let revision = Revision([u64::from(last), 2, 3]);
    Entry::of(revision, Time(-7), 9, NarKey::of("nar/x"), "name")
}

/// Two hashes in each of two segments; of the second of each nothing is known.
fn write(path: &Path) {
    let writer = Writer::begin(path, "file:///a", &StoreDir::default()).unwrap();
    let hashes = [hash(0, 1), hash(0, 3), hash(7, 1), hash(7, 3), hash(9, 9)];
    for segment in 0..SEGMENTS {
        let mut entries = Entries::default();
        if [0, 7].contains(&segment) {
            let references = [Reference::Listed(3), Reference::Elsewhere(hash(8, 8))];
            entries.add(&entry(1), references.into_iter());
            entries.skip();
        }
        if segment == 9 {
            entries.add(&entry(9), std::iter::empty());
        }
        writer.segment(segment, &entries.bytes);
    }
    writer.finish(&hashes, &["log".to_owned(), "a b".to_owned()], Some(STAMP));
}

fn open(path: &Path, identity: &str) -> Option<Index> {
    Index::open(path, identity, &StoreDir::default())
}

#[test]
fn what_was_written_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/index");
    write(&path);
    let beside = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(beside, 1);
    let index = open(&path, "file:///a").unwrap();
    assert_eq!((index.stamp, index.hashes.len()), (Some(STAMP), 5));
    assert_eq!(index.others, ["log", "a b"]);
    for (number, range) in [(0, 0..2), (7, 2..4)] {
        let segment = index.segment(number);
        let start = range.start;
        let mut cursor = Cursor::new(&segment, range.clone());
        let found = cursor.find(start).unwrap();
        assert_eq!((found.name, found.nar_size), ("name", 9));
        assert_eq!(found.nar, NarKey::of("nar/x"));
        assert_eq!(
            (found.revision, found.modified),
            (Revision([1, 2, 3]), Time(-7))
        );
        assert_eq!(
            found.references().collect::<Vec<_>>(),
            [Reference::Listed(3), Reference::Elsewhere(hash(8, 8))]
        );
        assert_eq!(cursor.find(start + 1), None);
        assert_eq!(cursor.find(start + 2), None);
        // The second may be asked for without the first.
        assert_eq!(Cursor::new(&segment, range).find(start + 1), None);
    }
    assert!(index.segment(1).is_empty());
    let last = index.segment(9);
    assert_eq!(
        Cursor::new(&last, 4..5).find(4).unwrap().revision,
        Revision([9, 2, 3])
    );
}

#[test]
fn a_stamp_is_renewed_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    write(&path);
    let other = Stamp([9, 9, 9, 9]);
    open(&path, "file:///a").unwrap().renew(other);
    let index = open(&path, "file:///a").unwrap();
    assert_eq!(index.stamp, Some(other));
    assert!(!index.segment(7).is_empty());
    index.renew(Stamp::default());
    assert_eq!(open(&path, "file:///a").unwrap().stamp, None);
}

/// Whether anything of the index that could be taken for true is not.
fn is_harmless(path: &Path) -> bool {
    let Some(index) = open(path, "file:///a") else {
        return true;
    };
    let good = index.stamp == Some(STAMP) && index.hashes.len() == 5 && index.others.len() == 2;
    good && [0, 7, 9]
        .iter()
        .any(|number| index.segment(*number).is_empty())
}

#[test]
fn another_cache_and_damage_are_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    write(&path);
    assert!(open(&path, "file:///b").is_none() && !is_harmless(&path));
    let good = std::fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert!(is_harmless(&path), "byte {at}");
    }
    for len in (0..good.len()).step_by(53) {
        std::fs::write(&path, &good[..len]).unwrap();
        assert!(is_harmless(&path), "cut at {len}");
    }
}

#[test]
fn nars_are_remembered_for_one_state_of_their_folder() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("deep/index");
    let store_dir = StoreDir::default();
    let mut all = crate::plan::nars::Nars::default();
    for number in 0..70_000u32 {
        let hash = Sha256::of(&number.to_le_bytes()).to_nix32();
        all.add(
            &format!("nar/{hash}.nar.zst"),
            u64::from(number),
            Time(i64::from(number)),
        );
    }
    let all = all.sorted();
    assert!(nars::fits(&all, &[]));
    nars::save(&index, "file:///a", &store_dir, STAMP, &all);
    let load = |identity: &str, stamp| nars::load(&index, identity, &store_dir, stamp);
    assert_eq!(load("file:///a", STAMP), Some(all.clone()));
    assert_eq!(load("file:///b", STAMP), None);
    assert_eq!(load("file:///a", Stamp([1, 2, 3, 5])), None);
    let path = dir.path().join("deep/index.nars");
    let good = std::fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(99_991) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert_eq!(load("file:///a", STAMP), None, "byte {at}");
    }
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    assert_eq!(load("file:///a", STAMP), None);
    let mut foreign = all;
    foreign.add("nar/foreign", 1, Time(1));
    assert!(!nars::fits(&foreign, &[]));
}
