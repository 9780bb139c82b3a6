//! Our pages in a real browser: nothing fails, nothing comes from elsewhere, and everybody can read them.
//!
//! `bash tests/setup/browser.sh` installs what it needs; `NANNA_PICTURES=FOLDER` keeps the pictures.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "serve/client.rs"]
#[allow(dead_code, reason = "the tests of the server use all of it")]
mod client;
mod support;
#[path = "browser/week.rs"]
mod week;

use std::path::{Path, PathBuf};
use std::process::Command;

use client::Server;
use nanna_cache::insight::status::Status;
use nanna_cache::render::html::{
    Card, CardState, Chart, Kind, Page, Section, Series, Table, Unit, page,
};
use nanna_cache::render::json;
use nanna_cache::render::overview::{self, Overview, Recommendation};
use support::bed::TestBed;

/// The folder of the browser's driver; `None`, said loudly: it is not installed.
fn driver() -> Option<PathBuf> {
    let folder = support::target().join("tools/browser");
    if folder.join("pins").exists() {
        return Some(folder);
    }
    let why = "no browser; `bash tests/setup/browser.sh` installs what drives one";
    let required = std::env::var_os("NANNA_REQUIRE_BROWSER").is_some_and(|value| value == "1");
    assert!(!required, "NANNA_REQUIRE_BROWSER=1, but: {why}");
    support::skip_always(why);
    None
}

/// Opens a page light, dark and on paper; fails on whatever the browser or axe complain of.
fn check(html: &str, name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("page.html");
    std::fs::write(&file, html).unwrap();
    check_at(file.to_str().unwrap(), name);
}

/// The same with a file or an address.
fn check_at(place: &str, name: &str) {
    let Some(folder) = driver() else { return };
    let dir = tempfile::tempdir().unwrap();
    let pictures = std::env::var_os("NANNA_PICTURES");
    let pictures = pictures.map_or_else(|| dir.path().to_owned(), PathBuf::from);
    let said = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/check.cjs"))
        .arg(&folder)
        .arg(place)
        .arg(pictures.join(name))
        .output()
        .unwrap();
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    for look in ["light.png", "dark.png", "print.pdf"] {
        let size = std::fs::metadata(pictures.join(format!("{name}-{look}")))
            .unwrap()
            .len();
        assert!(size > 10_000, "{look} is empty: {size} bytes");
    }
}

#[test]
fn a_page_with_every_part_is_fine_for_everybody() {
    let runs: Vec<String> = (1..=24).map(|run| format!("run {run}")).collect();
    let values = |seed: u32, top: f64| -> Vec<Option<f64>> {
        let value = |at: u32| top * f64::from((at * seed * 7919 + 13) % 100) / 100.0;
        (0..24).map(|at| (at != 7).then(|| value(at))).collect()
    };
    let series = |name: &str, seed, top| Series {
        name: name.to_owned(),
        values: values(seed, top),
    };
    let table = Table {
        head: ["run", "paths", "bytes"].map(str::to_owned).to_vec(),
        rows: runs
            .iter()
            .map(|run| vec![run.clone(), "1,204".to_owned(), "9.8 GiB".to_owned()])
            .collect(),
    };
    let card = |label: &str, value: &str, state| Card {
        label: label.to_owned(),
        value: value.to_owned(),
        note: "target 85 %".to_owned(),
        state,
    };
    let html = page(&Page {
        title: "nanna-coder: what its caches give".to_owned(),
        subtitle: "24 runs of three machines, 16 to 23 November 2026".to_owned(),
        cards: vec![
            card("Hit rate, paths", "91 %", CardState::Met),
            card("Build time saved", "62 %", CardState::Missed),
            card("Storage", "31 of 50 GB", CardState::Plain),
        ],
        sections: vec![
            Section {
                id: "hits".to_owned(),
                title: "Hit rate".to_owned(),
                text: "Of the paths that a run needed, those that a cache had.".to_owned(),
                chart: Some(Chart {
                    kind: Kind::Lines,
                    points: runs.clone(),
                    series: vec![
                        series("nanna-coder", 3, 1.0),
                        series("actions", 5, 0.9),
                        series("dev", 11, 0.7),
                    ],
                    target: Some((0.85, "target 85 %".to_owned())),
                    unit: Unit::Share,
                }),
                table: table.clone(),
                notes: Vec::new(),
            },
            Section {
                id: "size".to_owned(),
                title: "Size by class".to_owned(),
                text: "Bytes of NAR files.".to_owned(),
                chart: Some(Chart {
                    kind: Kind::Stacks,
                    points: runs,
                    series: vec![
                        series("rust-dependencies", 3, 20e9),
                        series("test-containers", 7, 12e9),
                        series("system-packages", 9, 8e9),
                    ],
                    target: Some((50e9, "max-size 50 GB".to_owned())),
                    unit: Unit::Bytes,
                }),
                table,
                notes: Vec::new(),
            },
        ],
        footer: "Made by nanna-cache.".to_owned(),
    });
    check(&html, "page");
}

#[test]
fn the_overview_is_fine_for_everybody() {
    let read = |file: &str| std::fs::read_to_string(support::fixture(file)).unwrap();
    let plan = json::read(&read("tests/fixtures/plan/rich/plan.json")).unwrap();
    let report = week::week();
    let mut status: Status = serde_json::from_str(&read("tests/browser/status.json")).unwrap();
    // Both tell of the same caches.
    for one in &report.storage {
        let mut caches = status.caches.iter_mut();
        let budget = caches
            .find(|cache| cache.cache == one.cache)
            .and_then(|cache| cache.budget.as_mut());
        budget.unwrap().bytes = one.bytes;
    }
    let html = page(&overview::page(&Overview {
        status: Some(&status),
        report: Some(&report),
        plan: Some(&plan),
        advice: &[Recommendation {
            title: "Keep rust-dependencies longer".to_owned(),
            effect: "Over the last 60 runs it would have spared 41 builds (2 h 10 min), for 1.2 GiB more.".to_owned(),
            diff: "@@ -31,3 +31,3 @@\n   rust-dependencies:\n-    retention: 14d\n+    retention: 30d\n".to_owned(),
        }],
        ..Overview::default()
    }));
    check(&html, "overview");
}

#[test]
fn the_page_of_the_server_is_fine_for_everybody() {
    let bed = client::bed();
    let server = Server::start(&bed, "--fresh 1h");
    check_at(&format!("http://{}/", server.address), "served");
    server.end(0);
}

#[test]
fn the_page_that_analytics_writes_is_fine_for_everybody() {
    let mut bed = TestBed::new();
    bed.without_nix();
    bed.write("cache.yaml", week::CONFIG);
    bed.write("runs.jsonl", week::records());
    let said = bed.run(["analytics", "--from", "runs.jsonl", "--html", "page.html"]);
    let said = said.success();
    assert!(
        said.stdout.is_empty() && said.stderr.contains("wrote page.html"),
        "{said}"
    );
    let html = bed.read("page.html");
    for text in [
        "60 runs and 20 applies recorded",
        "id=\"hits\"",
        "target 85%",
        "Cost",
        "EUR",
    ] {
        assert!(html.contains(text), "{text}");
    }
    check_at(bed.at("page.html").to_str().unwrap(), "analytics");
}
