//! Several at once, and those who are asked to stop: nothing breaks, and everybody says what became of it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "a test of names that we write ourselves"
)]

mod crash_support;
mod support;

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use crash_support::{Ended, Running, Site, age, narinfos, objects};

/// Directories of a megabyte each that nothing can compress: a push of them takes its time.
const DIRECTORIES: usize = 12;

fn slow_site() -> Option<Site> {
    let site = Site::new(24)?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    for number in 0..DIRECTORIES {
        let bytes: Vec<u8> = (0..1 << 17).flat_map(|_| noise()).collect();
        site.bed.write(format!("models/m{number}/weights"), bytes);
    }
    slow(&site);
    Some(site)
}

/// Compresses as slowly as can be.
fn slow(site: &Site) {
    site.configure("");
    edit(
        site,
        "    signing-key",
        "    compression: { method: xz, level: 9 }\n    signing-key",
    );
    with_models(site);
}

fn quick(site: &Site) {
    site.configure("");
    with_models(site);
}

fn with_models(site: &Site) {
    let models = "artifacts:\n  models: { priority: 80, directories: ['models/*'] }";
    edit(site, "artifacts:", models);
}

fn edit(site: &Site, from: &str, to: &str) {
    let text = site.bed.read("cache.yaml");
    assert!(text.contains(from));
    site.bed.write("cache.yaml", text.replacen(from, to, 1));
}

fn nars(site: &Site) -> usize {
    crash_support::names(&site.cache().join("nar"))
        .iter()
        .filter(|name| name.contains(".nar"))
        .count()
}

#[track_caller]
fn interrupted(ended: &Ended, code: i32, word: &str) {
    assert_eq!((ended.code, ended.signal), (Some(code), None), "{ended:#?}");
    assert!(ended.stdout.contains(word), "{ended:#?}");
    assert!(
        ended
            .stderr
            .contains("Stopping after the current objects; once more ends at once."),
        "{ended:#?}"
    );
}

#[test]
fn a_push_that_is_asked_to_stop_says_so_and_a_rerun_finishes() {
    for (signal, code, word) in [("INT", 130, "nterrupted"), ("TERM", 143, "erminated")] {
        let Some(site) = slow_site() else { return };
        let mut push = Running::start(&mut site.push());
        assert!(push.until(|| nars(&site) >= 3), "it ended too early");
        push.signal(signal);
        let began = Instant::now();
        let ended = push.end();
        assert!(began.elapsed() < Duration::from_secs(30));
        interrupted(&ended, code, word);
        assert!(ended.stdout.contains("a rerun finishes"), "{ended:#?}");
        site.checker_of_structure().assert_whole(&site.cache());
        let there = narinfos(&site.cache()).len();
        assert!(
            there < DIRECTORIES + site.population.paths.len(),
            "it was not stopped"
        );

        quick(&site);
        let said = site.push_all();
        assert!(
            !said.stderr.contains("An earlier run"),
            "it had ended: {said}"
        );
        site.checker().deep().assert_whole(&site.cache());
        assert_eq!(
            narinfos(&site.cache()).len(),
            DIRECTORIES + site.population.paths.len()
        );
        site.assert_converged();
    }
}

#[test]
fn a_stop_reads_as_json_too_and_a_second_one_ends_at_once() {
    let Some(site) = slow_site() else { return };
    let mut push = Running::start(site.push().args(["--format", "json"]));
    assert!(push.until(|| nars(&site) >= 1));
    push.signal("INT");
    let ended = push.end();
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["interrupted"], "interrupted", "{report}");

    let mut push = Running::start(&mut site.push());
    let there = nars(&site);
    assert!(push.until(|| nars(&site) > there));
    push.signal("INT");
    std::thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    push.signal("INT");
    let ended = push.end();
    assert_eq!(ended.signal, Some(9), "{ended:#?}");
    assert!(began.elapsed() < Duration::from_secs(2));
    site.checker_of_structure().assert_whole(&site.cache());
    quick(&site);
    let _ = site.push_all();
    site.checker().deep().assert_whole(&site.cache());
    site.assert_converged();
}

/// An output whose builder ends never; the number makes it one that can be found among processes.
const FLAKE: &str = r#"{
  outputs = { self }: {
    packages.SYSTEM.slow = derivation {
      name = "slow"; system = "SYSTEM"; builder = "/bin/sh";
      args = [ "-c" "echo started; while :; do /bin/sleep 31.4159NUMBER; done" ];
    };
  };
}"#;

fn sleepers(number: u32) -> usize {
    let wanted = format!("31.4159{number}");
    let processes = std::fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .filter(|line| {
            line.split(|byte| *byte == 0)
                .any(|word| word == wanted.as_bytes())
        })
        .count()
}

