//! A Nix store that cannot be read, or is not what its database says.

use std::os::unix::fs::PermissionsExt;

use crate::crash_support::{Running, Site, narinfos, tree, unwrapped};

/// What a push says when nothing can be known of the store.
fn unseen(site: &Site, words: &[&str]) {
    let before = tree(&site.cache());
    let top = site.population.top.as_str();
    let said = site
        .bed
        .run(["push", "--apply", "--strict", "--path", top])
        .fails(7);
    for word in words {
        assert!(unwrapped(&said.stdout).contains(word), "{word}: {said}");
    }
    assert!(said.stdout.contains("→ it is not pushed"), "{said}");
    assert_eq!(tree(&site.cache()), before);
}

#[test]
fn a_database_that_cannot_be_read_is_said_and_nothing_is_pushed() {
    let Some(mut site) = Site::new(6) else { return };
    // Without Nix there is nobody else to ask.
    let database = site.nix.database();
    let empty = site.bed.root().join("no-programs");
    std::fs::create_dir(&empty).unwrap();
    site.bed.set("PATH", &empty);
    let schema = database.with_file_name("schema");
    let whole = std::fs::read(&database).unwrap();

    std::fs::write(&database, vec![0x5a; 100_000]).unwrap();
    unseen(&site, &["not known", "not a database"]);
    std::fs::write(&database, &whole[..5000]).unwrap();
    unseen(&site, &["not known", "malformed"]);
    std::fs::write(&database, &whole).unwrap();

    std::fs::write(&schema, "99").unwrap();
    unseen(&site, &["schema is 99", "only 10 is known"]);
    std::fs::write(&schema, "10").unwrap();

    let aside = database.with_file_name("aside");
    std::fs::rename(&database, &aside).unwrap();
    // Without a database there is no path: then what was typed is wrong.
    let top = site.population.top.as_str();
    let said = site.bed.run(["push", "--apply", "--path", top]).fails(1);
    assert!(
        said.stderr
            .contains("neither valid in the Nix store nor in a cache"),
        "{said}"
    );
    std::fs::rename(&aside, &database).unwrap();
    let _ = site.push_all();
    site.assert_complete();
}

#[test]
fn a_locked_database_is_waited_for_or_asked_otherwise() {
    let Some(site) = Site::new(6) else { return };
    let mut lock = site.bed.program("python3");
    let program = "import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute('BEGIN EXCLUSIVE')
open(sys.argv[2], 'w').close()
time.sleep(600)";
    let flag = site.bed.at("locked");
    lock.args(["-c", program])
        .arg(site.nix.database())
        .arg(&flag);
    let mut holder = Running::start(&mut lock);
    assert!(holder.until(|| flag.exists()));
    let began = std::time::Instant::now();
    // A reader of a write-ahead log is not held up by a writer; any other way ends in a clear answer.
    let said = site.bed.finish(&mut site.push()).success();
    assert!(
        began.elapsed() < std::time::Duration::from_secs(30),
        "{said}"
    );
    assert!(holder.runs());
    assert!(holder.kill());
    let _ = site.push_all();
    site.assert_complete();
}

#[test]
fn a_path_that_was_tampered_with_is_refused_with_what_refers_to_it() {
    let Some(site) = Site::new(30) else { return };
    let closures: Vec<_> = site
        .population
        .paths
        .iter()
        .map(|path| (path, site.nix.closure([path])))
        .collect();
    let referrers = |path: &String| {
        closures
            .iter()
            .filter(|(_, closure)| closure.contains(path))
            .count()
    };
    // One in the middle, with a file that can be changed.
    let half = closures.len() / 2;
    let (victim, lost) = closures
        .iter()
        .map(|(path, _)| (*path, referrers(path)))
        .filter(|(path, count)| {
            (2..half).contains(count) && site.nix.real(path).join("share/blob").exists()
        })
        .max_by_key(|(_, count)| *count)
        .unwrap();
    let blob = site.nix.real(victim).join("share/blob");
    let bytes = std::fs::read(&blob).unwrap();
    std::fs::set_permissions(&blob, PermissionsExt::from_mode(0o644)).unwrap();
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, other).unwrap();
    std::fs::set_permissions(&blob, PermissionsExt::from_mode(0o444)).unwrap();

    let said = site.bed.finish(&mut site.push());
    assert!(matches!(said.code, Some(1 | 6)), "{said}");
    let name = victim.rsplit('/').next().unwrap();
    let joined = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        joined.contains(name) || joined.contains("were not pushed"),
        "{said}"
    );
    assert!(
        joined.contains("should have") || joined.contains("refers to"),
        "{said}"
    );
    site.checker().deep().assert_whole(&site.cache());
    let there = site.visible();
    assert_eq!(there.len(), site.population.paths.len() - lost, "{said}");
    assert!(!there.contains(victim));
    site.assert_nix_reads(there);

    std::fs::set_permissions(&blob, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&blob, bytes).unwrap();
    std::fs::set_permissions(&blob, PermissionsExt::from_mode(0o444)).unwrap();
    let _ = site.push_all();
    site.assert_complete();
    assert_eq!(narinfos(&site.cache()).len(), site.population.paths.len());
}
