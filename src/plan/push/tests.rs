//! The push steps: order, batches, builds, and what is said.

use super::*;
use crate::plan::desired::Desired;
use crate::plan::observed::Why;
use crate::plan::plan::HeldReason;
use crate::plan::simulate::World;
use crate::plan::step::PathToPush;
use crate::plan::testing::{addresses, cache, desired, dev, find, hash, names, path, world};

fn changes(desired: &Desired, world: &World, given: &str) -> Changes {
    let mut observed = world.observe(desired);
    let given = given.split_whitespace().map(path).collect();
    observed
        .given
        .insert("/g".to_owned(), Observation::Present(given));
    plan(desired, &observed)
}

fn by_rank(changes: &Changes) -> Vec<String> {
    let mut all: Vec<&PathToPush> = changes
        .steps
        .iter()
        .filter_map(|step| match &step.op {
            Op::Push { paths, .. } => Some(paths),
            _ => None,
        })
        .flatten()
        .collect();
    all.sort_by_key(|path| path.rank);
    names(all.iter().map(|path| &path.path))
        .into_iter()
        .map(str::to_owned)
        .collect()
}

const GIVEN: &str = "push: { paths: [/g] }";

#[test]
fn the_highest_priority_is_first_and_closures_are_finished() {
    let world = world().with_store(&[
        "one 10 low-one",
        "low-one 10",
        "two 10 low-two x-gold",
        "low-two 10",
        "x-gold 10 base",
        "base 10",
    ]);
    let changes = changes(&desired(GIVEN), &world, "one two");
    assert_eq!(
        by_rank(&changes),
        ["base", "x-gold", "low-one", "one", "low-two", "two"]
    );
    assert_eq!(
        addresses(&changes.steps),
        ["push/dev/gold", "push/dev/dust"],
        "the highest class first"
    );
    let dust = find(&changes.steps, "push/dev/dust");
    assert_eq!((dust.effect.paths, dust.effect.bytes), (5, 50));
    assert_eq!(dust.because.rule, "dust is pushed to dev");
    let gold = find(&changes.steps, "push/dev/gold");
    assert_eq!(gold.because.rule, "needed by two (dust)");
    assert_eq!(dust.known, Known::Now);
    let waits: Vec<_> = dust.waits_for.iter().map(ToString::to_string).collect();
    assert_eq!(waits, ["setup/dev/cache", "setup/dev/signing-key"]);
    assert_eq!(changes.compared, 6);
}

const OUTPUT: &str = "push: { limits: { after-build: 1 GiB } }
artifacts:
  gold: { priority: 100, retention: 100d, outputs: ['.#a'] }
  dust: { priority: 10, retention: 10d, default: true }
";

#[test]
fn what_is_not_built_is_a_build_and_a_selector() {
    let world = world().with_output(".#a", &["a"]);
    let changes = changes(&desired(OUTPUT), &world, "");
    assert_eq!(
        addresses(&changes.steps),
        ["push/dev/gold", "push/build/.#a"]
    );
    let push = find(&changes.steps, "push/dev/gold");
    let Op::Push {
        selectors, paths, ..
    } = &push.op
    else {
        panic!()
    };
    assert!(paths.is_empty());
    assert_eq!(selectors[0].installable, ".#a");
    assert_eq!(selectors[0].outputs, [path("a")]);
    let Known::After { steps, cap } = &push.known else {
        panic!()
    };
    assert_eq!(*steps, [build_address(".#a")]);
    assert_eq!(*cap, Some(1 << 30));
    let build = find(&changes.steps, "push/build/.#a");
    assert_eq!(build.effect.paths, 1);
    assert_eq!(build.revision, Some(path("x.drv").to_string()));
    assert_eq!(build.because.rule, "an output of gold");
}

#[test]
fn a_build_whose_class_does_not_go_there_is_shown_under_the_highest_that_does() {
    let sections = "artifacts:
  gold: { priority: 100, retention: 100d, outputs: ['.#a'] }
  low: { priority: 5, retention: 10d, match: ['-low'] }
  mid: { priority: 10, retention: 10d, default: true }
  same: { priority: 10, retention: 10d, match: ['-same'] }
push: { to: { dev: [low, mid, same] } }
";
    let world = world().with_output(".#a", &["a"]);
    let changes = changes(&desired(sections), &world, "");
    assert_eq!(
        addresses(&changes.steps),
        ["push/dev/mid", "push/build/.#a"]
    );
}

