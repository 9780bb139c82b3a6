//! What is adopted, in which classes, and what is left alone.

use super::*;
use crate::plan::desired::Extra;
use crate::plan::make;
use crate::plan::observed::Why;
use crate::plan::plan::Plan;
use crate::plan::push::reliance as push_reliance;
use crate::plan::simulate::World;
use crate::plan::summary::Summary;
use crate::plan::testing::{addresses, ago, cache, desired_with, dev, hash, world};

fn wish(paths: Option<&[&str]>) -> Desired {
    let paths = paths.map(|names| names.iter().map(|name| hash(name)).collect());
    let adopt = Some(Adopt {
        cache: cache("dev"),
        paths,
    });
    let extra = Extra {
        adopt,
        ..Extra::default()
    };
    desired_with("push: { exclude: ['-source$'] }", extra)
}

fn plan_of(world: &World, paths: Option<&[&str]>) -> Plan {
    world.plan(&wish(paths))
}

/// `class name` of all roots to be written, in the order of the steps.
fn written(plan: &Plan) -> Vec<String> {
    let roots = plan.steps.iter().flat_map(|step| match &step.op {
        Op::Push { paths, roots, .. } => {
            assert!(paths.is_empty(), "nothing is uploaded");
            roots.clone()
        }
        other => panic!("{other:?}"),
    });
    let mut all: Vec<String> = roots
        .map(|root| {
            assert!(root.new);
            format!("{} {}", root.class, root.path.name())
        })
        .collect();
    all.sort();
    all
}

/// Foreign: app → lib-gold → base, app → base; tool. Ours: own → base2. Dead push: left.
fn mixed() -> World {
    let mut world = world()
        .with_cached(
            40,
            &[
                "app 7 lib-gold base",
                "lib-gold 20 base",
                "base 100",
                "tool-silver 3",
                "own 1 base2",
                "base2 1",
                "left 1",
            ],
        )
        .with_roots(60, "dust", &["own"]);
    world
        .cache("dev")
        .intents
        .push(("dead".to_owned(), vec![hash("left")]));
    world
}

#[test]
fn all_foreign_content_gets_the_roots_that_a_push_would_write() {
    let plan = plan_of(&mixed(), None);
    assert_eq!(
        written(&plan),
        ["dust app", "gold lib-gold", "silver tool-silver"]
    );
    assert_eq!(
        addresses(&plan.steps),
        [
            "push/dev/adopt-gold",
            "push/dev/adopt-silver",
            "push/dev/adopt-dust"
        ]
    );
    let rules: Vec<&str> = plan
        .steps
        .iter()
        .map(|step| step.because.rule.as_str())
        .collect();
    assert_eq!(
        rules,
        [
            "adopted: 2 foreign paths (120 B), kept 100d from now",
            "adopted: 1 foreign path (3 B), kept 50d from now",
            "adopted: 1 foreign path (7 B), kept 10d from now",
        ]
    );
    assert_eq!(plan.counts.compared, 7);
    assert!(plan.unknowns.is_empty() && plan.refusals.is_empty() && plan.advice.is_empty());
    assert_eq!(Summary::of(&plan).roots_new, 3);
}

#[test]
fn a_named_path_comes_with_its_closure_and_nothing_else() {
    assert_eq!(
        written(&plan_of(&mixed(), Some(&["lib-gold"]))),
        ["gold lib-gold"]
    );
    let two = plan_of(&mixed(), Some(&["base", "app"]));
    assert_eq!(written(&two), ["dust app", "dust base", "gold lib-gold"]);
    // What a record covers, also an ended one, is ours already.
    for ours in ["own", "base2", "left"] {
        assert!(plan_of(&mixed(), Some(&[ours])).steps.is_empty(), "{ours}");
    }
}

#[test]
fn what_is_recorded_below_is_not_renewed() {
    let world = world()
        .with_cached(40, &["app 7 lib-gold", "lib-gold 20"])
        .with_roots(3, "gold", &["lib-gold"]);
    assert_eq!(written(&plan_of(&world, None)), ["dust app"]);
}

