//! The worked example of retention in the README: eight paths on day 100, worked out by the program.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use nanna_cache::config;
use nanna_cache::config::model::{ClassName, Foreign, PinName};
use nanna_cache::config::units::Span;
use nanna_cache::nix::closure::Graph;
use nanna_cache::nix::store_path::HashPart;
use nanna_cache::plan::class::Classifier;
use nanna_cache::plan::need::{Need, Rules, need};
use nanna_cache::plan::observed::{CacheContent, Nar, Narinfo};
use nanna_cache::plan::paths::Paths;
use nanna_cache::plan::record::{PinRecord, Root};
use nanna_cache::plan::time::Time;

const DAY: i64 = 86_400;
const SIZE: u64 = 100_000_000;

/// Names, in the order of the table; the number of a path is its place.
const PATHS: [&str; 8] = [
    "nanna-coder-1",
    "nanna-coder-2",
    "nanna-coder-deps",
    "test-container",
    "openssl",
    "libc",
    "release",
    "tool",
];
/// Who refers to whom.
const REFERENCES: [(&str, &str); 6] = [
    ("nanna-coder-1", "openssl"),
    ("openssl", "libc"),
    ("nanna-coder-2", "libc"),
    ("nanna-coder-deps", "libc"),
    ("test-container", "nanna-coder-2"),
    ("release", "libc"),
];
/// Which roots there are: path, class, day of the last push.
const ROOTS: [(&str, &str, i64); 6] = [
    ("nanna-coder-1", "build-artifacts", 5),
    ("nanna-coder-2", "build-artifacts", 60),
    ("nanna-coder-deps", "rust-dependencies", 60),
    ("test-container", "test-containers", 80),
    ("openssl", "system-packages", 5),
    ("libc", "system-packages", 80),
];

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

fn number(name: &str) -> u32 {
    u32::try_from(PATHS.iter().position(|path| *path == name).unwrap()).unwrap()
}

fn hash(name: &str) -> HashPart {
    HashPart::from_bytes([u8::try_from(number(name)).unwrap() + 1; 20])
}

fn cache() -> CacheContent {
    let mut paths = Paths::builder(PATHS.len());
    for name in PATHS {
        paths.push(hash(name), name, SIZE);
    }
    let edges = REFERENCES.map(|(from, to)| (number(from), number(to)));
    let graph = Graph::from_edges(PATHS.len(), &edges).unwrap();
    let old = Time(5 * DAY);
    CacheContent {
        paths: std::sync::Arc::new(paths.index().with_refs(graph)),
        narinfos: (0..8).map(|nar| Narinfo::new(Some(nar), old)).collect(),
        nars: PATHS
            .iter()
            .map(|name| Nar {
                key: format!("nar/{name}.nar.zst"),
                size: SIZE,
                modified: old,
            })
            .collect(),
        roots: ROOTS
            .iter()
            .map(|(path, class, day)| Root {
                class: ClassName::new(*class),
                hash: hash(path),
                modified: Time(day * DAY),
                path: None,
                attr: None,
            })
            .collect(),
        pins: vec![PinRecord {
            name: PinName::new("v1"),
            hash: hash("release"),
            modified: old,
            project: None,
        }],
        now: Time(100 * DAY),
        ..CacheContent::default()
    }
}

fn judge(content: &CacheContent, max_size: Option<u64>) -> Need {
    let text = readme();
    let file = text.split("```yaml\n").nth(1).unwrap();
    let file = file.split("```").next().unwrap();
    let (config, _) = config::read("cache.yaml", file.as_bytes()).ok().unwrap();
    let classifier = Classifier::new(&config);
    let rules = Rules {
        classifier: &classifier,
        grace: Span(DAY.unsigned_abs()),
        foreign: Foreign::Keep,
        max_size,
        incoming: 0,
        renewed: BTreeSet::new(),
        relied_on: &[],
        pins: content.pins.clone(),
    };
    need(content, &rules)
}

#[test]
fn the_table_is_what_the_program_works_out() {
    let content = cache();
    let (free, tight) = (judge(&content, None), judge(&content, Some(4 * SIZE)));
    let verdict = |need: &Need, row| {
        if need.live.contains(row) {
            "stays"
        } else {
            "goes"
        }
    };
    let text = readme();
    for name in PATHS {
        let row = number(name);
        let until = match (name, free.until(row)) {
            ("release" | "tool", _) => "for ever".to_owned(),
            (_, Some(Time(until))) => format!("day {}", until / DAY),
            (_, None) => "?".to_owned(),
        };
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")))
            .expect("the table has every path");
        let end = format!(
            "| {until} | {} | {} |",
            verdict(&free, row),
            verdict(&tight, row)
        );
        assert!(line.ends_with(&end), "{name}: {end}\n{line}");
    }
    // What the table says of roots is what was put in.
    for (path, class, day) in ROOTS {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("| `{path}` |")))
            .unwrap();
        assert!(line.contains(&format!("{class}, day {day} ")), "{line}");
    }
}
