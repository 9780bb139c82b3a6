//! What recorded runs needed, in an order of its own, and what a configuration says of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::model::{ClassName, Classes, Config};
use crate::insight::run::{Outcome, Run, RunId};
use crate::nix::store_path::HashPart;
use crate::plan::class::{ClassId, Classifier};

/// What recorded runs needed of our own caches: the same for any order of the records, and for records that are
/// there twice.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    pub(super) items: Vec<Item>,
    /// Milliseconds that a derivation takes to build, where a build of it was timed.
    pub(super) makers: Vec<Option<u64>>,
    pub(super) moments: Vec<Moment>,
}

/// A path that was needed.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) base: String,
    pub(super) nar: u64,
    pub(super) file: u64,
    pub(super) maker: usize,
    pub(super) class: Option<ClassName>,
}

/// A run.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) runner: Option<usize>,
    pub(super) pushes: bool,
    pub(super) needs: Vec<Need>,
}

/// A path that a run needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub(super) item: usize,
    pub(super) substituted: bool,
    /// No earlier run needed it.
    pub(super) first: bool,
}

#[derive(Default)]
struct Seen {
    nar: u64,
    download: u64,
    maker: Option<String>,
    class: Option<ClassName>,
}

impl Traffic {
    /// What `runs` needed. `config` says which caches are our own; what a replay changes is not asked here.
    #[must_use]
    pub fn new(runs: &[Run], config: &Config) -> Self {
        let runs: BTreeMap<(i64, RunId), &Run> = runs
            .iter()
            .map(|run| ((run.start.0, run.id()), run))
            .collect();
        let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
        let mut times: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        let mut runners: BTreeSet<&str> = BTreeSet::new();
        let mut pushing: BTreeSet<Option<&str>> = BTreeSet::new();
        let (mut nar, mut sent) = (0_u128, 0_u128);
        for run in runs.values() {
            runners.extend(run.origin.runner.as_deref());
            for pushed in &run.pushed {
                pushing.insert(run.origin.event.as_deref());
                nar += u128::from(pushed.nar);
                sent += u128::from(pushed.sent);
            }
            for path in run.substituted.iter().filter(|path| is_own(path, config)) {
                let known = seen.entry(&path.path).or_default();
                known.nar = known.nar.max(path.nar.unwrap_or(0));
                known.download = known.download.max(path.download.unwrap_or(0));
                known.maker = known.maker.take().or_else(|| path.deriver.clone());
                known.class = path.class.clone().or_else(|| known.class.take());
            }
            for built in run.built.iter().filter(|built| !built.failed) {
                times.entry(&built.drv).or_default().extend(built.millis);
                for output in &built.outputs {
                    let known = seen.entry(&output.path).or_default();
                    known.nar = known.nar.max(output.nar.unwrap_or(0));
                    known.maker = Some(built.drv.clone());
                    known.class = built.class.clone().or_else(|| known.class.take());
                }
            }
        }
        let mut traffic = Self::default();
        let mut makers: BTreeMap<String, usize> = BTreeMap::new();
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        for (base, known) in seen {
            let drv = known.maker.unwrap_or_else(|| base.to_owned());
            let maker = *makers.entry(drv.clone()).or_insert_with(|| {
                traffic
                    .makers
                    .push(times.get(drv.as_str()).and_then(|all| median(all)));
                traffic.makers.len() - 1
            });
            // Uncompressed where nothing says how well it compresses.
            let packed = match (known.download, nar) {
                (0, 1..) => u64::try_from(u128::from(known.nar) * sent / nar).unwrap_or(u64::MAX),
                (0, 0) => known.nar,
                (download, _) => download,
            };
            numbers.insert(base, traffic.items.len());
            traffic.items.push(Item {
                base: base.to_owned(),
                nar: known.nar,
                file: packed,
                maker,
                class: known.class,
            });
        }
        let runners: Vec<&str> = runners.into_iter().collect();
        let mut before = BTreeSet::new();
        for ((start, _), run) in &runs {
            let own = run.substituted.iter().filter(|path| is_own(path, config));
            let read = own.map(|path| (path.path.as_str(), true));
            let built = run.built.iter().filter(|built| !built.failed);
            let made =
                built.flat_map(|built| built.outputs.iter().map(|out| (out.path.as_str(), false)));
            // A path that was read and then built was not to be had.
            let wanted: BTreeMap<&str, bool> = read.chain(made).collect();
            let event = run.origin.event.as_deref();
            let needs = wanted.into_iter().filter_map(|(base, substituted)| {
                let item = *numbers.get(base)?;
                let first = before.insert(item);
                Some(Need {
                    item,
                    substituted,
                    first,
                })
            });
            let seconds = i64::try_from(run.millis.unwrap_or(0) / 1000).unwrap_or(i64::MAX);
            traffic.moments.push(Moment {
                start: *start,
                end: start.saturating_add(seconds),
                runner: run
                    .origin
                    .runner
                    .as_deref()
                    .and_then(|name| runners.binary_search(&name).ok()),
                pushes: matches!(run.outcome, Outcome::Done | Outcome::Unknown)
                    && event != Some("fork")
                    && (pushing.is_empty() || pushing.contains(&event)),
                needs: needs.collect(),
            });
        }
        traffic.moments.retain(|moment| !moment.needs.is_empty());
        traffic
    }

