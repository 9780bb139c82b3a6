use super::*;
use crate::config::units::Size;
use crate::plan::desired::Desired;
use crate::plan::simulate::World;
use crate::plan::testing::{addresses, cache, desired, world};

const TWO: &str = "artifacts:
  gold: { priority: 100, match: ['-gold'], outputs: ['.#a'] }
  dust: { priority: 10, outputs: ['.#b'], default: true }
push: { to: { dev: all }, limits: { unasked: 10B } }
";

/// Two outputs that are not built; and the same world when they are.
fn worlds() -> (Desired, World, World) {
    let before = world()
        .with_output(".#a", &["a-gold"])
        .with_output(".#b", &["b-dust"]);
    let after = before.clone().with_store(&["a-gold 70", "b-dust 30"]);
    (desired(TWO), before, after)
}

fn now(
    desired: &Desired,
    only: &[&str],
    allowed: &Allowances,
    (before, after): (&World, &World),
) -> Now {
    let only = only.iter().map(ToString::to_string).collect();
    let selection = Selection {
        only,
        ..Selection::default()
    };
    let plan = selection.apply(before.plan(desired));
    let observed = before.observe(desired);
    let old: Vec<Step> = plan
        .steps
        .iter()
        .filter(|step| is_push(step))
        .cloned()
        .collect();
    assert!(!old.is_empty());
    let late = Late {
        desired,
        selection: &selection,
        allowed,
        plan: &plan,
        before: &Blind::of(&observed),
    };
    late.now(
        &StageKind::Push(cache("dev")),
        &old,
        &after.observe(desired),
    )
}

#[test]
fn what_was_left_out_stays_out() {
    let (desired, before, after) = worlds();
    let all = now(&desired, &[], &Allowances::default(), (&before, &after));
    assert_eq!(addresses(&all.steps), ["push/dev/gold", "push/dev/dust"]);
    let only = ["push/build", "push/dev/gold"];
    let part = now(&desired, &only, &Allowances::default(), (&before, &after));
    assert_eq!(addresses(&part.steps), ["push/dev/gold"]);
    assert!(part.ended.is_empty());
}

#[test]
fn what_was_permitted_is_permitted_late_too() {
    let (desired, before, after) = worlds();
    let after = after.hide("up");
    let none = now(&desired, &[], &Allowances::default(), (&before, &after));
    assert!(none.steps.is_empty());
    assert_eq!(none.ended.len(), 2);
    assert!(matches!(&none.ended[0].outcome, Outcome::Failed { why } if why.contains("unasked")));
    let allowed = Allowances {
        unasked: Some(Size(1_000)),
        ..Allowances::default()
    };
    let permitted = now(&desired, &[], &allowed, (&before, &after));
    assert_eq!(permitted.steps.len(), 2, "{permitted:#?}");
}

#[test]
fn what_nobody_has_to_do_any_more_has_an_outcome() {
    let (desired, before, after) = worlds();
    // Somebody else pushed one of them meanwhile, root and all.
    let mut after = after;
    let plan = after.plan(&desired);
    let step = plan
        .steps
        .iter()
        .find(|step| step.address.as_str() == "push/dev/dust");
    after.apply(&desired, step.unwrap());
    // Its root is renewed all the same; without one that is wanted, nothing is left.
    after.outputs.remove(".#b");
    let now = now(&desired, &[], &Allowances::default(), (&before, &after));
    assert_eq!(addresses(&now.steps), ["push/dev/gold"]);
    let [gone] = now.ended.as_slice() else {
        panic!("{now:#?}")
    };
    assert_eq!(gone.step.address.as_str(), "push/dev/dust");
    assert!(!matches!(gone.outcome, Outcome::Done { .. }), "{gone:#?}");
}

#[test]
fn what_cannot_be_seen_is_not_taken_for_done() {
    let (desired, before, after) = worlds();
    let after = after.hide(".#b");
    let now = now(&desired, &[], &Allowances::default(), (&before, &after));
    assert_eq!(addresses(&now.steps), ["push/dev/gold"]);
    let [gone] = now.ended.as_slice() else {
        panic!("{now:#?}")
    };
    assert!(
        matches!(&gone.outcome, Outcome::Failed { why } if why.contains("could not be seen")),
        "{gone:#?}"
    );
}
