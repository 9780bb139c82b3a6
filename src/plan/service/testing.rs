//! A cache of a service in a few words: what is wanted of it, and what the service says.

use super::record::{Claim, Pushed, Record, RecordBody, Records};
use super::{Keep, ServiceFacts, ServicePin};
use crate::plan::desired::{Desired, Extra};
use crate::plan::make;
use crate::plan::observed::{CacheContent, Observation, Observed};
use crate::plan::plan::Plan;
use crate::plan::push::questions_of;
use crate::plan::push::service::with_present;
use crate::plan::record::Head;
use crate::plan::testing::{NOW, addresses, ago, cache, class, desired_with, path, world};

pub(crate) const NONE: &str = "";
pub(crate) const V1: &str = "pins: { v1: { output: '.#app', keep: { days: 9 } } }\n";

/// What is wanted: `.#app`, in a cache of a service with these keys, and so many pins.
pub(crate) fn wanted(more: &str, pins: &str) -> Desired {
    wanted_with(more, pins, Extra::default())
}

pub(crate) fn wanted_with(more: &str, pins: &str, extra: Extra) -> Desired {
    let text = format!(
        "caches:\n  team: {{ type: cachix{more} }}\n\
         artifacts: {{ apps: {{ priority: 1, outputs: ['.#app'], default: true }} }}\n{pins}"
    );
    desired_with(&text, extra)
}

pub(crate) fn pin(name: &str, word: &str) -> ServicePin {
    ServicePin {
        name: name.to_owned(),
        path: Some(path(word)),
        artifacts: Vec::new(),
        keep: Some(Keep::Days(9)),
    }
}

/// A record of so many days ago that these pins are ours.
pub(crate) fn record(days: i64, pins: &[(&str, &str)]) -> Record {
    let claim = |word: &str| Claim {
        path: path(word),
        pinned: ago(days),
        run: Some("71.1".to_owned()),
    };
    let pins = pins
        .iter()
        .map(|(name, word)| ((*name).to_owned(), claim(word)));
    Record {
        name: format!("nanna-cache.{days}"),
        body: RecordBody {
            head: Head::ours(),
            project: "demo".to_owned(),
            pins: pins.collect(),
            classes: [(class("apps"), Pushed::of(vec![(path("app"), 3 << 30)]))].into(),
            written: ago(days),
            commit: None,
            run: None,
            other: serde_json::Map::new(),
        },
    }
}

pub(crate) fn facts(pins: Vec<ServicePin>, read: Vec<Record>) -> ServiceFacts {
    ServiceFacts {
        is_public: true,
        keys: Vec::new(),
        has_token: true,
        may_write: true,
        pins: Ok(pins),
        records: Records {
            read,
            ..Records::default()
        },
        unseen: Vec::new(),
    }
}

/// A world with a cache of which the service says this, and that it has these of the wanted paths.
pub(crate) fn observe(desired: &Desired, facts: ServiceFacts, has: &[&str]) -> Observed {
    let world = world()
        .with_store(&["lib 10", "app 20 lib"])
        .with_output(".#app", &["app"]);
    let mut observed = world.observe(desired);
    let team = cache("team");
    let content = CacheContent {
        now: NOW,
        folders: true,
        service: Some(facts),
        ..CacheContent::default()
    };
    let seen = |content| Observation::Present(content);
    observed.caches.insert(team.clone(), seen(content.clone()));
    let asked = questions_of(desired, &observed, &team).into_values();
    let there = asked.filter(|(path, _)| has.contains(&path.name()));
    let content = with_present(content, there);
    observed.caches.insert(team, seen(content));
    observed
}

/// The plan for such a world.
pub(crate) fn plan(desired: &Desired, facts: ServiceFacts, has: &[&str]) -> Plan {
    make::plan(desired, &observe(desired, facts, has), "")
}

pub(crate) fn of_team(plan: &Plan) -> Vec<&str> {
    let mut all = addresses(&plan.steps);
    all.retain(|address| address.contains("/team/"));
    all
}