#[test]
fn another_system_is_advice_and_not_a_build() {
    let mut world = world().with_output(".#a", &["a"]);
    world.outputs.get_mut(".#a").unwrap().system = Some("riscv64-linux".to_owned());
    let changes = changes(&desired(OUTPUT), &world, "");
    assert!(changes.steps.is_empty());
    assert_eq!(changes.advice.len(), 1);
    assert!(changes.advice[0].text.contains("riscv64-linux"));
}

#[test]
fn a_hidden_cache_gets_nothing_and_says_so() {
    let world = world().with_store(&["a"]).hide("dev");
    let all = changes(&desired(GIVEN), &world, "a");
    assert!(all.steps.is_empty());
    assert_eq!(all.unknowns[0].effect, "nothing is pushed to it");
    let off = desired("push: { enabled: false, paths: [/g] }");
    assert!(
        changes(&off, &crate::plan::testing::world().with_store(&["a"]), "a")
            .steps
            .is_empty()
    );
}

#[test]
fn what_is_held_back_is_named_by_reason() {
    let desired = desired("push: { paths: [/g], exclude: ['-source$'] }");
    let world = world()
        .with_store(&["a 1 x-source up", "x-source 5", "up"])
        .with_upstream(&["up"]);
    let changes = changes(&desired, &world, "a");
    let reasons: Vec<_> = changes
        .held_back
        .iter()
        .map(|held| (&held.reason, held.paths.len()))
        .collect();
    assert_eq!(
        reasons,
        [
            (&HeldReason::Upstream(cache("up")), 1),
            (&HeldReason::Excluded, 1),
            (&HeldReason::NeedsHeld, 1)
        ]
    );
    assert_eq!(changes.held_back[2].paths[0].needs, Some(path("x-source")));
    assert_eq!(changes.held_back[1].paths[0].nar_size, 5);
}

#[test]
fn paths_that_nobody_signs_are_advice_only_when_they_are_pushed() {
    let world = world().with_store(&["a"]);
    let advice = |sections: &str, given: &str| changes(&desired(sections), &world, given).advice;
    assert_eq!(advice(GIVEN, "a").len(), 1);
    assert!(advice(GIVEN, "").is_empty());
    let signed = "caches:\n  dev: { type: file, tier: 3, path: /cache/dev, signing-key: { file: /k } }\npush: { paths: [/g] }";
    assert!(advice(signed, "a").is_empty());
}

#[test]
fn refusals_name_the_pushes_that_they_stop() {
    let desired = desired(
        "push: { paths: [/g], limits: { unasked: 100 B }, exclude: ['-source$'], exclude-needed: refuse }",
    );
    let run = |size: u64, given: &str| {
        let world = world().with_store(&["c 1 x-source", "x-source", &format!("a {size}"), "b 40"]);
        let mut observed = world.observe(&desired);
        let paths = given.split_whitespace().map(path).collect();
        observed
            .given
            .insert("/g".to_owned(), Observation::Present(paths));
        let up = observed.upstreams.get_mut(&cache("up")).unwrap();
        up.unanswered = [hash("a"), hash("b")].into();
        plan(&desired, &observed)
    };
    assert!(run(60, "a b").refusals.is_empty(), "as much as the limit");
    let over = run(61, "a b");
    assert_eq!(over.refusals.len(), 1);
    assert_eq!(over.refusals[0].code, "push-unasked");
    assert_eq!(
        over.refusals[0].steps,
        [crate::plan::address::push_address(&cache("dev"), "dust")]
    );
    assert!(over.refusals[0].text.starts_with("101 B of NAR"));
    assert!(over.unseen.contains(&cache("dev")));
    let needs = run(1, "c");
    assert_eq!(needs.refusals[0].code, "push-needs-excluded");
    assert!(
        needs.refusals[0]
            .text
            .contains("-c would be pushed to dev but needs")
    );
    assert!(!run(1, "x-source").unseen.contains(&cache("dev")));
}

#[test]
fn upstreams_are_asked_for_what_the_cache_lacks() {
    let desired = desired(
        "push: { paths: [/g] }\nartifacts: { dust: { priority: 1, retention: 10d, default: true, outputs: ['.#o'] } }",
    );
    let world = world()
        .with_store(&["a 1 b", "b", "c"])
        .with_cached(1, &["b"])
        .with_output(".#o", &["o"]);
    let mut observed = world.observe(&desired);
    observed
        .given
        .insert("/g".to_owned(), Observation::Present(vec![path("a")]));
    let expected: BTreeSet<_> = [hash("a"), hash("o")].into();
    assert_eq!(questions(&desired, &observed), expected);
    crate::plan::testing::dev(&mut observed).narinfos[0].set_nar(None);
    assert!(
        questions(&desired, &observed).contains(&hash("b")),
        "its NAR is missing"
    );
    let off = crate::plan::testing::desired("push: { enabled: false, paths: [/g] }");
    assert!(questions(&off, &observed).is_empty());
    observed.caches.clear();
    assert!(questions(&desired, &observed).is_empty());
}

