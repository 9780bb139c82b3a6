//! What runs measured, as figures.

use super::{Exposition, Kind, Sample, whole};
use crate::insight::measure::{Group, Hits, Report, StorageFigures, TargetFigure};

/// Adds what runs measured.
pub fn report(report: &Report, all: &mut Exposition) {
    runs(report, all);
    hits(report, all);
    work(report, all);
    storage(&report.storage, all);
    let cost = report.cost.iter().flat_map(|cost| {
        let label = |part: &str| {
            vec![
                ("part", part.to_owned()),
                ("currency", cost.currency.clone()),
            ]
        };
        [
            (label("storage"), Some(cost.storage)),
            (label("downloads"), cost.egress),
            (label("ci"), cost.ci),
        ]
    });
    all.family(
        "month_cost",
        Kind::Gauge,
        "What a month of 30 days costs by the declared prices, in the declared currency.",
        cost,
    );
    targets(&report.targets, all);
    all.family(
        "worse_since_time_seconds",
        Kind::Gauge,
        "Since when a figure is worse than chance explains, in seconds since 1970.",
        report.trends.iter().map(|trend| -> Sample<'_> {
            (
                vec![("figure", trend.figure.clone())],
                Some(moment(trend.since.0)),
            )
        }),
    );
}

fn runs(report: &Report, all: &mut Exposition) {
    let kinds = [
        ("run", report.runs),
        ("failed-run", report.failed),
        ("apply", report.applies),
    ];
    all.family(
        "records",
        Kind::Gauge,
        "Recorded runs of Nix, those of them that failed, and applies.",
        kinds.map(|(kind, number)| (vec![("kind", kind.to_owned())], Some(whole(number)))),
    );
    all.family(
        "last_record_time_seconds",
        Kind::Gauge,
        "When the latest recorded run began, in seconds since 1970.",
        [(Vec::new(), report.span.map(|(_, last)| moment(last.0)))],
    );
}

fn hits(report: &Report, all: &mut Exposition) {
    all.family(
        "hit_ratio",
        Kind::Gauge,
        "Of all that runs needed, the part that came from caches: in paths, in bytes, in time to build.",
        measures(&report.hits, &[]),
    );
    for (name, label, help, groups) in [
        (
            "tier_hit_ratio",
            "tier",
            "Of all that runs needed, the part that came from this tier.",
            &report.tiers,
        ),
        (
            "cache_hit_ratio",
            "source",
            "Of all that runs needed, the part that came from this cache.",
            &report.caches,
        ),
        (
            "class_hit_ratio",
            "class",
            "Of what runs needed of this class, the part that came from caches.",
            &report.classes,
        ),
        (
            "system_hit_ratio",
            "system",
            "Of what runs needed for this system, the part that came from caches.",
            &report.systems,
        ),
    ] {
        let one = |group: &Group| measures(&group.hits, &[(label, group.name.clone())]);
        all.family(name, Kind::Gauge, help, groups.iter().flat_map(one));
    }
    all.family(
        "needed_paths",
        Kind::Gauge,
        "Paths that recorded runs needed.",
        [(Vec::new(), Some(whole(report.hits.paths.all)))],
    );
}

fn measures<'l>(hits: &Hits, labels: &[(&'l str, String)]) -> Vec<Sample<'l>> {
    let kinds = [
        ("paths", hits.paths),
        ("bytes", hits.bytes),
        ("time", hits.millis),
    ];
    let one = |(kind, rate): (&str, crate::insight::measure::Rate)| {
        let mut labels = labels.to_vec();
        labels.push(("measure", kind.to_owned()));
        let ratio = (rate.all > 0).then(|| whole(rate.hit) / whole(rate.all));
        (labels, ratio)
    };
    kinds.map(one).into()
}

