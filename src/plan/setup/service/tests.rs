//! What setup makes of a service's answer: keys that fit, keys that do not, who may read.

use super::*;
use crate::plan::observed::CacheContent;
use crate::plan::plan::Plan;
use crate::plan::service::testing::{NONE, V1, facts, observe, pin, plan, record, wanted};
use crate::plan::testing::{addresses, cache, find, key};

const DECLARED: &str =
    ", public-keys: ['cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=']";
const KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
const SIGNING: &str = ", signing-key: { file: /keys/team }";

fn with_keys(keys: &[&str]) -> ServiceFacts {
    ServiceFacts {
        keys: keys.iter().map(ToString::to_string).collect(),
        ..facts(Vec::new(), Vec::new())
    }
}

fn said<'p>(plan: &'p Plan, start: &str) -> Option<&'p Advice> {
    let mut advice = plan.advice.iter();
    advice.find(|it| it.phase == Phase::Setup && it.text.starts_with(start))
}

fn refused(plan: &Plan) -> Vec<&Refusal> {
    let all = plan.refusals.iter();
    all.filter(|it| it.code == OTHER_KEY).collect()
}

#[test]
fn a_key_that_is_not_declared_stops_all_that_touches_the_cache() {
    let other = key("team.cachix.org-1").to_string();
    let with = |more: &str, keys: &[&str]| {
        let seen = ServiceFacts {
            pins: Ok(vec![pin("old", "app")]),
            records: facts(Vec::new(), vec![record(3, &[("old", "app")])]).records,
            ..with_keys(keys)
        };
        plan(&wanted(more, V1), seen, &[])
    };
    let declared = with(DECLARED, &[KEY, &other, "damaged"]);
    let [refusal] = refused(&declared)[..] else {
        panic!("{:?}", declared.refusals)
    };
    let start = format!("team signs with {other} and damaged, which are not among the public-keys");
    assert!(refusal.text.starts_with(&start), "{}", refusal.text);
    assert!(refusal.text.ends_with("(line 6)"), "{}", refusal.text);
    let steps: Vec<&str> = refusal.steps.iter().map(Address::as_str).collect();
    let all = [
        "setup/nix/fragment",
        "push/team/apps",
        "push/team/pin-v1",
        "push/team/record",
        "prune/team/pin-old",
    ];
    assert_eq!(steps, all);
    assert!(refused(&with(DECLARED, &[KEY])).is_empty());
    assert!(refused(&with(DECLARED, &[])).is_empty());
    // Who declares none, trusts none; which there is, is told.
    let start = "no public key of it is declared";
    let undeclared = with(NONE, &[KEY, &other]);
    assert!(refused(&undeclared).is_empty());
    let advice = said(&undeclared, start).unwrap();
    assert_eq!(advice.lines, [format!("public-keys: [{KEY}, {other}]")]);
    assert!(said(&with(NONE, &[]), start).is_none());
    assert!(said(&declared, start).is_none());
}

#[test]
fn our_own_key_is_registered_where_the_service_has_none_and_we_may() {
    let with = |keys: &[&str], may_write, has_key| {
        let desired = wanted(SIGNING, NONE);
        let seen = ServiceFacts {
            may_write,
            ..with_keys(keys)
        };
        let mut observed = observe(&desired, seen, &[]);
        if has_key {
            let own = Observation::Present(key("team-1"));
            observed.keys.insert(cache("team"), own);
        }
        crate::plan::make::plan(&desired, &observed, "")
    };
    let own = key("team-1").to_string();
    let plan = with(&[], true, true);
    let step = find(&plan.steps, "setup/team/cache");
    assert_eq!(step.because.rule, "team is to be signed by us");
    let Op::CreateCache { before, info, .. } = &step.op else {
        panic!("{step:?}")
    };
    let nobody = "visibility: public\nsigned by: nobody: the service has no key of it\n";
    assert_eq!(before.as_deref(), Some(nobody));
    assert_eq!(info, "visibility: public\nsigned by: us\n");
    for (keys, may_write, has_key) in [
        (&[][..], false, true),
        (&[][..], true, false),
        (&[own.as_str()][..], true, true),
    ] {
        let plan = with(keys, may_write, has_key);
        assert!(!addresses(&plan.steps).contains(&"setup/team/cache"));
    }
    // It counts as declared.
    assert!(refused(&with(&[&own], true, true)).is_empty());
    assert_eq!(refused(&with(&[KEY], true, true)).len(), 1);
}

#[test]
fn a_cache_is_made_only_where_that_is_asked_for() {
    let of = |more: &str| {
        let desired = wanted(more, NONE);
        let mut observed = observe(&desired, with_keys(&[]), &[]);
        observed.caches.insert(cache("team"), Observation::Absent);
        crate::plan::make::plan(&desired, &observed, "")
    };
    let plan = of(", create: true, visibility: private");
    let step = find(&plan.steps, "setup/team/cache");
    assert_eq!(step.because.rule, "cache team is declared, with `create`");
    let Op::CreateCache { before, info, .. } = &step.op else {
        panic!("{step:?}")
    };
    assert_eq!(*before, None);
    assert_eq!(info, "visibility: private\nsigned by: the service\n");
    assert!(!addresses(&of(NONE).steps).contains(&"setup/team/cache"));
}

#[test]
fn what_has_no_call_is_advice_and_what_is_unseen_is_unknown() {
    let of = |more: &str, is_public| {
        let seen = ServiceFacts {
            is_public,
            unseen: vec![("members".to_owned(), "it answers 500".to_owned())],
            ..with_keys(&[])
        };
        plan(&wanted(more, NONE), seen, &[])
    };
    let private = of(NONE, false);
    let start = "it is private, and should be public";
    assert!(said(&private, start).is_some());
    assert!(said(&of(NONE, true), "it is").is_none());
    let public = of(", visibility: private", true);
    assert!(said(&public, "it is public, and should be private").is_some());
    let unknown = public.unknowns.iter().find(|it| it.what == "team members");
    let unknown = unknown.unwrap();
    assert_eq!(
        (unknown.why.0.as_str(), unknown.effect.as_str()),
        ("it answers 500", "it is not compared")
    );
    // What a folder has, a service need not say.
    let desired = wanted(NONE, NONE);
    let mut observed = observe(&desired, with_keys(&[]), &[]);
    let bare = Observation::Present(CacheContent::default());
    observed.caches.insert(cache("team"), bare);
    let plan = crate::plan::make::plan(&desired, &observed, "");
    assert!(said(&plan, "it is").is_none());
}
