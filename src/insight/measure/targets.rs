//! What `cache.yaml` asks for, and what is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Report;
use super::causes::{self, Cause};
use super::storage::Content;
use crate::config::model::{CacheName, Config};
use crate::insight::run::Run;

/// A target, and its figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetFigure {
    /// Its name in `targets`, such as `hit-rate`.
    pub name: String,
    /// What is asked for: hundredths of a percent, bytes or milliseconds, by its name.
    pub target: u64,
    /// What is, in the same unit; none: it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
    /// Whether it is met; none: nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
    /// Why it is not known, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// The largest causes, where it is missed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Where `cache.yaml` asks for it, as a JSON pointer.
    pub setting: String,
}

pub(super) fn figures(
    report: &Report,
    runs: &[&Run],
    config: &Config,
    contents: &BTreeMap<CacheName, Content>,
) -> Vec<TargetFigure> {
    let targets = &config.targets;
    let mut found = Vec::new();
    let mut add = |name: &str,
                   target: u64,
                   value: Option<i64>,
                   at_least: bool,
                   unknown: &str,
                   causes: &dyn Fn() -> Vec<Cause>| {
        let target_signed = i64::try_from(target).unwrap_or(i64::MAX);
        let met = value.map(|value| {
            if at_least {
                value >= target_signed
            } else {
                value <= target_signed
            }
        });
        found.push(TargetFigure {
            name: name.to_owned(),
            target,
            value,
            met,
            unknown: value.is_none().then(|| unknown.to_owned()),
            causes: if met == Some(false) {
                causes()
            } else {
                Vec::new()
            },
            setting: format!("/targets/{name}"),
        });
    };
    if let Some(target) = targets.hit_rate {
        let value = report.hits.paths.share().map(i64::from);
        let unknown = "no recorded run needed anything";
        add(
            "hit-rate",
            u64::from(target.0),
            value,
            true,
            unknown,
            &|| causes::misses(runs),
        );
    }
    if let Some(target) = targets.build_time_reduction {
        let value = report.time.reduction();
        let unknown = "of nothing that was fetched a build was ever recorded";
        // Without a single recorded build of something that was fetched, only what was built is known.
        let value = value.filter(|_| report.hits.millis.hit > 0 || report.hits.paths.hit == 0);
        add(
            "build-time-reduction",
            u64::from(target.0),
            value,
            true,
            unknown,
            &|| causes::building(runs),
        );
    }
    if let Some(target) = targets.size {
        let bytes = report.storage.iter().map(|it| it.bytes).sum::<u64>();
        let value = (!report.storage.is_empty()).then(|| i64::try_from(bytes).unwrap_or(i64::MAX));
        let unknown = "no apply has recorded how full the caches are, and nobody looked";
        add("size", target.0, value, false, unknown, &|| {
            causes::room(&report.storage, contents)
        });
    }
    if let Some(target) = targets.push_time {
        let value = report.push.longest.and_then(|it| i64::try_from(it).ok());
        let unknown = "no push was recorded";
        add(
            "push-time",
            target.0.saturating_mul(1000),
            value,
            false,
            unknown,
            &|| causes::pushing(runs),
        );
    }
    found
}
