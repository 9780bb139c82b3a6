//! Which pin records are written and removed.

use crate::plan::desired::Desired;
use crate::plan::observed::Observation;
use crate::plan::simulate::World;
use crate::plan::step::Op;
use crate::plan::testing::{desired, find, names, path, world};

/// What a pin step of `dev` adds and removes.
fn pin(desired: &Desired, world: &World, name: &str) -> Option<(Vec<String>, Vec<String>)> {
    let plan = world.plan(desired);
    let address = format!("push/dev/pin-{name}");
    let step = plan
        .steps
        .iter()
        .find(|step| step.address.as_str() == address)?;
    let Op::Pin { add, remove, .. } = &step.op else {
        panic!("{step:?}")
    };
    assert_eq!(step.effect.paths, (add.len() + remove.len()) as u64);
    let words = |paths| names(paths).into_iter().map(str::to_owned).collect();
    Some((words(add), words(remove)))
}

fn of(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

const V1: &str = "pins: { v1: { output: '.#v1', keep: { revisions: 2 } } }";

fn built() -> World {
    world().with_output(".#v1", &["now"]).with_store(&["now"])
}

#[test]
fn the_newest_revisions_stay() {
    let world = built()
        .with_cached(9, &["r1", "r2", "r3"])
        .with_pin(3, "demo", "v1", "r3")
        .with_pin(2, "demo", "v1", "r2")
        .with_pin(1, "demo", "v1", "r1");
    let step = pin(&desired(V1), &world, "v1").unwrap();
    assert_eq!(step, (of(&["now"]), of(&["r2", "r3"])));
    let more = desired(&V1.replace("revisions: 2", "revisions: 4"));
    assert_eq!(pin(&more, &world, "v1").unwrap(), (of(&["now"]), vec![]));
    let one = desired(&V1.replace("revisions: 2", "revisions: 1"));
    assert_eq!(pin(&one, &world, "v1").unwrap().1, of(&["r1", "r2", "r3"]));
}

#[test]
fn a_pin_says_which_rule_ended_a_revision() {
    let world = built()
        .with_cached(9, &["r1", "r2"])
        .with_pin(2, "demo", "v1", "r2")
        .with_pin(1, "demo", "v1", "r1");
    let rule = |sections: &str| {
        let plan = world.plan(&desired(sections));
        find(&plan.steps, "push/dev/pin-v1").because.rule.clone()
    };
    assert_eq!(rule(V1), "v1 keeps its 2 newest revisions");
    let one = V1.replace("revisions: 2", "revisions: 1");
    assert_eq!(rule(&one), "v1 keeps its newest revision alone");
    let all = "pins: { v1: { output: '.#v1', keep: { forever: true } } }";
    assert_eq!(rule(all), "v1 keeps all its revisions");
    assert_eq!(rule(""), "cache.yaml no longer has the pin v1");
}

/// A record of what does not come would pin nothing, and what it replaces would go.
#[test]
fn what_is_not_pushed_is_not_pinned() {
    let one = V1.replace("revisions: 2", "revisions: 1");
    let built = built()
        .with_cached(9, &["r1"])
        .with_pin(1, "demo", "v1", "r1");
    let unbuilt = world()
        .with_output(".#v1", &["now"])
        .with_cached(9, &["r1"])
        .with_pin(1, "demo", "v1", "r1");
    for world in [built, unbuilt] {
        let with = |parts: &[&str]| {
            let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
            pin(&desired(&one).only(&parts), &world, "v1")
        };
        let both = Some((of(&["now"]), of(&["r1"])));
        assert_eq!(with(&[]), both);
        assert_eq!(with(&["push/dev/pin-v1", "push/dev/dust"]), both);
        assert_eq!(with(&["push/dev/pin-v1"]), None);
        assert_eq!(with(&["push/dev/pin-v1", "push/dev/gold", "prune"]), None);
    }
    // What is there already needs no push.
    let there = world()
        .with_output(".#v1", &["now"])
        .with_cached(9, &["now", "r1"])
        .with_pin(1, "demo", "v1", "r1");
    let alone = desired(&one).only(&["push/dev/pin-v1".to_owned()]);
    let step = pin(&alone, &there, "v1");
    assert_eq!(step, Some((of(&["now"]), of(&["r1"]))));
}

#[test]
fn a_revision_that_comes_back_is_the_newest_again() {
    let world = built()
        .with_cached(9, &["now", "other"])
        .with_pin(3, "demo", "v1", "now")
        .with_pin(1, "demo", "v1", "other");
    let step = pin(&desired(V1), &world, "v1").unwrap();
    assert_eq!(step, (of(&["now"]), vec![]));
    // Of the same age: nothing to say.
    let world = built()
        .with_cached(9, &["now", "other"])
        .with_pin(1, "demo", "v1", "now")
        .with_pin(1, "demo", "v1", "other");
    assert_eq!(pin(&desired(V1), &world, "v1"), None);
}

#[test]
fn a_pin_that_stands_needs_nothing() {
    let world = built()
        .with_cached(9, &["now"])
        .with_pin(1, "demo", "v1", "now");
    assert_eq!(pin(&desired(V1), &world, "v1"), None);
}

#[test]
fn a_pin_that_is_not_declared_goes_only_if_it_is_ours() {
    let world = world()
        .with_cached(9, &["a", "b"])
        .with_pin(1, "demo", "old", "a")
        .with_pin(1, "demo", "old", "nowhere")
        .with_pin(1, "other", "old", "b")
        .with_pin(1, "other", "theirs", "b");
    let (add, remove) = pin(&desired(""), &world, "old").unwrap();
    assert!(add.is_empty());
    let mut remove = remove;
    remove.sort();
    assert_eq!(remove, of(&["a", "gone"]));
    assert_eq!(pin(&desired(""), &world, "theirs"), None);
}

#[test]
fn a_pin_that_cannot_be_resolved_loses_nothing() {
    let recorded = || {
        world()
            .with_cached(9, &["r1"])
            .with_pin(1, "demo", "v1", "r1")
    };
    let one = desired(&V1.replace("revisions: 2", "revisions: 1"));
    let hidden = recorded().with_output(".#v1", &["now"]).hide(".#v1");
    assert_eq!(pin(&one, &hidden, "v1"), None);
    let held = recorded()
        .with_output(".#v1", &["now"])
        .with_upstream(&["now"]);
    assert_eq!(pin(&one, &held, "v1"), None);
}

#[test]
fn what_another_system_pinned_stays_until_that_is_resolved_too() {
    let both = desired("pins: { v1: { output: '.#{system}.v1', keep: { revisions: 1 } } }");
    let mut world = world()
        .with_output(".#x86_64-linux.v1", &["x86"])
        .with_output(".#aarch64-linux.v1", &["arm"])
        .with_store(&["x86"])
        .with_cached(9, &["old-x86", "old-arm"])
        .with_pin(1, "demo", "v1", "old-x86")
        .with_pin(1, "demo", "v1", "old-arm");
    let arm = world.outputs.get_mut(".#aarch64-linux.v1").unwrap();
    arm.system = Some("aarch64-linux".to_owned());
    assert_eq!(pin(&both, &world, "v1").unwrap(), (of(&["x86"]), vec![]));
    // The other runner has pushed its part: the pin is whole.
    let world = world.with_cached(0, &["arm"]);
    let (add, remove) = pin(&both, &world, "v1").unwrap();
    assert_eq!((add.len(), remove.len()), (2, 2));
}

#[test]
fn two_pins_of_one_build_wait_for_it_both() {
    let desired = desired("pins: { a: { output: '.#v1' }, b: { output: '.#v1' } }");
    let world = world().with_output(".#v1", &["now"]);
    let plan = world.plan(&desired);
    for name in ["push/dev/pin-a", "push/dev/pin-b"] {
        let step = find(&plan.steps, name);
        let builds: Vec<_> = step.waits_for.iter().map(ToString::to_string).collect();
        assert!(builds.contains(&"push/build/.#v1".to_owned()));
        assert_eq!(
            step.known,
            crate::plan::step::Known::After {
                steps: vec![crate::plan::address::build_address(".#v1")],
                cap: None
            }
        );
    }
}

#[test]
fn one_missing_path_of_a_pin_ends_nothing_of_it() {
    let desired = desired(
        "push: { exclude: ['-held$'] }
pins: { v1: { paths-from: /list, keep: { revisions: 1 } } }",
    );
    let world = world()
        .with_store(&["a", "b-held"])
        .with_cached(9, &["old"])
        .with_pin(1, "demo", "v1", "old");
    let removed = |given: &[&str]| {
        let mut observed = world.observe(&desired);
        let given = given.iter().map(|name| path(name)).collect();
        observed
            .given
            .insert("/list".to_owned(), Observation::Present(given));
        let changes = crate::plan::push::plan(&desired, &observed);
        match &find(&changes.steps, "push/dev/pin-v1").op {
            Op::Pin { remove, .. } => remove.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(removed(&["a"]), 1);
    assert_eq!(removed(&["a", "nowhere"]), 0);
    assert_eq!(removed(&["a", "b-held"]), 0);
}

#[test]
fn what_another_project_pinned_by_the_same_name_is_left_alone() {
    let theirs = |name: &str| {
        built()
            .with_cached(9, &["now", "theirs"])
            .with_pin(1, "other", "v1", name)
    };
    let step = pin(&desired(V1), &theirs("theirs"), "v1").unwrap();
    assert_eq!(step, (of(&["now"]), vec![]));
    assert_eq!(
        pin(&desired(V1), &theirs("now"), "v1"),
        None,
        "it has a record"
    );
}

#[test]
fn while_something_is_unseen_pins_come_and_none_ends() {
    let sections =
        "pins: { v1: { output: '.#v1', keep: { revisions: 1 } }, dark: { output: '.#d' } }";
    let recorded = built()
        .with_output(".#d", &["d"])
        .with_cached(9, &["r1", "r2"])
        .with_pin(1, "demo", "v1", "r1")
        .with_pin(1, "demo", "old", "r2");
    let desired = desired(sections);
    let seen = pin(&desired, &recorded.clone().with_store(&["d"]), "v1").unwrap();
    assert_eq!(seen, (of(&["now"]), of(&["r1"])));
    let dark = recorded.hide(".#d");
    assert_eq!(pin(&desired, &dark, "v1").unwrap(), (of(&["now"]), vec![]));
    assert_eq!(pin(&desired, &dark, "old"), None);
}

#[test]
fn what_remains_is_what_no_step_of_this_cache_removes() {
    let world = world()
        .with_cached(9, &["a", "b"])
        .with_pin(1, "demo", "old", "a")
        .with_pin(1, "other", "old", "b");
    let desired = desired("");
    let steps = world.plan(&desired).steps;
    let mut observed = world.observe(&desired);
    let content = crate::plan::testing::dev(&mut observed);
    let left = |of: &str| {
        let pins = super::remaining(content, &steps, &crate::plan::testing::cache(of));
        pins.into_iter().map(|pin| pin.hash).collect::<Vec<_>>()
    };
    assert_eq!(left("dev"), [path("b").hash()]);
    assert_eq!(left("elsewhere").len(), 2);
}

/// Neither is it announced before a build whose result is kept back.
#[test]
fn what_is_excluded_is_not_pinned_and_that_is_said() {
    let sections = format!("{V1}\npush: {{ exclude: ['-now$'] }}");
    let desired = desired(&sections);
    let unbuilt = world().with_output(".#v1", &["now"]);
    for world in [built(), unbuilt] {
        assert_eq!(pin(&desired, &world, "v1"), None);
        let plan = world.plan(&desired);
        let advice = plan.advice.iter().find(|it| it.about == "pin v1").unwrap();
        let start = "dev does not hold it, because what it names";
        assert!(advice.text.starts_with(start), "{}", advice.text);
        assert_eq!(advice.lines, [path("now").to_string()]);
    }
    // Nor what needs such a path.
    let needing = world()
        .with_output(".#v1", &["app"])
        .with_store(&["app 9 now", "now"]);
    assert_eq!(pin(&desired, &needing, "v1"), None);
    let plan = needing.plan(&desired);
    let advice = plan.advice.iter().find(|it| it.about == "pin v1").unwrap();
    assert_eq!(advice.lines, [path("app").to_string()]);
    // What is there all the same is held.
    let there = built().with_cached(9, &["now"]);
    assert!(pin(&desired, &there, "v1").is_some());
    assert!(
        there
            .plan(&desired)
            .advice
            .iter()
            .all(|it| it.about != "pin v1")
    );
}
