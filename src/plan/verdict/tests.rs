//! What happens to each path of a small closure, in each case.

use super::*;
use crate::plan::desired::Desired;
use crate::plan::observed::{Observation, Observed};
use crate::plan::simulate::World;
use crate::plan::testing::{cache, desired, dev, hash, path, world};

fn observe(desired: &Desired, world: &World, given: &str) -> Observed {
    let mut observed = world.observe(desired);
    let given = given.split_whitespace().map(path).collect();
    observed
        .given
        .insert("/g".to_owned(), Observation::Present(given));
    observed
}

fn verdicts(desired: &Desired, mut observed: Observed) -> Vec<String> {
    let content = dev(&mut observed).clone();
    let wanted = Wanted::resolve(desired, &observed, &content);
    let verdicts = judge(desired, &observed, &cache("dev"), &content, &wanted);
    let name = |row: Row| wanted.paths.name(row).to_owned();
    let mut all: Vec<String> = wanted
        .paths
        .rows()
        .map(|row| {
            let what = match &verdicts.of[row as usize] {
                Verdict::Present => "present".to_owned(),
                Verdict::Push { unasked: true } => "push?".to_owned(),
                Verdict::Push { unasked: false } => "push".to_owned(),
                Verdict::Held { reason, needs } => {
                    let needs = needs.map(|row| format!(" {}", name(row)));
                    format!("{reason:?}{}", needs.unwrap_or_default())
                }
            };
            assert_eq!(
                verdicts.kept.contains(row),
                what == "present" || what.starts_with("push"),
                "kept"
            );
            assert_eq!(verdicts.pushed.contains(row), what.starts_with("push"));
            format!("{}: {what}", name(row))
        })
        .collect();
    for (row, needs) in &verdicts.refused {
        all.push(format!("refused {} {}", name(*row), name(*needs)));
    }
    all.sort();
    all
}

/// a → b → x-source → c, and d beside.
fn chain() -> World {
    world().with_store(&["a 1 b", "b 1 x-source", "x-source 1 c", "c", "d 1 c"])
}

fn with(policy: &str) -> Desired {
    desired(&format!(
        "push: {{ paths: [/g], exclude: ['-source$'], exclude-needed: {policy} }}"
    ))
}

#[test]
fn hold_back_takes_the_referrers_along() {
    let desired = with("hold-back");
    assert_eq!(
        verdicts(&desired, observe(&desired, &chain(), "a d")),
        [
            "a: NeedsHeld x-source",
            "b: NeedsHeld x-source",
            "c: push",
            "d: push",
            "x-source: Excluded"
        ]
    );
}

#[test]
fn push_takes_the_excluded_path_along_only_if_it_is_needed() {
    let desired = with("push");
    assert_eq!(
        verdicts(&desired, observe(&desired, &chain(), "a")),
        ["a: push", "b: push", "c: push", "x-source: push"]
    );
    assert_eq!(
        verdicts(&desired, observe(&desired, &chain(), "x-source")),
        ["c: push", "x-source: Excluded"]
    );
}

#[test]
fn refuse_names_both_paths() {
    let desired = with("refuse");
    let all = verdicts(&desired, observe(&desired, &chain(), "a"));
    let refused: Vec<_> = all
        .iter()
        .filter(|line| line.starts_with("refused"))
        .collect();
    assert_eq!(refused, ["refused a x-source", "refused b x-source"]);
    assert!(
        verdicts(&desired, observe(&desired, &chain(), "d"))
            .iter()
            .all(|line| line.ends_with("push"))
    );
}

#[test]
fn an_upstream_ends_the_chain() {
    let desired = with("hold-back");
    let world = chain().with_upstream(&["x-source"]);
    assert_eq!(
        verdicts(&desired, observe(&desired, &world, "a")),
        [
            "a: push",
            "b: push",
            "c: push",
            "x-source: Upstream(CacheName(\"up\"))"
        ]
    );
}

#[test]
fn a_cache_that_has_it_ends_the_chain_but_not_without_its_nar() {
    let desired = with("hold-back");
    let world = chain().with_cached(1, &["x-source 1 c"]);
    let whole = verdicts(&desired, observe(&desired, &world, "a"));
    assert_eq!(
        whole,
        ["a: push", "b: push", "c: push", "x-source: present"]
    );
    let mut observed = observe(&desired, &world, "a");
    dev(&mut observed).narinfos[0].set_nar(None);
    let broken = verdicts(&desired, observed);
    assert_eq!(broken[0], "a: NeedsHeld x-source");
}

#[test]
fn a_path_may_be_as_large_as_its_class_allows() {
    let desired = desired("defaults: { max-path-size: 100 B }\npush: { paths: [/g] }");
    let world = world().with_store(&["fits 100", "large 101"]);
    assert_eq!(
        verdicts(&desired, observe(&desired, &world, "fits large")),
        ["fits: push", "large: TooLarge"]
    );
}

#[test]
fn a_class_that_does_not_go_there_goes_only_where_it_is_needed() {
    let desired = desired("push: { paths: [/g], to: { dev: [gold] } }");
    let world = world().with_store(&["a-gold 1 b", "b", "c 1 b", "d"]);
    assert_eq!(
        verdicts(&desired, observe(&desired, &world, "a-gold c d")),
        ["a-gold: push", "b: push", "c: OtherClass", "d: OtherClass"]
    );
}

#[test]
fn an_upstream_that_does_not_answer_leaves_a_mark() {
    let desired = desired("push: { paths: [/g] }");
    let world = world().with_store(&["a 1 b", "b"]).with_cached(1, &["b"]);
    let mut observed = observe(&desired, &world, "a");
    let up = observed.upstreams.get_mut(&cache("up")).unwrap();
    up.unanswered = [hash("a"), hash("b")].into();
    assert_eq!(
        verdicts(&desired, observed.clone()),
        ["a: push?", "b: present"]
    );
    let unasked = |observed: &mut Observed| {
        let content = dev(observed).clone();
        let wanted = Wanted::resolve(&desired, observed, &content);
        judge(&desired, observed, &cache("dev"), &content, &wanted).unasked
    };
    assert!(unasked(&mut observed));
    let up = observed.upstreams.get_mut(&cache("up")).unwrap();
    up.unanswered = [hash("b")].into();
    assert!(
        !unasked(&mut observed),
        "what is there need not be asked for"
    );
}
