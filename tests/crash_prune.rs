//! Prunes and setups that are killed at any point: nothing live goes, nothing visible breaks, and a
//! rerun finishes.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod crash_support;
mod support;

use std::collections::BTreeSet;
use std::process::Command;

use crash_support::{Running, Site, age, copy, narinfos, objects, tree};
use serde_json::Value;

const KILLS: usize = 12;

/// A path of the population whose closure is some of it, but not all.
fn kept(site: &Site) -> (String, BTreeSet<String>) {
    let half = site.population.paths.len() / 2;
    let closures = site
        .population
        .paths
        .iter()
        .map(|path| (path.clone(), site.nix.closure([path])));
    closures
        .filter(|(_, closure)| closure.len() < half)
        .max_by_key(|(_, closure)| closure.len())
        .unwrap()
}

fn prune(site: &Site) -> Command {
    site.command(["prune", "--apply", "--allow", "share=100%"])
}

#[test]
fn a_killed_prune_breaks_nothing_and_a_rerun_finishes() {
    let Some(site) = Site::new(48) else { return };
    std::fs::create_dir(site.copies()).unwrap();
    let _ = site.push_all();
    age(&site.cache());
    let (live, closure) = kept(&site);
    let _ = site.bed.run(["push", "--apply", "--path", &live]).success();
    let old = site.copies().join("old");
    copy(&site.cache(), &old);
    let whole = objects(&site.cache());

    // A prune that nobody disturbs, to know where it ends.
    let _ = site.bed.finish(&mut prune(&site)).success();
    let end = narinfos(&site.cache());
    assert_eq!(end.len(), closure.len());
    let going = whole - objects(&site.cache());
    assert!(going > 40, "{going}");
    let checker = site.checker_of_structure().root(&live);
    let reader = checker.watch(&site.cache(), site.bed.root());

    let (mut kills, mut seen) = (0, BTreeSet::new());
    for attempt in 0..3 * KILLS {
        // At different points; on a busy machine more are needed for that.
        if kills >= KILLS && seen.len() > 2 {
            break;
        }
        let fresh = site.copies().join("fresh");
        copy(&old, &fresh);
        site.replace_cache(&fresh);
        let wanted = whole - 1 - attempt * 29 % going;
        let mut running = Running::start(&mut prune(&site));
        running.until(|| objects(&site.cache()) <= wanted);
        if !running.kill() {
            continue;
        }
        kills += 1;
        seen.insert(objects(&site.cache()));
        checker.assert_whole(&site.cache());
        if kills % 4 == 0 {
            site.assert_nix_reads(site.visible());
        }
        // A push of what was condemned waits for nobody who is dead.
        if kills % 3 == 0 {
            let _ = site.push_all();
            site.assert_complete();
            continue;
        }
        let _ = site.bed.finish(&mut prune(&site)).success();
        checker.assert_whole(&site.cache());
        assert_eq!(narinfos(&site.cache()), end);
        let said = site.bed.run(["prune", "--detailed-exitcode"]).success();
        assert!(said.stdout.contains("No changes."), "{said}");
    }
    assert!(kills >= KILLS, "{kills}");
    assert!(seen.len() > 2, "objects at the kills: {seen:?}");
    println!("objects at the kills: {seen:?}");
    let _ = reader.stop();
    site.checker()
        .deep()
        .root(&live)
        .assert_whole(&site.cache());
}

/// The tops go first, so what a dead prune left no root reaches any more; its record says whose it was.
#[test]
fn what_a_dead_prune_left_is_ours_and_what_came_since_is_not() {
    let Some(site) = Site::new(24) else { return };
    let _ = site.push_all();
    let hash = |path: &str| path["/nix/store/".len()..][..32].to_owned();
    let top = site
        .cache()
        .join(format!("{}.narinfo", hash(&site.population.top)));
    std::fs::remove_file(top).unwrap();
    age(&site.cache());
    let _ = site.bed.finish(&mut prune(&site)).success();
    let foreign = narinfos(&site.cache());
    assert!(
        foreign.len() > 4,
        "without a record it is kept as foreign content: {foreign:?}"
    );

    let paths: Vec<String> = foreign
        .iter()
        .map(|name| name.trim_end_matches(".narinfo").to_owned())
        .collect();
    let record = serde_json::json!({
        "schema": 1, "requires": [], "writer": "nanna-cache 0.1.0", "phase": "paths",
        "paths": paths.join(" "), "plan": "0", "began": "2026-01-01T00:00:00Z",
    });
    let key = site
        .cache()
        .join("nanna-cache/v1/prunes/00000000000000000000000001.json");
    std::fs::write(key, record.to_string()).unwrap();
    // Somebody wrote one of them again, later, and so all that it refers to is needed.
    let (again, closure) = site
        .visible()
        .into_iter()
        .map(|path| (path.clone(), site.nix.closure([path])))
        .max_by_key(|(path, closure)| (closure.len() < 6, closure.len(), path.clone()))
        .unwrap();
    let narinfo = site.cache().join(format!("{}.narinfo", hash(&again)));
    let text = std::fs::read(&narinfo).unwrap();
    std::fs::write(&narinfo, text).unwrap();
    let _ = site.bed.finish(&mut prune(&site)).success();
    let left: BTreeSet<String> = site.visible().into_iter().collect();
    assert_eq!(left, closure);
    site.checker_of_structure().assert_whole(&site.cache());
}

