use proptest::prelude::*;

use super::*;
use crate::insight::testing::{built, run};

/// A `cache.yaml` with these classes, and with these lines of the cache and of push.
fn file(classes: &str, cache: &str, push: &str) -> String {
    format!(
        "version: 1 # kept\nproject: p\ncaches:\n  dev: {{ type: file, path: /c, tier: 1, signing-key: {{ file: /k }}{cache} }}\nartifacts:\n{classes}  rest: {{ priority: 10, retention: 30d, default: true }}\npush: {{ to: {{ dev: all }}{push} }}\nprune: {{ grace: 1h }}\n"
    )
}

fn config(text: &str) -> Config {
    read("cache.yaml", text.as_bytes())
        .unwrap_or_else(|found| panic!("{found:?}"))
        .0
}

/// A run on each of these days that needs `names(day)`: name, milliseconds, bytes.
fn week(days: std::ops::Range<i64>, names: impl Fn(i64) -> Vec<(String, u64, u64)>) -> Vec<Run> {
    days.map(|day| {
        let mut run = run(day * DAY);
        let all = names(day);
        run.built = all
            .iter()
            .map(|(name, millis, nar)| built(name, *millis, *nar))
            .collect();
        run
    })
    .collect()
}

/// The first recommendation is of this kind, changes this and nothing else, and keeps its promise.
fn first(runs: &[Run], text: &str, kind: Kind, from: &str, to: &str) {
    let advice = advise(runs, &config(text), text);
    let best = advice
        .recommendations
        .first()
        .unwrap_or_else(|| panic!("{advice:#?}"));
    assert_eq!(best.kind, kind, "{:#?}", advice.recommendations);
    assert_eq!(best.after, text.replace(from, to), "{}", best.what);
    keeps_promises(&advice, runs, text);
}

/// What each recommendation promises is what advising on its file finds as the state of things, within a tenth.
fn keeps_promises(advice: &Advice, runs: &[Run], text: &str) {
    let before = advise(runs, &config(text), text).now;
    for one in &advice.recommendations {
        let again = advise(runs, &config(&one.after), &one.after);
        let seconds = i64::try_from(advice.days).unwrap() * DAY;
        let saved = i64::try_from(before.rebuild_millis).unwrap()
            - i64::try_from(again.now.rebuild_millis).unwrap();
        let saved = saved * WEEK / seconds;
        let off = (saved - one.effect.saved_millis).abs();
        assert!(off * 10 <= saved.abs(), "{saved} {:?}", one.effect);
        assert!(one.effect.worth >= LEAST);
    }
}

#[test]
fn a_class_that_is_needed_later_than_it_is_kept() {
    let text = file(
        "  apps: { priority: 90, retention: 5d, match: ['-app'] }\n",
        "",
        "",
    );
    // An app each day, and one that comes every twelve days.
    let runs = week(0..60, |day| {
        let mut all = vec![(format!("{day}-lib"), 1000, 1000)];
        if day % 12 == 0 {
            all.push(("x-app".into(), 900_000, 1_000_000));
        }
        all
    });
    first(
        &runs,
        &text,
        Kind::LongerRetention,
        "retention: 5d",
        "retention: 14d",
    );
}

#[test]
fn a_filter_that_keeps_back_too_much() {
    let text = file("", "", ", exclude: ['-source$', '-deps']");
    let runs = week(0..40, |day| {
        vec![
            ("x-deps".into(), 600_000, 5_000_000),
            (format!("{day}-source"), 10, 1000),
        ]
    });
    first(
        &runs,
        &text,
        Kind::Exclude,
        "'-source$', '-deps'",
        "'-source$'",
    );
}

#[test]
fn priorities_out_of_order() {
    let text = file(
        "  logs: { priority: 90, retention: 30d, match: ['-log'] }\n  apps: { priority: 20, retention: 30d, match: ['-app'] }\n",
        ", max-size: 5 kB",
        "",
    );
    // Logs are never the same and fill the cache; the app is wanted every second day and takes ten minutes.
    let runs = week(0..40, |day| {
        let mut all = vec![(format!("{day}-log"), 10, 1000)];
        if day % 2 == 0 {
            all.push(("x-app".into(), 600_000, 1000));
        }
        all
    });
    let advice = advise(&runs, &config(&text), &text);
    let best = &advice.recommendations[0];
    let right = text
        .replace("priority: 90", "priority: N")
        .replace("priority: 20", "priority: 90");
    // Ending the logs earlier helps, too; whichever is first promises what it keeps.
    let swap = advice
        .recommendations
        .iter()
        .find(|one| one.kind == Kind::Priorities)
        .unwrap();
    assert_eq!(swap.after, right.replace("priority: N", "priority: 20"));
    assert_eq!(best.effect.worth, swap.effect.worth.max(best.effect.worth));
    keeps_promises(&advice, &runs, &text);
}

