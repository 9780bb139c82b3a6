//! How long things take to build, as it was recorded.

use std::collections::BTreeMap;

use crate::insight::run::{Run, Substituted};

/// How long each derivation takes to build, as it was recorded: the median of its builds, the lower one of two.
#[derive(Clone, Debug, Default)]
pub struct Colds {
    by_drv: BTreeMap<String, u64>,
    /// By path of an output: its derivation, whose time counts for the first output alone.
    by_path: BTreeMap<String, (String, bool)>,
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
            if let Some(millis) = built.millis {
                times.entry(&built.drv).or_default().push(millis);
            }
            for (at, output) in built.outputs.iter().enumerate() {
                by_path.insert(output.path.clone(), (built.drv.clone(), at == 0));
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

    /// How long a build of this path would take; none: none was recorded.
    #[must_use]
    pub fn of_path(&self, fetched: &Substituted) -> Option<u64> {
        if let Some((drv, is_first)) = self.by_path.get(&fetched.path) {
            return self
                .by_drv
                .get(drv)
                .map(|millis| if *is_first { *millis } else { 0 });
        }
        self.by_drv.get(fetched.deriver.as_ref()?).copied()
    }
}
