//! What is left of a plan when only a part of it is asked for.

use super::*;
use crate::plan::address::Phase;
use crate::plan::plan::Refusal;
use crate::plan::testing::{addresses, cache, desired, path, world};

/// A cache to be made, a push, an export and a prune.
fn whole() -> Plan {
    let desired = desired(
        "caches:
  dev: { type: file, tier: 3, path: /cache/dev, nix-priority: 30 }
  two: { type: file, tier: 2, path: /cache/two, nix-priority: 40 }
push: { paths: [/g], exclude: ['-source$'] }
optimize: { cores: 2 }
",
    );
    let mut world = world()
        .with_store(&["a", "x-source"])
        .with_cached(400, &["old"])
        .with_roots(300, "dust", &["old"]);
    world.environment.github_env = Some("/env".to_owned());
    let mut observed = world.observe(&desired);
    let given = vec![path("a"), path("x-source")];
    observed.given.insert(
        "/g".to_owned(),
        crate::plan::observed::Observation::Present(given),
    );
    let mut plan = crate::plan::make::plan(&desired, &observed, "digest");
    for (code, steps) in [
        ("all", vec![]),
        ("push", vec!["push/dev/dust"]),
        ("prune", vec!["prune/dev/dust", "prune/dev/gold"]),
    ] {
        let named = plan
            .steps
            .iter()
            .filter(|step| steps.contains(&step.address.as_str()));
        plan.refusals.push(Refusal {
            steps: named.map(|step| step.address.clone()).collect(),
            code: code.to_owned(),
            text: String::new(),
            help: String::new(),
        });
    }
    plan
}

fn only(parts: &[&str]) -> Plan {
    let selection = Selection {
        only: parts.iter().map(ToString::to_string).collect(),
        ..Selection::default()
    };
    assert!(!selection.is_all());
    selection.apply(whole())
}

fn codes(plan: &Plan) -> Vec<&str> {
    plan.refusals
        .iter()
        .map(|refusal| refusal.code.as_str())
        .collect()
}

#[test]
fn everything_is_everything() {
    assert!(Selection::default().is_all());
    assert_eq!(Selection::default().apply(whole()), whole());
    assert_eq!(
        addresses(&whole().steps),
        [
            "setup/two/cache",
            "push/dev/dust",
            "push/two/dust",
            "optimize/job/NIX_CONFIG",
            "prune/dev/dust"
        ]
    );
}

#[test]
fn a_phase_keeps_its_steps_and_what_concerns_them() {
    let push = only(&["push"]);
    assert_eq!(addresses(&push.steps), ["push/dev/dust", "push/two/dust"]);
    assert_eq!(codes(&push), ["all", "push", "setup-first"]);
    assert_eq!(push.held_back.len(), 2);
    assert_eq!(push.caches.len(), 1, "how full it gets");
    assert!(only(&["setup"]).caches.is_empty());
    assert!(
        push.advice
            .iter()
            .all(|advice| advice.phase.word() == "push")
    );
    assert_eq!(push.advice.len(), 2, "unsigned");

    let prune = only(&["prune"]);
    assert_eq!(addresses(&prune.steps), ["prune/dev/dust"]);
    assert_eq!(codes(&prune), ["all", "prune"]);
    assert!(prune.held_back.is_empty());
    assert!(prune.advice.is_empty());
    assert_eq!(prune.caches.len(), 1);

    let mut plan = whole();
    plan.order = Some(crate::plan::plan::AskingOrder {
        before: Vec::new(),
        after: Vec::new(),
        because: Vec::new(),
    });
    let ordered = |part: &str| {
        let selection = Selection {
            only: vec![part.to_owned()],
            ..Selection::default()
        };
        selection.apply(plan.clone()).order.is_some()
    };
    assert!(ordered("optimize/job"));
    assert!(!ordered("setup"));
}

#[test]
fn an_address_chooses_by_its_leading_parts() {
    assert_eq!(addresses(&only(&["push/two"]).steps), ["push/two/dust"]);
    assert_eq!(addresses(&only(&["push/two/"]).steps), ["push/two/dust"]);
    assert!(only(&["push/t"]).steps.is_empty());
    assert_eq!(
        addresses(&only(&["setup", "prune/dev/dust"]).steps),
        ["setup/two/cache", "prune/dev/dust"]
    );
}

