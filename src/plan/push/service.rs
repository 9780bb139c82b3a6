//! What a push to a service needs besides: what the service says of paths, and the right to write.

use crate::config::model::CacheName;
use crate::nix::store_path::StorePath;
use crate::plan::address::{Address, Phase};
use crate::plan::change::Changes;
use crate::plan::desired::Desired;
use crate::plan::nars::Nars;
use crate::plan::observed::{CacheContent, Narinfo};
use crate::plan::paths::Paths;
use crate::plan::plan::{Advice, Refusal};
use crate::plan::service::Service;
use crate::plan::step::Op;

/// There is a token, and it may not write.
const NO_RIGHT: &str = "push-no-right";

/// Says what keeps these steps from running.
///
/// Without a token a plan is still of use: it is what a run that has one would do.
pub(super) fn rights(
    desired: &Desired,
    (name, service): (&CacheName, &Service),
    content: &CacheContent,
    steps: Vec<Address>,
    changes: &mut Changes,
) {
    let is_work = |address: &Address| {
        let step = changes.steps.iter().find(|step| step.address == *address);
        step.is_some_and(|step| match &step.op {
            Op::Push {
                paths, selectors, ..
            } => !paths.is_empty() || !selectors.is_empty(),
            _ => true,
        })
    };
    let steps: Vec<Address> = steps.into_iter().filter(is_work).collect();
    let Some(facts) = content.service.as_ref().filter(|_| !steps.is_empty()) else {
        return;
    };
    let setting = format!("caches.{name}.token");
    if facts.has_token && !facts.may_write {
        changes.refusals.push(Refusal {
            steps,
            code: NO_RIGHT.to_owned(),
            text: format!("the token for {name} may read it, and not write"),
            help: format!("give {setting} one that may write, or set caches.{name}.read-only"),
        });
    } else if !facts.has_token {
        changes.advice.push(Advice {
            phase: Phase::Push,
            about: name.to_string(),
            text: format!(
                "there is no token here, so an apply could not push to it: {setting} is the {}",
                service.token
            ),
            lines: Vec::new(),
            because: desired.because("a push needs a token", &format!("/caches/{name}/token")),
        });
    }
}

/// The content of a cache of which a service said that these are not missing.
///
/// It tells neither what they refer to nor how large their files are.
#[must_use]
pub fn with_present(
    content: CacheContent,
    present: impl IntoIterator<Item = (StorePath, u64)>,
) -> CacheContent {
    let mut paths = Paths::builder(0);
    let mut narinfos = Vec::new();
    for (path, size) in present {
        paths.push(path.hash(), path.name(), size);
        narinfos.push(Narinfo {
            nar: Some(0),
            modified: content.now,
        });
    }
    let mut nars = Nars::default();
    if !narinfos.is_empty() {
        // The service does not say what its files are called; one stands for all.
        nars.add("nar/of-the-service", 0, content.now);
    }
    CacheContent {
        paths: paths.index(),
        narinfos,
        nars,
        ..content
    }
}
