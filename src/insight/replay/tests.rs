use proptest::prelude::*;

use super::*;
use crate::config::read;
use crate::insight::run::Run;
use crate::insight::testing::{built, read_from, run};

const DAY: i64 = 86_400;

fn config(file: &str) -> Config {
    read("cache.yaml", file.as_bytes())
        .unwrap_or_else(|found| panic!("{found:?}"))
        .0
}

fn file(retention: &str, max_size: &str) -> Config {
    config(&format!(
        "version: 1\nproject: p\ncaches:\n  dev: {{ type: file, path: /c, tier: 1, signing-key: {{ file: /k }}{max_size} }}\nartifacts:\n  apps: {{ priority: 90, retention: {retention}, match: ['-app'] }}\n  rest: {{ priority: 10, retention: {retention}, default: true }}\npush: {{ to: {{ dev: all }}, exclude: ['-secret'] }}\nprune: {{ grace: 1h }}\n"
    ))
}

/// A run at this day that built these, each 100 bytes and a second.
fn at(day: i64, names: &[&str]) -> Run {
    let mut run = run(day * DAY);
    run.built = names.iter().map(|name| built(name, 1000, 100)).collect();
    run
}

#[test]
fn retention_ends_after_its_last_second() {
    // Pushed at the end of a run that takes a minute, kept for two days: needed again just in time, and just too late.
    for (late, hits) in [(60, 1), (61, 0)] {
        let mut again = at(0, &["a-app"]);
        again.start.0 = 2 * DAY + late;
        let runs = [at(0, &["a-app"]), again];
        let config = file("2d", "");
        let tally = replay(&Traffic::new(&runs, &config), &config);
        assert_eq!((tally.needed, tally.hits), (2, hits), "{late}");
        assert_eq!(tally.rebuild_millis, 2000 - hits * 1000);
    }
}

#[test]
fn a_run_does_not_find_what_is_not_pushed_yet() {
    let mut soon = at(0, &["a-app"]);
    soon.start.0 += 59;
    let mut then = soon.clone();
    then.start.0 += 1;
    let config = file("9d", "");
    let hits = |runs: &[Run]| replay(&Traffic::new(runs, &config), &config).hits;
    assert_eq!(hits(&[at(0, &["a-app"]), soon]), 0);
    assert_eq!(hits(&[at(0, &["a-app"]), then]), 1);
}

#[test]
fn over_max_size_the_lowest_priority_goes_first() {
    let runs = [
        at(0, &["a-app", "b-lib"]),
        at(1, &["c-app"]),
        at(2, &["a-app", "b-lib"]),
    ];
    let config = file("30d", ", max-size: 250 B");
    let tally = replay(&Traffic::new(&runs, &config), &config);
    assert_eq!(tally.hits, 1, "the app: {tally:?}");
    assert_eq!(tally.classes[&ClassName::new("rest")].hits, 0);
    assert!(tally.over > 0);
    let wide = file("30d", "");
    assert_eq!(replay(&Traffic::new(&runs, &wide), &wide).hits, 2);
}

#[test]
fn what_is_excluded_failed_or_of_forks_is_not_there() {
    let config = file("30d", "");
    let hits = |change: &dyn Fn(&mut Run), name: &str| {
        let mut first = at(0, &[name]);
        change(&mut first);
        replay(&Traffic::new(&[first, at(1, &[name])], &config), &config).hits
    };
    assert_eq!(hits(&|_| {}, "a-app"), 1);
    assert_eq!(hits(&|_| {}, "a-secret"), 0);
    assert_eq!(
        hits(&|run| run.origin.event = Some("fork".into()), "a-app"),
        0
    );
    assert_eq!(
        hits(
            &|run| run.outcome = crate::insight::run::Outcome::Failed,
            "a-app"
        ),
        0
    );
}

#[test]
fn what_was_read_first_was_there_and_upstreams_do_not_count() {
    let config = file("30d", "");
    let mut first = run(0);
    first.substituted = vec![
        read_from("a-app", "dev", 100),
        read_from("b-app", "elsewhere", 100),
    ];
    let tally = replay(&Traffic::new(&[first, at(1, &["a-app"])], &config), &config);
    assert_eq!((tally.needed, tally.hits), (2, 2));
}

#[test]
fn nothing_gives_nothing() {
    let config = file("30d", "");
    let tally = replay(&Traffic::new(&[], &config), &config);
    assert_eq!(tally, Tally::default());
    assert_eq!(tally.rate(), None);
}

proptest! {
    #[test]
    fn the_order_does_not_matter_and_more_retention_never_finds_less(
        needs in proptest::collection::vec((0_i64..40, 0_usize..6), 1..30),
        turn in 0_usize..30,
        days in 1_u64..20,
    ) {
        let names = ["a-app", "b-app", "c-lib", "d-lib", "e-secret", "f-lib"];
        let runs: Vec<Run> = needs.iter().map(|(day, name)| at(*day, &[names[*name]])).collect();
        let mut turned = runs.clone();
        turned.rotate_left(turn % runs.len());
        turned.push(runs[0].clone());
        let short = file(&format!("{days}d"), "");
        let long = file(&format!("{}d", days + 7), "");
        let tally = replay(&Traffic::new(&runs, &short), &short);
        prop_assert_eq!(&tally, &replay(&Traffic::new(&turned, &short), &short));
        let more = replay(&Traffic::new(&runs, &long), &long);
        prop_assert!(more.hits >= tally.hits && more.rebuild_millis <= tally.rebuild_millis);
        prop_assert!(more.mean_bytes >= tally.mean_bytes);
        prop_assert_eq!(tally.classes.values().map(|class| class.hits).sum::<u64>(), tally.hits);
    }
}