/// The steps that the newest run of a journal began and did not end; `None`: it ended as a whole.
fn left_open(journal: &str) -> Option<Vec<String>> {
    let lines: Vec<Value> = journal
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let run = &lines.last()?["run"];
    let mut open = Vec::new();
    for line in lines.iter().filter(|line| line["run"] == *run) {
        let step = line["step"].as_str();
        match (line["entry"].as_str().unwrap(), step) {
            ("begin", Some(step)) => open.push(step.to_owned()),
            ("end", Some(step)) => open.retain(|each| each != step),
            ("end", None) => return None,
            _ => {}
        }
    }
    Some(open)
}

#[test]
fn a_killed_setup_says_where_it_was_and_a_rerun_finishes() {
    let Some(site) = Site::new(2) else { return };
    let files = ["cache.yaml", "conf", "keys"];
    // The steps of this setup: two lines each in the journal, and two for the run.
    let steps = 4;
    std::fs::remove_dir_all(site.cache()).unwrap();
    for folder in &files[1..] {
        std::fs::remove_dir_all(site.bed.at(folder)).unwrap();
    }
    let said = site.bed.run(["setup", "--apply"]).success();
    assert!(said.stdout.contains("Applied: 4 done"), "{said}");
    let foreign = "# mine\ncores = 2";
    let (mut kills, mut said_open) = (0, 0);
    for lines in (0..2 * (steps + 1)).cycle().take(16) {
        std::fs::remove_dir_all(site.cache()).unwrap();
        for folder in &files[1..] {
            std::fs::remove_dir_all(site.bed.at(folder)).unwrap();
        }
        site.bed.write("conf/nix.conf", foreign);
        let before = site.journal().lines().count();
        let mut running = Running::start(&mut site.command(["setup", "--apply"]));
        running.until(|| site.journal().lines().count() > before + lines);
        let killed = running.kill();
        let open = left_open(&site.journal());
        // Whatever is there is whole: the user's file is as it was, or has one line more.
        let conf = site.bed.read("conf/nix.conf");
        assert!(
            conf == foreign || conf == format!("{foreign}\n!include nanna-cache.conf\n"),
            "{conf}"
        );
        if let Ok(key) = std::fs::read_to_string(site.bed.at("keys/local.sec")) {
            assert!(key.starts_with("site-local-1:") && key.len() > 90);
        }
        if site.cache().exists() {
            // What is there of it can be read, if only partly made.
            let said = site.bed.run(["setup"]).success();
            assert!(!said.stdout.contains("not seen"), "{said}");
        }
        kills += usize::from(killed);

        // Where nothing was left to be done, no run begins.
        let planned = site.bed.run(["setup", "--detailed-exitcode"]);
        let said = site.bed.run(["setup", "--apply"]).success();
        let remark = said
            .stderr
            .lines()
            .find(|line| line.starts_with("An earlier run ended"));
        match (planned.code, open) {
            (Some(2), Some(open)) => {
                let remark = remark.unwrap_or_else(|| panic!("{open:?}: {said}"));
                said_open += usize::from(!open.is_empty());
                for step in &open {
                    assert!(remark.contains(step.as_str()), "{open:?}: {said}");
                }
                assert_eq!(remark.contains(" in setup/"), !open.is_empty(), "{said}");
            }
            (_, None) => assert_eq!(remark, None, "{said}"),
            (_, Some(_)) => {}
        }
        let said = site.bed.run(["setup", "--detailed-exitcode"]).success();
        assert!(said.stdout.contains("No changes."), "{said}");
    }
    assert!(kills >= 8, "{kills} kills");
    assert!(said_open >= 2, "{said_open} kills within a step");
    // What it made works, and the signing key is one.
    let whole = tree(&site.bed.at("conf"));
    assert_eq!(whole.len(), 3, "{whole:?}");
    let _ = site.push_all();
    site.assert_complete();
}
