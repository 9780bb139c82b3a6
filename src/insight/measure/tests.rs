use super::*;
use crate::config::model::ClassName;
use crate::insight::run::{Built, Origin, Output, Pushed, Storage, Substituted};

const FILE: &str = r#"
version: 1
project: p
caches:
  up: { type: upstream, url: https://up.example, public-keys: ["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="] }
  dev: { type: file, path: /c, tier: 3, signing-key: { file: /k } }
artifacts:
  apps: { priority: 90, match: ["-app"] }
  rest: { priority: 10, default: true }
targets: { hit-rate: "60%", build-time-reduction: "50%", size: 1 kB, push-time: 2s }
prices: { currency: EUR, storage: 2, egress: 1, ci-minute: 0.5 }
"#;

pub(super) fn config() -> Config {
    crate::config::read("cache.yaml", FILE.as_bytes())
        .unwrap_or_else(|problems| panic!("{problems:?}"))
        .0
}

pub(super) fn run(start: i64) -> Run {
    Run {
        format: crate::insight::run::FORMAT,
        project: "p".into(),
        what: "nix build".into(),
        start: Time(start),
        millis: Some(60_000),
        outcome: Outcome::Done,
        origin: Origin {
            system: Some("x86_64-linux".into()),
            event: Some("main".into()),
            ..Origin::default()
        },
        substituted: vec![],
        built: vec![],
        fetched: vec![],
        pushed: vec![],
        storage: vec![],
    }
}

fn built(name: &str, millis: u64, nar: u64) -> Built {
    Built {
        drv: format!("d{name}.drv"),
        outputs: vec![Output {
            path: name.into(),
            nar: Some(nar),
        }],
        class: Some(ClassName::new(if name.contains("-app") {
            "apps"
        } else {
            "rest"
        })),
        system: None,
        machine: None,
        millis: Some(millis),
        queued: None,
        began: None,
        failed: false,
        inputs: vec![],
    }
}

fn fetched(name: &str, cache: Option<(&str, Option<u8>)>, millis: u64, nar: u64) -> Substituted {
    Substituted {
        path: name.into(),
        class: Some(ClassName::new(if name.contains("-app") {
            "apps"
        } else {
            "rest"
        })),
        url: "https://somewhere.example".into(),
        cache: cache.map(|(name, _)| CacheName::new(name)),
        tier: cache.and_then(|(_, tier)| tier),
        deriver: Some(format!("d{name}.drv")),
        download: Some(nar / 2),
        nar: Some(nar),
        millis: Some(millis),
    }
}

/// Day 0: all cold. Day 2: two of four from caches, one of them nobody ever built; one build fails.
fn week() -> Vec<Run> {
    let cold = Run {
        built: vec![built("1-app", 8_000, 100), built("2-lib", 2_000, 300)],
        ..run(0)
    };
    let mut failed = built("9-bad", 500, 0);
    failed.failed = true;
    let warm = Run {
        substituted: vec![
            fetched("1-app", Some(("dev", Some(3))), 1_000, 100),
            fetched("7-glibc", Some(("up", None)), 100, 1_000),
            // A path counts once in a run.
            fetched("1-app", Some(("dev", Some(3))), 1_000, 100),
        ],
        built: vec![
            built("2-lib", 3_000, 300),
            built("3-new", 1_000, 600),
            failed,
        ],
        outcome: Outcome::Failed,
        ..run(2 * 86_400)
    };
    vec![cold, warm]
}

fn of(runs: &[Run]) -> Report {
    report(
        runs,
        &config(),
        &BTreeMap::new(),
        &Filter::default(),
        Time(10 * 86_400),
    )
}

fn rate(rate: Rate) -> (u64, u64, u64) {
    (rate.hit, rate.all, rate.unknown)
}

#[test]
fn hits_are_counted_in_three_ways() {
    let report = of(&week());
    assert_eq!((report.runs, report.failed, report.applies), (2, 1, 0));
    assert_eq!(rate(report.hits.paths), (2, 6, 0));
    assert_eq!(rate(report.hits.bytes), (1_100, 2_400, 0));
    // The app's recorded build took 8 s; glibc's is not known. Built: 8 + 2 + 3 + 1 s.
    assert_eq!(rate(report.hits.millis), (8_000, 22_000, 1));
    let names = |groups: &[Group]| {
        groups
            .iter()
            .map(|it| (it.name.clone(), rate(it.hits.paths)))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&report.tiers),
        [("tier 3".into(), (1, 6, 0)), ("upstream".into(), (1, 6, 0))]
    );
    assert_eq!(
        names(&report.caches),
        [("dev".into(), (1, 6, 0)), ("up".into(), (1, 6, 0))]
    );
    assert_eq!(
        names(&report.classes),
        [("apps".into(), (1, 2, 0)), ("rest".into(), (1, 4, 0))]
    );
    assert_eq!(names(&report.systems), [("x86_64-linux".into(), (2, 6, 0))]);
}