fn work(report: &Report, all: &mut Exposition) {
    let (time, network, push) = (&report.time, &report.network, &report.push);
    let is_known = time.known > 0;
    for (name, help, value) in [
        (
            "build_time_reduction_ratio",
            "How much less time recorded runs took than building everything, as far as it is known.",
            time.reduction()
                .filter(|_| is_known)
                .map(|share| moment(share) / 10_000.0),
        ),
        (
            "time_saved_seconds",
            "Time that recorded runs saved against building everything, as far as it is known.",
            is_known.then(|| moment(time.saved()) / 1000.0),
        ),
        (
            "downloaded_bytes",
            "Bytes that recorded runs downloaded from caches.",
            Some(whole(network.downloaded)),
        ),
        (
            "fetched_bytes",
            "Bytes that recorded runs downloaded from elsewhere, such as sources.",
            Some(whole(network.fetched)),
        ),
        (
            "uploaded_bytes",
            "Bytes that recorded pushes sent.",
            Some(whole(network.uploaded)),
        ),
        (
            "download_bytes_per_second",
            "Speed of single downloads.",
            network.download_rate().map(whole),
        ),
        (
            "upload_bytes_per_second",
            "Speed of pushes.",
            network.upload_rate().map(whole),
        ),
        (
            "push_longest_seconds",
            "The longest recorded push.",
            push.longest.map(|millis| whole(millis) / 1000.0),
        ),
        (
            "push_median_seconds",
            "The median of recorded pushes.",
            push.median.map(|millis| whole(millis) / 1000.0),
        ),
    ] {
        all.family(name, Kind::Gauge, help, [(Vec::new(), value)]);
    }
}

fn storage(storage: &[StorageFigures], all: &mut Exposition) {
    let caches = |value: fn(&StorageFigures) -> Option<f64>| {
        storage
            .iter()
            .map(move |one| -> Sample<'_> { (vec![("cache", one.cache.to_string())], value(one)) })
    };
    all.family(
        "recorded_bytes",
        Kind::Gauge,
        "Bytes that the cache takes, by the latest look or record.",
        caches(|one| Some(whole(one.bytes))),
    );
    all.family(
        "read_bytes",
        Kind::Gauge,
        "Bytes of the cache that any recorded run read.",
        caches(|one| one.read.map(whole)),
    );
    all.family(
        "shared_bytes",
        Kind::Gauge,
        "Bytes that are spared because paths share their file.",
        caches(|one| one.shared.map(whole)),
    );
    all.family(
        "growth_bytes_per_second",
        Kind::Gauge,
        "How fast the cache grows, by the median of its records.",
        caches(|one| Some(moment(one.forecast?.per_day) / 86_400.0)),
    );
    all.family(
        "full_time_seconds",
        Kind::Gauge,
        "When the cache will be full at this pace, in seconds since 1970.",
        caches(|one| Some(moment(one.forecast?.full?.0))),
    );
    let classes = storage.iter().flat_map(|one| {
        one.classes.iter().map(|(class, bytes)| -> Sample<'_> {
            let labels = vec![
                ("cache", one.cache.to_string()),
                ("class", class.to_string()),
            ];
            (labels, Some(whole(*bytes)))
        })
    });
    all.family(
        "class_bytes",
        Kind::Gauge,
        "Bytes of a class in a cache.",
        classes,
    );
}

fn targets(targets: &[TargetFigure], all: &mut Exposition) {
    // In base units: ratios, bytes, seconds.
    let scale = |one: &TargetFigure| match one.name.as_str() {
        "size" => ("bytes", 1.0),
        "push-time" => ("seconds", 1000.0),
        _ => ("ratio", 10_000.0),
    };
    let label = |one: &TargetFigure| {
        vec![
            ("target", one.name.clone()),
            ("unit", scale(one).0.to_owned()),
        ]
    };
    all.family(
        "target",
        Kind::Gauge,
        "What cache.yaml asks for.",
        targets
            .iter()
            .map(|one| (label(one), Some(whole(one.target) / scale(one).1))),
    );
    all.family(
        "target_actual",
        Kind::Gauge,
        "What is, where cache.yaml asks for something.",
        targets.iter().map(|one| {
            (
                label(one),
                one.value.map(|value| moment(value) / scale(one).1),
            )
        }),
    );
    all.family(
        "target_met",
        Kind::Gauge,
        "Whether what cache.yaml asks for is so; what is not known is left out.",
        targets.iter().map(|one| {
            let met = one.met.map(|met| f64::from(u8::from(met)));
            (vec![("target", one.name.clone())], met)
        }),
    );
}

/// A signed number, such as seconds since 1970: exact up to 2⁵³.
#[expect(
    clippy::cast_precision_loss,
    reason = "the format has no other numbers"
)]
fn moment(number: i64) -> f64 {
    number as f64
}
