use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::insight::run::{FORMAT, Origin, Outcome};

fn run(project: &str, start: i64, what: &str) -> Run {
    Run {
        format: FORMAT,
        project: project.into(),
        what: what.into(),
        start: Time(start),
        millis: None,
        outcome: Outcome::Done,
        origin: Origin::default(),
        substituted: vec![],
        built: vec![],
        fetched: vec![],
        pushed: vec![],
        storage: vec![],
    }
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

#[test]
fn what_was_added_is_there_once_and_in_order() {
    let (_keep, folder) = folder();
    let mut ledger = Ledger::open(&folder).unwrap();
    let lines =
        [run("p", 30, "b"), run("p", 10, "a"), run("other", 20, "c")].map(|run| run.to_line());
    let all = lines.iter().map(String::as_str);
    assert_eq!(ledger.add(all.clone()).unwrap(), Added { new: 3, known: 0 });
    assert_eq!(ledger.add(all).unwrap(), Added { new: 0, known: 3 });
    drop(ledger);
    let mut ledger = Ledger::open(&folder).unwrap();
    let starts = |ledger: &Ledger, since| {
        let runs = ledger.runs("p", since).unwrap();
        runs.iter().map(|run| run.start.0).collect::<Vec<_>>()
    };
    assert_eq!(starts(&ledger, None), [10, 30]);
    assert_eq!(starts(&ledger, Some(Time(11))), [30]);
    assert!(ledger.has(&run("p", 10, "a").id()).unwrap());
    assert!(!ledger.has(&run("p", 10, "z").id()).unwrap());
    assert_eq!(ledger.thin("p", Time(30)).unwrap(), 1);
    assert_eq!(starts(&ledger, None), [30]);
    assert_eq!(ledger.runs("other", None).unwrap().len(), 1);
}

#[test]
fn a_bad_line_is_named_and_adds_nothing() {
    let (_keep, folder) = folder();
    let mut ledger = Ledger::open(&folder).unwrap();
    let good = run("p", 1, "a").to_line();
    let error = ledger.add([good.as_str(), "", "{}"]).unwrap_err();
    assert_eq!(error.to_string(), "line 3");
    assert_eq!(ledger.runs("p", None).unwrap(), []);
    let newer = good.replacen("\"format\":1", "\"format\":9", 1);
    assert!(ledger.add([newer.as_str()]).is_err());
}

#[test]
fn what_a_newer_program_says_beside_stays() {
    let (_keep, folder) = folder();
    let mut ledger = Ledger::open(&folder).unwrap();
    let more = run("p", 1, "a")
        .to_line()
        .replacen('{', "{\"weather\":\"fine\",", 1);
    ledger.add([more.as_str()]).unwrap();
    let lines = ledger.lines("p", None).unwrap();
    assert_eq!(lines, [(RunId::of_line(&more), more.clone())]);
}

#[test]
fn a_ledger_of_a_newer_program_and_a_damaged_one_are_left_alone() {
    let (_keep, folder) = folder();
    drop(Ledger::open(&folder).unwrap());
    let path = folder.join("ledger.sqlite");
    sqlite::kept(&path, |it| it.execute_batch("pragma user_version = 7")).unwrap();
    assert!(matches!(
        Ledger::open(&folder),
        Err(LedgerError::Newer { found: 7, .. })
    ));
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{path}{suffix}"));
    }
    std::fs::write(
        &path,
        "no database, but somebody's bytes, more than a hundred of them: ".repeat(20),
    )
    .unwrap();
    assert!(Ledger::open(&folder).is_err());
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .starts_with("no database")
    );
}

#[test]
fn a_cache_is_told_each_record_once() {
    let (_keep, folder) = folder();
    let mut ledger = Ledger::open(&folder).unwrap();
    let lines = [run("p", 1, "a").to_line(), run("p", 2, "b").to_line()];
    ledger.add(lines.iter().map(String::as_str)).unwrap();
    let untold = ledger.untold("p", "dev").unwrap();
    assert_eq!(untold.len(), 2);
    ledger.told("dev", [&untold[0].0]).unwrap();
    ledger.told("dev", [&untold[0].0]).unwrap();
    assert_eq!(ledger.untold("p", "dev").unwrap(), untold[1..]);
    assert_eq!(ledger.untold("p", "other").unwrap().len(), 2);
}

#[test]
fn several_write_at_once() {
    let (_keep, folder) = folder();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let folder = &folder;
            scope.spawn(move || {
                let mut ledger = Ledger::open(folder).unwrap();
                for number in 0..10 {
                    let own = run("p", number, &format!("w{writer}")).to_line();
                    let shared = run("p", number, "shared").to_line();
                    ledger.add([own.as_str(), shared.as_str()]).unwrap();
                }
            });
        }
    });
    assert_eq!(
        Ledger::open(&folder)
            .unwrap()
            .runs("p", None)
            .unwrap()
            .len(),
        50
    );
}

#[test]
fn a_file_of_records_may_be_packed() {
    let lines = format!(
        "{}\n{}\n",
        run("p", 1, "a").to_line(),
        run("p", 2, "b").to_line()
    );
    assert_eq!(file::unpack(lines.as_bytes()).unwrap(), lines);
    let packed = file::pack(&lines);
    assert!(packed.len() < lines.len());
    assert_eq!(file::unpack(&packed).unwrap(), lines);
    assert!(file::unpack(&packed[..packed.len() - 5]).is_err());
    assert!(file::unpack(b"\xff\xfe\x00").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever machines tell each other, in whatever order and however often: the same ledger.
    #[test]
    fn merging_in_any_order_gives_the_same(parts in prop::collection::vec(
        prop::collection::vec(0i64..8, 0..6), 1..5), order in any::<u64>())
    {
        let all: BTreeSet<i64> = parts.iter().flatten().copied().collect();
        let mut orders = [parts.clone(), parts];
        let length = orders[1].len();
        orders[1].rotate_left(usize::try_from(order % 5).unwrap() % length);
        orders[1].reverse();
        let mut ledgers = Vec::new();
        for order in orders {
            let (_keep, folder) = folder();
            let mut ledger = Ledger::open(&folder).unwrap();
            for part in order {
                let lines: Vec<String> = part.iter().map(|at| run("p", *at, "x").to_line()).collect();
                ledger.add(lines.iter().map(String::as_str)).unwrap();
            }
            ledgers.push(ledger.lines("p", None).unwrap());
        }
        prop_assert_eq!(ledgers[0].len(), all.len());
        prop_assert_eq!(&ledgers[0], &ledgers[1]);
    }
}
