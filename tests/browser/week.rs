//! A made-up week of a project: its `cache.yaml`, sixty runs of three machines, and what is in its caches.

use std::collections::BTreeMap;

use nanna_cache::config::model::{CacheName, ClassName, Config};
use nanna_cache::insight::measure::{Content, Filter, Report, StoredPath, report};
use nanna_cache::insight::run::Run;
use nanna_cache::plan::time::Time;
use serde_json::{Value, json};

/// Its `cache.yaml`.
pub(crate) const CONFIG: &str = "version: 1
project: nanna-coder
caches:
  nanna-coder: { type: file, path: /srv/nanna, tier: 1, max-size: 50GB }
  dev: { type: file, path: /srv/dev, tier: 3, max-size: 20GiB }
artifacts:
  rust-dependencies: { priority: 100, retention: 60d, match: ['-rust'] }
  test-containers: { priority: 90, retention: 30d, match: ['-test'] }
  applications: { priority: 70, retention: 30d, match: ['-app'] }
  system-packages: { priority: 20, retention: 14d, default: true }
targets: { hit-rate: 85%, build-time-reduction: 70%, size: 50GB, push-time: 5m }
prices: { currency: EUR, storage: 0.023, egress: 0.09, ci-minute: 0.008 }
";

const CLASSES: [&str; 4] = [
    "rust-dependencies",
    "test-containers",
    "applications",
    "system-packages",
];

/// 16 November 2026, 08:00 UTC.
const START: i64 = 1_794_816_000;

fn config() -> Config {
    let (config, _) = nanna_cache::config::read("cache.yaml", CONFIG.as_bytes())
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    config
}

/// Numbers that look like chance, and are the same each time.
fn noise(seed: u64) -> u64 {
    let mixed = seed
        .wrapping_add(0x9e37_79b9_7f4a_7c15)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40
}

fn time(seconds: i64) -> Value {
    json!(Time(seconds))
}

fn name(number: u64, class: usize) -> String {
    let hash: String = (0..32u64)
        .map(|at| {
            char::from(
                b"0123456789abcdfghijklmnpqrsvwxyz"
                    [usize::try_from(noise(number * 97 + at) % 32).unwrap()],
            )
        })
        .collect();
    format!("{hash}-{}-{number}", CLASSES[class])
}

/// A run of Nix: what changed is built, the rest is fetched. On the fifth day the lock file moves on.
fn run(number: u64) -> Value {
    let start = START
        + i64::try_from(number).unwrap() * 2 * 3600
        + i64::try_from(noise(number) % 3000).unwrap();
    let is_new = number == 0 || number == 40;
    let changed = if is_new {
        60
    } else {
        2 + noise(number * 3) % 9
    };
    let generation = if number >= 40 { 1000 } else { 0 };
    let (mut substituted, mut built, mut millis) = (Vec::new(), Vec::new(), 0);
    for at in 0..90 {
        let class = usize::try_from(at % 4).unwrap();
        let path = name(generation + at, class);
        let (nar, took) = (
            2_000_000 + noise(at) % 90_000_000,
            4000 + noise(at * 7) % 90_000,
        );
        if at < changed {
            built.push(json!({
                "drv": format!("{path}.drv"), "outputs": [{ "path": path, "nar": nar }],
                "class": CLASSES[class], "millis": took
            }));
            millis += took;
        } else {
            let cache = if noise(at + number).is_multiple_of(3) {
                ("dev", 3)
            } else {
                ("nanna-coder", 1)
            };
            substituted.push(json!({
                "path": path, "class": CLASSES[class], "url": "https://nanna.example", "cache": cache.0,
                "tier": cache.1, "deriver": format!("{path}.drv"), "download": nar / 3, "nar": nar, "millis": 200 + nar / 40_000
            }));
            millis += 200 + nar / 160_000;
        }
    }
    json!({
        "format": 1, "project": "nanna-coder", "what": "nix build .#app", "start": time(start),
        "millis": millis, "outcome": if number % 17 == 5 { "failed" } else { "done" },
        "origin": { "commit": format!("{:07x}aa", noise(number * 11)), "branch": "main", "event": "main",
                    "system": if number % 3 == 2 { "aarch64-linux" } else { "x86_64-linux" },
                    "runner": format!("machine-{}", number % 3) },
        "substituted": substituted, "built": built
    })
}

/// The apply after each third run.
fn apply(number: u64) -> Value {
    let start = START + i64::try_from(number).unwrap() * 2 * 3600 + 3600;
    let classes: BTreeMap<&str, u64> = (0..4u64)
        .map(|at| {
            (
                CLASSES[usize::try_from(at).unwrap()],
                4_000_000_000 + at * 1_500_000_000 + number * 9_000_000,
            )
        })
        .collect();
    let bytes: u64 = classes.values().sum();
    json!({
        "format": 1, "project": "nanna-coder", "what": "push", "start": time(start), "millis": 90_000 + noise(number) % 160_000,
        "outcome": "done", "origin": { "event": "main", "system": "x86_64-linux" },
        "pushed": [{ "cache": "nanna-coder", "class": "applications", "paths": 12, "nar": 900_000_000, "sent": 300_000_000,
                     "millis": 60_000 + noise(number * 5) % 190_000 }],
        "storage": [
            { "cache": "nanna-coder", "paths": 4000 + number * 3, "bytes": bytes, "limit": 50_000_000_000_u64, "classes": classes },
            { "cache": "dev", "paths": 800, "bytes": bytes / 4, "limit": 20 * (1_u64 << 30) }
        ]
    })
}

/// The records of the week, one on each line.
pub(crate) fn records() -> String {
    let records = (0..60).flat_map(|number| {
        let apply = (number % 3 == 0).then(|| apply(number));
        [run(number)].into_iter().chain(apply)
    });
    records.map(|record| record.to_string() + "\n").collect()
}

/// The report of the week.
pub(crate) fn week() -> Report {
    let records = records();
    let runs: Vec<Run> = records
        .lines()
        .map(|line| Run::from_line(line).unwrap())
        .collect();
    let stored = |at: u64| {
        let class = usize::try_from(at % 4).unwrap();
        let path = name(1000 + at, class);
        StoredPath {
            file: format!("nar/{at}"),
            bytes: 300_000_000 + noise(at) * 4,
            class: Some(ClassName::new(CLASSES[class])),
            path,
        }
    };
    let content = |paths: u64| Content {
        paths: (0..paths).map(stored).collect(),
    };
    let contents = [("nanna-coder", 90), ("dev", 24)]
        .map(|(name, paths)| (CacheName::new(name), content(paths)))
        .into();
    report(
        &runs,
        &config(),
        &contents,
        &Filter::default(),
        Time(START + 61 * 7200),
    )
}
