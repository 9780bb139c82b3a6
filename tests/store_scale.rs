//! The speed of reading a large database, measured on a made one. Run with
//! `cargo test --release --test store_scale -- --ignored --nocapture`; `NANNA_ROWS` sets its size.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests, too"
)]

use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use nanna_cache::plan::observed::Observation;
use nanna_cache::provider::nix_store::{Location, Question, observe};

const SCHEMA: &str = "
    pragma journal_mode = wal; pragma synchronous = off;
    create table ValidPaths (id integer primary key autoincrement not null, path text unique not null,
      hash text not null, registrationTime integer not null, deriver text, narSize integer,
      ultimate integer, sigs text, ca text);
    create table Refs (referrer integer not null, reference integer not null,
      primary key (referrer, reference), foreign key (referrer) references ValidPaths(id) on delete cascade,
      foreign key (reference) references ValidPaths(id) on delete restrict);
    create index IndexReferrer on Refs(referrer);
    create index IndexReference on Refs(reference);
    create table DerivationOutputs (drv integer not null, id text not null, path text not null,
      primary key (drv, id), foreign key (drv) references ValidPaths(id) on delete cascade);
    create index IndexDerivationOutputs on DerivationOutputs(path);";

/// A database like a real one: a third derivations, ten references each, signatures.
fn make(location: &Location, rows: i64) {
    std::fs::create_dir_all(location.state.join("db")).unwrap();
    std::fs::write(location.state.join("db/schema"), "10").unwrap();
    let mut connection = rusqlite::Connection::open(location.database()).unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    let transaction = connection.transaction().unwrap();
    {
        let mut path = transaction
            .prepare("insert into ValidPaths (path, hash, registrationTime, deriver, narSize, sigs) values (?, ?, 1700000000, ?, ?, ?)")
            .unwrap();
        let mut reference = transaction
            .prepare("insert into Refs values (?, ?)")
            .unwrap();
        let mut output = transaction.prepare("insert into DerivationOutputs values (?1, 'out' || length(?2) || substr(?2, 12, 6), ?2)").unwrap();
        let mut state = 88_172_645_463_325_252_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let alphabet = b"0123456789abcdfghijklmnpqrsvwxyz";
        let mut last_drv = 0;
        for id in 1..=rows {
            let hash: String = (0..32)
                .map(|_| char::from(alphabet[usize::try_from(random() % 32).unwrap()]))
                .collect();
            let drv = id % 3 == 1;
            let name = format!("some-package-{id}-1.2.3{}", if drv { ".drv" } else { "" });
            let full = format!("/nix/store/{hash}-{name}");
            let hex = format!(
                "{:016x}{:016x}{:016x}{:016x}",
                random(),
                random(),
                random(),
                random()
            );
            let signature = format!("cache.nixos.org-1:{}", "A".repeat(88));
            let deriver = "/nix/store/00000000000000000000000000000000-some-package.drv";
            path.execute((&full, format!("sha256:{hex}"), deriver, 12_345, signature))
                .unwrap();
            if drv {
                last_drv = id;
            } else {
                output.execute((last_drv, &full)).unwrap();
            }
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..10.min(id) {
                seen.insert(id - i64::try_from(random() % 5_000).unwrap() % id);
            }
            for to in seen {
                reference.execute((id, to)).unwrap();
            }
        }
    }
    transaction.commit().unwrap();
    connection
        .execute_batch("pragma wal_checkpoint(truncate)")
        .unwrap();
}

fn location() -> (Option<tempfile::TempDir>, Location, i64) {
    let rows = std::env::var("NANNA_ROWS").map_or(100_000, |rows| rows.parse().unwrap());
    if let Ok(kept) = std::env::var("NANNA_STORE") {
        return (None, Location::chroot(Utf8Path::new(&kept)), rows);
    }
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (Some(folder), Location::chroot(&root), rows)
}

#[test]
#[ignore = "a measurement"]
fn a_large_database() {
    let (_folder, location, rows) = location();
    if !location.database().exists() {
        make(&location, rows);
    }
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        let Observation::Present(store) = observe(&location, Question::default()) else {
            panic!()
        };
        best = best.min(start.elapsed().as_secs_f64());
        assert_eq!(i64::try_from(store.paths.len()).unwrap(), rows);
        assert!(store.paths.refs().edges() > store.paths.len());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    println!("{rows} paths in {:.0} ms; {peak}", best * 1000.0);
}
