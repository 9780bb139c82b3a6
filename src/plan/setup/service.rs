//! Caches that a service keeps: what setup can do of them, and what only a person can.
//!
//! A key is never learnt from the service: what is declared counts, and where the service has another, nothing
//! is done with that cache. What the service has no call for (visibility) is advice.

use super::step;
use crate::config::model::{CacheName, Visibility};
use crate::nix::key::PublicKey;
use crate::plan::address::{
    Address, Phase, cache_address, fragment_address, pin_address, push_address, record_address,
    unpin_address,
};
use crate::plan::change::Changes;
use crate::plan::desired::{Cache, Desired};
use crate::plan::observed::{Observation, Observed, Why};
use crate::plan::plan::{Advice, Refusal, Unknown};
use crate::plan::service::record::owned;
use crate::plan::service::{Service, ServiceFacts};
use crate::plan::step::Op;

/// The service has a key that is not declared.
const OTHER_KEY: &str = "setup-service-key";

/// Plans the cache itself.
pub(super) fn plan(
    desired: &Desired,
    observed: &Observed,
    (name, cache, service): (&CacheName, &Cache, &Service),
    changes: &mut Changes,
) {
    let one = One {
        desired,
        observed,
        name,
        cache,
        service,
    };
    match observed.caches.get(name) {
        Some(Observation::Absent) if service.create => one.create(changes),
        Some(Observation::Present(content)) => {
            if let Some(facts) = &content.service {
                one.compare(facts, changes);
            }
        }
        // Push and prune name an unseen cache; setup has nothing to add.
        _ => {}
    }
}

struct One<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    name: &'a CacheName,
    cache: &'a Cache,
    service: &'a Service,
}

impl One<'_> {
    fn setting(&self, key: &str) -> String {
        format!("/caches/{}/{key}", self.name)
    }

    fn advise(&self, text: String, lines: Vec<String>, key: &str, changes: &mut Changes) {
        changes.advice.push(Advice {
            phase: Phase::Setup,
            about: self.name.to_string(),
            text,
            lines,
            because: self
                .desired
                .because("the cache as the service has it", &self.setting(key)),
        });
    }

    fn create(&self, changes: &mut Changes) {
        let rule = format!("cache {} is declared, with `create`", self.name);
        let is = self.service.visibility;
        self.step(rule, "create", (None, is), changes);
    }

    /// The key of a cache that was made without one: nothing can be pushed into it.
    fn register(&self, is: Visibility, changes: &mut Changes) {
        let rule = format!("{} is to be signed by us", self.name);
        let before = info(is, "nobody: the service has no key of it");
        self.step(rule, "signing-key", (Some(before), is), changes);
    }

    fn step(
        &self,
        rule: String,
        setting: &str,
        (before, is): (Option<String>, Visibility),
        changes: &mut Changes,
    ) {
        let signs = match self.cache.signing {
            Some(_) => "us",
            None => "the service",
        };
        let op = Op::CreateCache {
            cache: self.name.clone(),
            folder: self.service.url.clone(),
            before,
            info: info(is, signs),
        };
        let because = self.desired.because(rule, &self.setting(setting));
        let address = cache_address(self.name);
        changes
            .steps
            .push(step(address, self.cache.scope, op, because));
    }

    fn compare(&self, facts: &ServiceFacts, changes: &mut Changes) {
        let is = if facts.is_public {
            Visibility::Public
        } else {
            Visibility::Private
        };
        if is != self.service.visibility {
            let text = format!(
                "it is {}, and should be {}: change it on the service's page, which has no call for it",
                word(is),
                word(self.service.visibility)
            );
            self.advise(text, Vec::new(), "visibility", changes);
        }
        for (what, why) in &facts.unseen {
            changes.unknowns.push(Unknown {
                what: format!("{} {what}", self.name),
                why: Why(why.clone()),
                effect: "it is not compared".to_owned(),
            });
        }
        self.keys(facts, is, changes);
    }

    fn keys(&self, facts: &ServiceFacts, is: Visibility, changes: &mut Changes) {
        let own = self
            .observed
            .keys
            .get(self.name)
            .and_then(Observation::present);
        let declared: Vec<&PublicKey> = self.cache.public_keys.iter().chain(own).collect();
        if declared.is_empty() {
            if !facts.keys.is_empty() {
                let text = "no public key of it is declared, so Nix is not told to ask it; if this is the key \
                            that you expect, declare it:";
                let line = format!("public-keys: [{}]", facts.keys.join(", "));
                self.advise(text.to_owned(), vec![line], "public-keys", changes);
            }
            return;
        }
        let is_declared = |text: &&String| {
            let key = text.parse::<PublicKey>();
            key.is_ok_and(|key| declared.contains(&&key))
        };
        let others: Vec<&String> = facts.keys.iter().filter(|key| !is_declared(key)).collect();
        if facts.keys.is_empty() && own.is_some() && facts.may_write {
            self.register(is, changes);
        }
        if others.is_empty() {
            return;
        }
        let line = self
            .desired
            .config
            .places
            .nearest(&self.setting("public-keys"));
        let line = line.map_or_else(String::new, |place| format!(" (line {})", place.line));
        let others: Vec<&str> = others.into_iter().map(String::as_str).collect();
        let are = if others.len() == 1 { "is" } else { "are" };
        changes.refusals.push(Refusal {
            steps: self.addresses(facts),
            code: OTHER_KEY.to_owned(),
            text: format!(
                "{} signs with {}, which {are} not among the public-keys that are declared for it{line}",
                self.name,
                others.join(" and ")
            ),
            help: format!(
                "find out who changed the key; only if it is meant, write it into caches.{}.public-keys",
                self.name
            ),
        });
    }

    /// Whatever could be done with the cache.
    fn addresses(&self, facts: &ServiceFacts) -> Vec<Address> {
        let config = &self.desired.config;
        let classes = config.classes.keys();
        let mut all = vec![fragment_address()];
        all.extend(classes.map(|class| push_address(self.name, class.as_str())));
        all.extend(config.pins.keys().map(|pin| pin_address(self.name, pin)));
        all.push(record_address(self.name));
        let ours = owned(facts, &config.project);
        all.extend(ours.keys().map(|pin| unpin_address(self.name, pin)));
        all
    }
}

const fn word(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "public",
        Visibility::Private => "private",
    }
}

/// What a service says of a cache, as a text that is compared.
fn info(is: Visibility, signs: &str) -> String {
    format!("visibility: {}\nsigned by: {signs}\n", word(is))
}

#[cfg(test)]
mod tests;