    /// How many runs needed something.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.moments.len()
    }

    /// When the first run began, in seconds since 1970.
    #[must_use]
    pub fn begin(&self) -> i64 {
        self.moments.first().map_or(0, |moment| moment.start)
    }

    /// When the last run ended, in seconds since 1970.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.moments
            .iter()
            .map(|moment| moment.end)
            .max()
            .unwrap_or(0)
    }
}

/// Whether a path came from a cache that we write.
fn is_own(path: &crate::insight::run::Substituted, config: &Config) -> bool {
    let cache = path.cache.as_ref().and_then(|name| config.caches.get(name));
    cache.is_some_and(|cache| cache.kind.written().is_some())
}

/// The lower middle.
fn median(all: &[u64]) -> Option<u64> {
    let mut all = all.to_vec();
    all.sort_unstable();
    all.get(all.len().checked_sub(1)? / 2).copied()
}

/// Traffic with what a configuration says of it.
pub(super) struct Sorted<'a> {
    pub(super) traffic: &'a Traffic,
    config: &'a Config,
    classifier: Classifier<'a>,
    classes: Vec<ClassId>,
    barred: Vec<bool>,
}

impl<'a> Sorted<'a> {
    pub(super) fn new(traffic: &'a Traffic, config: &'a Config) -> Self {
        let classifier = Classifier::new(config);
        let class = |item: &Item| {
            let recorded = item.class.as_ref().and_then(|class| classifier.id(class));
            let hash = || {
                item.base
                    .get(..32)
                    .and_then(|text| HashPart::parse(text.as_bytes()).ok())
            };
            recorded.unwrap_or_else(|| {
                let hash = hash().unwrap_or_else(|| HashPart::from_bytes([0; 20]));
                classifier.class(hash, &item.base)
            })
        };
        let classes: Vec<ClassId> = traffic.items.iter().map(class).collect();
        let barred = traffic.items.iter().zip(&classes).map(|(item, class)| {
            let limit = classifier.get(*class).max_path_size;
            !config.push.enabled
                || limit.is_some_and(|limit| item.nar > limit.0)
                || config
                    .push
                    .exclude
                    .iter()
                    .any(|pattern| pattern.is_match(&item.base))
        });
        let barred = barred.collect();
        Self {
            traffic,
            config,
            classifier,
            classes,
            barred,
        }
    }

    /// The caches that a machine reads and writes.
    pub(super) fn reachable(&self, runner: Option<usize>) -> Vec<(usize, Option<usize>)> {
        let caches = self.config.caches.values().enumerate();
        let written = caches.filter(|(_, cache)| cache.kind.written().is_some());
        written
            .map(|(at, cache)| (at, runner.filter(|_| cache.tier == Some(3))))
            .collect()
    }

    /// Whether a path is pushed to a cache.
    pub(super) fn admits(&self, cache: usize, item: usize) -> bool {
        let name = self.config.caches.get_index(cache).map(|(name, _)| name);
        let to = name.and_then(|name| self.config.push.to.get(name));
        !self.barred[item] && to.is_some_and(|to: &Classes| to.contains(self.class_name(item)))
    }

    pub(super) fn class_name(&self, item: usize) -> &ClassName {
        self.classifier.name_of(self.classes[item])
    }

    pub(super) fn priority(&self, item: usize) -> u32 {
        self.classifier.priority(self.classes[item])
    }

    /// Seconds.
    pub(super) fn retention(&self, item: usize) -> i64 {
        i64::try_from(self.classifier.retention(self.classes[item]).0).unwrap_or(i64::MAX)
    }

    /// Seconds.
    pub(super) fn grace(&self) -> i64 {
        i64::try_from(self.config.prune.grace.0).unwrap_or(i64::MAX)
    }

    pub(super) const fn prunes(&self) -> bool {
        self.config.prune.enabled
    }

    pub(super) fn limit(&self, cache: usize) -> Option<u64> {
        let (_, cache) = self.config.caches.get_index(cache)?;
        cache.kind.written()?.max_size.map(|size| size.0)
    }
}
