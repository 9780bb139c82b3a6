//! The core's promises, on random worlds with a hidden truth: a second plan is empty; any prefix
//! of the steps, then a new plan, ends the same; nothing live goes; an unknown deletes nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "reconcile/world.rs"]
mod world;

use std::collections::BTreeSet;

use nanna_cache::config::model::CacheName;
use nanna_cache::plan::make;
use nanna_cache::plan::plan::Plan;
use nanna_cache::plan::prune::UNREACHABLE;
use nanna_cache::plan::simulate::World;
use nanna_cache::plan::stages::stages;
use nanna_cache::plan::step::{Known, Op};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use world::{Case, Traits};

/// Cases of each property.
const CASES: u32 = 1_000;

/// The same worlds each time, so that a failure is a change's own; `NANNA_SEED=7 NANNA_CASES=20000`
/// looks at others.
fn config() -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: number("NANNA_CASES").map_or(CASES, |cases| u32::try_from(cases).unwrap()),
        rng_seed: RngSeed::Fixed(number("NANNA_SEED").unwrap_or(1)),
        ..ProptestConfig::default()
    }
}

fn plan(case: &Case, world: &World) -> Plan {
    make::plan(&case.desired, &world.observe(&case.desired), "digest")
}

/// Runs all of a plan, then plans again. Where an upstream could not be asked, what it may have is pushed
/// and nothing ends; with that done there is no question left, and a second run prunes. What a build
/// brings is not known before, so it is the next run that ends roots to make room for it.
fn settle(case: &Case, world: &mut World) -> Plan {
    let mut more = usize::from(world.hidden.contains("up"));
    let limited = case
        .desired
        .caches
        .values()
        .any(|cache| cache.max_size.is_some());
    let mut first = true;
    loop {
        let plan = plan(case, world);
        if first && limited && plan.steps.iter().any(|step| step.known != Known::Now) {
            more += 1;
        }
        first = false;
        world.run(&case.desired, &plan, usize::MAX, 0);
        if more == 0 {
            break;
        }
        more -= 1;
    }
    plan(case, world)
}

