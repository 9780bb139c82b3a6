//! What runs measured: figures against their targets, and each over the runs as a chart with its table.

use std::collections::BTreeSet;

use super::super::html::{Card, CardState, Chart, Kind, Note, Section, Series, Table, Unit};
use super::super::units::{count, elapsed, percent, rate, size, things};
use super::{charted, section};
use crate::config::model::{CacheName, ClassName};
use crate::insight::measure::{Cost, Group, Point, Rate, Report, TargetFigure, Trend};

/// So many runs, the latest, have room in a chart.
const MOST: usize = 120;

/// The figures at a glance: the targets, and what has none.
pub(super) fn cards(report: &Report) -> Vec<Card> {
    let mut cards: Vec<Card> = report.targets.iter().map(target).collect();
    let has = |name: &str| report.targets.iter().any(|target| target.name == name);
    let plain = |label: &str, value: Option<String>, note: String| {
        Some(Card {
            label: label.to_owned(),
            value: value?,
            note,
            state: CardState::Plain,
        })
    };
    let hits = &report.hits.paths;
    if !has("hit-rate") {
        let value = hits.share().map(|_| shown(*hits));
        let note = format!("{} of {} paths", count(hits.hit), count(hits.all));
        cards.extend(plain("Hit rate", value, note));
    }
    let time = &report.time;
    let saved = (time.known > 0).then(|| signed(time.saved()));
    let of = format!(
        "against building {}; {} not known",
        things(time.known, "path"),
        count(time.unknown)
    );
    cards.extend(plain("Time saved", saved, of));
    let network = &report.network;
    let down = rate(network.download_timed, network.download_millis);
    let note = format!("{} in all", size(network.downloaded));
    cards.extend(plain("Downloads", down, note));
    if let Some(cost) = &report.cost {
        let sum: f64 = parts(cost).iter().filter_map(|(_, value)| *value).sum();
        let note = "a month of 30 days".to_owned();
        cards.extend(plain(
            "Cost",
            Some(format!("{sum:.2} {}", cost.currency)),
            note,
        ));
    }
    cards
}

/// The parts of the page.
pub(super) fn sections(report: &Report) -> Vec<Section> {
    let mut all = Vec::new();
    all.extend(targets(&report.targets));
    all.extend(worse(&report.trends));
    all.extend(hits(report));
    all.extend(groups(report));
    all.extend(times(report));
    all.extend(sizes(report));
    all.extend(classes(report));
    all.extend(pushes(report));
    all.extend(report.cost.as_ref().map(cost));
    all.extend(storage(report));
    all.extend(unknowns(&report.unknowns));
    all
}

/// A target's numbers in words, by its name.
fn in_words(name: &str, value: i64) -> String {
    let amount = u64::try_from(value).unwrap_or(0);
    match name {
        "size" => size(amount),
        "push-time" => elapsed(amount),
        // Hundredths of a percent.
        _ => {
            let (sign, value) = (if value < 0 { "−" } else { "" }, value.unsigned_abs());
            match value % 100 {
                0 => format!("{sign}{}%", value / 100),
                part => format!("{sign}{}.{part:02}%", value / 100),
            }
        }
    }
}

/// What a target is called, and on which side of it all is well.
fn named(name: &str) -> (String, &'static str) {
    match name {
        "hit-rate" => ("Hit rate".to_owned(), "at least"),
        "build-time-reduction" => ("Build time saved".to_owned(), "at least"),
        "size" => ("Size".to_owned(), "at most"),
        "push-time" => ("Longest push".to_owned(), "at most"),
        other => (other.to_owned(), "target"),
    }
}

fn target(target: &TargetFigure) -> Card {
    let (label, side) = named(&target.name);
    let asked = in_words(
        &target.name,
        i64::try_from(target.target).unwrap_or(i64::MAX),
    );
    let value = target.value.map(|value| in_words(&target.name, value));
    Card {
        label,
        value: value.unwrap_or_else(|| "not known".to_owned()),
        note: format!("{side} {asked}"),
        state: match target.met {
            Some(true) => CardState::Met,
            Some(false) => CardState::Missed,
            None => CardState::Plain,
        },
    }
}

