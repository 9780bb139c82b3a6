//! Who gets a root record.

use crate::plan::desired::Desired;
use crate::plan::simulate::World;
use crate::plan::step::Op;
use crate::plan::testing::{class, desired, find, world};

/// The records of a plan, as `class name`, sorted; a new one has a `+`.
fn roots(desired: &Desired, world: &World) -> Vec<String> {
    let plan = world.plan(desired);
    let mut all: Vec<String> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.op {
            Op::Push { roots, .. } => Some(roots),
            _ => None,
        })
        .flatten()
        .map(|root| {
            let sign = if root.new { "+" } else { "" };
            format!("{sign}{} {}", root.class, root.path.name())
        })
        .collect();
    all.sort();
    all
}

const CONTAINER: &str = "artifacts:
  container: { priority: 90, retention: 14d, outputs: ['.#c'] }
  deps: { priority: 100, retention: 7d, match: ['-deps'] }
  system: { priority: 20, retention: 180d, default: true }
";

#[test]
fn system_packages_outlive_the_container_that_brought_them() {
    let desired = desired(CONTAINER);
    let world = world().with_output(".#c", &["image"]).with_store(&[
        "image 1 glibc bash",
        "bash 1 glibc",
        "glibc",
        "gcc",
    ]);
    assert_eq!(
        roots(&desired, &world),
        ["+container image", "+system bash"],
        "the topmost of the class; glibc is below it"
    );
}

#[test]
fn a_higher_priority_is_reason_enough_and_a_lower_one_is_none() {
    let desired = desired(CONTAINER);
    let world = world().with_output(".#c", &["image"]).with_store(&[
        "image 1 x-deps",
        "x-deps 1 y-deps",
        "y-deps",
    ]);
    assert_eq!(
        roots(&desired, &world),
        ["+container image", "+deps x-deps"]
    );
    // Neither longer nor higher: no record of its own.
    let plain = crate::plan::testing::desired(&CONTAINER.replace("priority: 100", "priority: 90"));
    assert_eq!(roots(&plain, &world), ["+container image"]);
    let same = crate::plan::testing::desired(&CONTAINER.replace("180d", "14d"));
    let world = world.with_store(&["image 1 bash", "bash"]);
    assert_eq!(roots(&same, &world), ["+container image"]);
    let longer = crate::plan::testing::desired(&CONTAINER.replace("180d", "15d"));
    assert_eq!(roots(&longer, &world), ["+container image", "+system bash"]);
}

#[test]
fn the_best_top_gives_what_counts() {
    let desired = desired(
        "artifacts:
  long: { priority: 10, retention: 100d, outputs: ['.#long'] }
  high: { priority: 90, retention: 5d, outputs: ['.#high'] }
  mid: { priority: 50, retention: 50d, match: ['-mid'] }
  rest: { priority: 1, retention: 2d, default: true }
",
    );
    let world = world()
        .with_output(".#long", &["long"])
        .with_output(".#high", &["high"])
        .with_store(&[
            "long 1 x-mid y-mid",
            "high 1 x-mid z-mid",
            "x-mid",
            "y-mid",
            "z-mid",
        ]);
    // x-mid gets 100 days and 90 from above; y-mid lacks priority, z-mid retention.
    assert_eq!(
        roots(&desired, &world),
        ["+high high", "+long long", "+mid y-mid", "+mid z-mid"]
    );
}

#[test]
fn the_parts_of_a_held_top_have_roots_of_their_own() {
    let desired = desired("push: { exclude: ['-secret'], paths: ['/nix/store/x'] }");
    let world = world()
        .with_store(&["a-secret 1 b c both", "b 1 c", "c", "both"])
        .with_cached(1, &["both"])
        .with_upstream(&["c", "both"]);
    let mut observed = world.observe(&desired);
    observed.given.insert(
        "/nix/store/x".to_owned(),
        crate::plan::observed::Observation::Present(vec![crate::plan::testing::path("a-secret")]),
    );
    let changes = crate::plan::push::plan(&desired, &observed);
    let Op::Push { roots, paths, .. } = &find(&changes.steps, "push/dev/dust").op else {
        panic!("no push")
    };
    assert_eq!(roots.len(), 1);
    assert_eq!(roots[0].path.name(), "b");
    assert_eq!(roots[0].attr, None);
    assert_eq!(paths.len(), 1, "c is upstream, both is here and upstream");
}

#[test]
fn what_an_upstream_has_too_needs_no_root_of_its_own() {
    // Neither its path in the cache nor the top above it is pushed.
    let desired = desired(CONTAINER);
    let world = world()
        .with_output(".#c", &["image"])
        .with_store(&["image 1 bash", "bash"])
        .with_upstream(&["bash"]);
    assert_eq!(roots(&desired, &world), ["+container image"]);
}

#[test]
fn a_record_that_is_there_is_written_again() {
    let desired = desired(CONTAINER);
    let world = world()
        .with_output(".#c", &["image"])
        .with_store(&["image 1 bash", "bash"])
        .with_cached(3, &["image 1 bash", "bash"])
        .with_roots(3, "container", &["image"])
        .with_roots(3, "container", &["bash"]);
    assert_eq!(roots(&desired, &world), ["+system bash", "container image"]);
    let plan = world.plan(&desired);
    let Op::Push { roots, .. } = &find(&plan.steps, "push/dev/container").op else {
        panic!("no push")
    };
    assert_eq!(roots[0].attr.as_deref(), Some(".#c"));
    assert_eq!(roots[0].class, class("container"));
}
