use super::*;

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().join("a b%?#.sqlite")).unwrap();
    (folder, path)
}

fn fill(path: &Utf8Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "pragma journal_mode = wal; create table T (n integer); insert into T values (1)",
        )
        .unwrap();
    connection
}

fn count(path: &Utf8Path) -> Result<i64, SqliteError> {
    read(path, |connection| {
        connection.query_row("select count(*) from T", [], |row| row.get(0))
    })
}

#[test]
fn reads_beside_a_writer() {
    let (_folder, path) = folder();
    let writer = fill(&path);
    assert_eq!(count(&path).unwrap(), 1);
    writer.execute_batch("insert into T values (2)").unwrap();
    assert_eq!(count(&path).unwrap(), 2);
    writer
        .execute_batch("begin immediate; insert into T values (3)")
        .unwrap();
    assert_eq!(count(&path).unwrap(), 2);
}

#[test]
fn what_is_no_database_is_said() {
    let (_folder, path) = folder();
    assert!(matches!(count(&path), Err(SqliteError::Missing(_))));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(count(&path), Err(SqliteError::Damaged { .. })));
    std::fs::write(
        &path,
        "this is no database at all, but long enough to be looked at",
    )
    .unwrap();
    assert!(matches!(count(&path), Err(SqliteError::Damaged { .. })));
    std::fs::remove_file(&path).unwrap();
    drop(fill(&path));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1000]).unwrap();
    assert!(
        matches!(count(&path), Err(SqliteError::Damaged { .. })),
        "{:?}",
        count(&path)
    );
}

#[test]
fn an_exclusive_lock_is_said() {
    let (_folder, path) = folder();
    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("create table T (n integer)").unwrap();
    holder
        .execute_batch("pragma locking_mode = exclusive; begin exclusive")
        .unwrap();
    assert!(matches!(count(&path), Err(SqliteError::Locked(_))));
}

#[test]
fn a_log_beside_forbids_the_immutable_way() {
    let (_folder, path) = folder();
    let beside = |suffix: &str| Utf8PathBuf::from(format!("{path}{suffix}"));
    assert!(!busy_beside(&path).unwrap());
    std::fs::write(beside("-wal"), "").unwrap();
    assert!(!busy_beside(&path).unwrap());
    std::fs::write(beside("-wal"), "x").unwrap();
    assert!(busy_beside(&path).unwrap());
    std::fs::remove_file(beside("-wal")).unwrap();
    std::fs::write(beside("-shm"), "").unwrap();
    assert!(busy_beside(&path).unwrap());
}

#[test]
fn our_own_is_made_again_when_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().join("deep/er/own.sqlite")).unwrap();
    let prepare = |connection: &Connection| {
        connection.execute_batch("create table if not exists T (n integer); select n from T")
    };
    own(&path, prepare)
        .unwrap()
        .execute_batch("insert into T values (1)")
        .unwrap();
    assert_eq!(count(&path).unwrap(), 1);
    std::fs::write(&path, "rubbish ".repeat(1000)).unwrap();
    drop(own(&path, prepare).unwrap());
    assert_eq!(count(&path).unwrap(), 0);
    // Another shape of tables counts as damage as well.
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("create table T (m text)")
        .unwrap();
    drop(own(&path, prepare).unwrap());
    assert_eq!(count(&path).unwrap(), 0);
}