#[test]
fn a_cache_takes_its_steps_and_those_of_no_cache() {
    let selection = Selection {
        caches: vec![cache("two")],
        ..Selection::default()
    };
    let plan = selection.apply(whole());
    assert_eq!(
        addresses(&plan.steps),
        [
            "setup/two/cache",
            "push/two/dust",
            "optimize/job/NIX_CONFIG"
        ]
    );
    assert_eq!(codes(&plan), ["all"]);
    assert!(plan.held_back.iter().all(|held| held.cache == cache("two")));
    assert_eq!(plan.held_back.len(), 1);
    assert!(plan.caches.is_empty());
}

#[test]
fn a_scope_takes_what_concerns_it() {
    let with = |scope| {
        let selection = Selection {
            scope: Some(scope),
            ..Selection::default()
        };
        addresses(&selection.apply(whole()).steps).len()
    };
    assert_eq!(with(Scope::Shared), 2);
    assert_eq!(with(Scope::Machine), 3);
}

#[test]
fn a_refusal_in_place_of_a_step_is_of_the_scope_of_that_step() {
    let with = |phase, what: &str, scope| {
        let mut plan = whole();
        plan.refusals = vec![Refusal {
            steps: vec![Address::new(phase, "nowhere", what)],
            code: "x".to_owned(),
            text: String::new(),
            help: String::new(),
        }];
        let selection = Selection {
            scope: Some(scope),
            ..Selection::default()
        };
        selection.apply(plan).refusals.len()
    };
    // No such step is planned: it is what the refusal keeps from being one.
    let both = |phase, what| [Scope::Machine, Scope::Shared].map(|scope| with(phase, what, scope));
    assert_eq!(both(Phase::Setup, "signing-key"), [1, 0]);
    assert_eq!(both(Phase::Prune, "gold"), [0, 1]);
    assert_eq!(both(Phase::Push, "gold"), [0, 1]);
}

#[test]
fn what_setup_has_to_do_first_is_named() {
    let push = only(&["push"]);
    let first = push.refusals.iter().find(|it| it.code == SETUP_FIRST);
    let first = first.unwrap();
    assert_eq!(first.steps, [Address::new(Phase::Push, "two", "dust")]);
    assert!(first.text.contains("`setup/two/cache` is a step of setup"));
    assert!(first.help.contains("nanna-cache setup --apply"));
    // Taken, not needed, or made already.
    for parts in [&["push", "setup"][..], &["push/two", "setup/two"]] {
        assert!(!codes(&only(parts)).contains(&SETUP_FIRST), "{parts:?}");
    }
    for part in ["push/dev", "prune", "optimize", "setup"] {
        assert!(!codes(&only(&[part])).contains(&SETUP_FIRST), "{part}");
    }
    let selection = Selection {
        only: vec!["push".to_owned()],
        ..Selection::default()
    };
    assert_eq!(codes(&selection.shown(whole())), ["all", "push"]);
}

#[test]
fn a_key_that_another_cache_makes_is_needed_too() {
    let desired = desired(
        "caches:
  dev: { type: file, tier: 3, path: /cache/dev, nix-priority: 30, signing-key: { file: ~/k.sec, name: k-1, generate: true } }
  two: { type: file, tier: 3, path: /cache/two, nix-priority: 40, signing-key: { file: ~/k.sec, name: k-1, generate: true } }
push: { paths: [/g] }
",
    );
    let mut observed = world().with_store(&["a"]).observe(&desired);
    let given = crate::plan::observed::Observation::Present(vec![path("a")]);
    observed.given.insert("/g".to_owned(), given);
    for name in ["dev", "two"] {
        let none = crate::plan::observed::Observation::Absent;
        observed.keys.insert(cache(name), none);
    }
    let plan = crate::plan::make::plan(&desired, &observed, "digest");
    let made = plan.steps.iter().map(|step| step.address.as_str());
    let made: Vec<&str> = made.filter(|it| it.ends_with("signing-key")).collect();
    assert_eq!(made, ["setup/dev/signing-key"]);
    assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
    let selection = Selection {
        caches: vec![cache("two")],
        ..Selection::default()
    };
    let part = selection.apply(plan);
    assert_eq!(codes(&part), [SETUP_FIRST]);
    let text = &part.refusals[0].text;
    assert!(text.contains("`setup/dev/signing-key`"), "{text}");
    assert!(!text.contains("setup/two/cache"), "it is taken: {text}");
}

