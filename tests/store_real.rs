//! The local store, read beside the real Nix: same paths, same facts, no wrong answer.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests, too"
)]

mod store_common;

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use nanna_cache::nix::closure::RowSet;
use nanna_cache::nix::store_path::StorePath;
use nanna_cache::plan::observed::{LocalStore, Observation};
use nanna_cache::provider::nix_cli::Nix;
use nanna_cache::provider::nix_store::{
    Location, MarkError, Marks, Question, details, mark_here, observe, resolve, roots,
};
use store_common::{FLAKE, World};

fn present(location: &Location) -> LocalStore {
    match observe(location, Question::default()) {
        Observation::Present(store) => store,
        other => panic!("{other:?}"),
    }
}

fn unknown(location: &Location) -> String {
    match observe(location, Question::default()) {
        Observation::Unknown(why) => why.0,
        other => panic!("{other:?}"),
    }
}

/// A store with a derivation, its output, a dependency, and a second output.
fn built() -> Option<World> {
    let world = World::new()?;
    let flake = world.flake(&FLAKE.replace("SYSTEM", &world.host.system));
    let top = format!("path:{flake}#top");
    let multi = format!("path:{flake}#multi");
    world.run(
        "nix",
        &["build", &top, "-o", world.root.join("result").as_str()],
    );
    world.run(
        "nix",
        &["build", &multi, "-o", world.root.join("second").as_str()],
    );
    Some(world)
}

/// What `nix path-info` says: path, hash, size and references.
fn as_nix_says(world: &World) -> BTreeSet<(String, String, u64, Vec<String>)> {
    let json = world.run("nix", &["path-info", "--all", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    let base = |text: &str| text.rsplit('/').next().unwrap().to_owned();
    list.as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let mut references: Vec<String> = entry["references"]
                .as_array()
                .unwrap()
                .iter()
                .map(|text| base(text.as_str().unwrap()))
                .collect();
            references.sort();
            (
                base(entry["path"].as_str().unwrap()),
                entry["narHash"].as_str().unwrap().to_owned(),
                entry["narSize"].as_u64().unwrap(),
                references,
            )
        })
        .collect()
}

fn as_we_say(store: &LocalStore) -> BTreeSet<(String, String, u64, Vec<String>)> {
    let paths = &store.paths;
    paths
        .rows()
        .map(|row| {
            let references = paths.refs().references(row).iter();
            let mut references: Vec<String> = references.map(|row| paths.base_name(*row)).collect();
            references.sort();
            let hash = store.nar_hashes[row as usize].to_sri();
            (paths.base_name(row), hash, paths.nar_size(row), references)
        })
        .collect()
}