#[test]
fn time_is_compared_with_recorded_builds_alone() {
    let time = of(&week()).time;
    // The median of the builds of lib is the lower one, but what was built took its own time.
    assert_eq!(
        (time.spent, time.cold),
        (
            8_000 + 2_000 + 1_000 + 3_000 + 1_000,
            8_000 + 2_000 + 8_000 + 3_000 + 1_000
        )
    );
    assert_eq!((time.known, time.unknown), (5, 1));
    assert_eq!(time.reduction(), Some(3_181));
    assert_eq!(time.saved(), 7_000);
    assert_eq!(BuildTime::default().reduction(), None);
    let slower = BuildTime {
        spent: 3,
        cold: 2,
        ..BuildTime::default()
    };
    assert_eq!((slower.reduction(), slower.saved()), (Some(-5_000), -1));
}

#[test]
fn what_runs_outside_of_the_filter_built_is_still_known() {
    let filter = Filter {
        since: Some(Time(86_400)),
        ..Filter::default()
    };
    let report = report(
        &week(),
        &config(),
        &BTreeMap::new(),
        &filter,
        Time(10 * 86_400),
    );
    assert_eq!(report.runs, 1);
    assert_eq!(rate(report.hits.millis), (8_000, 12_000, 1));
    let nobody = Filter {
        branch: Some("x".into()),
        ..Filter::default()
    };
    let report = super::report(&week(), &config(), &BTreeMap::new(), &nobody, Time(0));
    assert_eq!(
        (report.runs, report.hits.paths.share(), report.span),
        (0, None, None)
    );
}

fn applied(start: i64, bytes: u64, millis: u64) -> Run {
    Run {
        pushed: vec![
            Pushed {
                cache: CacheName::new("dev"),
                class: Some(ClassName::new("apps")),
                paths: 2,
                nar: 90,
                sent: 30,
                millis: Some(millis),
            },
            Pushed {
                cache: CacheName::new("dev"),
                class: Some(ClassName::new("rest")),
                paths: 1,
                nar: 10,
                sent: 10,
                millis: Some(millis),
            },
        ],
        storage: vec![Storage {
            cache: CacheName::new("dev"),
            paths: 3,
            bytes,
            estimate: false,
            limit: Some(2_000),
            classes: BTreeMap::new(),
        }],
        ..run(start)
    }
}

#[test]
fn pushes_and_storage_come_from_applies() {
    let day = 86_400;
    let runs: Vec<Run> = (0..5)
        .map(|at| {
            applied(
                at * day,
                1_000 + 100 * at.unsigned_abs(),
                1_000 + 500 * at.unsigned_abs(),
            )
        })
        .collect();
    let report = of(&runs);
    assert_eq!((report.runs, report.applies), (0, 5));
    assert_eq!(
        (report.network.uploaded, report.network.upload_millis),
        (200, 10_000)
    );
    assert_eq!(report.network.upload_rate(), Some(20));
    assert_eq!(
        (report.push.pushes, report.push.longest, report.push.median),
        (5, Some(3_000), Some(2_000))
    );
    let [storage] = &report.storage[..] else {
        panic!("{report:?}")
    };
    assert_eq!(
        (storage.bytes, storage.limit, storage.read),
        (1_400, Some(2_000), None)
    );
    let forecast = storage.forecast.unwrap();
    assert_eq!(
        (forecast.per_day, forecast.full),
        (100, Some(Time(10 * day)))
    );
}

#[test]
fn what_nobody_reads_is_counted_when_somebody_looked() {
    let stored = |path: &str, class: &str, bytes, file: &str| StoredPath {
        path: path.into(),
        class: Some(ClassName::new(class)),
        bytes,
        file: file.into(),
    };
    let content = Content {
        paths: vec![
            stored("1-app", "apps", 40, "f1"),
            stored("2-lib", "rest", 60, "f2"),
            stored("2-same", "rest", 60, "f2"),
        ],
    };
    let contents = BTreeMap::from([(CacheName::new("dev"), content)]);
    let report = report(&week(), &config(), &contents, &Filter::default(), Time(0));
    let [storage] = &report.storage[..] else {
        panic!("{report:?}")
    };
    assert_eq!(
        (storage.bytes, storage.read, storage.shared, storage.paths),
        (100, Some(40), Some(60), 3)
    );
    assert_eq!(storage.utility(), Some(4_000));
    let classes: Vec<_> = storage
        .classes
        .iter()
        .map(|(class, bytes)| (class.as_str(), *bytes))
        .collect();
    assert_eq!(classes, [("apps", 40), ("rest", 60)]);
}

