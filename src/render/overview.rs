//! The page of a project: how its caches stand, what its runs measured, what would change, what could be better.

mod measured;
mod standing;

use super::api::Applied;
use super::html::{Card, CardState, Chart, Note, Page, Section, Table};
use super::report;
use super::style::Palette;
use super::text::{self, Layout};
use super::units::{plural, things};
use super::view::{Detail, Options, PlanView};
use crate::insight::measure::Report;
use crate::insight::status::Status;
use crate::plan::plan::Plan;

/// What there is to show; what is none or empty is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overview<'a> {
    /// How things stand.
    pub status: Option<&'a Status>,
    /// What runs measured.
    pub report: Option<&'a Report>,
    /// What an apply would do.
    pub plan: Option<&'a Plan>,
    /// What came of the last apply.
    pub applied: Option<&'a Applied>,
    /// What could be better.
    pub advice: &'a [Recommendation],
    /// The folder that is written `~`; empty: none.
    pub home: &'a str,
}

/// A change of `cache.yaml` that would do good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recommendation {
    /// What to do, in a few words.
    pub title: String,
    /// What would come of it, in numbers.
    pub effect: String,
    /// The change, as a unified diff.
    pub diff: String,
}

/// The page.
#[must_use]
pub fn page(overview: &Overview<'_>) -> Page {
    let mut cards: Vec<Card> = Vec::new();
    let mut sections: Vec<Section> = Vec::new();
    let mut project = "";
    let mut times: Vec<String> = Vec::new();
    if let Some(report) = overview.report {
        project = &report.project;
        times.push(format!(
            "{} and {} recorded{}",
            things(report.runs, "run"),
            plural(report.applies, "apply", "applies"),
            report
                .since
                .map_or_else(String::new, |since| format!(" since {since}"))
        ));
        cards.extend(measured::cards(report));
        sections.extend(measured::sections(report));
    }
    if let Some(status) = overview.status {
        project = &status.project;
        times.push(format!("looked at {}", status.now));
        cards.extend(standing::cards(status));
        sections.extend(standing::sections(status));
    }
    sections.extend(advice(overview.advice));
    sections.extend(overview.plan.map(|plan| pending(plan, overview.home)));
    if let Some(applied) = overview.applied {
        cards.push(last(applied));
        sections.extend(applied.report.as_ref().map(|report| {
            let text = report::text(report, plain());
            let title = format!("at {}: {}", report.began, applied.meaning);
            noted(
                "applied",
                "The last apply",
                "What was promised, and what happened.",
                &title,
                &text,
            )
        }));
    }
    Page {
        title: format!("{project}: its caches"),
        subtitle: times.join(" · "),
        cards,
        sections,
        footer: "Made by nanna-cache.".to_owned(),
    }
}

/// A section with a chart, and with a table that says the same: a row for each point, of `what`.
#[must_use]
pub fn charted(id: &str, title: &str, text: &str, what: &str, chart: Chart) -> Section {
    let mut head = vec![what.to_owned()];
    head.extend(chart.series.iter().map(|series| series.name.clone()));
    let row = |(at, point): (usize, &String)| {
        let value = |values: &[Option<f64>]| {
            let value = values.get(at).copied().flatten();
            value.map_or_else(|| "not known".to_owned(), |value| chart.unit.text(value))
        };
        let mut row = vec![point.clone()];
        row.extend(chart.series.iter().map(|series| value(&series.values)));
        row
    };
    let rows = chart.points.iter().enumerate().map(row).collect();
    Section {
        table: Table { head, rows },
        chart: Some(chart),
        ..section(id, title, text)
    }
}

/// A section that says something and shows nothing yet.
fn section(id: &str, title: &str, text: &str) -> Section {
    Section {
        id: id.to_owned(),
        title: title.to_owned(),
        text: text.to_owned(),
        chart: None,
        table: Table::default(),
        notes: Vec::new(),
    }
}

fn noted(id: &str, title: &str, text: &str, note: &str, code: &str) -> Section {
    Section {
        notes: vec![Note {
            title: note.to_owned(),
            text: String::new(),
            code: Some(code.trim_matches('\n').to_owned()),
        }],
        ..section(id, title, text)
    }
}

fn plain() -> Layout {
    Layout::new(None, Palette::PLAIN)
}

fn pending(plan: &Plan, home: &str) -> Section {
    let options = Options {
        detail: Detail::Default,
        scope: None,
        applying: false,
    };
    let mut view = PlanView::new(plan, options);
    if !home.is_empty() {
        view = view.with_home(home);
    }
    let text = text::plan(&view, plain());
    let said = "What an apply would do now. Nothing is changed by looking.";
    noted("pending", "Pending", said, "The plan", &text)
}

fn last(applied: &Applied) -> Card {
    let report = applied.report.as_ref();
    Card {
        label: "The last apply".to_owned(),
        value: if applied.exit == 0 {
            "good"
        } else {
            "not whole"
        }
        .to_owned(),
        note: report.map_or_else(
            || applied.meaning.clone(),
            |report| format!("{}, {}", applied.meaning, report.began),
        ),
        state: if applied.exit == 0 {
            CardState::Met
        } else {
            CardState::Missed
        },
    }
}

fn advice(all: &[Recommendation]) -> Option<Section> {
    if all.is_empty() {
        return None;
    }
    let note = |one: &Recommendation| Note {
        title: one.title.clone(),
        text: one.effect.clone(),
        code: (!one.diff.is_empty()).then(|| one.diff.clone()),
    };
    let text = "Changes of cache.yaml, the best first, each with what the recorded runs say it would bring.";
    Some(Section {
        notes: all.iter().map(note).collect(),
        ..section("advice", "What could be better", text)
    })
}

#[cfg(test)]
mod tests;
