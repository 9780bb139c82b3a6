use std::os::unix::fs::symlink;

use super::*;
use crate::transfer::tree::write_nar;

fn quiet() -> Progress {
    Progress::default()
}

/// Unpacks bytes that claim to be what they are.
fn from(bytes: &[u8], into: &Path, occupied: Occupied) -> Result<Unpacked, UnpackError> {
    let expected = (Sha256::of(bytes), bytes.len() as u64);
    let bytes = bytes.to_vec();
    let open = || Ok(Box::new(io::Cursor::new(bytes)) as Box<dyn Read + Send>);
    unpack(open, into, expected, occupied, &quiet())
}

fn tree(dir: &Path) -> Vec<u8> {
    let tree = dir.join("tree");
    std::fs::create_dir_all(tree.join("sub/deep")).unwrap();
    std::fs::write(tree.join("sub/run"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(tree.join("sub/run"), Permissions::from_mode(0o755)).unwrap();
    std::fs::write(tree.join("sub/big"), vec![7; 700_000]).unwrap();
    std::fs::write(tree.join(OsStr::from_bytes(b"\xff")), "").unwrap();
    symlink("/nowhere", tree.join("link")).unwrap();
    write_nar(&tree, Vec::new(), &quiet()).unwrap()
}

fn only(dir: &Path, names: &[&str]) {
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, names);
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = tree(dir.path());
    let into = dir.path().join("new/place");
    assert_eq!(
        from(&bytes, &into, Occupied::Refuse).unwrap(),
        Unpacked::Written
    );
    assert_eq!(write_nar(&into, Vec::new(), &quiet()).unwrap(), bytes);
    only(&dir.path().join("new"), &["place"]);
    assert_eq!(
        from(&bytes, &into, Occupied::Refuse).unwrap(),
        Unpacked::Present
    );
    // A single file and a single link are trees, too.
    for name in ["sub/run", "link"] {
        let bytes = write_nar(&dir.path().join("tree").join(name), Vec::new(), &quiet()).unwrap();
        let into = dir.path().join("single").join(name);
        from(&bytes, &into, Occupied::Refuse).unwrap();
        assert_eq!(write_nar(&into, Vec::new(), &quiet()).unwrap(), bytes);
    }
}

#[test]
fn what_is_there_stays_unless_it_shall_go() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = tree(dir.path());
    let into = dir.path().join("out/place");
    std::fs::create_dir_all(&into).unwrap();
    std::fs::write(into.join("mine"), "x").unwrap();
    let error = from(&bytes, &into, Occupied::Refuse).unwrap_err();
    assert!(matches!(error, UnpackError::Occupied { .. }), "{error}");
    assert_eq!(std::fs::read(into.join("mine")).unwrap(), b"x");
    assert_eq!(
        from(&bytes, &into, Occupied::Replace).unwrap(),
        Unpacked::Written
    );
    assert_eq!(write_nar(&into, Vec::new(), &quiet()).unwrap(), bytes);
    only(&dir.path().join("out"), &["place"]);
    // A symlink in the place is replaced, not followed.
    std::fs::remove_dir_all(&into).unwrap();
    symlink(dir.path().join("tree"), &into).unwrap();
    let single = write_nar(&dir.path().join("tree/sub/run"), Vec::new(), &quiet()).unwrap();
    assert_eq!(
        from(&single, &into, Occupied::Replace).unwrap(),
        Unpacked::Written
    );
    assert!(dir.path().join("tree/sub/run").exists());
    only(&dir.path().join("out"), &["place"]);
}

#[test]
fn a_wrong_or_broken_nar_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = tree(dir.path());
    let into = dir.path().join("out/place");
    let wrong = (Sha256::of(b"other"), bytes.len() as u64);
    let copy = bytes.clone();
    let open = || Ok(Box::new(io::Cursor::new(copy)) as Box<dyn Read + Send>);
    let error = unpack(open, &into, wrong, Occupied::Refuse, &quiet()).unwrap_err();
    assert!(matches!(error, UnpackError::Mismatch { .. }), "{error}");
    only(&dir.path().join("out"), &[]);
    let step = bytes.len() / 50;
    for cut in (0..bytes.len()).step_by(step) {
        assert!(
            from(&bytes[..cut], &into, Occupied::Refuse).is_err(),
            "cut at {cut}"
        );
        only(&dir.path().join("out"), &[]);
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(from(&longer, &into, Occupied::Refuse).is_err());
    // A name that leads elsewhere: the one-byte name 0xff becomes a slash.
    let at = bytes.iter().rposition(|&byte| byte == 0xff).unwrap();
    let mut evil = bytes.clone();
    evil[at] = b'/';
    assert!(from(&evil, &into, Occupied::Refuse).is_err());
    only(&dir.path().join("out"), &[]);
}

#[test]
fn a_stopped_work_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = tree(dir.path());
    let into = dir.path().join("out/place");
    let progress = quiet();
    progress.stop();
    let expected = (Sha256::of(&bytes), bytes.len() as u64);
    let open = || Ok(Box::new(io::Cursor::new(bytes)) as Box<dyn Read + Send>);
    let result = unpack(open, &into, expected, Occupied::Refuse, &progress);
    assert!(matches!(result, Err(UnpackError::Stopped)));
    only(&dir.path().join("out"), &[]);
}