#[test]
fn a_build_that_is_asked_to_stop_ends_with_its_builder() {
    for (signal, code, word) in [("INT", 130, "nterrupted"), ("TERM", 143, "erminated")] {
        let Some(site) = Site::new(2) else { return };
        let number = std::process::id();
        let system = format!("{}-linux", std::env::consts::ARCH);
        let flake = FLAKE
            .replace("SYSTEM", &system)
            .replace("NUMBER", &number.to_string());
        site.bed.write("flake/flake.nix", flake);
        edit(
            &site,
            "artifacts:",
            "artifacts:\n  slow: { priority: 80, outputs: ['.#slow'] }",
        );
        let mut push = Running::start(&mut site.command(["push", "--apply"]));
        assert!(push.until(|| sleepers(number) > 0), "{:#?}", push.end());
        push.signal(signal);
        let ended = push.end();
        interrupted(&ended, code, word);
        let began = Instant::now();
        while sleepers(number) > 0 {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "its builder lives on"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        site.checker_of_structure().assert_whole(&site.cache());
        // The rest goes on without it.
        quick_without_slow(&site);
        let _ = site.push_all();
        site.assert_complete();
    }
}

fn quick_without_slow(site: &Site) {
    site.configure("");
}

#[test]
fn a_prune_that_is_asked_to_stop_leaves_what_a_rerun_finishes() {
    let Some(site) = Site::new(60) else { return };
    let prune =
        |site: &Site| -> Command { site.command(["prune", "--apply", "--allow", "share=100%"]) };
    let mut stopped = 0;
    for attempt in 0..12 {
        let _ = site.push_all();
        age(&site.cache());
        let whole = objects(&site.cache());
        let mut running = Running::start(&mut prune(&site));
        // From its record on it listens; each time a little later.
        running.until(|| objects_of_prune(&site) > 0 || objects(&site.cache()) < whole);
        std::thread::sleep(Duration::from_micros(attempt * 700));
        running.signal(if attempt % 2 == 0 { "INT" } else { "TERM" });
        let ended = running.end();
        site.checker_of_structure().assert_whole(&site.cache());
        if !narinfos(&site.cache()).is_empty() {
            site.assert_nix_reads(site.visible());
        }
        let wanted = if attempt % 2 == 0 { 130 } else { 143 };
        if ended.code == Some(wanted) {
            stopped += 1;
            assert!(
                ended.stdout.contains("nterrupted") || ended.stdout.contains("erminated"),
                "{ended:#?}"
            );
        } else {
            assert_eq!(ended.code, Some(0), "{ended:#?}");
        }
        let _ = site.bed.finish(&mut prune(&site)).success();
        assert_eq!(narinfos(&site.cache()), Vec::<String>::new());
        site.checker_of_structure().assert_whole(&site.cache());
    }
    assert!(stopped >= 3, "{stopped} of 12");
}

fn objects_of_prune(site: &Site) -> usize {
    crash_support::names(&site.cache().join("nanna-cache/v1/prunes"))
        .iter()
        .filter(|name| name.ends_with(".json"))
        .filter(|name| {
            let path = site.cache().join("nanna-cache/v1/prunes").join(name);
            std::fs::read_to_string(path).is_ok_and(|text| !text.contains("\"ended\""))
        })
        .count()
}

#[test]
fn two_pushes_at_once_both_succeed() {
    let Some(site) = slow_site() else { return };
    quick(&site);
    let reader = site
        .checker_of_structure()
        .watch(&site.cache(), site.bed.root());
    let pushes: Vec<Running> = (0..3).map(|_| Running::start(&mut site.push())).collect();
    for push in pushes {
        let ended = push.end();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        // Others at work are no dead.
        assert!(!ended.stderr.contains("An earlier run"), "{ended:#?}");
    }
    let _ = reader.stop();
    site.checker().deep().assert_whole(&site.cache());
    site.assert_converged();
}

/// Whether somebody keeps the lock under which records are listed. It is kept for moments; who is stopped
/// just then is in the way of every look, which says so after 30 s: not what is tested here.
fn holds_lock_of_records(site: &Site) -> bool {
    let lock = File::open(site.cache().join("nanna-cache/v1/lock"));
    lock.is_ok_and(|lock| lock.try_lock_shared().is_err())
}

#[test]
fn a_second_prune_is_busy_or_waits() {
    let Some(site) = Site::new(24) else { return };
    let _ = site.push_all();
    age(&site.cache());
    // A prune that was stopped in the middle of its work: it lives, and holds its record.
    let mut first = None;
    for _ in 0..20 {
        let mut running =
            Running::start(&mut site.command(["prune", "--apply", "--allow", "share=100%"]));
        running.until(|| objects_of_prune(&site) > 0);
        running.signal("STOP");
        if objects_of_prune(&site) > 0 && running.runs() && !holds_lock_of_records(&site) {
            first = Some(running);
            break;
        }
        running.signal("CONT");
        let _ = running.end();
        let _ = site.push_all();
        age(&site.cache());
    }
    let first = first.expect("one of twenty is caught at work");
    let before = crash_support::tree(&site.cache());
    let said = site
        .bed
        .run(["prune", "--apply", "--allow", "share=100%"])
        .fails(8);
    assert!(
        said.stdout.contains("another prune") || said.stderr.contains("another prune"),
        "{said}"
    );
    assert_eq!(crash_support::tree(&site.cache()), before);
    let mut waiting = Running::start(&mut site.command([
        "prune",
        "--apply",
        "--allow",
        "share=100%",
        "--lock-timeout",
        "1m",
    ]));
    std::thread::sleep(Duration::from_millis(1500));
    assert!(waiting.runs(), "{:#?}", waiting.end());
    first.signal("CONT");
    let ended = first.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let ended = waiting.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(narinfos(&site.cache()), Vec::<String>::new());
    site.checker_of_structure().assert_whole(&site.cache());
}
