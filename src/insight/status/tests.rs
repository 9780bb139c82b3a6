use super::*;
use crate::plan::simulate::World;
use crate::plan::testing::{cache, desired, world};

const OUTPUTS: &str = "artifacts:
  gold: { priority: 100, retention: 100d, outputs: ['.#a', '.#b', '.#c', '.#d', '.#e', '.#f'] }
  dust: { priority: 10, retention: 10d, default: true, outputs: ['.#dust'] }
push: { to: { dev: [gold] } }";

fn of(sections: &str, world: &World) -> Status {
    let desired = desired(sections);
    status(&desired, &world.observe(&desired), &world.plan(&desired))
}

fn presence(status: &Status, what: &str) -> Presence {
    let one = status.coverage.iter().find(|one| one.what == what);
    one.unwrap_or_else(|| panic!("{what} is not in {status:#?}"))
        .caches[&cache("dev")]
}

const fn share(has: u64, all: u64, unknown: u64) -> Share {
    Share { has, all, unknown }
}

#[test]
fn each_output_says_how_it_stands() {
    let world = world()
        .with_store(&[
            "a 10 lib",
            "lib 5",
            "b 10 lib-b",
            "lib-b 5",
            "c 10",
            "dust 3",
        ])
        .with_cached(1, &["a 10 lib", "lib 5", "b 10 lib-b"])
        .with_upstream(&["e"])
        .with_output(".#a", &["a"])
        .with_output(".#b", &["b"])
        .with_output(".#c", &["c"])
        .with_output(".#d", &["d"])
        .with_output(".#e", &["e"])
        .with_output(".#dust", &["dust"]);
    let found = of(OUTPUTS, &world);
    assert_eq!(presence(&found, ".#a"), Presence::Whole);
    assert_eq!(presence(&found, ".#b"), Presence::Partly);
    assert_eq!(presence(&found, ".#c"), Presence::ToPush);
    assert_eq!(presence(&found, ".#d"), Presence::ToBuild);
    assert_eq!(presence(&found, ".#e"), Presence::Upstream);
    assert_eq!(presence(&found, ".#f"), Presence::Unknown);
    assert_eq!(presence(&found, ".#dust"), Presence::KeptBack);
    // What does not go there does not count, and what was not evaluated has no system.
    assert_eq!(
        found.share(&cache("dev"), Some("x86_64-linux")),
        share(2, 5, 0)
    );
    assert_eq!(found.share(&cache("dev"), None), share(0, 1, 1));
    assert_eq!(found.systems(), [Some("x86_64-linux"), None]);
    assert!(found.pending.changes > 0);
}

#[test]
fn a_closure_that_an_upstream_completes_is_whole() {
    let world = world()
        .with_store(&["a 10 lib", "lib 5"])
        .with_cached(1, &["a 10 lib"])
        .with_upstream(&["lib"])
        .with_output(".#a", &["a"]);
    let sections =
        "artifacts: { all: { priority: 1, retention: 9d, default: true, outputs: ['.#a'] } }";
    assert_eq!(presence(&of(sections, &world), ".#a"), Presence::Whole);
}

#[test]
fn of_several_paths_the_worst_counts() {
    let world = world()
        .with_store(&["a 10", "a-dev 5"])
        .with_cached(1, &["a 10"])
        .with_output(".#a", &["a", "a-dev"]);
    let sections =
        "artifacts: { all: { priority: 1, retention: 9d, default: true, outputs: ['.#a'] } }";
    assert_eq!(presence(&of(sections, &world), ".#a"), Presence::ToPush);
}

#[test]
fn what_could_not_be_seen_is_unknown_and_says_why() {
    let world = world().hide("dev").with_output(".#a", &["a"]);
    let found = of(OUTPUTS, &world);
    assert_eq!(presence(&found, ".#a"), Presence::Unknown);
    assert_eq!(found.caches[0].budget, None);
    assert!(found.caches[0].unseen.is_some(), "{found:#?}");
    assert!(!found.unknowns.is_empty());
}
