use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn nar(path: &Path) -> Result<Vec<u8>, TreeError> {
    write_nar(path, Vec::new(), &Progress::default())
}

#[test]
fn the_known_vector() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "hi").unwrap();
    let (hash, size) = hash_tree(&dir.path().join("f"), &Progress::default()).unwrap();
    assert_eq!(size, 120);
    assert_eq!(
        hash.to_hex(),
        "2252d4b78c94e8c7ace4e3317b78bdfe64bc8e3970a64eb6d2f7c2a443c0c3fc"
    );
}

#[test]
fn entries_are_sorted_by_bytes_and_links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    for name in ["a-b", "A.b", "~x", "B", "_", "a", "a b", "é"] {
        std::fs::write(tree.join(name), name).unwrap();
    }
    std::fs::write(tree.join(OsStr::from_bytes(b"\xff\xfe")), "not UTF-8").unwrap();
    std::fs::set_permissions(tree.join("B"), std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("loop", tree.join("loop")).unwrap();
    symlink(".", tree.join("self")).unwrap();
    symlink("/etc", tree.join("outside")).unwrap();
    let bytes = nar(&tree).unwrap();
    let mut reader = crate::nix::nar::Reader::new(bytes.as_slice());
    let mut names = Vec::new();
    while let Some(event) = reader.next_event().unwrap() {
        if let crate::nix::nar::Event::Entry { name } = event {
            names.push(String::from_utf8_lossy(&name).into_owned());
        }
    }
    let wanted = [
        "A.b",
        "B",
        "_",
        "a",
        "a b",
        "a-b",
        "loop",
        "outside",
        "self",
        "~x",
        "é",
        "\u{fffd}\u{fffd}",
    ];
    assert_eq!(names, wanted);
    let results = hash_trees(
        &[tree.clone(), dir.path().join("none"), tree.join("a")],
        &Progress::default(),
    );
    assert_eq!(results[0].as_ref().unwrap().0, Sha256::of(&bytes));
    assert!(
        results[1]
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("none")
    );
    assert_eq!(results[2].as_ref().unwrap().1, 120);
}

#[test]
fn special_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let sub = dir.path().join("sub");
    std::fs::create_dir(&sub).unwrap();
    let fifo = sub.join("pipe");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let error = nar(dir.path()).unwrap_err();
    assert!(
        matches!(&error, TreeError::Special { path, kind: "FIFO" } if *path == fifo),
        "{error}"
    );
    std::fs::remove_file(&fifo).unwrap();
    let socket = sub.join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = nar(dir.path()).unwrap_err();
    assert!(error.to_string().contains("sub/socket"), "{error}");
    let error = nar(Path::new("/dev/null")).unwrap_err();
    assert!(error.to_string().contains("device"), "{error}");
}

#[test]
fn a_file_that_changes_meanwhile_is_an_error() {
    // Written to while it is read: each piece of output makes the file longer, or shorter.
    struct Meddle<'a>(&'a Path, u64);
    impl Write for Meddle<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            File::options().write(true).open(self.0)?.set_len(self.1)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    for size in [2_000_000, 400_000, 0] {
        std::fs::write(&path, vec![1; 1_000_000]).unwrap();
        let error = write_nar(&path, Meddle(&path, size), &Progress::default())
            .err()
            .unwrap();
        assert!(
            matches!(&error, TreeError::Changed { path: p } if *p == path),
            "{size}: {error}"
        );
    }
}

#[test]
fn stopping_and_failing_outputs() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let error = write_nar(dir.path(), Full, &Progress::default())
        .err()
        .unwrap();
    assert!(matches!(error, TreeError::Output { .. }), "{error}");
    let progress = Progress::default();
    progress.stop();
    assert!(matches!(
        write_nar(dir.path(), Vec::new(), &progress),
        Err(TreeError::Stopped)
    ));
}