#[test]
fn a_class_that_is_never_read() {
    let text = file(
        "  logs: { priority: 90, retention: 60d, match: ['-log'] }\n",
        "",
        "",
    );
    let runs = week(0..60, |day| vec![(format!("{day}-log"), 10, 1_000_000_000)]);
    first(&runs, &text, Kind::ShorterRetention, "60d", "7d");
}

#[test]
fn paths_that_are_too_large() {
    let text = file(
        "  apps: { priority: 90, retention: 30d, max-path-size: 1 MB, match: ['-app'] }\n",
        "",
        "",
    );
    let runs = week(0..30, |_| vec![("x-app".into(), 600_000, 2_000_000)]);
    first(&runs, &text, Kind::MaxPathSize, "1 MB", "none");
}

#[test]
fn too_little_is_said() {
    let text = file("", "", "");
    let of = |runs: &[Run]| advise(runs, &config(&text), &text).too_little;
    let some = |day: i64| vec![(format!("{day}-app"), 1, 1)];
    assert_eq!(of(&[]).unwrap(), "not enough runs: 0 of 20");
    assert_eq!(of(&week(0..1, some)).unwrap(), "not enough runs: 1 of 20");
    let mut hasty = week(0..25, some);
    for (at, run) in hasty.iter_mut().enumerate() {
        run.start.0 = i64::try_from(at).unwrap();
    }
    assert_eq!(of(&hasty).unwrap(), "not enough days: 0 of 7");
    let mut foreign = week(0..40, some);
    for run in &mut foreign {
        run.project = "q".into();
    }
    assert_eq!(of(&foreign).unwrap(), "not enough runs: 0 of 20");
    let mut failed = week(0..40, |_| vec![("x-app".into(), 600_000, 1)]);
    for run in &mut failed {
        run.outcome = crate::insight::run::Outcome::Failed;
    }
    let advice = advise(&failed, &config(&text), &text);
    assert_eq!((advice.too_little, advice.recommendations.len()), (None, 0));
}

#[test]
fn hints_name_what_no_record_settles() {
    let text = file("", "", "")
        + "systems: [x86_64-linux]\nflake: .\noptimize: { warm: ['.#devShells.{system}.ci', '.#app'] }\n";
    let mut runs = week(0..40, |_| vec![("x-app".into(), 10, 1)]);
    runs[3].substituted = vec![crate::insight::testing::read_from("x-app", "up", 1)];
    runs[3].substituted[0].cache = None;
    let hints = advise(&runs, &config(&text), &text).hints;
    assert_eq!(hints.len(), 2, "{hints:?}");
    assert!(hints[0].contains("https://up.example"));
    assert!(hints[1].contains("devShells.{system}.ci"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_ledger_gives_promises_that_are_kept(
        needs in proptest::collection::vec((0_i64..60, 0_usize..5, 1_u64..900_000), 20..60),
        turn in 0_usize..20,
    ) {
        let text = file("  apps: { priority: 90, retention: 5d, match: ['-app'] }\n  more: { priority: 50, match: ['-more'] }\n", ", max-size: 2500 B", ", exclude: ['-deps']");
        let names = ["a-app", "b-app", "c-more", "d-deps", "e-lib"];
        let mut runs: Vec<Run> = needs.iter().map(|(day, name, millis)| {
            let mut run = run(day * DAY);
            run.built = vec![built(names[*name], *millis, 1000)];
            run
        }).collect();
        let advice = advise(&runs, &config(&text), &text);
        for one in &advice.recommendations {
            let again = replay(&Traffic::new(&runs, &config(&text)), &config(&one.after));
            prop_assert_eq!(&again, &one.effect.after);
        }
        runs.rotate_left(turn);
        prop_assert_eq!(advice, advise(&runs, &config(&text), &text));
    }
}
