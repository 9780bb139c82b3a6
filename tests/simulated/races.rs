//! The races that somebody thought of, each as a list of steps; and the same list with the rule broken that
//! it needs.

#[path = "races_prune.rs"]
mod prune;

use std::time::Duration;

use nanna_cache::nix::store_path::HashPart;
use nanna_cache::provider::binary_cache::Area;
use nanna_cache::provider::binary_cache::prune::{Candidates, PruneError};
use nanna_cache::provider::binary_cache::push::PushError;
use nanna_cache::provider::binary_cache::records::Lease;
use nanna_cache::provider::binary_cache::terms::Rule;

use crate::simulated::run::{Ended, Run};
use crate::simulated::scenario::{DAY, Scenario, hash, narinfo, root};
use crate::simulated::script::Step::{self, Drop, End, Kill, Land, Lose, One, Pass, To};
use crate::simulated::script::run;

const OLD: i64 = 20 * DAY;
const INTENT: &str = "put nanna-cache/v1/intents/";
const PRUNE: &str = "put nanna-cache/v1/prunes/";
const ROOT: &str = "put nanna-cache/v1/roots/";
const PUT_NAR: &str = "put nar/";
const DELETE_NAR: &str = "delete nar/";

fn publish(number: usize) -> String {
    format!("put {}", narinfo(number))
}

fn unpublish(number: usize) -> String {
    format!("delete {}", narinfo(number))
}

