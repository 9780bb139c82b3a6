//! Caches that push writes to and that could not be looked at: an apply did nothing for them.

use crate::config::model::OnError;
use crate::plan::address::{Address, Phase};
use crate::plan::desired::Desired;
use crate::plan::observed::{Observation, Observed};
use crate::plan::plan::Unknown;
use crate::plan::select::Selection;

/// The caches of which an apply of this part of the plan must not look like a success, whatever their type:
/// push is to write to them, and what is in them could not be seen. An outage of a service is let pass where
/// `cache.yaml` says so (`on-error: warn`); that it refuses is not.
#[must_use]
pub fn unreached(desired: &Desired, observed: &Observed, selection: &Selection) -> Vec<Unknown> {
    let push = &desired.config.push;
    if !push.enabled || !desired.has(Phase::Push) {
        return Vec::new();
    }
    let mut unreached = Vec::new();
    for (name, cache) in &desired.caches {
        let adopted = desired.extra.adopt.as_ref().map(|adopt| &adopt.cache);
        let repaired = desired.extra.repair.as_ref().map(|repair| &repair.cache);
        let is_meant = push.to.contains_key(name)
            && adopted.is_none_or(|adopted| adopted == name)
            && repaired.is_none_or(|repaired| repaired == name)
            && (selection.caches.is_empty() || selection.caches.contains(name))
            && selection.scope.is_none_or(|scope| scope == cache.scope);
        // The selectors of one step of this cache, or of all of them.
        let place = Address::new(Phase::Push, name.as_str(), "");
        let is_chosen = |part: &String| place.is_in(part) || part.starts_with(place.as_str());
        let is_chosen = selection.only.is_empty() || selection.only.iter().any(is_chosen);
        if !is_meant || !is_chosen {
            continue;
        }
        let service = cache.place.service();
        let lets_pass = service.is_some_and(|service| service.on_error == OnError::Warn);
        let why = match observed.caches.get(name) {
            Some(Observation::Unknown(why)) if !lets_pass => why,
            Some(Observation::Error(why)) => why,
            _ => continue,
        };
        unreached.push(Unknown {
            what: name.to_string(),
            why: why.clone(),
            effect: "nothing was pushed to it".to_owned(),
        });
    }
    unreached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::desired::{Adopt, Extra};
    use crate::plan::observed::Why;
    use crate::plan::step::Scope;
    use crate::plan::testing::{cache, desired, desired_with, world};

    const CACHES: &str = "caches:
  dev: { type: file, tier: 3, path: /cache/dev }
  team: { type: s3, bucket: team, replicas: [{ region: eu-west-1, bucket: team-eu }] }
  calm: { type: cachix, on-error: warn }
  strict: { type: cachix }
";

    fn dark(
        observed: &mut Observed,
        name: &str,
        seen: fn(Why) -> Observation<crate::plan::observed::CacheContent>,
    ) {
        observed
            .caches
            .insert(cache(name), seen(Why("it is dark".to_owned())));
    }

    fn found(desired: &Desired, observed: &Observed, selection: &Selection) -> String {
        let all = unreached(desired, observed, selection);
        all.into_iter()
            .map(|one| one.what)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn one_rule_for_all_types() {
        let desired = desired(CACHES);
        let mut observed = world().observe(&desired);
        let all = Selection::default();
        for name in ["dev", "team", "team@eu-west-1", "calm", "strict"] {
            observed.caches.insert(cache(name), Observation::Absent);
        }
        assert_eq!(found(&desired, &observed, &all), "");
        for name in ["dev", "team", "team@eu-west-1", "calm", "strict"] {
            dark(&mut observed, name, Observation::Unknown);
        }
        assert_eq!(
            found(&desired, &observed, &all),
            "dev team team@eu-west-1 strict"
        );
        // That a service refuses is no outage.
        dark(&mut observed, "calm", Observation::Error);
        assert_eq!(
            found(&desired, &observed, &all),
            "dev team team@eu-west-1 calm strict"
        );
        for (only, caches, expected) in [
            (vec!["push"], vec![], "dev team team@eu-west-1 calm strict"),
            (vec!["push/team"], vec![], "team"),
            (vec!["push/team/gold"], vec![], "team"),
            (vec!["setup", "prune/team"], vec![], ""),
            (vec![], vec!["team@eu-west-1"], "team@eu-west-1"),
        ] {
            let selection = Selection {
                only: only.into_iter().map(str::to_owned).collect(),
                caches: caches.into_iter().map(cache).collect(),
                scope: None,
            };
            assert_eq!(found(&desired, &observed, &selection), expected);
        }
        // Of a part for main and a part for this machine, each hides what is its own.
        for (scope, expected) in [
            (Scope::Machine, "dev"),
            (Scope::Shared, "team team@eu-west-1 calm strict"),
        ] {
            let selection = Selection {
                scope: Some(scope),
                ..Selection::default()
            };
            assert_eq!(found(&desired, &observed, &selection), expected);
        }
    }

    #[test]
    fn who_adopts_in_one_cache_needs_no_other() {
        let adopt = |name: &str| {
            let adopt = Adopt {
                cache: cache(name),
                paths: None,
            };
            let extra = Extra {
                adopt: Some(adopt),
                ..Extra::default()
            };
            let desired = desired_with(CACHES, extra);
            let mut observed = world().observe(&desired);
            for name in desired.caches.keys() {
                observed.caches.insert(name.clone(), Observation::Absent);
            }
            dark(&mut observed, "team", Observation::Unknown);
            found(&desired, &observed, &Selection::default())
        };
        assert_eq!(
            (adopt("team").as_str(), adopt("dev").as_str()),
            ("team", "")
        );
    }

    #[test]
    fn what_is_not_pushed_to_may_be_dark() {
        for push in ["{ enabled: false }", "{ to: { dev: all } }"] {
            let desired = desired(&format!("{CACHES}push: {push}\n"));
            let mut observed = world().observe(&desired);
            dark(&mut observed, "team", Observation::Unknown);
            assert_eq!(found(&desired, &observed, &Selection::default()), "");
        }
    }
}
