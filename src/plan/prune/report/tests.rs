//! `max-size`: a fixed world in which exactly a list goes, and what is said where it cannot be reached.

use crate::plan::address::Address;
use crate::plan::drops::DropReason;
use crate::plan::guard::{Allowances, check};
use crate::plan::make;
use crate::plan::observed::Observation;
use crate::plan::plan::Plan;
use crate::plan::prune::{UNREACHABLE, look};
use crate::plan::select::Selection;
use crate::plan::simulate::World;
use crate::plan::step::{Op, Scope};
use crate::plan::testing::{addresses, cache, desired, dev, hash, path, world};

fn sections(max_size: &str) -> String {
    format!(
        "caches:\n  dev: {{ type: file, tier: 3, path: /cache/dev, max-size: {max_size} }}\n\
         prune: {{ limits: {{ share: 100% }} }}\n"
    )
}

fn plan(max_size: &str, world: &World) -> Plan {
    world.plan(&desired(&sections(max_size)))
}

/// Names of what goes, sorted, with whether it is for its size.
fn gone(plan: &Plan) -> Vec<(String, bool)> {
    let drops = plan.steps.iter().flat_map(|step| match &step.op {
        Op::Prune { paths, .. } => paths.iter().collect(),
        _ => Vec::new(),
    });
    let mut gone: Vec<(String, bool)> = drops
        .map(|drop| {
            let over = drop.reason == DropReason::OverMaxSize;
            (drop.path.name().to_owned(), over)
        })
        .collect();
    gone.sort();
    gone
}

fn list(words: &str) -> Vec<(String, bool)> {
    let word = |word: &str| match word.strip_suffix('!') {
        Some(name) => (name.to_owned(), true),
        None => (word.to_owned(), false),
    };
    words.split_whitespace().map(word).collect()
}

/// Two releases (silver), a tool (gold), two nightly builds (dust) with a library each and one of all;
/// a pin, foreign content, a young path, and what its retention has ended. 1000 bytes in all.
///
/// In the order in which roots are kept: tool (gold), release-2, release-1 (silver), nightly-2,
/// nightly-1 (dust).
fn store() -> World {
    world()
        .with_cached(
            40,
            &[
                "libc 100",
                "tool 50 libc",
                "release-1 100 libc",
                "release-2 100 libc",
                "lib-1 40",
                "lib-2 60",
                "nightly-1 150 lib-1 libc",
                "nightly-2 150 lib-2 libc",
                "pinned 70 lib-1",
                "foreign 80 libc",
                "ended 90 libc",
            ],
        )
        .with_cached(0, &["young 10 lib-1"])
        .with_pin(40, "other", "v1", "pinned")
        .with_roots(60, "gold", &["tool"])
        .with_roots(20, "silver", &["release-1"])
        .with_roots(10, "silver", &["release-2"])
        .with_roots(6, "dust", &["nightly-1"])
        .with_roots(2, "dust", &["nightly-2"])
        .with_roots(30, "dust", &["ended"])
        .with_roots(0, "dust", &["young"])
}

#[test]
fn exactly_this_goes() {
    // What must stay: pinned 70 + lib-1 40 + foreign 80 + libc 100 + young 10 = 300. With all roots 910.
    for (limit, expected) in [
        (910, "ended"),
        (909, "ended nightly-1!"),
        (760, "ended nightly-1!"),
        // lib-1 stays: the pin needs it. lib-2 goes with nightly-2.
        (759, "ended lib-2! nightly-1! nightly-2!"),
        (550, "ended lib-2! nightly-1! nightly-2!"),
        (549, "ended lib-2! nightly-1! nightly-2! release-1!"),
        (450, "ended lib-2! nightly-1! nightly-2! release-1!"),
        (
            449,
            "ended lib-2! nightly-1! nightly-2! release-1! release-2!",
        ),
        (
            350,
            "ended lib-2! nightly-1! nightly-2! release-1! release-2!",
        ),
        (
            349,
            "ended lib-2! nightly-1! nightly-2! release-1! release-2! tool!",
        ),
        (
            300,
            "ended lib-2! nightly-1! nightly-2! release-1! release-2! tool!",
        ),
        // Not to be reached: nothing goes for it.
        (299, "ended"),
        (1, "ended"),
    ] {
        let plan = plan(&format!("{limit} B"), &store());
        assert_eq!(gone(&plan), list(expected), "max-size: {limit} B");
        assert_eq!(plan.refusals.len(), usize::from(limit < 300), "{limit}");
    }
}

#[test]
fn the_refusal_has_the_numbers_the_setting_and_the_flag() {
    let plan = plan("299 B", &store());
    let [refusal] = plan.refusals.as_slice() else {
        panic!("{:?}", plan.refusals)
    };
    assert_eq!(refusal.code, UNREACHABLE);
    assert_eq!(
        refusal.text,
        "300 B of dev must stay (pins: 110 B, foreign content: 180 B, younger than 24h: 10 B), \
         more than its max-size of 299 B: no root was ended for it"
    );
    assert_eq!(
        refusal.help,
        "raise caches.dev.max-size, or end some of this; or pass --allow max-size=300B to leave it so \
         this once"
    );
    let steps: Vec<_> = refusal.steps.iter().map(Address::as_str).collect();
    assert_eq!(steps, addresses(&plan.steps));
    assert_eq!(plan.caches[0].must_stay, Some(300));
    assert!(plan.advice.is_empty());
}