/// Runs it with all rules kept: nothing breaks, and everybody ends.
#[track_caller]
fn holds(scenario: &Scenario, steps: &[Step<'_>]) -> Run {
    // Also in a store that cannot keep what is there.
    let mut weak = scenario.clone();
    weak.server.conditional = false;
    if let (run, Err(broken)) = run(&weak, steps) {
        panic!("{broken}\n{}", run.log.join("\n"));
    }
    let (run, result) = run(scenario, steps);
    if let Err(broken) = result {
        panic!("{broken}\n{}", run.log.join("\n"));
    }
    run
}

/// With the rule broken, the same steps break a promise, as this word says.
#[track_caller]
fn breaks(scenario: &Scenario, steps: &[Step<'_>], promise: &str) {
    let (run, result) = run(scenario, steps);
    match result {
        Err(broken) => assert!(
            broken.starts_with(promise),
            "{broken}\n{}",
            run.log.join("\n")
        ),
        Ok(()) => panic!("nobody notices\n{}", run.log.join("\n")),
    }
}

/// A scenario as it is, and with a rule broken.
#[track_caller]
fn needs(
    rule: Rule,
    make: impl Fn(Scenario) -> Scenario,
    paths: usize,
    steps: &[Step<'_>],
    promise: &str,
) -> Run {
    let kept = holds(&make(Scenario::chain(paths)), steps);
    let mut broken = Scenario::chain(paths);
    broken.terms.broken = Some(rule);
    breaks(&make(broken), steps, promise);
    kept
}

#[track_caller]
fn pushed(run: &Run, name: &str) {
    let ended = run.ended(run.number(name));
    assert!(
        ended.is_some_and(Ended::is_pushed),
        "{ended:?}\n{}",
        run.log.join("\n")
    );
}

/// What a prune deleted: paths and files.
#[track_caller]
fn pruned(run: &Run, name: &str) -> (Vec<HashPart>, usize) {
    match run.ended(run.number(name)) {
        Some(Ended::Pruned(Ok(done))) => (done.paths.clone(), done.objects.len()),
        other => panic!("{other:?}\n{}", run.log.join("\n")),
    }
}

/// 1 refers to 0, which is there and dead. A pushes 1, P prunes.
fn on_dead(scenario: Scenario) -> Scenario {
    scenario.cached(&[0], OLD).push("A", &[1]).prune_all("P")
}

#[test]
fn the_intent_comes_before_the_question_what_is_there() {
    let steps = [To("A", INTENT), End("P"), End("A")];
    let run = needs(Rule::IntentFirst, on_dead, 2, &steps, "I2");
    pushed(&run, "A");
    assert_eq!(pruned(&run, "P").0, [hash(0)]);
}

#[test]
fn the_intent_names_the_whole_closure() {
    let publish = publish(1);
    let steps = [To("A", &publish), End("P"), End("A")];
    let run = needs(Rule::WholeClosure, on_dead, 2, &steps, "I2");
    pushed(&run, "A");
    assert!(pruned(&run, "P").0.is_empty(), "it was spared");
}

#[test]
fn what_a_prune_condemns_is_waited_for_and_pushed_again() {
    let publish = publish(1);
    let steps = [To("P", "list Roots"), To("A", &publish), End("P"), End("A")];
    let run = needs(Rule::WaitForPaths, on_dead, 2, &steps, "I2");
    pushed(&run, "A");
    assert_eq!(pruned(&run, "P").0, [hash(0)]);
}

#[test]
fn a_push_goes_on_once_the_record_is_narrowed() {
    // Two things are dead; A needs one of them, and its intent is seen.
    let scenario = Scenario::chain(3)
        .cached(&[0, 1], OLD)
        .push_items("A", &[0], &[0])
        .prune_all("P");
    let delete = unpublish(1);
    let steps = [
        To("P", "list Intents"),
        To("A", "list Prunes"),
        To("P", &delete),
    ];
    let (_, result) = run(&scenario, &steps);
    result.unwrap();

    let both = holds(
        &scenario,
        &[&steps[..], &[End("A"), One("A"), End("A")]].concat(),
    );
    pushed(&both, "A");
    let log = both.log.join("\n");
    let (ends, deletes) = (log.find("A: ends well"), log.find(&delete));
    assert!(ends < deletes, "it waited for the end:\n{log}");
    assert_eq!(pruned(&both, "P").0, [hash(1)]);
}

#[test]
fn what_a_prune_took_is_pushed_again_though_the_plan_did_not_bring_it() {
    // The plan found 0 there, so the push has only 1 to bring.
    let make = |scenario: Scenario| {
        let scenario = scenario.cached(&[0], OLD);
        scenario.push_items("A", &[1], &[1]).prune_all("P")
    };
    for steps in [
        &[End("P"), End("A")][..],
        &[To("P", "list Roots"), End("A")],
    ] {
        let run = holds(&make(Scenario::chain(2)), steps);
        pushed(&run, "A");
        assert_eq!(pruned(&run, "P").0, [hash(0)]);
        let intents = run
            .server
            .objects
            .keys()
            .filter(|key| key.contains("/intents/"));
        assert_eq!(intents.count(), 0);
    }
}

fn on_orphan(scenario: Scenario) -> Scenario {
    scenario.orphan(0, OLD).push("A", &[0]).prune_all("P")
}

#[test]
fn a_nar_that_is_reused_is_made_young() {
    let publish = publish(0);
    let steps = [
        To("A", &publish),
        To("P", DELETE_NAR),
        One("A"),
        End("P"),
        End("A"),
    ];
    let run = holds(&on_orphan(Scenario::chain(1)), &steps);
    pushed(&run, "A");
    assert_eq!(pruned(&run, "P").1, 0);
    let mut broken = Scenario::chain(1);
    broken.server.refreshes = false;
    breaks(&on_orphan(broken), &steps, "I1");
}

#[test]
fn a_prune_of_its_nars_is_waited_for() {
    let publish = publish(0);
    let steps = [
        To("P", DELETE_NAR),
        To("A", &publish),
        One("A"),
        End("P"),
        End("A"),
    ];
    let run = needs(Rule::WaitForNars, on_orphan, 1, &steps, "I1");
    pushed(&run, "A");
    assert_eq!(pruned(&run, "P").1, 1);
}

#[test]
fn a_prune_that_begins_and_ends_behind_the_back_of_a_push_is_noticed() {
    // The delete of an old NAR lands on the new one, and the record is `ended` when A looks.
    let steps = [
        To("P", DELETE_NAR),
        To("A", PUT_NAR),
        One("A"),
        End("P"),
        End("A"),
    ];
    let run = needs(Rule::NarsOnceMore, on_orphan, 1, &steps, "I1");
    pushed(&run, "A");
    assert_eq!(pruned(&run, "P").1, 1);
}

#[test]
fn a_prune_that_ends_while_its_record_is_read_is_noticed() {
    // Listed while it was at work, read when it had ended.
    let steps = [
        To("P", DELETE_NAR),
        To("A", PUT_NAR),
        One("A"),
        One("A"),
        End("P"),
        End("A"),
    ];
    pushed(&holds(&on_orphan(Scenario::chain(1)), &steps), "A");
}

#[test]
fn a_prune_that_deletes_a_nar_and_dies_is_noticed() {
    // In a folder the record of the dead counts for nothing at once, and is as it was.
    let make = |mut scenario: Scenario| {
        scenario.options.locks = true;
        on_orphan(scenario)
    };
    let steps = [
        To("P", DELETE_NAR),
        To("A", PUT_NAR),
        One("A"),
        One("P"),
        Drop("P"),
        End("A"),
    ];
    let run = needs(Rule::NarsOnceMore, make, 1, &steps, "I1");
    pushed(&run, "A");
}

#[test]
fn references_come_before_referrers() {
    let make = |scenario: Scenario| scenario.push("A", &[1]);
    pushed(&needs(Rule::ReferencesFirst, make, 2, &[], "I2"), "A");
}

/// Somebody who trusts his record for ever.
const FOR_EVER: Lease = Lease {
    renewal: Duration::MAX,
    trust: Duration::MAX,
    gone: Duration::MAX,
};

#[test]
fn a_push_that_slept_for_a_day_begins_again() {
    let steps = [
        To("A", PUT_NAR),
        One("A"),
        Pass(25 * 3600),
        End("P"),
        End("A"),
    ];
    let run = holds(&on_dead(Scenario::chain(2)), &steps);
    pushed(&run, "A");
    assert_eq!(pruned(&run, "P").0, [hash(0)]);
    let log = run.log.join("\n");
    assert!(log.contains("intents/01000000000000000000000002"), "{log}");
    let mut broken = Scenario::chain(2);
    broken.terms.intent = FOR_EVER;
    breaks(&on_dead(broken), &steps, "I2");
}

#[test]
fn a_push_that_slept_before_it_wrote_what_is_absent_begins_again() {
    // The last answer to the question what is there came a day ago.
    let get = format!("get {}", narinfo(1));
    let scenario = on_dead(Scenario::chain(2));
    let steps = [To("A", &get), Pass(25 * 3600), End("P"), End("A")];
    pushed(&holds(&scenario, &steps), "A");
}

#[test]
fn a_prune_that_was_stopped_sends_nothing_after_trust() {
    // Its record is gone for others, and what it found dead is relied on again.
    let steps = [To("P", "list Nars"), Pass(31 * 60), End("A"), End("P")];
    let run = holds(&on_dead(Scenario::chain(2)), &steps);
    pushed(&run, "A");
    let ended = run.ended(run.number("P"));
    assert!(
        matches!(ended, Some(Ended::Pruned(Err(PruneError::Lapsed)))),
        "{ended:?}"
    );
    // Its record is left as it was.
    let record = run
        .server
        .objects
        .iter()
        .find(|(key, _)| key.contains("/prunes/"))
        .unwrap();
    assert!(!String::from_utf8_lossy(&record.1.bytes).contains("ended"));
    let mut broken = Scenario::chain(2);
    broken.terms.prune = FOR_EVER;
    breaks(&on_dead(broken), &steps, "I");
}

#[test]
fn the_roots_are_written_before_the_intent_goes() {
    let make = |scenario: Scenario| scenario.cached(&[0, 1], OLD).push("A", &[1]).prune_all("P");
    let steps = [To("A", ROOT), End("P"), End("A")];
    let run = needs(Rule::RootsFirst, make, 2, &steps, "I");
    pushed(&run, "A");
    assert!(pruned(&run, "P").0.is_empty());
}

#[test]
fn a_push_of_which_a_write_got_no_answer_leaves_its_intent() {
    for lands in [true, false] {
        for (at, key) in [(publish(1), narinfo(1)), (ROOT.to_owned(), root(1))] {
            let scenario = Scenario::chain(2).push("A", &[1]);
            let steps = [To("A", &at), Lose("A", lands), End("A"), Land];
            let run = holds(&scenario, &steps);
            let ended = run.ended(0);
            assert!(
                matches!(ended, Some(Ended::Pushed(Err(PushError::Store(_))))),
                "{ended:?}"
            );
            assert!(run.server.has(&key), "it landed at last");
            let intents = run
                .server
                .objects
                .keys()
                .filter(|key| key.contains("/intents/"));
            assert_eq!(intents.count(), 1);
        }
    }
}

#[test]
fn two_pushes_of_one_path_leave_one_narinfo_that_is_whole() {
    for conditional in [true, false] {
        let mut scenario = Scenario::chain(2).push("A", &[1]).push("B", &[1]);
        scenario.server.conditional = conditional;
        let publish = publish(0);
        let steps = [To("A", &publish), To("B", &publish), End("A"), End("B")];
        let run = holds(&scenario, &steps);
        pushed(&run, "A");
        pushed(&run, "B");
    }
}

#[test]
fn of_two_prunes_one_gives_way_or_both_delete_only_what_is_dead() {
    let make = || Scenario::chain(3).cached(&[0, 1, 2], OLD).rooted(0, DAY);
    // Both begin at once: the smaller identity goes on.
    let scenario = make().prune_all("P").prune_all("Q");
    let run = holds(
        &scenario,
        &[To("P", PRUNE), To("Q", PRUNE), One("P"), One("Q"), End("Q")],
    );
    assert_eq!(pruned(&run, "P").0.len(), 2);
    let ended = run.ended(run.number("Q"));
    assert!(
        matches!(ended, Some(Ended::Pruned(Err(PruneError::Busy { .. })))),
        "{ended:?}"
    );
    // One is past its look at the others when the other begins, and lapses.
    let delete = unpublish(2);
    let steps = [
        To("P", &delete),
        Pass(6 * 60),
        One("P"),
        Pass(31 * 60),
        End("Q"),
        End("P"),
    ];
    let run = holds(&scenario, &steps);
    assert!(run.server.has(&narinfo(0)) && !run.server.has(&narinfo(1)));
}

#[test]
fn a_prune_that_is_killed_keeps_a_push_waiting_for_a_while_only() {
    for locks in [true, false] {
        let mut scenario = Scenario::chain(3);
        scenario.options.locks = locks;
        let scenario = scenario
            .cached(&[0, 1, 2], OLD)
            .push("A", &[2])
            .prune_all("P");
        let delete = unpublish(1);
        let steps = [To("P", &delete), Kill("P"), End("A")];
        let run = holds(&scenario, &steps);
        pushed(&run, "A");
        let minutes = (run.server.now - crate::simulated::scenario::NOW) / 60_000;
        assert!(
            if locks {
                minutes == 0
            } else {
                (30..40).contains(&minutes)
            },
            "{minutes}"
        );
    }
}

#[test]
fn a_push_that_is_killed_between_two_roots_keeps_all_for_a_day() {
    let make = || {
        Scenario::chain(2)
            .cached(&[0, 1], OLD)
            .push("A", &[0, 1])
            .prune_all("P")
    };
    let steps = [To("A", ROOT), One("A"), Drop("A"), End("P")];
    let run = holds(&make(), &steps);
    assert!(pruned(&run, "P").0.is_empty());
    let steps = [
        To("A", ROOT),
        One("A"),
        Drop("A"),
        Pass(25 * 3600),
        End("P"),
    ];
    let run = holds(&make(), &steps);
    // One root was written, and keeps what it reaches.
    assert_eq!(pruned(&run, "P").0, [hash(1)]);
}

#[test]
fn clocks_that_are_off_change_no_delete() {
    let make = |skew: i64| {
        let mut scenario = Scenario::chain(4);
        scenario.options.skews = vec![skew, -skew];
        // 23.5 and 24.5 hours old, and a root that ends in half an hour.
        let scenario = scenario.cached(&[0], 23 * 3600 + 1800).cached(&[1, 2], OLD);
        let scenario = scenario
            .orphan(3, 23 * 3600 + 1800)
            .rooted(1, 10 * DAY - 1800);
        let run = holds(&scenario.prune_all("P").push("A", &[3]), &[End("P")]);
        pruned(&run, "P")
    };
    let right = make(0);
    assert_eq!(right.0, [hash(2)]);
    assert_eq!(make(3_600_000), right);
    assert_eq!(make(-3_600_000), right);
}