fn targets(all: &[TargetFigure]) -> Option<Section> {
    let row = |one: &TargetFigure| {
        let (label, side) = named(&one.name);
        let asked = in_words(&one.name, i64::try_from(one.target).unwrap_or(i64::MAX));
        let (value, met) = if let (Some(value), Some(met)) = (one.value, one.met) {
            let met = if met { "✓ met" } else { "✗ missed" };
            (in_words(&one.name, value), met.to_owned())
        } else {
            let why = one.unknown.clone().unwrap_or_default();
            ("not known".to_owned(), format!("? {why}"))
        };
        vec![label, format!("{side} {asked}"), value, met]
    };
    let note = |one: &TargetFigure| Note {
        title: format!("Why {} is missed", named(&one.name).0.to_lowercase()),
        text: one
            .causes
            .iter()
            .map(|cause| cause.text.clone())
            .collect::<Vec<_>>()
            .join(" · "),
        code: None,
    };
    (!all.is_empty()).then(|| Section {
        table: table(
            &["figure", "target", "is", "so"],
            all.iter().map(row).collect(),
        ),
        notes: all
            .iter()
            .filter(|one| !one.causes.is_empty())
            .map(note)
            .collect(),
        ..section(
            "targets",
            "Targets",
            "What cache.yaml asks for, and what is.",
        )
    })
}

fn worse(trends: &[Trend]) -> Option<Section> {
    let words = |trend: &Trend, value: f64| match trend.unit.as_str() {
        "ms" => Unit::Millis.text(value),
        _ => Unit::Share.text(value / 100.0),
    };
    let row = |trend: &Trend| {
        let commit = trend
            .commit
            .as_deref()
            .map_or("–", |commit| commit.get(..10).unwrap_or(commit));
        vec![
            trend.figure.clone(),
            words(trend, trend.before),
            words(trend, trend.after),
            trend.since.to_string(),
            commit.to_owned(),
            count(trend.runs),
        ]
    };
    let head = [
        "figure",
        "was (median)",
        "is (median)",
        "since",
        "commit",
        "runs since",
    ];
    let text = "What changed for the worse by more than chance explains.";
    (!trends.is_empty()).then(|| Section {
        table: table(&head, trends.iter().map(row).collect()),
        ..section("worse", "What got worse", text)
    })
}