#[test]
fn it_is_refused_until_it_is_allowed() {
    let plan = plan("299 B", &store());
    let allow = |bytes: Option<u64>| {
        let allowed = Allowances {
            max_size: bytes.map(crate::config::units::Size),
            ..Allowances::default()
        };
        check(&desired(&sections("299 B")), &plan, &allowed).len()
    };
    assert_eq!((allow(None), allow(Some(299)), allow(Some(300))), (1, 1, 0));
}

#[test]
fn where_nothing_goes_the_prune_is_refused_all_the_same() {
    let world = world()
        .with_cached(40, &["pinned 70", "kept 7"])
        .with_roots(1, "dust", &["kept"])
        .with_pin(40, "other", "v1", "pinned");
    let plan = plan("60 B", &world);
    assert!(plan.steps.is_empty());
    assert_eq!(plan.refusals.len(), 1);
    let take = |only: &str, caches: &str, scope| {
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let selection = Selection {
            only: words(only),
            caches: words(caches).iter().map(|name| cache(name)).collect(),
            scope,
        };
        selection.apply(plan.clone()).refusals.len()
    };
    assert_eq!(take("prune", "", None), 1);
    assert_eq!(take("prune/dev", "dev", Some(Scope::Machine)), 1);
    assert_eq!(take("push", "", None), 0);
    assert_eq!(take("", "other", None), 0);
    assert_eq!(
        take("", "", Some(Scope::Shared)),
        0,
        "dev is of this machine"
    );
}

#[test]
fn nothing_is_refused_where_nothing_would_end() {
    let off = sections("1 B").replace("limits: { share: 100% }", "enabled: false");
    assert!(store().plan(&desired(&off)).refusals.is_empty());
    let desired = desired(&sections("1 B"));
    let mut observed = store().observe(&desired);
    dev(&mut observed).partial = Some(crate::plan::observed::Why("it is torn".to_owned()));
    assert!(
        make::plan(&desired, &observed, "digest")
            .refusals
            .is_empty()
    );
}

const PUSH: &str = "push: { paths: [/g] }\n";

/// A cache that `new` comes into; `wanted` is there and wanted.
fn with_push(max_size: &str, new: u64) -> (crate::plan::desired::Desired, World) {
    let world = world()
        .with_store(&[&format!("new {new}"), "wanted 100"])
        .with_cached(40, &["wanted 100", "better-gold 100"])
        .with_roots(3, "dust", &["wanted"])
        .with_roots(5, "gold", &["better-gold"]);
    (desired(&format!("{}{PUSH}", sections(max_size))), world)
}

fn observed(
    desired: &crate::plan::desired::Desired,
    world: &World,
) -> crate::plan::observed::Observed {
    let mut observed = world.observe(desired);
    let given = Observation::Present(vec![path("new"), path("wanted")]);
    observed.given.insert("/g".to_owned(), given);
    observed
}

#[test]
fn what_comes_in_may_be_too_much_only_until_it_is_compressed() {
    let (desired, world) = with_push("150 B", 60);
    let plan = make::plan(&desired, &observed(&desired, &world), "digest");
    assert_eq!(gone(&plan), list("better-gold!"));
    assert!(plan.refusals.is_empty());
    let texts: Vec<&str> = plan
        .advice
        .iter()
        .map(|advice| advice.text.as_str())
        .collect();
    let start = "what must stay is 100 B, and 60 B come in before compression: more than its max-size of 150 B";
    assert!(
        texts.iter().any(|text| text.starts_with(start)),
        "{texts:?}"
    );
    let (desired, world) = with_push("160 B", 60);
    let plan = make::plan(&desired, &observed(&desired, &world), "digest");
    assert!(
        plan.advice
            .iter()
            .all(|advice| !advice.text.contains("come in"))
    );
}

#[test]
fn the_second_look_of_a_prune_keeps_what_is_wanted_though_it_is_of_low_priority() {
    // Room for two of three: what cache.yaml wants stays, the other gold goes.
    let (desired, world) = with_push("250 B", 60);
    let observed = observed(&desired, &world);
    let plan = make::plan(&desired, &observed, "digest");
    assert_eq!(gone(&plan), list("better-gold!"));
    let name = cache("dev");
    let live = |content: &crate::plan::observed::CacheContent| {
        let need = look(&desired, &observed, &name, content).unwrap();
        let is_live = |word: &str| need.live.contains(content.paths.row(&hash(word)).unwrap());
        (is_live("wanted"), is_live("better-gold"))
    };
    // Before `new` is there it counts as coming in; when it is there, only as what it takes.
    let mut before = world.observe(&desired);
    assert_eq!(live(dev(&mut before)), (true, false));
    let mut after = world.with_cached(0, &["new 50"]).observe(&desired);
    assert_eq!(live(dev(&mut after)), (true, true));
}

#[test]
fn the_second_look_takes_pins_as_they_are() {
    let world = world()
        .with_cached(40, &["a"])
        .with_roots(30, "dust", &["a"])
        .with_pin(40, "demo", "no-longer-declared", "a");
    let desired = desired("");
    let mut observed = world.observe(&desired);
    let content = dev(&mut observed).clone();
    assert_eq!(gone(&make::plan(&desired, &observed, "digest")), list("a"));
    let need = look(&desired, &observed, &cache("dev"), &content).unwrap();
    assert_eq!(need.live.len(), 1, "a prune alone removes no pin");
}

#[test]
fn a_size_for_the_command_line_is_the_shortest_that_is_no_smaller() {
    let texts = [1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20].map(super::compact);
    assert_eq!(texts, ["1B", "1048575B", "1MiB", "2MiB", "3MiB"]);
}
