use std::os::unix::fs::symlink;

use super::*;

fn left_overs(folder: &Path) -> usize {
    std::fs::read_dir(folder)
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_str().unwrap().starts_with(TEMPORARY_PREFIX)
        })
        .count()
}

#[test]
fn writes_and_notices_equal_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    assert_eq!(write(&path, b"one", 0o644).unwrap(), Written::Changed);
    let inode = std::fs::metadata(&path).unwrap().ino();
    assert_eq!(write(&path, b"one", 0o600).unwrap(), Written::Same);
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
    assert_eq!(write(&path, b"two", 0o600).unwrap(), Written::Changed);
    assert_eq!(read(&path, 3).unwrap(), b"two");
    assert_eq!(left_overs(dir.path()), 0);
}

#[test]
fn keeps_the_mode_and_follows_links() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("real");
    std::fs::write(&target, b"old").unwrap();
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real", dir.path().join("link")).unwrap();
    symlink("link", dir.path().join("link2")).unwrap();
    write(&dir.path().join("link2"), b"new", 0o600).unwrap();
    assert!(
        std::fs::symlink_metadata(dir.path().join("link2"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(std::fs::read(&target).unwrap(), b"new");
    assert_eq!(std::fs::metadata(&target).unwrap().mode() & 0o7777, 0o640);
    symlink("fresh", dir.path().join("dangling")).unwrap();
    write(&dir.path().join("dangling"), b"x", 0o600).unwrap();
    assert_eq!(std::fs::read(dir.path().join("fresh")).unwrap(), b"x");
    symlink("loop", dir.path().join("loop")).unwrap();
    let error = write(&dir.path().join("loop"), b"x", 0o600).unwrap_err();
    assert!(error.to_string().contains("loop"), "{error}");
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    // A folder in the place of the file cannot be replaced by a rename.
    let path = dir.path().join("folder");
    std::fs::create_dir(&path).unwrap();
    let error = write(&path, b"x", 0o600).unwrap_err();
    assert!(error.to_string().contains("folder"), "{error}");
    assert!(path.is_dir());
    assert_eq!(left_overs(dir.path()), 0);
    let error = write(&dir.path().join("none/file"), b"x", 0o600).unwrap_err();
    assert!(error.is_not_found());
}

#[test]
fn private_files_are_new_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    create_private(&path, b"secret").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    let again = create_private(&path, b"other").unwrap_err();
    assert_eq!(again.kind(), Some(io::ErrorKind::AlreadyExists));
    assert_eq!(read(&path, 10).unwrap(), b"secret");
    assert_eq!(left_overs(dir.path()), 0);
}

#[test]
fn reading_is_limited() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("big");
    std::fs::write(&path, [0; 11]).unwrap();
    assert!(matches!(
        read(&path, 10),
        Err(FileError::TooLarge { limit: 10, .. })
    ));
    assert_eq!(read(&path, 11).unwrap().len(), 11);
    assert_eq!(read_if_there(&dir.path().join("none"), 1).unwrap(), None);
    let folder = open_folder(dir.path()).unwrap();
    assert_eq!(
        read_open(&open_at(&folder, "big", dir.path()).unwrap(), &path, 11)
            .unwrap()
            .len(),
        11
    );
    symlink("big", dir.path().join("link")).unwrap();
    let error = open_at(&folder, "link", dir.path()).unwrap_err();
    assert!(error.to_string().ends_with("/link`"), "{error}");
}

#[test]
fn locks_exclude_and_end_with_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let first = File::create(&path).unwrap();
    let second = File::open(&path).unwrap();
    lock(&first, &path, LockKind::Shared, Duration::ZERO).unwrap();
    lock(&second, &path, LockKind::Shared, Duration::ZERO).unwrap();
    let third = File::open(&path).unwrap();
    let error = lock(&third, &path, LockKind::Exclusive, Duration::from_millis(5)).unwrap_err();
    assert!(matches!(error, FileError::Locked { .. }));
    drop((first, second));
    lock(&third, &path, LockKind::Exclusive, Duration::ZERO).unwrap();
}

#[test]
fn temporary_names_tell_their_owner() {
    let name = temporary_name();
    assert_ne!(name, temporary_name());
    assert_eq!(temporary_owner(&name), Some(std::process::id()));
    assert_eq!(temporary_owner("x.tmp.1.2"), None);
    assert!(is_running(std::process::id()));
    assert!(!is_running(u32::MAX));
}
