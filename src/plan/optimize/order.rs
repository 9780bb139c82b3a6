//! In which order Nix asks the caches, now and then.

use crate::config::model::NixConf;
use crate::plan::address::Phase;
use crate::plan::change::Changes;
use crate::plan::desired::{ConfFiles, Desired};
use crate::plan::observed::Observed;
use crate::plan::plan::{Advice, Asked, AskingOrder};
use crate::plan::setup;

/// In which order Nix asks, before and after.
pub(super) fn compare(
    desired: &Desired,
    observed: &Observed,
    conf: &ConfFiles,
    changes: &mut Changes,
) {
    if matches!(desired.config.setup.nix_conf, NixConf::Dir(_)) {
        return;
    }
    let Some(nix) = observed.nix.present() else {
        return;
    };
    let overruled = setup::overruled(desired, observed, conf, "substituters");
    let mut ours = setup::substituters(desired, observed);
    ours.retain(|(url, _)| !overruled.contains(url));
    let bare = |url: &str| {
        url.split('?')
            .next()
            .unwrap_or(url)
            .trim_end_matches('/')
            .to_owned()
    };
    let mut before: Vec<Asked> = nix
        .substituters
        .iter()
        .map(|facts| Asked {
            url: facts.url.clone(),
            priority: facts.priority,
        })
        .collect();
    let formerly = setup::added_by_project(desired, observed, conf, "substituters");
    let mut after: Vec<Asked> = before
        .iter()
        .filter(|asked| !formerly.contains(&asked.url))
        .filter(|asked| ours.iter().all(|(url, _)| bare(url) != bare(&asked.url)))
        .cloned()
        .collect();
    // What is rewritten keeps its place; what is new comes after all others.
    let theirs = before
        .iter()
        .take_while(|asked| !formerly.contains(&asked.url));
    let place = theirs.filter(|asked| after.contains(asked)).count();
    let ours_asked = ours.iter().map(|(url, priority)| Asked {
        url: url.clone(),
        priority: Some(i64::from(*priority)),
    });
    after.splice(place..place, ours_asked);
    // A stable sort, as Nix's; what is not known comes last.
    before.sort_by_key(|asked| asked.priority.unwrap_or(i64::MAX));
    after.sort_by_key(|asked| asked.priority.unwrap_or(i64::MAX));
    if let Some(first) = after.first()
        && first.priority == Some(0)
        && ours.iter().all(|(url, _)| url != &first.url)
    {
        changes.advice.push(Advice {
            phase: Phase::Optimize,
            about: first.url.clone(),
            text:
                "it has no Priority in its nix-cache-info, so Nix asks it before all others; give \
                   it one where it is declared"
                    .to_owned(),
            lines: vec![format!(
                "{}{}priority=50",
                first.url,
                if first.url.contains('?') { '&' } else { '?' }
            )],
            because: desired.because("the order of asking", "/caches"),
        });
    }
    // Without setup, nothing changes what Nix asks.
    if before != after && desired.has(Phase::Setup) {
        let orders = setup::nearest::orders(desired, observed);
        let because = orders.iter().map(|order| order.explained(observed));
        changes.order = Some(AskingOrder {
            before,
            after,
            because: because.collect(),
        });
    }
}