#[test]
fn the_database_says_what_nix_says() {
    let Some(world) = built() else { return };
    let store = present(&world.location());
    let said = as_nix_says(&world);
    assert!(said.len() >= 7, "{said:#?}");
    assert_eq!(as_we_say(&store), said);
    assert_eq!(store.source, "database");
    // Each derivation with its valid outputs.
    let multi = store
        .paths
        .rows()
        .find(|row| store.paths.name(*row) == "multi.drv")
        .unwrap();
    let mut names: Vec<&str> = store.outputs[&multi]
        .iter()
        .map(|row| store.paths.name(*row))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["multi", "multi-dev"]);
    // A closure by our graph is the closure that Nix computes.
    let top = store
        .paths
        .rows()
        .find(|row| store.paths.name(*row) == "top")
        .unwrap();
    let full = store.dir.display(&store.paths.path(top)).to_string();
    let closure: RowSet = store.paths.refs().reach([top]);
    let ours: BTreeSet<String> = closure
        .iter()
        .map(|row| store.paths.base_name(row))
        .collect();
    let theirs: BTreeSet<String> = world
        .run("nix-store", &["-qR", &full])
        .lines()
        .map(|line| line.rsplit('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(ours, theirs);
}

#[test]
fn nix_itself_is_the_second_way() {
    let Some(world) = built() else { return };
    let location = world.location();
    let said = as_nix_says(&world);
    let nix = Nix::find(&world.host).unwrap().unwrap();
    let json = nix.path_info_all(&|| false).unwrap();
    std::fs::write(location.state.join("db/schema"), "11").unwrap();
    assert!(
        unknown(&location).contains("its schema is 11"),
        "{}",
        unknown(&location)
    );
    let fallback = || Ok(json.clone());
    let question = Question {
        since: None,
        fallback: Some(&fallback),
    };
    let Observation::Present(store) = observe(&location, question) else {
        panic!()
    };
    assert_eq!(as_we_say(&store), said);
    assert_eq!(store.source, "nix path-info");
    let top = store
        .paths
        .rows()
        .find(|row| store.paths.name(*row) == "top.drv")
        .unwrap();
    assert_eq!(store.outputs[&top].len(), 1);
    // When that fails, too, both reasons are told.
    let fallback = || Err("no Nix either".to_owned());
    let question = Question {
        since: None,
        fallback: Some(&fallback),
    };
    let Observation::Unknown(why) = observe(&location, question) else {
        panic!()
    };
    assert!(
        why.0.contains("schema is 11") && why.0.contains("no Nix either"),
        "{}",
        why.0
    );
}

#[test]
fn bad_databases_are_unknown() {
    let Some(world) = built() else { return };
    let location = world.location();
    let database = location.database();
    let whole = std::fs::read(&database).unwrap();
    for suffix in ["-wal", "-shm"] {
        drop(std::fs::remove_file(format!("{database}{suffix}")));
    }
    let nowhere = Location::chroot(&world.root.join("nowhere"));
    assert_eq!(observe(&nowhere, Question::default()).unknown(), None);
    assert!(matches!(
        observe(&nowhere, Question::default()),
        Observation::Absent
    ));
    std::fs::write(&database, &whole[..whole.len() / 2]).unwrap();
    assert!(
        unknown(&location).contains("damaged"),
        "{}",
        unknown(&location)
    );
    std::fs::write(&database, &whole[..whole.len() - 100]).unwrap();
    assert!(
        unknown(&location).contains("damaged"),
        "{}",
        unknown(&location)
    );
    std::fs::write(&database, "").unwrap();
    assert!(
        unknown(&location).contains("damaged"),
        "{}",
        unknown(&location)
    );
    std::fs::write(&database, vec![0x5a; 8192]).unwrap();
    assert!(
        unknown(&location).contains("damaged"),
        "{}",
        unknown(&location)
    );
    std::fs::write(&database, &whole).unwrap();
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .execute("update ValidPaths set path = path || '/x' where id = 1", [])
        .unwrap();
    assert!(
        unknown(&location).contains("not a path of this store"),
        "{}",
        unknown(&location)
    );
    connection
        .execute(
            "update ValidPaths set path = cast(x'ff' as text) where id = 1",
            [],
        )
        .unwrap();
    assert!(
        unknown(&location).contains("UTF-8"),
        "{}",
        unknown(&location)
    );
    drop(connection);
    std::fs::write(&database, &whole).unwrap();
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .execute("update ValidPaths set hash = 'md5:00' where id = 1", [])
        .unwrap();
    assert!(
        unknown(&location).contains("SHA-256"),
        "{}",
        unknown(&location)
    );
    drop(connection);
    std::fs::write(&database, &whole).unwrap();
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute("drop table Refs", []).unwrap();
    assert!(
        unknown(&location).contains("no such table"),
        "{}",
        unknown(&location)
    );
}

#[test]
fn a_locked_database_is_unknown_after_a_while() {
    let Some(world) = built() else { return };
    let location = world.location();
    let connection = rusqlite::Connection::open(location.database()).unwrap();
    connection
        .pragma_update(None, "journal_mode", "delete")
        .unwrap();
    connection.execute_batch("begin exclusive").unwrap();
    assert!(
        unknown(&location).contains("locked"),
        "{}",
        unknown(&location)
    );
    connection.execute_batch("rollback").unwrap();
    assert!(!present(&location).paths.is_empty());
}

#[test]
fn looking_beside_a_writer_sees_whole_transactions() {
    let Some(world) = built() else { return };
    let location = world.location();
    let before = present(&location).paths.len();
    let connection = rusqlite::Connection::open(location.database()).unwrap();
    connection.execute_batch("begin immediate").unwrap();
    let insert = "insert into ValidPaths (path, hash, registrationTime) values (?, ?, 1)";
    let path = format!("{}/00000000000000000000000000000000-new", location.store);
    let hash = format!("sha256:{}", "0".repeat(64));
    connection.execute(insert, [&path, &hash]).unwrap();
    assert_eq!(present(&location).paths.len(), before);
    connection.execute_batch("commit").unwrap();
    assert_eq!(present(&location).paths.len(), before + 1);
}

#[test]
fn details_are_those_of_the_asked_paths() {
    let Some(world) = built() else { return };
    let location = world.location();
    let key = world.root.join("key");
    let secret = world.run("nix", &["key", "generate-secret", "--key-name", "test-1"]);
    std::fs::write(&key, secret).unwrap();
    let top = std::fs::read_link(world.root.join("result")).unwrap();
    let top = top.to_str().unwrap();
    world.run("nix", &["store", "sign", "-k", key.as_str(), top]);
    let source = world.add("plain", "text");
    let paths: Vec<StorePath> = [top, &source]
        .map(|full| location.store.parse(full).unwrap())
        .into();
    let missing: StorePath = "00000000000000000000000000000000-missing".parse().unwrap();
    let found = details(&location, &[paths[0].clone(), paths[1].clone(), missing]).unwrap();
    assert_eq!(found.len(), 2);
    let top = &found[&paths[0].hash()];
    assert!(
        top.signatures
            .iter()
            .any(|text| text.starts_with("test-1:")),
        "{top:?}"
    );
    assert_eq!(top.deriver.as_ref().unwrap().name(), "top.drv");
    assert_eq!((top.ca.as_deref(), top.ultimate), (None, true));
    assert_eq!(top.references.len(), 1);
    assert!(top.registered > 1_700_000_000);
    let plain = &found[&paths[1].hash()];
    assert!(
        plain.ca.as_deref().unwrap().starts_with("fixed:r:sha256:"),
        "{plain:?}"
    );
    assert_eq!((plain.deriver.as_ref(), plain.references.len()), (None, 0));
}

#[test]
fn a_mark_finds_exactly_what_is_new() {
    let Some(world) = World::new() else { return };
    let location = world.location();
    let marks = Marks::new(&world.host.state_folder());
    // Before there is any database, everything that comes is new.
    marks
        .save(&mark_here(&location, "start", 5).unwrap())
        .unwrap();
    let old = world.add("old", "1");
    marks
        .save(&mark_here(&location, "middle", 6).unwrap())
        .unwrap();
    let gone = world.add("gone", "2");
    world.run("nix", &["store", "delete", &gone]);
    world.add("old", "1");
    let new = world.add("new", "3");
    let since = |name: &str| -> Vec<String> {
        let mark = marks.load(name, &location).unwrap();
        let question = Question {
            since: Some(&mark),
            fallback: None,
        };
        let Observation::Present(store) = observe(&location, question) else {
            panic!()
        };
        let rows = store.since_mark.clone().unwrap();
        rows.iter()
            .map(|row| store.dir.display(&store.paths.path(*row)).to_string())
            .collect()
    };
    assert_eq!(since("middle"), std::slice::from_ref(&new));
    assert_eq!(since("start"), [old, new]);
    assert!(matches!(
        marks.load("never", &location),
        Err(MarkError::Missing(_))
    ));
    for name in ["", ".hidden", "../up", "a/b", "a b", "-x", &"x".repeat(65)] {
        assert!(
            matches!(marks.load(name, &location), Err(MarkError::Name(_))),
            "{name}"
        );
    }
    let elsewhere = Location::chroot(&world.root);
    assert!(matches!(
        marks.load("middle", &elsewhere),
        Err(MarkError::OtherStore { .. })
    ));
    std::fs::write(
        world.host.state_folder().join("marks/odd.json"),
        "{\"version\":2}",
    )
    .unwrap();
    assert!(matches!(
        marks.load("odd", &location),
        Err(MarkError::Damaged { .. })
    ));
}

#[test]
fn a_mark_of_another_database_is_no_answer() {
    let Some(world) = World::new() else { return };
    let location = world.location();
    world.add("a", "1");
    world.add("b", "2");
    let mark = mark_here(&location, "m", 1).unwrap();
    let state = location.state.clone();
    std::fs::rename(&state, world.root.join("saved")).unwrap();
    let ask = || {
        observe(
            &location,
            Question {
                since: Some(&mark),
                fallback: None,
            },
        )
    };
    assert!(ask().unknown().unwrap().0.contains("another Nix database"));
    world.add("c", "3");
    assert!(ask().unknown().unwrap().0.contains("another Nix database"));
    world.add("d", "4");
    assert!(ask().unknown().unwrap().0.contains("another Nix database"));
}

#[test]
fn roots_are_those_of_nix_and_stay() {
    let Some(world) = built() else { return };
    let location = world.location();
    let stale = world.root.join("stale");
    world.run(
        "nix",
        &[
            "build",
            &format!("path:{}#dep", world.root.join("flake")),
            "-o",
            stale.as_str(),
        ],
    );
    std::fs::remove_file(&stale).unwrap();
    let auto = location.state.join("gcroots/auto");
    let links = || std::fs::read_dir(&auto).unwrap().count();
    let before = links();
    let Observation::Present(found) = roots(&location) else {
        panic!()
    };
    assert_eq!(links(), before, "a stale link was removed");
    let ours: BTreeSet<String> = found
        .iter()
        .map(|root| format!("{} -> {}", root.link, location.store.display(&root.path)))
        .collect();
    let theirs: BTreeSet<String> = world
        .run("nix-store", &["--gc", "--print-roots"])
        .lines()
        .filter(|line| !line.starts_with("/proc/") && !line.starts_with('{'))
        .map(str::to_owned)
        .collect();
    assert!(!theirs.is_empty());
    assert_eq!(ours, theirs);
    assert!(matches!(
        roots(&Location::chroot(&world.root.join("no"))),
        Observation::Absent
    ));
}

#[test]
fn result_links_lead_to_their_path() {
    let Some(world) = built() else { return };
    let location = world.location();
    let Observation::Present(path) = resolve(&location, &world.root.join("result")) else {
        panic!()
    };
    assert_eq!(path.name(), "top");
    let chroot = world.root.join("chroot");
    let file = world.root.join("tmp/in-chroot");
    std::fs::write(&file, "x").unwrap();
    let mut command = world.command("nix");
    for name in ["NIX_STORE_DIR", "NIX_STATE_DIR"] {
        command.env_remove(name);
    }
    let output = command
        .args([
            "store",
            "add-file",
            "--store",
            chroot.as_str(),
            file.as_str(),
        ])
        .output()
        .unwrap();
    let full = Utf8PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    let location = Location::of(&world.host, Some(chroot.as_str())).unwrap();
    assert_eq!(present(&location).paths.len(), 1);
    let Observation::Present(path) = resolve(&location, &full) else {
        panic!("{full}")
    };
    assert!(location.on_disk(&path).exists());
}

/// The half of the next test that runs as somebody else.
#[test]
#[ignore = "started by `somebody_else_sees_the_same`"]
fn look_as_somebody_else() {
    let root = Utf8PathBuf::from(std::env::var("NANNA_TEST_ROOT").unwrap());
    let store = present(&Location::chroot(&root));
    println!("saw {} paths", store.paths.len());
}

/// An idle database of Nix 2.8 has no log beside it, and another user cannot make one; beside a
/// writer the log is there, and what is only in it must be seen.
#[test]
fn somebody_else_sees_the_same() {
    let Some(world) = built() else { return };
    if world.run("id", &["-u"]) != "0" {
        eprintln!("SKIPPED: only root can be somebody else");
        return;
    }
    let shared = tempfile::tempdir_in("/tmp").unwrap();
    let root = Utf8PathBuf::from_path_buf(shared.path().to_owned()).unwrap();
    let location = Location::chroot(&root);
    std::fs::create_dir_all(location.state.join("db")).unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&root, permissions).unwrap();
    std::fs::write(location.state.join("db/schema"), "10").unwrap();
    let own = rusqlite::Connection::open(world.location().database()).unwrap();
    let store = world.location().store;
    own.execute("vacuum into ?", [location.database().as_str()])
        .unwrap();
    let writer = rusqlite::Connection::open(location.database()).unwrap();
    writer.pragma_update(None, "journal_mode", "wal").unwrap();
    for (table, column) in [("ValidPaths", "path"), ("DerivationOutputs", "path")] {
        let rename = format!("update {table} set {column} = replace({column}, ?, '/nix/store')");
        writer.execute(&rename, [store.as_str()]).unwrap();
    }
    let count: i64 = writer
        .query_row("select count(*) from ValidPaths", [], |row| row.get(0))
        .unwrap();
    drop(writer);
    // A copy that anybody may start, wherever this one is kept.
    let program = root.join("look");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let look = || {
        let output = std::process::Command::new("setpriv")
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                program.as_str(),
            ])
            .args([
                "--exact",
                "look_as_somebody_else",
                "--ignored",
                "--nocapture",
            ])
            .env("NANNA_TEST_ROOT", root.as_str())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines()
            .find(|line| line.starts_with("saw"))
            .unwrap_or(&text)
            .to_owned()
    };
    let beside = |suffix: &str| Utf8PathBuf::from(format!("{}{suffix}", location.database()));
    assert!(!beside("-shm").exists());
    assert_eq!(look(), format!("saw {count} paths"));
    assert!(!beside("-shm").exists(), "looking wrote something");
    let writer = rusqlite::Connection::open(location.database()).unwrap();
    let insert = "insert into ValidPaths (path, hash, registrationTime) values (?, ?, 1)";
    let hash = format!("sha256:{}", "0".repeat(64));
    writer
        .execute(
            insert,
            ["/nix/store/00000000000000000000000000000000-new", &hash],
        )
        .unwrap();
    assert!(beside("-wal").exists());
    assert_eq!(look(), format!("saw {} paths", count + 1));
    // A log that cannot be opened, with something in it: no answer is better than an old one.
    std::fs::remove_file(beside("-shm")).unwrap();
    let seen = look();
    assert!(seen.contains("somebody may be writing"), "{seen}");
}
