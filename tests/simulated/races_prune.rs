//! The races in which a prune has to keep a rule.

use super::*;
use crate::simulated::scenario::GRACE;

#[test]
fn the_prune_record_comes_before_the_second_look() {
    let publish = publish(1);
    let steps = [
        To("P", "list Nars"),
        One("P"),
        To("A", &publish),
        One("A"),
        End("P"),
        End("A"),
    ];
    let run = needs(Rule::RecordFirst, on_dead, 2, &steps, "I2");
    pushed(&run, "A");
    assert_eq!(pruned(&run, "P").0, [hash(0)]);
}

#[test]
fn what_is_alive_in_the_second_look_stays() {
    let make = |scenario: Scenario| scenario.cached(&[0], OLD).rooted(0, DAY).prune_all("P");
    let run = needs(Rule::SecondLook, make, 1, &[], "I3");
    assert!(pruned(&run, "P").0.is_empty());
}

#[test]
fn intents_are_read_before_roots() {
    // A is past all its waiting when P begins, and ends between the two readings.
    let make = |scenario: Scenario| scenario.cached(&[0], OLD).push("A", &[0]).prune_all("P");
    let steps = [To("A", ROOT), To("P", "list Intents"), End("A"), End("P")];
    let run = holds(&make(Scenario::chain(1)), &steps);
    pushed(&run, "A");
    assert!(pruned(&run, "P").0.is_empty());
    let mut broken = Scenario::chain(1);
    broken.options.early = vec![vec![], vec![Area::Roots, Area::Pins]];
    breaks(&make(broken), &steps, "I3");
}

#[test]
fn records_are_read_before_narinfos() {
    let publish = publish(1);
    let steps = [
        To("A", &publish),
        To("P", "list Intents"),
        End("A"),
        End("P"),
    ];
    let run = holds(&on_dead(Scenario::chain(2)), &steps);
    pushed(&run, "A");
    assert!(pruned(&run, "P").0.is_empty());
    let mut broken = Scenario::chain(2);
    broken.options.early = vec![vec![], vec![Area::Top]];
    breaks(&on_dead(broken), &steps, "I");
}

fn only(paths: &[usize], roots: &[usize]) -> Candidates {
    Candidates {
        paths: paths.iter().map(|number| hash(*number)).collect(),
        roots: roots.iter().map(|number| root(*number)).collect(),
        ..Candidates::default()
    }
}

#[test]
fn what_something_visible_reaches_stays() {
    let make = |scenario: Scenario| scenario.cached(&[0, 1], OLD).prune("P", only(&[0], &[]));
    let run = needs(Rule::Closed, make, 2, &[], "I2");
    assert!(pruned(&run, "P").0.is_empty());
}

#[test]
fn only_announced_roots_go() {
    let make = |scenario: Scenario| {
        let scenario = scenario.cached(&[0, 1], OLD).rooted(0, OLD);
        scenario.push("A", &[0]).prune("P", only(&[1], &[]))
    };
    let steps = [To("P", "list Pins"), End("A"), End("P")];
    let run = needs(Rule::AnnouncedRoots, make, 2, &steps, "I4");
    pushed(&run, "A");
}

#[test]
fn a_root_that_is_renewed_while_it_is_deleted_stays_or_comes_back() {
    // The record names the root: A waits, and writes it when P is over.
    let make = |scenario: Scenario| {
        let scenario = scenario.cached(&[0], OLD).rooted(0, OLD);
        scenario.push("A", &[0]).prune_all("P")
    };
    let steps = [To("P", "delete nanna-cache/v1/roots/"), End("A"), End("P")];
    pushed(&holds(&make(Scenario::chain(1)), &steps), "A");
    let steps = [To("A", ROOT), End("P"), End("A")];
    let run = holds(&make(Scenario::chain(1)), &steps);
    pushed(&run, "A");
    assert!(pruned(&run, "P").0.is_empty());
}

#[test]
fn no_root_goes_on_which_an_open_push_relies() {
    let make = |scenario: Scenario| scenario.rooted(0, OLD).push("A", &[0]).prune_all("P");
    let publish = publish(0);
    let steps = [
        To("A", &publish),
        To("P", "delete nanna-cache/v1/roots/"),
        End("A"),
        End("P"),
    ];
    pushed(&needs(Rule::OpenRoots, make, 1, &steps, "I4"), "A");
}

#[test]
fn narinfos_go_level_by_level() {
    let make = |scenario: Scenario| scenario.cached(&[0, 1], OLD).prune_all("P");
    let run = needs(Rule::Levels, make, 2, &[], "I2");
    assert_eq!(pruned(&run, "P").0, [hash(1), hash(0)]);
}

#[test]
fn a_level_is_over_only_when_all_of_it_is_answered() {
    let make = |scenario: Scenario| scenario.cached(&[0, 1], OLD).prune_all("P");
    let delete = unpublish(1);
    let steps = [To("P", &delete), Lose("P", false), End("P"), Land];
    let run = needs(Rule::Answers, make, 2, &steps, "I2");
    assert!(run.server.has(&narinfo(0)) && !run.server.has(&narinfo(1)));
}

#[test]
fn the_record_names_the_nars_before_they_are_looked_at_again() {
    let publish = publish(0);
    let steps = [
        To("P", DELETE_NAR),
        To("A", &publish),
        One("A"),
        End("P"),
        End("A"),
    ];
    let run = needs(Rule::NarsRecord, on_orphan, 1, &steps, "I1");
    pushed(&run, "A");
}

#[test]
fn a_nar_that_is_named_by_now_stays() {
    let make = |scenario: Scenario| scenario.cached(&[0], OLD).rooted(0, DAY).prune_all("P");
    let run = needs(Rule::NamedNow, make, 1, &[], "I1");
    assert_eq!(pruned(&run, "P").1, 0);
}

#[test]
fn a_record_of_which_a_delete_got_no_answer_ages() {
    let (delete, publish) = (unpublish(0), publish(1));
    let steps = [
        To("P", &delete),
        Lose("P", false),
        End("P"),
        To("A", &publish),
        One("A"),
        Land,
        End("A"),
    ];
    let run = needs(Rule::PruneAges, on_dead, 2, &steps, "I2");
    pushed(&run, "A");
}

/// Its age counts where the record names it for the first time: what is young there may be refreshed by a push
/// that has not seen the record.
#[test]
fn a_nar_that_comes_of_age_while_it_is_looked_at_stays() {
    let stays = |age: i64| {
        let scenario = Scenario::chain(1).orphan(0, age);
        // Those of the round of paths come first.
        let steps = [
            To("P", "list Nars"),
            One("P"),
            To("P", "list Nars"),
            One("P"),
            Pass(60),
            End("P"),
        ];
        let run = holds(&scenario.clone().prune_all("P"), &steps);
        run.server.has(&scenario.nar(0))
    };
    let grace = i64::try_from(GRACE.0).unwrap();
    assert!(stays(grace - 30));
    assert!(!stays(grace));
}