/// What the push of a whole plan to `dev` relies on.
fn relied(desired: &Desired, observed: &Observed) -> Reliance {
    let steps = plan(desired, observed).steps;
    let roots: Vec<_> = roots_to_write(&steps, &cache("dev")).cloned().collect();
    reliance(desired, observed, &cache("dev"), &roots)
}

#[test]
fn a_push_relies_on_what_its_tops_reach() {
    let desired = desired(GIVEN);
    let world = world()
        .with_store(&["a 1 b up", "b", "up"])
        .with_cached(1, &["b"])
        .with_upstream(&["up"]);
    let mut observed = world.observe(&desired);
    observed
        .given
        .insert("/g".to_owned(), Observation::Present(vec![path("a")]));
    let found = relied(&desired, &observed);
    let changes = plan(&desired, &observed);
    let set = |words: &[&str]| words.iter().map(|word| hash(word)).collect::<BTreeSet<_>>();
    assert_eq!(
        found.closure.into_iter().collect::<BTreeSet<_>>(),
        set(&["a", "b"])
    );
    assert_eq!(found.upstream, [hash("up")]);
    assert_eq!(changes.relied_on[&cache("dev")].len(), 2);
    // What is not pushed, because only a part of the plan was chosen, is not relied on either.
    let none = reliance(&desired, &observed, &cache("dev"), &[]);
    assert!(none.closure.is_empty(), "{none:?}");
}

#[test]
fn a_push_relies_on_what_only_the_cache_has() {
    let desired = desired(GIVEN);
    let mut observed = world().with_cached(1, &["a 1 b", "b"]).observe(&desired);
    let given = Observation::Present(vec![path("a")]);
    observed.given.insert("/g".to_owned(), given);
    let found = relied(&desired, &observed);
    assert_eq!(found.closure.len(), 2);
    assert!(found.upstream.is_empty());
}

#[test]
fn a_cache_that_takes_no_push_is_passed_over() {
    let caches = |push: &str| {
        let sections = format!(
            "caches:
  one: {{ type: file, tier: 1, path: /1 }}
  two: {{ type: file, tier: 1, path: /2 }}
push: {{ paths: [/g], {push} }}"
        );
        let changes = changes(&desired(&sections), &world().with_store(&["a"]), "a");
        let of: Vec<String> = changes.relied_on.keys().map(ToString::to_string).collect();
        for (name, roots) in [("one", 1), ("two", 0), ("three", 0)] {
            let roots = roots * usize::from(of.contains(&name.to_owned()));
            assert_eq!(roots_to_write(&changes.steps, &cache(name)).count(), roots);
        }
        assert_eq!(changes.steps.len(), of.len());
        assert!(changes.held_back.is_empty());
        of
    };
    assert_eq!(caches("to: { one: [dust] }"), ["one"]);
    assert!(caches("to: { one: [dust] }, enabled: false").is_empty());
}

#[test]
fn an_error_is_said_once_and_what_does_not_depend_on_it_is_planned() {
    let desired = desired(
        "artifacts:
  gold: { priority: 50, match: ['x-'], outputs: ['.#a', '.#b', '.#good'] }
  dust: { priority: 10, default: true }
prune: { limits: { share: 100% } }",
    );
    let world = world()
        .with_store(&["x-good 10"])
        .with_output(".#good", &["x-good"])
        .with_cached(900, &["old 10"])
        .with_roots(900, "dust", &["old"]);
    let mut observed = world.observe(&desired);
    let why = Why("broken".to_owned());
    for name in [".#a", ".#b"] {
        let error = Observation::Error(why.clone());
        observed.outputs.insert(name.to_owned(), error);
    }
    let plan = crate::plan::make::plan(&desired, &observed, "digest");
    assert_eq!(plan.errors.len(), 1, "{:?}", plan.errors);
    assert_eq!(plan.errors[0].what, [".#a", ".#b"]);
    assert_eq!(plan.errors[0].why, why);
    assert!(plan.unknowns.is_empty(), "{:?}", plan.unknowns);
    // Nothing ends while something that is wanted cannot be said.
    assert_eq!(addresses(&plan.steps), ["push/dev/gold"]);
    observed.outputs.retain(|name, _| name == ".#good");
    for name in [".#a", ".#b"] {
        observed
            .outputs
            .insert(name.to_owned(), Observation::Absent);
    }
    let plan = crate::plan::make::plan(&desired, &observed, "digest");
    assert_eq!(
        addresses(&plan.steps),
        ["push/dev/gold", "prune/dev/dust"],
        "the prune was held back by the errors alone"
    );
}

