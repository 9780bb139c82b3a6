//! The protocol under every schedule that somebody thought of, and many that nobody did.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod cache_support;
mod simulated;

#[path = "simulated/exhaustive.rs"]
mod exhaustive;
#[path = "simulated/planner.rs"]
mod planner;
#[path = "simulated/races.rs"]
mod races;

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
    all(seeds(200), Bounds::default());
}

#[test]
fn random_runs_where_nothing_is_written_only_if_there_is_none() {
    let bounds = Bounds {
        conditional: Some(false),
        paths: 8,
        ..Bounds::default()
    };
    all(seeds(50), bounds);
}

fn all(seeds: std::ops::Range<u64>, bounds: Bounds) {
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    if seed >= seeds.end {
                        return;
                    }
                    if let Err(told) = simulated::random::seed(seed, bounds) {
                        panic!("{told}");
                    }
                }
            });
        }
    });
}
