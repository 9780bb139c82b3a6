use super::*;
use crate::config::model::{CacheName, ClassName};
use crate::plan::desired::Desired;
use crate::plan::drops::{DropReason, PathToDrop};
use crate::plan::simulate::World;
use crate::plan::testing::{addresses, desired, dev, path, world};

const APPS: &str =
    "artifacts: { apps: { priority: 50, retention: 50d, outputs: ['.#a', '.#b'], default: true } }
push: { to: { dev: all } }
";

fn start() -> (Desired, World) {
    let world = world()
        .with_store(&["a-1 100"])
        .with_output(".#a", &["a-1"])
        .with_output(".#b", &["a-1"]);
    (desired(APPS), world)
}

fn apply(world: &mut World, desired: &Desired) {
    for step in world.plan(desired).steps {
        world.apply(desired, &step);
    }
}

/// What is said when nothing has happened but that `later` is what is seen.
fn judged(desired: &Desired, first: &World, later: &Observed) -> Confirmation {
    let before = Blind::of(&first.observe(desired));
    let steps = first.plan(desired).steps;
    assert_eq!(addresses(&steps), ["push/dev/apps"]);
    let fresh = crate::plan::make::plan(desired, later, "digest");
    judge(&steps, &before, later, &fresh)
}

fn unconfirmed(confirmation: &Confirmation) -> &str {
    match (&confirmation.remaining, confirmation.seen.as_slice()) {
        (Remaining::Unconfirmed { why }, [Seen::Unknown { .. }]) => &why.0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_done_is_settled_and_what_is_not_is_pending() {
    let (desired, first) = start();
    let mut later = first.clone();
    apply(&mut later, &desired);
    let done = judged(&desired, &first, &later.observe(&desired));
    assert_eq!(
        (done.seen, done.remaining),
        (vec![Seen::Settled], Remaining::Converged)
    );
    let undone = judged(&desired, &first, &first.observe(&desired));
    assert_eq!(undone.seen, [Seen::Pending]);
    assert!(matches!(undone.remaining, Remaining::Steps { steps } if steps.len() == 1));
    assert_eq!(undone.look.others, 0);
}

#[test]
fn what_came_up_meanwhile_is_another_change() {
    let (desired, first) = start();
    let mut done = first.clone();
    apply(&mut done, &desired);
    // An output has changed: the class is pushed again, but not what was pushed.
    let later = done.with_store(&["b-2 7"]).with_output(".#b", &["b-2"]);
    let settled = judged(&desired, &first, &later.observe(&desired));
    assert_eq!(settled.seen, [Seen::Settled]);
    assert_eq!(settled.remaining, Remaining::Converged);
    assert_eq!(settled.look.others, 1);
    // The same beside what was to be pushed and is not.
    let undone = first.clone().with_store(&["b-2 7"]);
    let undone = undone.with_output(".#b", &["b-2"]);
    let pending = judged(&desired, &first, &undone.observe(&desired));
    assert_eq!(pending.seen, [Seen::Pending]);
    assert_eq!(pending.look.others, 0);
}

/// Each alone: a path that did not arrive, and a record that was not written for one that did.
#[test]
fn a_push_is_pending_while_a_part_of_it_lacks() {
    let (desired, first) = start();
    let mut done = first.clone();
    apply(&mut done, &desired);
    let seen = |later: &World| judged(&desired, &first, &later.observe(&desired)).seen;
    assert_eq!(seen(&done), [Seen::Settled]);
    let mut unrecorded = done.clone();
    unrecorded.cache("dev").roots.clear();
    assert_eq!(seen(&unrecorded), [Seen::Pending]);
    let mut lost = done;
    lost.cache("dev").narinfos.clear();
    assert_eq!(seen(&lost), [Seen::Pending]);
}

#[test]
fn a_cache_that_cannot_be_seen_confirms_nothing() {
    let (desired, first) = start();
    let hidden = judged(
        &desired,
        &first,
        &first.clone().hide("dev").observe(&desired),
    );
    assert_eq!(unconfirmed(&hidden), "push/dev/apps: it is hidden");
    assert!(hidden.look.unknowns.iter().all(|one| one.what == "dev"));
    assert!(!hidden.look.unknowns.is_empty());
    let mut later = first.clone();
    apply(&mut later, &desired);
    let mut partial = later.observe(&desired);
    dev(&mut partial).partial = Some(Why("one folder is closed".into()));
    assert!(unconfirmed(&judged(&desired, &first, &partial)).contains("one folder is closed"));
}

#[test]
fn an_output_that_was_seen_before_and_is_not_now_confirms_nothing() {
    let (desired, first) = start();
    let mut later = first.clone();
    apply(&mut later, &desired);
    let lost = judged(
        &desired,
        &first,
        &later.clone().hide(".#b").observe(&desired),
    );
    assert!(
        unconfirmed(&lost).contains(".#b could not be seen"),
        "{lost:?}"
    );
    // One that never could be seen took no part in what was planned.
    let first = first.hide(".#b");
    let never = judged(&desired, &first, &later.hide(".#b").observe(&desired));
    assert_eq!(never.remaining, Remaining::Converged);
    assert!(!never.look.unknowns.is_empty());
}

#[test]
fn what_was_left_out_is_counted() {
    let (desired, first) = start();
    let mut later = first.clone();
    apply(&mut later, &desired);
    later.cache("dev").info = None;
    let one = judged(&desired, &first, &later.observe(&desired));
    assert_eq!((one.remaining, one.look.others), (Remaining::Converged, 1));
}

#[test]
fn a_build_cannot_be_told_without_the_store_but_without_another_output() {
    let desired = desired(APPS);
    let world = world()
        .with_output(".#a", &["a-1"])
        .with_output(".#b", &["b-1"]);
    let steps = world.plan(&desired).steps;
    let build = crate::plan::testing::find(&steps, "push/build/.#a");
    let why = |hidden: &str| {
        let later = world.clone().hide(hidden).observe(&desired);
        unseen(build, &Blind::default(), &Blind::of(&later), &later).map(|why| why.0)
    };
    let dark = Some(".#a could not be seen: it is hidden".to_owned());
    assert_eq!(why("store"), dark);
    assert_eq!(why(".#a"), dark);
    assert_eq!(why(".#b"), None);
}

/// A step that deletes these paths.
fn prune_of(names: &[&str]) -> Step {
    let (desired, first) = start();
    let mut step = first.plan(&desired).steps.remove(0);
    step.op = Op::Prune {
        cache: CacheName::new("dev"),
        class: ClassName::new("apps"),
        paths: names
            .iter()
            .map(|name| PathToDrop {
                path: path(name),
                bytes: 1,
                reason: DropReason::Unreached,
            })
            .collect(),
        roots: Vec::new(),
    };
    step
}

#[test]
fn what_time_brings_during_an_apply_is_another_change() {
    let ran = prune_of(&["a"]);
    assert!(
        !is_same(&ran, &prune_of(&["b"])),
        "others of the same class"
    );
    assert!(is_same(&ran, &prune_of(&["b", "a"])), "it is left");
    let mut root = prune_of(&[]);
    if let Op::Prune { roots, .. } = &mut root.op {
        roots.push("r".to_owned());
    }
    assert!(is_same(&root, &root.clone()) && !is_same(&ran, &root));

    let (desired, world) = start();
    let mut fresh = world.plan(&desired);
    fresh.steps = vec![prune_of(&["b"])];
    let seen = world.observe(&desired);
    let said = judge(&[ran], &Blind::of(&seen), &seen, &fresh);
    assert_eq!((said.seen, said.look.others), (vec![Seen::Settled], 1));
}

/// A sweep is judged by its files: those that became old meanwhile are another change.
#[test]
fn a_sweep_is_settled_when_its_files_are_gone() {
    let desired = desired("");
    let with = |keys: &[&str]| {
        let mut world = world().with_cached(1, &["a"]);
        for key in keys {
            let old = (3, crate::plan::testing::ago(9));
            world.cache("dev").nars.insert((*key).to_owned(), old);
        }
        world
    };
    let first = with(&["nar/x", "nar/y"]);
    let before = Blind::of(&first.observe(&desired));
    let steps = first.plan(&desired).steps;
    assert_eq!(addresses(&steps), ["prune/dev/unnamed-files"]);
    let seen = |keys: &[&str]| {
        let later = with(keys).observe(&desired);
        let fresh = crate::plan::make::plan(&desired, &later, "digest");
        let confirmation = judge(&steps, &before, &later, &fresh);
        (confirmation.seen, confirmation.look.others)
    };
    assert_eq!(seen(&[]), (vec![Seen::Settled], 0));
    assert_eq!(seen(&["nar/z"]), (vec![Seen::Settled], 1));
    assert_eq!(seen(&["nar/y", "nar/z"]), (vec![Seen::Pending], 0));
}
