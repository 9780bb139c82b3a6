//! The answer for one path, in each case.

use super::*;
use crate::plan::drops::DropReason;
use crate::plan::explain::{Need, Verdict};
use crate::plan::make;
use crate::plan::plan::HeldReason;
use crate::plan::record::Intent;
use crate::plan::simulate::World;
use crate::plan::testing::{ago, cache, desired, dev, hash, path, world};

fn explained(
    sections: &str,
    world: &World,
    name: &str,
    change: impl Fn(&mut Observed),
) -> Explanation {
    let desired = desired(sections);
    let mut observed = world.observe(&desired);
    let given = Observation::Present(vec![path("top")]);
    observed.given.insert("/g".to_owned(), given);
    change(&mut observed);
    let plan = make::plan(&desired, &observed, "digest");
    explain(&desired, &observed, &plan, &path(name), &[])
}

const GIVEN: &str = "push: { paths: [/g], exclude: ['-source$'] }";

fn closure() -> World {
    world().with_store(&["top 9 low", "low 5", "x-source 1"])
}

fn verdict(world: &World, name: &str) -> Verdict {
    explained(GIVEN, world, name, |_| {})
        .caches
        .remove(0)
        .verdict
}

fn kept(verdict: Verdict) -> String {
    match verdict {
        Verdict::Kept { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_path_that_is_pushed() {
    let all = explained(GIVEN, &closure(), "low", |_| {});
    assert_eq!((all.nar_size, all.in_store), (Some(5), Some(true)));
    assert_eq!(all.wanted_by.len(), 1);
    assert_eq!(all.wanted_by[0].what, path("top").to_string());
    assert_eq!(all.class.class.as_str(), "dust");
    assert_eq!(all.upstreams[0].has, Some(false));
    assert_eq!(all.caches[0].present, Some(false));
    assert_eq!(all.caches[0].need, Need::Unreached);
    let Verdict::Pushed { because } = &all.caches[0].verdict else {
        panic!("{all:?}")
    };
    assert_eq!(because.rule, "listed in push.paths");
}

#[test]
fn a_path_that_is_there_or_upstream_or_not_wanted() {
    let there = closure().with_cached(3, &["low 5"]);
    assert!(kept(verdict(&there, "low")).starts_with("it is wanted"));
    let upstream = closure().with_upstream(&["low"]);
    assert_eq!(
        verdict(&upstream, "low"),
        Verdict::HeldBack {
            reason: HeldReason::Upstream(cache("up")),
            needs: None
        }
    );
    assert_eq!(verdict(&closure(), "x-source"), Verdict::NotWanted);
    let all = explained(GIVEN, &closure(), "x-source", |_| {});
    assert_eq!(all.upstreams[0].has, None, "it was not asked");
}

#[test]
fn a_path_that_is_held_back_with_what_it_needs() {
    let world = world().with_store(&["top 9 x-source", "x-source 1"]);
    assert_eq!(
        verdict(&world, "top"),
        Verdict::HeldBack {
            reason: HeldReason::NeedsHeld,
            needs: Some(path("x-source"))
        }
    );
}

#[test]
fn a_path_that_goes_and_one_whose_prune_is_refused() {
    let world = world()
        .with_cached(400, &["old 1 below", "below"])
        .with_roots(30, "dust", &["old"])
        .with_roots(60, "silver", &["old"]);
    let all = explained(GIVEN, &world, "below", |_| {});
    let there = &all.caches[0];
    assert_eq!(there.present, Some(true));
    assert_eq!(there.priority, Some(50));
    assert_eq!(there.roots.len(), 2);
    assert_eq!(there.roots[0].until, ago(10), "the longest first");
    assert_eq!(there.need, Need::Until { time: ago(10) });
    assert_eq!(
        there.verdict,
        Verdict::Deleted {
            reason: DropReason::NeedEnded(ago(10))
        }
    );
    let busy = explained(GIVEN, &world, "below", |observed| {
        dev(observed).prunes = vec![crate::plan::record::PruneRecord {
            id: "p".to_owned(),
            modified: ago(0),
            gone: false,
            phase: crate::plan::record::PrunePhase::Paths,
            paths: Vec::new(),
        }];
    });
    assert!(
        matches!(&busy.caches[0].verdict, Verdict::Undecided { why } if why.0.starts_with("another prune"))
    );
}

#[test]
fn why_a_path_stays() {
    let old = || world().with_cached(400, &["a"]);
    let rooted = |days, name: &str| kept(verdict(&old().with_roots(days, "dust", &[name]), "a"));
    assert!(rooted(3, "a").starts_with("a root that is within"));
    assert!(kept(verdict(&old(), "a")).starts_with("no record of ours"));
    let young = world().with_cached(0, &["a"]);
    // It is foreign content, which is kept when grace is over, too.
    assert!(kept(verdict(&young, "a")).starts_with("no record of ours"));
    let ours = young.with_roots(300, "dust", &["a"]);
    assert!(kept(verdict(&ours, "a")).starts_with("it was written less than"));
    let both = world().with_cached(0, &["a"]).with_roots(1, "dust", &["a"]);
    assert!(kept(verdict(&both, "a")).starts_with("a root that is within"));
    let off = explained("prune: { enabled: false }", &old(), "a", |_| {});
    assert_eq!(kept(off.caches[0].verdict.clone()), "prune is not enabled");
    let relied = explained(
        GIVEN,
        &old().with_roots(300, "dust", &["a"]),
        "a",
        |observed| {
            dev(observed).intents = vec![Intent {
                id: "i".to_owned(),
                modified: ago(0),
                gone: false,
                paths: vec![hash("a")],
                absent: Vec::new(),
            }];
        },
    );
    assert!(kept(relied.caches[0].verdict.clone()).starts_with("a push that is under way"));
    let pinned = old()
        .with_pin(3, "other", "v1", "a")
        .with_roots(300, "dust", &["a"]);
    let all = explained(GIVEN, &pinned, "a", |_| {});
    assert!(matches!(&all.caches[0].need, Need::Pinned { pin } if pin.as_str() == "v1"));
    assert_eq!(kept(all.caches[0].verdict.clone()), "the pin v1 reaches it");
}

#[test]
fn what_cannot_be_seen_is_said() {
    let hidden = explained(GIVEN, &closure().hide("dev"), "low", |_| {});
    assert_eq!(hidden.caches[0].present, None);
    assert!(matches!(
        hidden.caches[0].verdict,
        Verdict::Undecided { .. }
    ));
    let dark = explained(GIVEN, &closure().hide("up").hide("store"), "low", |_| {});
    assert_eq!((dark.in_store, dark.upstreams[0].has), (None, None));
}

#[test]
fn a_name_that_several_classes_match_has_the_first_and_names_the_others() {
    let sections = "artifacts:
  first: { priority: 1, retention: 10d, match: ['never'] }
  gold: { priority: 100, retention: 100d, match: ['-gold'] }
  silver: { priority: 50, retention: 50d, match: ['-silver'] }
  dust: { priority: 10, retention: 10d, default: true }
";
    let class = explained(sections, &world(), "x-gold-silver", |_| {}).class;
    assert_eq!(class.class.as_str(), "gold");
    assert_eq!(class.because.rule, "the pattern `-gold` matches its name");
    let also: Vec<_> = class.also.iter().map(ToString::to_string).collect();
    assert_eq!(also, ["silver"]);
}

#[test]
fn what_an_upstream_answered() {
    let up = |world: World| {
        let mut upstreams = explained(GIVEN, &world, "low", |_| {}).upstreams;
        let up = upstreams.remove(0);
        (up.has, up.how)
    };
    let (has, how) = up(closure().with_upstream(&["low"]));
    assert_eq!(has, Some(true));
    assert!(how.starts_with("by a signature"), "{how}");
    assert_eq!(up(closure().hide("up")), (None, "it is hidden".to_owned()));
    let (has, how) = up(closure());
    assert_eq!(
        (has, how.as_str()),
        (Some(false), "it answered that it has not")
    );
}

#[test]
fn a_class_that_does_not_go_there_is_held_back_unless_pushing_is_off() {
    let of = |push: &str| {
        let sections = format!("push: {{ paths: [/g], {push} }}");
        let mut all = explained(&sections, &closure(), "low", |_| {});
        all.caches.remove(0).verdict
    };
    let held = Verdict::HeldBack {
        reason: HeldReason::OtherClass,
        needs: None,
    };
    assert_eq!(of("to: { dev: [gold] }"), held);
    assert_eq!(of("enabled: false"), Verdict::NotWanted);
    let excluded = Verdict::HeldBack {
        reason: HeldReason::Excluded,
        needs: None,
    };
    assert_eq!(of("exclude: [low], enabled: false"), excluded);
}

#[test]
fn an_excluded_path_that_lost_its_nar_stays_as_it_is() {
    let world = world()
        .with_store(&["top 9 x-source", "x-source 1"])
        .with_cached(400, &["x-source 1"]);
    let all = explained(GIVEN, &world, "x-source", |observed| {
        dev(observed).narinfos[0].set_nar(None);
    });
    assert!(kept(all.caches[0].verdict.clone()).starts_with("no record of ours"));
}

#[test]
fn what_goes_from_one_cache_or_beside_it_is_not_what_is_asked_for() {
    let sections = "caches:
  one: { type: file, tier: 1, path: /1 }
  two: { type: file, tier: 1, path: /2 }
";
    let mut world = world().with_cached(400, &["a", "b"]);
    let mut full = world.caches.remove(&cache("dev")).unwrap();
    let dust = crate::plan::testing::class("dust");
    full.roots.insert((dust.clone(), hash("a")), ago(1));
    full.roots.insert((dust.clone(), hash("b")), ago(90));
    world.caches.insert(cache("two"), full.clone());
    full.roots.insert((dust.clone(), hash("a")), ago(50));
    full.roots.insert((dust, hash("b")), ago(60));
    world.caches.insert(cache("one"), full);
    let of = |name: &str| {
        let caches = explained(sections, &world, name, |_| {}).caches;
        caches
            .into_iter()
            .map(|cache| cache.verdict)
            .collect::<Vec<_>>()
    };
    let gone = |days| Verdict::Deleted {
        reason: DropReason::NeedEnded(ago(days)),
    };
    let a = of("a");
    assert_eq!(a[0], gone(40));
    assert!(kept(a[1].clone()).starts_with("a root that is within"));
    assert_eq!(of("b"), [gone(50), gone(80)]);
}

#[test]
fn reasons_that_nearly_hold_are_not_given() {
    let why = |world: &World, change: fn(&mut Observed)| {
        let all = explained("prune: { grace: 10d }", world, "a", change);
        kept(all.caches[0].verdict.clone())
    };
    let foreign = "no record of ours";
    let at_grace = world().with_cached(10, &["a"]);
    assert!(why(&at_grace, |_| {}).starts_with(foreign));
    let intent = |gone, paths: &[&str]| Intent {
        id: "i".to_owned(),
        modified: ago(0),
        gone,
        paths: paths.iter().map(|name| hash(name)).collect(),
        absent: Vec::new(),
    };
    let pushes = vec![intent(false, &["b"]), intent(true, &["a"])];
    let all = explained("", &at_grace, "a", |observed| {
        dev(observed).intents.clone_from(&pushes);
    });
    assert!(kept(all.caches[0].verdict.clone()).starts_with(foreign));
    let below = world()
        .with_cached(60, &["a"])
        .with_roots(50, "dust", &["a"])
        .with_cached(1, &["young 1 a"]);
    assert!(why(&below, |_| {}).contains("-young needs it, which no record of ours covers"));
}

#[test]
fn a_path_that_comes_with_a_build() {
    let of = |push: &str, name: &str| {
        let sections = format!(
            "push: {{ {push} }}
artifacts:
  gold: {{ priority: 100, retention: 100d, outputs: ['.#a'] }}
  dust: {{ priority: 10, retention: 10d, default: true }}
"
        );
        let world = world().with_output(".#a", &["new"]);
        let mut all = explained(&sections, &world, name, |_| {});
        all.caches.remove(0).verdict
    };
    let Verdict::AfterBuild {
        installable,
        because,
    } = of("to: { dev: all }", "new")
    else {
        panic!("{:?}", of("to: { dev: all }", "new"))
    };
    assert_eq!(installable, ".#a");
    assert_eq!(because.rule, "an output of gold");
    assert_eq!(of("to: { dev: all }", "other"), Verdict::NotWanted);
    assert_eq!(of("to: { dev: [dust] }", "new"), Verdict::NotWanted);
    assert_eq!(of("enabled: false", "new"), Verdict::NotWanted);
}

#[test]
fn what_is_wanted_elsewhere_is_not_why_a_cache_keeps_it() {
    let sections = "caches:
  dev: { type: file, tier: 3, path: /cache/dev }
  two: { type: file, tier: 3, path: /cache/two }
push: { paths: [/g], to: { dev: all } }
";
    let mut world = closure().with_cached(9, &["low 5"]);
    let filled = world.caches[&cache("dev")].clone();
    world.caches.insert(cache("two"), filled);
    let all = explained(sections, &world, "low", |_| {}).caches;
    let why = |at: usize| kept(all[at].verdict.clone());
    assert!(why(0).starts_with("it is wanted"));
    assert!(why(1).starts_with("no record of ours"), "{}", why(1));
    // Nor is it where nothing is pushed at all.
    let off = sections.replace("paths", "enabled: false, paths");
    let all = explained(&off, &world, "low", |_| {}).caches;
    assert!(kept(all[0].verdict.clone()).starts_with("no record of ours"));
}

#[test]
fn foreign_content_may_be_kept_as_its_class_says() {
    let of = |days, name: &str| {
        let world = world()
            .with_cached(days, &["a"])
            .with_cached(3, &["young 1 a"]);
        let mut all = explained("prune: { foreign: retention }", &world, name, |_| {});
        all.caches.remove(0)
    };
    // dust stays for ten days.
    let young = of(10, "a");
    assert_eq!(young.need, Need::Foreign { time: Some(ago(0)) });
    let until = format!(
        "foreign content is kept as its class says, until {}",
        ago(0)
    );
    assert_eq!(
        kept(young.verdict),
        format!("no record of ours covers it, and {until}")
    );
    let old = of(11, "a");
    assert_eq!(old.need, Need::Foreign { time: Some(ago(1)) });
    let why = kept(old.verdict);
    let until = format!("as its class says, until {}", ago(-7));
    assert!(
        why.contains("-young needs it") && why.ends_with(&until),
        "{why}"
    );
    let kept_for_ever = explained("", &world().with_cached(400, &["a"]), "a", |_| {});
    assert_eq!(kept_for_ever.caches[0].need, Need::Foreign { time: None });
}

/// Grace is over at the very second.
#[test]
fn what_is_as_old_as_grace_is_kept_for_another_reason() {
    let why = |seconds: i64| {
        let world = world()
            .with_cached(1, &["a"])
            .with_roots(300, "dust", &["a"])
            .with_store(&["top 9"])
            .hide("store");
        let all = explained(GIVEN, &world, "a", |observed| {
            let written = crate::plan::time::Time(ago(1).0 + seconds);
            dev(observed).narinfos[0] = crate::plan::observed::Narinfo::new(Some(0), written);
        });
        kept(all.caches[0].verdict.clone())
    };
    assert_eq!(
        why(0),
        "something that is wanted could not be seen, so no retention ends"
    );
    assert!(
        why(1).starts_with("it was written less than 24h"),
        "{}",
        why(1)
    );
}

/// A service is asked only for what is wanted: of all else nothing is known.
#[test]
fn what_a_service_was_not_asked_for_is_not_said_to_be_absent() {
    use crate::plan::service::testing::{NONE, facts, observe, wanted};
    let desired = wanted(NONE, NONE);
    let observed = observe(&desired, facts(Vec::new(), Vec::new()), &["lib"]);
    let plan = make::plan(&desired, &observed, "digest");
    let present = |name: &str| {
        let all = explain(&desired, &observed, &plan, &path(name), &[]);
        all.caches[0].present
    };
    assert_eq!(present("lib"), Some(true));
    assert_eq!(present("app"), Some(false));
    assert_eq!(present("unwanted"), None);
}
