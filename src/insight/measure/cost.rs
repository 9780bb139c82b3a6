//! What caches cost a month, by the declared prices.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::storage::StorageFigures;
use crate::config::model::{Config, Prices};
use crate::insight::run::Run;

/// A gigabyte, as it is sold.
const GIGABYTE: f64 = 1e9;
const MONTH: f64 = 30.0 * 86_400.0;
const MINUTE: f64 = 60_000.0;
/// Shorter ledgers say nothing about a month.
const LEAST: i64 = 86_400;

/// What a month of 30 days costs. Storage is what there is now; the rest is what the counted runs took, at their pace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// In what it is paid.
    pub currency: String,
    /// Keeping what is in the caches that are written.
    pub storage: f64,
    /// Downloads from caches; none: the runs span less than a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<f64>,
    /// Minutes of CI; none: the runs span less than a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<f64>,
}

/// What keeping so many bytes for a month costs.
#[must_use]
pub(super) fn keeping(prices: &Prices, bytes: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "money is rounded to cents")]
    let bytes = bytes as f64;
    bytes / GIGABYTE * prices.storage
}

fn sum(amounts: impl Iterator<Item = u64>) -> u64 {
    amounts.fold(0, u64::saturating_add)
}

pub(super) fn of(runs: &[&Run], config: &Config, storage: &[StorageFigures]) -> Option<Cost> {
    let prices = config.prices.as_ref()?;
    let bytes = sum(storage.iter().map(|it| it.bytes));
    let span = runs.last()?.start.0 - runs.first()?.start.0;
    #[expect(clippy::cast_precision_loss, reason = "money is rounded to cents")]
    let a_month = |amount: u64| (span >= LEAST).then(|| amount as f64 * MONTH / span as f64);
    let paths = runs.iter().flat_map(|run| &run.substituted);
    let downloaded = sum(paths.filter_map(|path| path.download));
    let in_ci = runs
        .iter()
        .filter(|run| run.origin.event.as_deref() != Some("local"));
    let millis = sum(in_ci.filter_map(|run| run.millis));
    Some(Cost {
        currency: prices.currency.clone(),
        storage: keeping(prices, i64::try_from(bytes).unwrap_or(i64::MAX)),
        egress: a_month(downloaded).map(|bytes| bytes / GIGABYTE * prices.egress),
        ci: a_month(millis).map(|millis| millis / MINUTE * prices.ci_minute),
    })
}