/// The latest runs that have a value.
fn points<'r, V>(
    report: &'r Report,
    value: impl Fn(&'r Point) -> Option<V>,
) -> (Vec<(&'r Point, V)>, String) {
    let mut all: Vec<(&Point, V)> = report
        .series
        .iter()
        .filter_map(|point| Some((point, value(point)?)))
        .collect();
    let (whole, cut) = (all.len() as u64, all.len().saturating_sub(MOST));
    all.drain(..cut);
    let said = if cut > 0 {
        format!(" The latest {} of {} are shown.", all.len(), count(whole))
    } else {
        String::new()
    };
    (all, said)
}

/// A chart over runs. The table also says what was run.
fn over_runs(
    (id, title, text): (&str, &str, &str),
    runs: &[&Point],
    series: Vec<Series>,
    target: Option<(f64, String)>,
    unit: Unit,
) -> Section {
    let chart = Chart {
        kind: Kind::Lines,
        points: runs.iter().map(|point| moment(point)).collect(),
        series,
        target,
        unit,
    };
    let mut section = charted(id, title, text, "run", chart);
    section.table.head.insert(1, "what".to_owned());
    for (row, point) in section.table.rows.iter_mut().zip(runs) {
        let commit = point
            .commit
            .as_deref()
            .map(|commit| commit.get(..7).unwrap_or(commit));
        let commit = commit.map_or_else(String::new, |commit| format!(" ({commit})"));
        row.insert(1, format!("{}{commit}", point.what));
    }
    section
}

/// Month, day, hour and minute of a run.
fn moment(point: &Point) -> String {
    let text = point.start.to_string();
    match (text.get(5..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time}"),
        _ => text,
    }
}

/// The target's line in a chart, in the units of the chart.
fn line(report: &Report, name: &str, scale: f64) -> Option<(f64, String)> {
    let target = report.targets.iter().find(|target| target.name == name)?;
    let words = in_words(name, i64::try_from(target.target).ok()?);
    Some((real(target.target) / scale, format!("target {words}")))
}

fn hits(report: &Report) -> Option<Section> {
    let (points, said) = points(report, |point| point.paths.filter(|paths| paths.all > 0));
    if points.is_empty() {
        return None;
    }
    let text = format!("Of the paths that a run needed, those that came from caches.{said}");
    let series = Series {
        name: "from caches".to_owned(),
        values: points
            .iter()
            .map(|(_, paths)| Some(real(paths.hit) / real(paths.all)))
            .collect(),
    };
    let runs: Vec<&Point> = points.iter().map(|(point, _)| *point).collect();
    let target = line(report, "hit-rate", 10_000.0);
    let mut section = over_runs(
        ("hits", "Hit rate", &text),
        &runs,
        vec![series],
        target,
        Unit::Share,
    );
    section.table.head.push("paths".to_owned());
    for (row, (_, paths)) in section.table.rows.iter_mut().zip(&points) {
        row.push(format!("{} of {}", count(paths.hit), count(paths.all)));
    }
    Some(section)
}

fn groups(report: &Report) -> Option<Section> {
    let row = |kind: &str, group: &Group| {
        let hits = &group.hits;
        vec![
            format!("{kind}{}", group.name),
            shown(hits.paths),
            shown(hits.bytes),
            shown(hits.millis),
            count(hits.paths.all),
        ]
    };
    let whole = Group {
        name: "everything".to_owned(),
        hits: report.hits,
    };
    let kinds = [
        ("", &report.tiers),
        ("cache ", &report.caches),
        ("class ", &report.classes),
        ("system ", &report.systems),
    ];
    let mut rows = vec![row("", &whole)];
    for (kind, groups) in kinds {
        rows.extend(groups.iter().map(|group| row(kind, group)));
    }
    let text = "How much came from caches, counted in paths, in bytes, and in the time that building would have taken. Of a tier or cache: its part of all that was needed.";
    (report.hits.paths.all > 0).then(|| Section {
        table: table(
            &["of", "paths", "bytes", "build time", "paths needed"],
            rows,
        ),
        ..section("parts", "Hit rate by part", text)
    })
}

fn times(report: &Report) -> Option<Section> {
    let (points, said) = points(report, |point| {
        point.millis.filter(|_| point.paths.is_some())
    });
    let text = format!("From the beginning of a run of Nix to its end.{said}");
    let about = ("time", "Time of runs", text.as_str());
    one_line(about, &points, None)
}

fn pushes(report: &Report) -> Option<Section> {
    let (points, said) = points(report, |point| point.push_millis);
    let text = format!("The longest push of each apply.{said}");
    let about = ("push", "Time of pushes", text.as_str());
    one_line(about, &points, line(report, "push-time", 1.0))
}

fn one_line(
    about: (&str, &str, &str),
    points: &[(&Point, u64)],
    target: Option<(f64, String)>,
) -> Option<Section> {
    let series = Series {
        name: "time".to_owned(),
        values: points
            .iter()
            .map(|(_, millis)| Some(real(*millis)))
            .collect(),
    };
    let runs: Vec<&Point> = points.iter().map(|(point, _)| *point).collect();
    (!runs.is_empty()).then(|| over_runs(about, &runs, vec![series], target, Unit::Millis))
}

fn sizes(report: &Report) -> Option<Section> {
    let (points, said) = points(report, |point| {
        (!point.sizes.is_empty()).then_some(&point.sizes)
    });
    let names: BTreeSet<&CacheName> = points.iter().flat_map(|(_, sizes)| sizes.keys()).collect();
    let series = |name: &&CacheName| Series {
        name: name.to_string(),
        values: points
            .iter()
            .map(|(_, sizes)| sizes.get(*name).map(|bytes| real(*bytes)))
            .collect(),
    };
    let text = format!("How full each cache was after each apply.{said}");
    let runs: Vec<&Point> = points.iter().map(|(point, _)| *point).collect();
    // The target is of all caches together.
    let target = line(report, "size", 1.0).filter(|_| names.len() == 1);
    let series = names.iter().map(series).collect();
    let about = ("size", "Size of caches", text.as_str());
    (!runs.is_empty()).then(|| over_runs(about, &runs, series, target, Unit::Bytes))
}

fn classes(report: &Report) -> Option<Section> {
    let caches: Vec<_> = report
        .storage
        .iter()
        .filter(|it| !it.classes.is_empty())
        .collect();
    let mut names: Vec<&ClassName> = Vec::new();
    for name in caches.iter().flat_map(|cache| cache.classes.keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let series = |name: &&ClassName| Series {
        name: name.to_string(),
        values: caches
            .iter()
            .map(|cache| cache.classes.get(*name).map(|bytes| real(*bytes)))
            .collect(),
    };
    let chart = Chart {
        kind: Kind::Stacks,
        points: caches.iter().map(|cache| cache.cache.to_string()).collect(),
        series: names.iter().map(series).collect(),
        target: None,
        unit: Unit::Bytes,
    };
    let text = "What each class takes in each cache, compressed. A file that several paths share counts for the first.";
    (!caches.is_empty()).then(|| charted("classes", "Size by class", text, "cache", chart))
}

fn parts(cost: &Cost) -> [(&'static str, Option<f64>); 3] {
    [
        ("storage", Some(cost.storage)),
        ("downloads", cost.egress),
        ("CI", cost.ci),
    ]
}

fn cost(cost: &Cost) -> Section {
    let all = parts(cost);
    let chart = Chart {
        kind: Kind::Stacks,
        points: all.iter().map(|(name, _)| (*name).to_owned()).collect(),
        series: vec![Series {
            name: cost.currency.clone(),
            values: all.iter().map(|(_, value)| *value).collect(),
        }],
        target: None,
        unit: Unit::Money,
    };
    let text = "A month of 30 days by the prices of cache.yaml: keeping what is there now, and downloads and CI minutes at the pace of the recorded runs.";
    charted("cost", "Cost", text, "of", chart)
}

fn storage(report: &Report) -> Option<Section> {
    let none = || "not known".to_owned();
    let rows: Vec<Vec<String>> = report
        .storage
        .iter()
        .map(|one| {
            let about = if one.estimate { "about " } else { "" };
            let growth = one.forecast.map(|it| {
                let sign = if it.per_day < 0 { "−" } else { "" };
                format!("{sign}{} a day", size(it.per_day.unsigned_abs()))
            });
            let full = one.forecast.map(|it| {
                it.full
                    .map_or_else(|| "not in sight".to_owned(), |full| full.to_string())
            });
            vec![
                one.cache.to_string(),
                format!("{about}{}", size(one.bytes)),
                one.limit.map_or_else(|| "none".to_owned(), size),
                one.read.map_or_else(none, |read| percent(read, one.bytes)),
                one.shared.map_or_else(none, size),
                growth.unwrap_or_else(none),
                full.unwrap_or_else(none),
            ]
        })
        .collect();
    let head = [
        "cache",
        "bytes",
        "limit",
        "ever read",
        "spared by sharing",
        "grows",
        "full",
    ];
    let text = "How full each cache is, how much of it any recorded run read, and when it is full at the pace of its records.";
    (!rows.is_empty()).then(|| Section {
        table: table(&head, rows),
        ..section("storage", "Storage", text)
    })
}

fn unknowns(all: &[String]) -> Option<Section> {
    let rows: Vec<Vec<String>> = all.iter().map(|one| vec![one.clone()]).collect();
    (!rows.is_empty()).then(|| Section {
        table: table(&["not known"], rows),
        ..section("not-known", "What the figures leave out", "")
    })
}

fn table(head: &[&str], rows: Vec<Vec<String>>) -> Table {
    Table {
        head: head.iter().map(|&word| word.to_owned()).collect(),
        rows,
    }
}

fn shown(rate: Rate) -> String {
    rate.share().map_or_else(
        || "not known".to_owned(),
        |share| Unit::Share.text(f64::from(share) / 10_000.0),
    )
}

fn signed(millis: i64) -> String {
    let sign = if millis < 0 { "−" } else { "" };
    format!("{sign}{}", elapsed(millis.unsigned_abs()))
}

/// A number of things, bytes or milliseconds: exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "a picture is not so exact")]
fn real(number: u64) -> f64 {
    number as f64
}