fn changes(plan: &Plan) -> Vec<String> {
    plan.steps
        .iter()
        .filter(|step| step.is_change())
        .map(|step| format!("{} {:?}", step.address, step.op))
        .collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn second_plan_is_empty(seed in any::<u64>()) {
        let case = Case::random(seed);
        let mut world = case.world.clone();
        let second = settle(&case, &mut world);
        prop_assert_eq!(changes(&second), Vec::<String>::new(), "seed {}", seed);
    }

    #[test]
    fn any_prefix_can_be_finished(seed in any::<u64>(), cut in 0usize..12, part in 0usize..9) {
        let case = Case::random(seed);
        let mut whole = case.world.clone();
        settle(&case, &mut whole);

        let mut broken = case.world.clone();
        let first = plan(&case, &broken);
        broken.run(&case.desired, &first, cut % (stages(&first.steps).len() + 1), part);
        let last = settle(&case, &mut broken);
        prop_assert_eq!(changes(&last), Vec::<String>::new(), "seed {}", seed);
        prop_assert_eq!(world::state(&broken), world::state(&whole), "seed {}", seed);
    }

    #[test]
    fn nothing_live_goes(seed in any::<u64>()) {
        let case = Case::random(seed);
        let mut world = case.world.clone();
        let live = world::live(&case, &world);
        let dangling = world::dangling(&world);
        settle(&case, &mut world);
        for (cache, paths) in &live {
            let left: BTreeSet<_> = world.caches[cache].narinfos.keys().copied().collect();
            let lost: Vec<_> = paths.difference(&left).collect();
            prop_assert!(lost.is_empty(), "seed {}: {} lost {:?}", seed, cache, lost);
        }
        // Whatever had its references still has them, and what came has them too.
        let now = world::dangling(&world);
        let fresh: Vec<_> = now.difference(&dangling).collect();
        prop_assert!(fresh.is_empty(), "seed {}: {:?}", seed, fresh);
    }

    #[test]
    fn unknown_deletes_nothing(seed in any::<u64>(), hide in 0usize..6) {
        let case = Case::random(seed);
        let mut dim = case.world.clone();
        dim.hidden.extend(case.names_of_kind(hide));
        let dropped = world::dropped(&plan(&case, &dim));
        let seen = world::dropped(&plan(&case, &case.world));
        let fresh: Vec<_> = dropped.difference(&seen).collect();
        prop_assert!(fresh.is_empty(), "seed {}: {:?}", seed, fresh);
        for name in case.desired.caches.keys().filter(|name| dim.hidden.contains(name.as_str())) {
            let hidden = dropped.iter().any(|(cache, _)| cache == name);
            prop_assert!(!hidden, "seed {}: something goes from {}, which is hidden", seed, name);
        }
    }

    #[test]
    fn equal_worlds_give_equal_plans(seed in any::<u64>()) {
        let (one, two) = (Case::random(seed), Case::random(seed));
        let one = serde_json::to_string(&plan(&one, &one.world)).unwrap();
        let two = serde_json::to_string(&plan(&two, &two.world)).unwrap();
        prop_assert_eq!(one, two);
    }

    #[test]
    fn a_plan_survives_being_saved(seed in any::<u64>()) {
        let case = Case::random(seed);
        let plan = plan(&case, &case.world);
        let text = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }

    #[test]
    fn longer_retention_never_drops_more(seed in any::<u64>(), factor in 2u64..5) {
        let case = Case::random(seed).without_max_size();
        let longer = case.clone().with_longer_retention(factor);
        let few = world::dropped_paths(&plan(&longer, &longer.world));
        let many = world::dropped_paths(&plan(&case, &case.world));
        prop_assert!(few.is_subset(&many), "seed {}", seed);
    }

    #[test]
    fn larger_max_size_never_drops_more(seed in any::<u64>(), factor in 2u64..5) {
        let case = Case::random(seed);
        let larger = case.clone().with_larger_max_size(factor);
        let few = world::dropped_paths(&plan(&larger, &larger.world));
        let tight = plan(&case, &case.world);
        let many = world::dropped_paths(&tight);
        // A limit that cannot be reached is refused, and then nothing ends for it.
        let refused = |cache: &CacheName| tight.refusals.iter().any(|refusal| {
            let prefix = format!("prune/{cache}");
            refusal.code == UNREACHABLE && refusal.steps.iter().all(|step| step.is_in(&prefix))
        });
        let fresh: Vec<_> = few.difference(&many).filter(|(cache, _)| !refused(cache)).collect();
        prop_assert!(fresh.is_empty(), "seed {}: {:?}", seed, fresh);
    }

    #[test]
    fn what_is_refused_for_its_size_loses_as_much_as_without_a_limit(seed in any::<u64>()) {
        let case = Case::random(seed);
        let tight = plan(&case, &case.world);
        let free = case.without_max_size();
        let free = world::dropped_paths(&plan(&free, &free.world));
        for refusal in tight.refusals.iter().filter(|refusal| refusal.code == UNREACHABLE) {
            let of = |paths: &BTreeSet<(CacheName, _)>| -> BTreeSet<_> {
                let here = |cache: &CacheName| refusal.steps[0].is_in(&format!("prune/{cache}"));
                paths.iter().filter(|(cache, _)| here(cache)).cloned().collect()
            };
            prop_assert_eq!(of(&world::dropped_paths(&tight)), of(&free), "seed {}", seed);
        }
    }

    #[test]
    fn steps_are_never_said_twice(seed in any::<u64>()) {
        let case = Case::random(seed);
        let plan = plan(&case, &case.world);
        let addresses: BTreeSet<_> = plan.steps.iter().map(|step| &step.address).collect();
        prop_assert_eq!(addresses.len(), plan.steps.len(), "seed {}", seed);
        let pushes = plan.steps.iter().filter_map(|step| match &step.op {
            Op::Push { cache, paths, .. } => Some((cache, paths)),
            _ => None,
        });
        let mut pushed = BTreeSet::new();
        for (cache, paths) in pushes {
            for path in paths {
                prop_assert!(pushed.insert((cache.clone(), path.path.hash())), "seed {}", seed);
            }
        }
    }
}

/// The worlds are worth the trouble: each of the hard things is in at least one of five.
#[test]
fn the_worlds_are_hard_enough() {
    let mut counts = Traits::default();
    for seed in 0..u64::from(CASES) {
        let case = Case::random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let first = plan(&case, &case.world);
        counts.count(&case, &first);
    }
    for (what, number) in counts.all() {
        assert!(
            number * 5 >= CASES,
            "only {number} of {CASES} worlds have {what}"
        );
    }
}
