//! How things stand, as figures.

use super::{Exposition, Kind, Sample, whole};
use crate::insight::status::{CacheStatus, Coverage, Presence, Status};

/// Adds how things stand.
pub fn status(status: &Status, all: &mut Exposition) {
    all.family(
        "status_time_seconds",
        Kind::Gauge,
        "When it was looked, in seconds since 1970.",
        #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact")]
        [(Vec::new(), Some(status.now.0 as f64))],
    );
    let caches = |value: fn(&CacheStatus) -> Option<f64>| {
        status.caches.iter().map(move |cache| -> Sample<'_> {
            let tier = cache.tier.map_or_else(String::new, |tier| tier.to_string());
            let labels = vec![
                ("cache", cache.cache.to_string()),
                ("kind", cache.kind.clone()),
                ("tier", tier),
            ];
            (labels, value(cache))
        })
    };
    all.family(
        "seen",
        Kind::Gauge,
        "Whether the cache could be looked at, and whole.",
        caches(|cache| Some(f64::from(u8::from(cache.unseen.is_none())))),
    );
    all.family(
        "paths",
        Kind::Gauge,
        "Store paths in the cache.",
        caches(|cache| Some(whole(cache.budget.as_ref()?.paths))),
    );
    all.family(
        "used_bytes",
        Kind::Gauge,
        "Bytes that the cache takes; estimated for services that do not tell.",
        caches(|cache| Some(whole(cache.budget.as_ref()?.bytes))),
    );
    all.family(
        "limit_bytes",
        Kind::Gauge,
        "Bytes that the cache may take (max-size).",
        caches(|cache| Some(whole(cache.budget.as_ref()?.max_size?))),
    );
    all.family(
        "output_present",
        Kind::Gauge,
        "Whether what is wanted is in the cache with all that it needs, or upstream; unknown ones are left out.",
        status.coverage.iter().flat_map(presences),
    );
    let pending = &status.pending;
    let kinds = [
        ("create", pending.create),
        ("change", pending.change),
        ("build", pending.build),
        ("fetch", pending.fetch),
        ("push", pending.push_paths),
        ("delete", pending.delete_paths),
    ];
    all.family(
        "pending",
        Kind::Gauge,
        "What an apply would do now: files, outputs or paths, by kind.",
        kinds.map(|(kind, number)| (vec![("kind", kind.to_owned())], Some(whole(number)))),
    );
    all.family(
        "pending_changes",
        Kind::Gauge,
        "Steps of an apply that would change something.",
        [(Vec::new(), Some(whole(pending.changes)))],
    );
    all.family(
        "unknowns",
        Kind::Gauge,
        "Things that could not be seen.",
        [(Vec::new(), Some(whole(status.unknowns.len() as u64)))],
    );
}

fn presences(coverage: &Coverage) -> impl Iterator<Item = Sample<'_>> {
    coverage.caches.iter().map(|(cache, presence)| {
        let system = coverage.system.clone().unwrap_or_default();
        let labels = vec![
            ("output", coverage.what.clone()),
            ("system", system),
            ("cache", cache.to_string()),
        ];
        let value = match presence {
            Presence::Whole | Presence::Upstream => Some(1.0),
            Presence::Partly
            | Presence::ToPush
            | Presence::ToBuild
            | Presence::KeptBack
            | Presence::Nowhere => Some(0.0),
            Presence::Unknown => None,
        };
        (labels, value)
    })
}
