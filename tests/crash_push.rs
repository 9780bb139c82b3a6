//! Pushes of a real store that are killed at any point: what is visible stays whole, and a rerun
//! finishes.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "a test of names that we write ourselves"
)]

mod crash_support;
mod support;

use std::path::Path;

use crash_support::{Running, Site, copy, names, narinfos, objects};

/// Kills that count.
const KILLS: usize = 50;
/// Of these, so many fall between the first and the last write.
const BETWEEN: usize = 40;
/// Between these kills, the real Nix looks, too.
const NIX_LOOKS: usize = 10;

/// Puts an empty cache in the place of a full one, as one change for a reader.
fn begin_anew(site: &Site, empty: &Path) {
    let fresh = site.copies().join("fresh");
    copy(empty, &fresh);
    site.replace_cache(&fresh);
}

/// How far a push had come, from what lies in the cache.
#[derive(Debug, PartialEq, Eq)]
enum Point {
    /// Nothing was written.
    Before,
    /// The first object (the intent) was there, and the last (its removal) was not done.
    Between,
    /// All was done.
    After,
}

fn point(site: &Site) -> Point {
    let records = site.cache().join("nanna-cache/v1");
    let open = names(&records.join("intents"))
        .iter()
        .any(|name| name.ends_with(".json"));
    if open {
        Point::Between
    } else if objects(&site.cache()) == 0 {
        Point::Before
    } else {
        Point::After
    }
}

#[test]
fn fifty_kills_break_nothing_and_a_rerun_finishes() {
    let Some(site) = Site::new(48) else { return };
    assert!(site.population.paths.len() >= 40);
    std::fs::create_dir(site.copies()).unwrap();
    let empty = site.copies().join("empty");
    copy(&site.cache(), &empty);

    // A push that nobody disturbs, to know how many objects there are.
    let _ = site.push_all();
    site.assert_complete();
    site.assert_converged();
    let whole = objects(&site.cache());
    let reader = site
        .checker_of_structure()
        .watch(&site.cache(), site.bed.root());

    let (mut kills, mut between, mut seen) = (0, 0, std::collections::BTreeSet::new());
    for attempt in 0..2 * KILLS {
        if kills >= KILLS && between >= BETWEEN {
            break;
        }
        begin_anew(&site, &empty);
        let wanted = 1 + attempt * 37 % whole;
        let mut push = Running::start(&mut site.push());
        push.until(|| objects(&site.cache()) >= wanted);
        if !push.kill() {
            // It was done before.
            continue;
        }
        kills += 1;
        let at = point(&site);
        between += usize::from(at == Point::Between);
        seen.insert(narinfos(&site.cache()).len());
        site.checker_of_structure().assert_whole(&site.cache());
        if kills % NIX_LOOKS == 0 {
            site.checker().deep().assert_whole(&site.cache());
            site.assert_nix_reads(site.visible());
        }

        let said = site.push_all();
        let unfinished = said.stderr.contains("An earlier run ended in push/local/");
        // After the last object there is still the journal to be ended.
        assert!(unfinished || at != Point::Between, "{at:?}: {said}");
        // Nothing is looked at again where only records were renewed.
        let ends = [
            "everything is as `cache.yaml` says",
            "nothing was to change",
        ];
        assert!(ends.iter().any(|end| said.stdout.contains(end)), "{said}");
        assert_eq!(narinfos(&site.cache()).len(), site.population.paths.len());
        if kills % 5 == 0 {
            site.assert_has_everything();
            site.assert_converged();
        }
    }
    assert!(
        kills >= KILLS && between >= BETWEEN,
        "{between} of {kills} kills fell between the first write and the last"
    );
    assert!(seen.len() > 2, "narinfos at the kills: {seen:?}");
    let said = reader.stop();
    println!(
        "{between} of {kills} kills between the first write and the last; narinfos {seen:?}; the reader: {said}"
    );
    site.assert_nix_reads([site.population.top.clone()]);
}

/// A push that is killed and pushed and killed comes to its end, too, on what the earlier ones left.
#[test]
fn kill_after_kill_of_one_push_comes_to_an_end() {
    let Some(site) = Site::new(48) else { return };
    let reader = site
        .checker_of_structure()
        .watch(&site.cache(), site.bed.root());
    let mut kills = 0;
    for more in (1..).map(|number| number * 7 % 41) {
        let before = objects(&site.cache());
        let mut push = Running::start(&mut site.push());
        push.until(|| objects(&site.cache()) > before + more);
        if !push.kill() {
            break;
        }
        kills += 1;
        site.checker_of_structure().assert_whole(&site.cache());
        assert!(kills < 200, "it gets nowhere");
    }
    assert!(kills >= 2);
    let _ = site.push_all();
    site.assert_complete();
    site.assert_converged();
    let _ = reader.stop();
    // What the dead left behind is told from what lives, and goes when its time has come.
    let intents = names(&site.cache().join("nanna-cache/v1/intents"));
    let said = site.bed.run(["prune", "--apply"]).success();
    assert!(
        names(&site.cache().join("nanna-cache/v1/intents")).len() <= intents.len(),
        "{said}"
    );
    site.assert_complete();
}
