//! What holds of the figures of any records, also of those that somebody made up.

use proptest::prelude::*;

use super::tests::{config, run};
use super::*;
use crate::config::model::ClassName;
use crate::insight::run::{Built, Fetched, Origin, Output, Pushed, Storage, Substituted};

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "1-app",
        "2-lib",
        "3-lib-dev",
        "4",
        "-",
        "é-ü",
        "5-\u{1b}[2J\n",
    ])
    .prop_map(String::from)
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..5_000,
        Just(u64::MAX),
        Just(u64::MAX / 2 + 1),
        Just(i64::MAX as u64)
    ]
}

fn class() -> impl Strategy<Value = Option<ClassName>> {
    prop::option::of(prop::sample::select(vec!["apps", "rest", "gone"]).prop_map(ClassName::new))
}

fn cache() -> impl Strategy<Value = CacheName> {
    prop::sample::select(vec!["dev", "up", "gone"]).prop_map(CacheName::new)
}

fn perhaps() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(amount())
}

prop_compose! {
    fn substituted()(path in name(), class in class(), cache in prop::option::of(cache()), tier in prop::option::of(1u8..4),
        deriver in prop::option::of(name()), download in perhaps(), nar in perhaps(), millis in perhaps()) -> Substituted {
        Substituted { path, class, url: "https://x.example".into(), cache, tier, deriver, download, nar, millis }
    }
}

prop_compose! {
    fn built()(drv in name(), outputs in prop::collection::vec((name(), perhaps()), 0..3), class in class(),
        system in prop::option::of(name()), millis in perhaps(), failed in any::<bool>()) -> Built {
        let outputs = outputs.into_iter().map(|(path, nar)| Output { path, nar }).collect();
        Built { drv, outputs, class, system, machine: None, millis, queued: None, began: None, failed, inputs: vec![] }
    }
}

prop_compose! {
    fn pushed()(cache in cache(), class in class(), paths in amount(), nar in amount(), sent in amount(), millis in perhaps())
        -> Pushed {
        Pushed { cache, class, paths, nar, sent, millis }
    }
}

prop_compose! {
    fn storage()(cache in cache(), paths in amount(), bytes in amount(), estimate in any::<bool>(), limit in perhaps(),
        classes in prop::collection::vec((class(), amount()), 0..3)) -> Storage {
        let classes = classes.into_iter().filter_map(|(class, bytes)| Some((class?, bytes))).collect();
        Storage { cache, paths, bytes, estimate, limit, classes }
    }
}

prop_compose! {
    fn any_run()(
        // All that a time in a record can be, and days beside each other.
        start in prop_oneof![Just(-377_705_000_000i64), Just(253_402_000_000), (0i64..30).prop_map(|day| day * 86_400)],
        millis in perhaps(), event in prop::option::of(prop::sample::select(vec!["main", "local"])),
        substituted in prop::collection::vec(substituted(), 0..5), built in prop::collection::vec(built(), 0..5),
        bytes in perhaps(), pushed in prop::collection::vec(pushed(), 0..3), storage in prop::collection::vec(storage(), 0..3),
    ) -> Run {
        let origin = Origin { event: event.map(String::from), ..Origin::default() };
        let fetched = vec![Fetched { url: "https://y.example".into(), bytes, millis }];
        Run { millis, origin, substituted, built, fetched, pushed, storage, ..run(start) }
    }
}

/// Records of runs such as anybody could write.
pub(crate) fn any_runs() -> impl Strategy<Value = Vec<Run>> {
    prop::collection::vec(any_run(), 0..30)
}

fn any_content() -> impl Strategy<Value = BTreeMap<CacheName, Content>> {
    // The same file has the same size.
    let file = prop::sample::select(vec![("a", 7), ("b", 1 << 40), ("c", u64::MAX), ("d", 0)]);
    let path = (name(), class(), file).prop_map(|(path, class, (file, bytes))| StoredPath {
        path,
        class,
        bytes,
        file: file.into(),
    });
    let content = prop::collection::vec(path, 0..6).prop_map(|paths| Content { paths });
    prop::collection::btree_map(cache(), content, 0..3)
}

