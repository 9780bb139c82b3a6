//! The protocol under every schedule that somebody thought of, and many that nobody did.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod cache_support;
mod simulated;

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
