//! The protocol under every schedule that somebody thought of, and many that nobody did.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod cache_support;
mod simulated;

use nanna_cache::provider::binary_cache::terms::Rule;
use simulated::random::Bounds;
use simulated::run::Ended;
use simulated::scenario::{DAY, Scenario};
use simulated::script::run;

#[test]
fn a_push_and_a_prune_one_after_the_other() {
    let scenario = Scenario::chain(3)
        .cached(&[0], 20 * DAY)
        .push("A", &[2])
        .prune_all("P");
    let (run, result) = run(&scenario, &[]);
    result.unwrap_or_else(|broken| panic!("{broken}\n{}", run.log.join("\n")));
    assert!(run.ended(0).unwrap().is_pushed());
    assert!(matches!(run.ended(1), Some(Ended::Pruned(Ok(_)))));
}

/// So many cases, or as many as `NANNA_CASES` says; from `NANNA_SEED` on.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let first = number("NANNA_SEED").unwrap_or(0);
    first..first + number("NANNA_CASES").unwrap_or(few)
}

#[test]
fn random_runs_break_no_promise_and_converge() {
    let seeds = seeds(300);
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    if seed >= seeds.end {
                        return;
                    }
                    if let Err(told) = simulated::random::seed(seed, Bounds::default()) {
                        panic!("{told}");
                    }
                }
            });
        }
    });
}

/// The rules whose breaking chance finds quickly.
const RULES: [Rule; 21] = [
    Rule::IntentFirst,
    Rule::WholeClosure,
    Rule::WaitForPaths,
    Rule::WaitForNars,
    Rule::NarsOnceMore,
    Rule::ReferencesFirst,
    Rule::PushTrust,
    Rule::RootsFirst,
    Rule::IntentAges,
    Rule::RecordFirst,
    Rule::SecondLook,
    Rule::Closed,
    Rule::AnnouncedRoots,
    Rule::OpenRoots,
    Rule::Levels,
    Rule::Answers,
    Rule::PruneTrust,
    Rule::NarsRecord,
    Rule::NamedNow,
    Rule::NarsListedFirst,
    Rule::PruneAges,
];

#[test]
#[ignore = "a search, to see how easily each is found"]
fn how_soon_chance_finds_a_broken_rule() {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    let Some(rule) = RULES.get(at) else { return };
                    let bounds = Bounds {
                        paths: 8,
                        broken: Some(*rule),
                        ..Bounds::default()
                    };
                    let found = seeds(1500).find_map(|seed| {
                        let told = simulated::random::seed(seed, bounds).err()?;
                        Some((seed, told.lines().next().unwrap().to_owned()))
                    });
                    println!("{rule:?}: {found:?}");
                }
            });
        }
    });
}
