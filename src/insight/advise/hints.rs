//! What would help, but needs something that no record says.

use std::collections::{BTreeMap, BTreeSet};

use super::FEWEST_RUNS;
use crate::config::model::Config;
use crate::insight::run::Run;

/// Sentences, in a fixed order.
pub(super) fn hints(runs: &[Run], config: &Config) -> Vec<String> {
    let mut hints = upstreams(runs);
    hints.extend(warm(runs, config));
    hints
}

/// Places that `cache.yaml` does not declare, and that served what other runs built.
fn upstreams(runs: &[Run]) -> Vec<String> {
    let built = runs.iter().flat_map(|run| &run.built);
    let outputs = built.flat_map(|built| &built.outputs);
    let built: BTreeSet<&str> = outputs.map(|output| output.path.as_str()).collect();
    let mut served: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for path in runs.iter().flat_map(|run| &run.substituted) {
        if path.cache.is_none() && built.contains(path.path.as_str()) {
            served.entry(&path.url).or_default().insert(&path.path);
        }
    }
    let said = served.into_iter().map(|(url, paths)| {
        format!(
            "`{url}` served {} paths that other runs built: declare it as an upstream, with its public key",
            paths.len()
        )
    });
    said.collect()
}

/// Warm sets that no run asked for, by the commands of the runs.
fn warm(runs: &[Run], config: &Config) -> Vec<String> {
    let named: Vec<&Run> = runs
        .iter()
        .filter(|run| run.what.split_whitespace().any(|word| word.contains('#')))
        .collect();
    if named.len() < FEWEST_RUNS {
        return Vec::new();
    }
    let expanded = |one: &str| -> Vec<String> {
        let systems = config.systems.iter();
        systems
            .map(|system| one.replace("{system}", system))
            .collect()
    };
    let unused = config.optimize.warm.iter().filter(|one| {
        let words = expanded(one);
        !named.iter().any(|run| {
            run.what.split_whitespace().any(|word| {
                // `.#x` and `.#devShells.SYSTEM.x` may be the same thing: the last name decides.
                let last = |text: &str| text.rsplit(['#', '.']).next().map(str::to_owned);
                words.iter().any(|one| last(one) == last(word))
            })
        })
    });
    unused
        .map(|one| {
            format!(
                "`{one}` of optimize.warm was asked for by none of {} runs",
                named.len()
            )
        })
        .collect()
}