#[test]
fn adopting_twice_changes_nothing_and_retention_counts_from_then() {
    let mut world = mixed();
    let desired = wish(None);
    let plan = world.plan(&desired);
    world.run(&desired, &plan, usize::MAX, 0);
    assert!(world.plan(&desired).steps.is_empty());
    world.now = ago(-20);
    let without = crate::plan::testing::desired("");
    let gone: Vec<String> = world
        .plan(&without)
        .steps
        .iter()
        .flat_map(|step| match &step.op {
            Op::Prune { paths, .. } => paths.iter().collect(),
            _ => Vec::new(),
        })
        .map(|path| path.path.name().to_owned())
        .collect();
    // dust is kept for 10 days; base is reached by gold.
    assert!(gone.contains(&"app".to_owned()), "{gone:?}");
    assert!(!gone.contains(&"base".to_owned()) && !gone.contains(&"tool-silver".to_owned()));
}

#[test]
fn what_it_relies_on_is_the_closure_of_its_roots() {
    let desired = wish(Some(&["lib-gold"]));
    let observed = mixed().observe(&desired);
    let plan = make::plan(&desired, &observed, "digest");
    let Op::Push { roots, .. } = &plan.steps[0].op else {
        panic!("{plan:?}")
    };
    let mut closure = push_reliance(&desired, &observed, &cache("dev"), roots).closure;
    closure.sort();
    let mut expected = vec![hash("base"), hash("lib-gold")];
    expected.sort();
    assert_eq!(closure, expected);
    assert!(crate::plan::push::questions(&desired, &observed).is_empty());
}

#[test]
fn what_is_not_there_is_refused_and_what_cannot_be_seen_is_unknown() {
    let absent = plan_of(&mixed(), Some(&["app", "nowhere"]));
    assert_eq!(absent.refusals[0].code, "adopt-absent");
    assert!(
        absent.refusals[0]
            .text
            .contains(&hash("nowhere").to_string())
    );
    assert!(!absent.refusals[0].text.contains(&hash("app").to_string()));

    let hidden = plan_of(&mixed().hide("dev"), None);
    assert!(hidden.steps.is_empty());
    assert_eq!(hidden.unknowns[0].effect, "nothing of it is adopted");

    let desired = wish(None);
    let mut observed = mixed().observe(&desired);
    dev(&mut observed).partial = Some(Why("a folder is closed".to_owned()));
    let partial = make::plan(&desired, &observed, "digest");
    assert!(partial.steps.is_empty());
    assert_eq!(partial.unknowns[0].why.0, "a folder is closed");

    let mut gone = mixed();
    gone.caches.clear();
    assert_eq!(plan_of(&gone, Some(&["app"])).refusals.len(), 1);
    assert!(plan_of(&gone, None).refusals.is_empty());
}

/// An output's class counts before that of the name, and which paths it has is not known.
#[test]
fn an_output_that_does_not_evaluate_may_be_of_another_class() {
    let adopt = Adopt {
        cache: cache("dev"),
        paths: None,
    };
    let extra = Extra {
        adopt: Some(adopt),
        ..Extra::default()
    };
    let desired = desired_with(
        "artifacts:
  apps: { priority: 50, retention: 50d, outputs: ['.#a', '.#b'] }
  dust: { priority: 10, retention: 10d, default: true }
",
        extra,
    );
    let world = mixed().with_output(".#b", &["own"]);
    let mut observed = world.observe(&desired);
    let why = Why("it does not evaluate".to_owned());
    observed
        .outputs
        .insert(".#a".to_owned(), Observation::Error(why.clone()));
    let plan = make::plan(&desired, &observed, "digest");
    let unknown = plan.unknowns.iter().find(|it| it.what == ".#a").unwrap();
    assert_eq!(unknown.why, why);
    assert_eq!(
        unknown.effect,
        "its paths are put into classes by their names alone"
    );
    assert!(plan.unknowns.iter().all(|it| it.what != ".#b"));
}