#[test]
fn a_file_of_somebody_else_stops_only_what_would_write_it() {
    let desired = desired("setup: {}\npush: { paths: [/g] }\noptimize: { cores: 2 }");
    let mut observed = world().with_store(&["a"]).observe(&desired);
    let conf = desired.conf.clone().unwrap();
    let facts = crate::plan::observed::FileFacts {
        text: "cores = 1\n".to_owned(),
        mode: 0o644,
        managed: None,
        writable: true,
    };
    let theirs = crate::plan::observed::Observation::Present(facts);
    for (file, phase) in [(conf.fragment, "setup"), (conf.tuning, "optimize")] {
        let mut observed = observed.clone();
        observed.files.insert(file.to_string(), theirs.clone());
        let plan = crate::plan::make::plan(&desired, &observed, "digest");
        assert_eq!(codes(&plan), ["setup-foreign-file"]);
        for part in ["setup", "push", "optimize", "prune"] {
            let selection = Selection {
                only: vec![part.to_owned()],
                ..Selection::default()
            };
            let stops = !selection.apply(plan.clone()).refusals.is_empty();
            assert_eq!(stops, part == phase, "{part}");
        }
    }
    // A cache of another store: nothing of it, in no phase; everything of others.
    crate::plan::testing::dev(&mut observed).info = Some("StoreDir: /elsewhere\n".to_owned());
    let plan = crate::plan::make::plan(&desired, &observed, "digest");
    assert_eq!(codes(&plan), ["setup-other-store"]);
    for (part, stops) in [
        ("setup", true),
        ("setup/nix", false),
        ("push", true),
        ("push/dev/gold", true),
        ("push/else", false),
        ("prune", true),
        ("optimize", false),
    ] {
        let selection = Selection {
            only: vec![part.to_owned()],
            ..Selection::default()
        };
        let part_of = selection.apply(plan.clone());
        assert_eq!(!part_of.refusals.is_empty(), stops, "{part}");
    }
}

#[test]
fn what_no_step_can_have_is_not_offered() {
    let offers = |sections: &str, address: &str| {
        let all = possible(&desired(sections));
        all.iter().any(|one| one.as_str() == address)
    };
    let made = "caches: { dev: { type: file, tier: 3, path: /cache/dev, signing-key: { file: ~/k.sec, generate: true } } }";
    let given = made.replace(", generate: true", "");
    assert!(offers(made, "setup/dev/signing-key"));
    assert!(!offers(&given, "setup/dev/signing-key"));
    for address in [
        "setup/nix/fragment",
        "setup/nix/nix.conf",
        "optimize/nix/tuning",
    ] {
        assert!(offers("setup: {}", address), "{address}");
        assert!(!offers("setup: { nix-conf: none }", address), "{address}");
    }
}

#[test]
fn builds_come_along() {
    let desired = desired(
        "artifacts:
  gold: { priority: 100, match: ['-gold'], outputs: ['.#a'] }
  dust: { priority: 10, outputs: ['.#b'], default: true }
push: { to: { dev: all } }
",
    );
    let world = world()
        .with_output(".#a", &["a-gold"])
        .with_output(".#b", &["b-dust"]);
    let plan = world.plan(&desired);
    let part = |only: &str| {
        let selection = Selection {
            only: vec![only.to_owned()],
            ..Selection::default()
        };
        let part = selection.apply(plan.clone());
        addresses(&part.steps).join(" ")
    };
    assert_eq!(part("push/dev/gold"), "push/dev/gold push/build/.#a");
    assert_eq!(part("push/build/.#a"), "push/build/.#a");
    assert_eq!(part("prune"), "");
}

#[test]
fn only_what_a_step_can_have_can_be_chosen() {
    let desired = desired("pins: { v1: { output: '.#v1' } }");
    let world = world()
        .with_output(".#v1", &["now-gold"])
        .with_store(&["now-gold"])
        .with_cached(900, &["old"])
        .with_roots(800, "dust", &["old"]);
    let all = possible(&desired);
    let steps = world.plan(&desired).steps;
    assert_eq!(
        addresses(&steps),
        ["push/dev/gold", "push/dev/pin-v1", "prune/dev/dust"]
    );
    for step in &steps {
        assert!(all.contains(&step.address), "{}", step.address);
    }
    for selector in ["push", "push/dev", "prune/dev/dust", "push/dev/pin-ended"] {
        assert!(can_choose(&desired, selector), "{selector}");
    }
    for selector in ["push/dev/lead", "push/nowhere/pin-v1", "prune/up", "pull"] {
        assert!(!can_choose(&desired, selector), "{selector}");
    }
}