#[test]
fn what_only_lacks_our_signature_is_signed_where_it_is_wanted_and_here() {
    let world = world()
        .with_store(&["top 9 low", "low 5", "x-source 1"])
        .with_cached(3, &["top 9 low", "low 5", "foreign 7"])
        .with_roots(3, "dust", &["top"]);
    let signs = |sections: &str, unsigned: &[&str]| {
        let desired = desired(sections);
        let mut observed = world.observe(&desired);
        let given = Observation::Present(vec![path("top")]);
        observed.given.insert("/g".to_owned(), given);
        let mut hashes: Vec<HashPart> = unsigned.iter().map(|name| hash(name)).collect();
        hashes.sort();
        dev(&mut observed).unsigned = hashes;
        let plan = crate::plan::make::plan(&desired, &observed, "digest");
        let paths: Vec<(String, bool)> = plan
            .steps
            .iter()
            .flat_map(|step| match &step.op {
                Op::Push { paths, .. } => {
                    assert_eq!(
                        (step.effect.bytes, step.effect.paths),
                        (0, paths.len() as u64)
                    );
                    assert_eq!(step.is_change(), !paths.is_empty());
                    paths.clone()
                }
                _ => Vec::new(),
            })
            .map(|path| (path.path.name().to_owned(), path.sign))
            .collect();
        let sum = crate::plan::summary::Summary::of(&plan);
        assert_eq!(
            (sum.sign, sum.push_paths, sum.push_bytes),
            (paths.len() as u64, 0, 0)
        );
        assert_eq!(plan.caches[0].bytes_after, plan.caches[0].bytes);
        paths
    };
    let wanted = "push: { paths: [/g] }";
    let low = [("low".to_owned(), true)];
    assert_eq!(signs(wanted, &["low", "foreign", "x-source"]), low);
    assert!(signs(wanted, &[]).is_empty());
    assert!(signs("push: { enabled: false, paths: [/g] }", &["low"]).is_empty());
    let other = "push: { paths: [/g], to: { dev: [gold] } }";
    assert!(
        signs(other, &["low"]).is_empty(),
        "its class does not go there"
    );
}

#[test]
fn what_is_compressed_otherwise_is_compressed_anew_and_signed_with_that() {
    let world = world()
        .with_store(&["top 9 low", "low 5"])
        .with_cached(3, &["top 9 low", "low 5", "foreign 7"])
        .with_roots(3, "dust", &["top"]);
    let desired = desired("push: { paths: [/g] }");
    let mut observed = world.observe(&desired);
    let given = Observation::Present(vec![path("top")]);
    observed.given.insert("/g".to_owned(), given);
    let sorted = |names: &[&str]| {
        let mut hashes: Vec<HashPart> = names.iter().map(|name| hash(name)).collect();
        hashes.sort();
        hashes
    };
    dev(&mut observed).unsigned = sorted(&["low", "top"]);
    dev(&mut observed).otherwise = sorted(&["low", "foreign"]);
    let plan = crate::plan::make::plan(&desired, &observed, "digest");
    let paths = plan.steps.iter().flat_map(|step| match &step.op {
        Op::Push { paths, .. } => paths.clone(),
        _ => Vec::new(),
    });
    let mut paths: Vec<(String, bool, bool)> = paths
        .map(|path| (path.path.name().to_owned(), path.sign, path.recompress))
        .collect();
    paths.sort();
    let expected = [("low", false, true), ("top", true, false)];
    assert_eq!(
        paths,
        expected.map(|(name, sign, anew)| (name.to_owned(), sign, anew))
    );
    let sum = crate::plan::summary::Summary::of(&plan);
    let low = 5;
    assert_eq!(
        (sum.sign, sum.recompress, sum.recompress_bytes),
        (1, 1, low)
    );
    assert_eq!((sum.push_paths, sum.push_bytes), (0, 0));
    assert_eq!(plan.caches[0].bytes_after, plan.caches[0].bytes);
}

/// What is wanted itself, but not here, comes along for what needs it and for no other reason.
#[test]
fn a_path_of_a_class_that_does_not_go_here_names_what_brings_it() {
    let sections = "push: { paths: [/g], to: { dev: [dust] } }";
    let world = world().with_store(&["top 10 x-gold", "x-gold 10"]);
    let changes = changes(&desired(sections), &world, "x-gold top");
    let gold = find(&changes.steps, "push/dev/gold");
    assert_eq!(gold.because.rule, "needed by top (dust)");
}