/// The report of these runs, with the settings of the tests.
pub(crate) fn report_of(runs: &[Run], contents: &BTreeMap<CacheName, Content>) -> Report {
    report(
        runs,
        &config(),
        contents,
        &Filter::default(),
        Time(40 * 86_400),
    )
}

fn is_part(rate: Rate) -> bool {
    rate.hit <= rate.all && rate.share().is_none_or(|share| share <= 10_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The figures hang on the records, not on their order or on how often they were told.
    #[test]
    fn any_order_gives_the_same_figures(
        (runs, told) in any_runs().prop_flat_map(|runs| {
            let twice: Vec<Run> = runs.iter().chain(&runs).cloned().collect();
            (Just(runs), Just(twice).prop_shuffle())
        }),
        contents in any_content(),
    ) {
        prop_assert_eq!(report_of(&told, &contents), report_of(&runs, &contents));
    }

    /// Parts are parts, and parts together are the whole.
    #[test]
    fn parts_sum_up(runs in any_runs(), contents in any_content()) {
        let report = report_of(&runs, &contents);
        let Hits { paths, bytes, millis } = report.hits;
        prop_assert!([paths, bytes, millis].into_iter().all(is_part));
        let sum = |groups: &[Group], of: fn(Rate) -> u64| -> u64 { groups.iter().map(|it| of(it.hits.paths)).sum() };
        for groups in [&report.classes, &report.systems] {
            prop_assert_eq!(sum(groups, |it| it.all), paths.all);
            prop_assert_eq!(sum(groups, |it| it.hit), paths.hit);
        }
        for groups in [&report.tiers, &report.caches] {
            prop_assert_eq!(sum(groups, |it| it.hit), paths.hit);
            prop_assert!(groups.iter().all(|it| it.hits.paths.all == paths.all));
        }
        let known = report.time.known + report.time.unknown;
        prop_assert_eq!(known, paths.all);
        prop_assert!(report.time.fetched <= report.time.known);
        prop_assert_eq!(report.runs + report.applies, report.series.len() as u64);
        prop_assert!(report.network.upload_timed <= report.network.uploaded);
        prop_assert!(report.network.download_timed <= report.network.downloaded);
        for storage in &report.storage {
            prop_assert!(storage.read.is_none_or(|read| read <= storage.bytes));
            prop_assert!(storage.utility().is_none_or(|share| share <= 10_000));
        }
        for target in &report.targets {
            prop_assert_eq!(target.met.is_none(), target.unknown.is_some());
            prop_assert_eq!(target.causes.is_empty() || target.met == Some(false), true);
            prop_assert!(target.causes.len() <= 3 && target.causes.iter().all(|it| it.share <= 10_000));
        }
        let text = serde_json::to_string(&report).unwrap();
        let again: Report = serde_json::from_str(&text).unwrap();
        prop_assert_eq!((again.hits, again.targets, again.series), (report.hits, report.targets, report.series));
    }

    /// A record outside of the filter changes no rate of paths, and only makes more build times known.
    #[test]
    fn more_records_make_more_known(runs in any_runs(), more in any_run()) {
        let mut all = runs.clone();
        all.push(Run { start: Time(-1), ..more });
        let filter = Filter { since: Some(Time(0)), ..Filter::default() };
        let of = |runs: &[Run]| report(runs, &config(), &BTreeMap::new(), &filter, Time(40 * 86_400));
        let (few, many) = (of(&runs), of(&all));
        prop_assert_eq!(few.hits.paths, many.hits.paths);
        prop_assert_eq!(few.hits.bytes, many.hits.bytes);
        prop_assert!(many.hits.millis.unknown <= few.hits.millis.unknown);
    }
}