#[test]
fn targets_are_met_missed_or_not_known_and_have_causes() {
    let mut runs = week();
    runs.push(applied(3 * 86_400, 1_400, 3_000));
    let report = of(&runs);
    let said: Vec<_> = report
        .targets
        .iter()
        .map(|it| (it.name.as_str(), it.value, it.met))
        .collect();
    assert_eq!(
        said,
        [
            ("hit-rate", Some(3_333), Some(false)),
            ("build-time-reduction", Some(3_181), Some(false)),
            ("size", Some(1_400), Some(false)),
            ("push-time", Some(3_000), Some(false)),
        ]
    );
    let causes: Vec<_> = report.targets[0]
        .causes
        .iter()
        .map(|it| (it.name.as_str(), it.share))
        .collect();
    assert_eq!(causes, [("lib", 5_000), ("app", 2_500), ("new", 2_500)]);
    assert_eq!(
        report.targets[0].causes[0].text,
        "lib was built in 2 runs (2 of 4 paths that were not in a cache)"
    );
    assert_eq!(
        report.targets[1].causes[0].text,
        "app took 8.0 s of building in 1 run"
    );
    assert_eq!(report.targets[2].causes[0].name, "dev");
    assert_eq!(
        report.targets[3].causes[0].text,
        "apps to dev: 2 paths, 0 MB, 90 % of the bytes of the longest push"
    );
    let nothing = of(&[]);
    assert!(
        nothing
            .targets
            .iter()
            .all(|it| it.met.is_none() && it.unknown.is_some())
    );
}

#[test]
fn a_month_costs_what_its_parts_cost() {
    let mut runs = week();
    runs.push(applied(15 * 86_400, 3_000_000_000, 1_000));
    let cost = of(&runs).cost.unwrap();
    assert_eq!(cost.currency, "EUR");
    assert!((cost.storage - 6.0).abs() < 1e-9);
    // 600 bytes in half a month; three minutes of CI in half a month.
    assert!((cost.egress.unwrap() - 1.2e-6).abs() < 1e-9, "{cost:?}");
    assert!((cost.ci.unwrap() - 3.0).abs() < 1e-9);
    assert_eq!(of(&week()[..1]).cost.unwrap().egress, None);
}

#[test]
fn the_time_of_a_build_counts_once_though_it_has_many_outputs() {
    let outputs = |built: &mut Built| {
        for name in ["2-lib-dev", "2-lib-doc"] {
            built.outputs.push(Output {
                path: name.into(),
                nar: Some(10),
            });
        }
    };
    let mut lib = built("2-lib", 2_000, 300);
    outputs(&mut lib);
    let cold = Run {
        built: vec![lib],
        ..run(0)
    };
    // Not the first output of the derivation, and yet all of its build is spared, once.
    let warm = Run {
        substituted: ["2-lib-doc", "2-lib-dev"]
            .map(|name| Substituted {
                deriver: None,
                ..fetched(name, Some(("dev", Some(3))), 100, 10)
            })
            .into(),
        ..run(1)
    };
    let report = of(&[cold, warm]);
    assert_eq!(rate(report.hits.millis), (2_000, 4_000, 0));
    assert_eq!((report.time.spent, report.time.cold), (2_200, 4_000));
}

#[test]
fn what_was_not_timed_is_not_taken_for_quick() {
    // A log without times: it is seen what was fetched, not how long it took.
    let mut warm = week().remove(1);
    warm.millis = None;
    for path in &mut warm.substituted {
        path.millis = None;
    }
    let report = of(&[week().remove(0), warm]);
    let [_, reduction, ..] = &report.targets[..] else {
        panic!("{:?}", report.targets);
    };
    assert_eq!((reduction.value, reduction.met), (None, None));
    assert_eq!((report.time.known, report.time.fetched), (4, 0));

    let mut untimed = applied(5, 1, 0);
    for pushed in &mut untimed.pushed {
        pushed.millis = None;
    }
    let report = of(&[applied(3, 1, 4_000), untimed.clone()]);
    assert_eq!((report.push.pushes, report.push.untimed), (2, 1));
    assert_eq!(report.push.median, Some(4_000));
    assert_eq!(report.network.uploaded, 80);
    assert_eq!(report.network.upload_rate(), Some(10));
    let nothing = of(&[untimed]);
    assert_eq!((nothing.push.longest, nothing.targets[3].met), (None, None));
}

#[test]
fn the_limit_is_that_of_the_file_also_where_nothing_was_recorded() {
    let file = FILE.replace("path: /c,", "path: /c, max-size: 1 kB,");
    let config = crate::config::read("cache.yaml", file.as_bytes())
        .unwrap()
        .0;
    let contents = [(CacheName::new("dev"), Content::default())].into();
    let report = report(&[], &config, &contents, &Filter::default(), Time(0));
    assert_eq!(report.storage[0].limit, Some(1000));
}
