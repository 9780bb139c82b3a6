//! How long things take to build, as it was recorded.

use std::collections::BTreeMap;

use crate::insight::run::{Run, Substituted};

/// How long each derivation takes to build, as it was recorded: the median of its builds, the lower one of two.
#[derive(Clone, Debug, Default)]
pub struct Colds {
    by_drv: BTreeMap<String, u64>,
    /// By path of an output: its derivation, where that was timed.
    by_path: BTreeMap<String, String>,
}

impl Colds {
    /// What these runs recorded.
    pub(super) fn of(runs: &[&Run]) -> Self {
        let mut times: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        let mut by_path = BTreeMap::new();
        for built in runs.iter().flat_map(|run| &run.built) {
            if built.failed {
                continue;
            }
            // Several derivations may make the same path; one that was never timed says nothing.
            let Some(millis) = built.millis else {
                continue;
            };
            times.entry(&built.drv).or_default().push(millis);
            for output in &built.outputs {
                by_path.insert(output.path.clone(), built.drv.clone());
            }
        }
        let by_drv = times
            .into_iter()
            .map(|(drv, mut millis)| {
                millis.sort_unstable();
                (drv.to_owned(), millis[(millis.len() - 1) / 2])
            })
            .collect();
        Self { by_drv, by_path }
    }

    /// The derivation that makes this path, as far as it is known.
    pub(super) fn derivation<'r>(&'r self, fetched: &'r Substituted) -> Option<&'r str> {
        let built = self.by_path.get(&fetched.path);
        built.or(fetched.deriver.as_ref()).map(String::as_str)
    }

    /// How long a build of this path would take, with all outputs of its derivation; none: none was recorded.
    #[must_use]
    pub fn of_path(&self, fetched: &Substituted) -> Option<u64> {
        self.by_drv.get(self.derivation(fetched)?).copied()
    }
}
