//! Figures as text, Markdown and JSON.

mod table;

use table::Table;

use super::json;
use super::layout::safe;
use super::style::{Palette, Role};
use super::text::Layout;
use super::units::{count, duration, elapsed, plural, rate, size, things};
use crate::config::units::{Size, Span};
use crate::insight::measure::{
    BuildTime, Cost, Forecast, Group, Hits, Point, Rate, Report, StorageFigures, TargetFigure,
    Trend,
};
use crate::plan::time::Time;

/// Columns of a sparkline.
const SPARKS: usize = 40;
/// The heights of a sparkline.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The report as JSON.
#[must_use]
pub fn json(report: &Report) -> String {
    json::pretty(report)
}

/// The report as text.
#[must_use]
pub fn text(report: &Report, layout: Layout) -> String {
    let mut page = Page {
        layout,
        text: String::new(),
        markdown: false,
    };
    page.all(report);
    page.text
}

/// The report as Markdown, such as for the summary of a job.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut page = Page {
        layout: Layout::new(None, Palette::PLAIN),
        text: String::new(),
        markdown: true,
    };
    page.all(report);
    page.text
}

/// Hundredths of a percent as percent: `93.4 %`; down, so that `100 %` means all.
#[must_use]
pub fn percent(share: i64) -> String {
    let (sign, share) = (if share < 0 { "-" } else { "" }, share.unsigned_abs());
    if share.is_multiple_of(100) {
        format!("{sign}{} %", share / 100)
    } else {
        format!("{sign}{}.{} %", share / 100, share % 100 / 10)
    }
}

/// A rate in percent; `not known` without a whole.
#[must_use]
pub fn share(rate: &Rate) -> String {
    rate.share()
        .map_or_else(|| "not known".to_owned(), |share| percent(i64::from(share)))
}

/// A target's figure or target in its unit.
#[must_use]
pub fn in_unit(name: &str, value: i64) -> String {
    match name {
        "hit-rate" | "build-time-reduction" => percent(value),
        "size" => size(u64::try_from(value).unwrap_or(0)),
        _ => elapsed(u64::try_from(value).unwrap_or(0)),
    }
}

/// A target in words: `hit-rate 85 % or more`.
#[must_use]
pub fn asked(target: &TargetFigure) -> String {
    let value = i64::try_from(target.target).unwrap_or(i64::MAX);
    match target.name.as_str() {
        "hit-rate" | "build-time-reduction" => format!("{} or more", percent(value)),
        // As people write it.
        "size" => format!("{} or less", Size(target.target)),
        _ => format!("{} or less", Span(target.target / 1000)),
    }
}

/// The day of a time.
#[must_use]
pub fn day(time: Time) -> String {
    time.to_string().chars().take(10).collect()
}

/// The shares of the latest runs, each a bar.
#[must_use]
pub fn sparks(series: &[Point]) -> String {
    let known: Vec<u32> = series
        .iter()
        .filter_map(|point| point.paths?.share())
        .collect();
    let latest = &known[known.len().saturating_sub(SPARKS)..];
    let height = |share: &u32| {
        let at = usize::try_from(*share).unwrap_or(0) * HEIGHTS.len() / 10_001;
        HEIGHTS[at.min(HEIGHTS.len() - 1)]
    };
    latest.iter().map(height).collect()
}

struct Page {
    layout: Layout,
    text: String,
    markdown: bool,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn title(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.line("");
        }
        if self.markdown {
            self.line(&format!("### {title}"));
            self.line("");
        } else {
            let title = self.layout.palette().paint(Role::Title, title).to_string();
            self.line(&title);
        }
    }

    fn table(&mut self, table: &Table) {
        let lines = if self.markdown {
            table.markdown()
        } else {
            table.text()
        };
        for line in lines {
            self.line(&line);
        }
    }

    fn say(&mut self, text: &str) {
        let text = if self.markdown {
            format!("- {text}")
        } else {
            format!("  {text}")
        };
        self.line(&text);
    }

    fn all(&mut self, report: &Report) {
        self.heading(report);
        if report.runs + report.applies == 0 {
            self.say("Nothing has been recorded. `nanna-cache run -- nix build …` records a run.");
            return;
        }
        self.hits(report);
        self.groups("by tier", &report.tiers);
        self.groups("by cache", &report.caches);
        self.groups("by class", &report.classes);
        if report.systems.len() > 1 {
            self.groups("by system", &report.systems);
        }
        self.times(report);
        self.storage(&report.storage);
        if let Some(cost) = &report.cost {
            self.cost(cost);
        }
        self.targets(&report.targets);
        self.trends(&report.trends);
        if !report.unknowns.is_empty() {
            self.title("not known");
            for unknown in &report.unknowns {
                self.say(&safe(unknown));
            }
        }
    }

    fn heading(&mut self, report: &Report) {
        let mut parts = vec![
            safe(&report.project),
            things(report.runs, "run"),
            plural(report.applies, "apply", "applies"),
        ];
        if let Some((first, last)) = report.span {
            parts.push(format!("{} to {}", day(first), day(last)));
        }
        let heading = parts.join(" · ");
        if self.markdown {
            self.line(&format!("## {heading}"));
        } else {
            let heading = self
                .layout
                .palette()
                .paint(Role::Title, heading)
                .to_string();
            self.line(&heading);
        }
        if report.failed > 0 {
            let failed = count(report.failed);
            self.say(&format!("{failed} of the runs failed or were interrupted"));
        }
    }

    fn hits(&mut self, report: &Report) {
        self.title("hit rate");
        let Hits {
            paths,
            bytes,
            millis,
        } = &report.hits;
        let mut table = Table::new(&["", "rate", "from caches", "needed"]);
        table.row([
            "paths".to_owned(),
            share(paths),
            count(paths.hit),
            count(paths.all),
        ]);
        table.row([
            "bytes".to_owned(),
            share(bytes),
            size(bytes.hit),
            size(bytes.all),
        ]);
        table.row([
            "time to build".to_owned(),
            share(millis),
            elapsed(millis.hit),
            elapsed(millis.all),
        ]);
        self.table(&table);
        let sparks = sparks(&report.series);
        if sparks.chars().count() > 1 {
            self.line("");
            self.say(&format!(
                "{sparks}  paths, run by run, the latest at the right"
            ));
        }
    }

    fn groups(&mut self, title: &str, groups: &[Group]) {
        if groups.is_empty() {
            return;
        }
        self.title(title);
        let mut table = Table::new(&["", "paths", "", "bytes", "time to build"]);
        for group in groups {
            let hits = &group.hits;
            table.row([
                safe(&group.name),
                share(&hits.paths),
                format!("{} of {}", count(hits.paths.hit), count(hits.paths.all)),
                share(&hits.bytes),
                share(&hits.millis),
            ]);
        }
        self.table(&table);
    }

    fn times(&mut self, report: &Report) {
        self.title("time and network");
        let time = &report.time;
        self.say(&build_time(time));
        let network = &report.network;
        let speed = |bytes: Option<u64>| {
            let speed = bytes.and_then(|bytes| rate(bytes, 1000));
            speed.map_or_else(String::new, |speed| format!(" at {speed}"))
        };
        self.say(&format!(
            "downloaded {} from caches{}, {} from elsewhere",
            size(network.downloaded),
            speed(network.download_rate()),
            size(network.fetched)
        ));
        let push = &report.push;
        if let (Some(longest), Some(median)) = (push.longest, push.median) {
            self.say(&format!(
                "pushed {} in {}: {}{}, {} the median, {} the longest",
                things(push.paths, "path"),
                plural(push.pushes, "push", "pushes"),
                size(network.uploaded),
                speed(network.upload_rate()),
                elapsed(median),
                elapsed(longest)
            ));
        }
    }

    fn storage(&mut self, storage: &[StorageFigures]) {
        if storage.is_empty() {
            return;
        }
        self.title("storage");
        let mut table = Table::new(&["", "paths", "size", "of at most", "ever read", "growth"]);
        for figures in storage {
            let about = if figures.estimate { "about " } else { "" };
            let growth = figures
                .forecast
                .as_ref()
                .map(|it| growth(it, figures.limit));
            table.row([
                figures.cache.to_string(),
                count(figures.paths),
                format!("{about}{}", size(figures.bytes)),
                figures.limit.map_or_else(|| "no limit".to_owned(), size),
                figures
                    .utility()
                    .map_or_else(|| "not known".to_owned(), |share| percent(i64::from(share))),
                growth.unwrap_or_else(|| "not known".to_owned()),
            ]);
        }
        self.table(&table);
        for figures in storage {
            if let Some(shared) = figures.shared.filter(|shared| *shared > 0) {
                let text = format!(
                    "{}: {} are there once for several paths with the same content",
                    figures.cache,
                    size(shared)
                );
                self.say(&text);
            }
        }
    }

    fn cost(&mut self, cost: &Cost) {
        self.title("cost of a month");
        let money = |amount: f64| format!("{amount:.2} {}", safe(&cost.currency));
        let known = |amount: Option<f64>| amount.map_or_else(|| "not known".to_owned(), money);
        self.say(&format!(
            "storage {}, downloads {}, CI {}",
            money(cost.storage),
            known(cost.egress),
            known(cost.ci)
        ));
    }

    fn targets(&mut self, targets: &[TargetFigure]) {
        if targets.is_empty() {
            return;
        }
        self.title("targets");
        for target in targets {
            let (sign, role) = match target.met {
                Some(true) => ("✓", Role::Good),
                Some(false) => ("✗", Role::Refusal),
                None => ("?", Role::Unknown),
            };
            let sign = if self.markdown {
                sign.to_owned()
            } else {
                self.layout.palette().paint(role, sign).to_string()
            };
            let is = target.value.map_or_else(
                || format!("not known: {}", target.unknown.as_deref().unwrap_or("")),
                |value| in_unit(&target.name, value),
            );
            self.say(&format!(
                "{sign} {}: {is}, asked for {}",
                target.name,
                asked(target)
            ));
            for cause in &target.causes {
                self.say(&format!("    {}", safe(&cause.text)));
            }
        }
    }

    fn trends(&mut self, trends: &[Trend]) {
        if trends.is_empty() {
            return;
        }
        self.title("got worse");
        for trend in trends {
            self.say(&worse(trend));
        }
    }
}

/// What building took, in words.
#[must_use]
pub fn build_time(time: &BuildTime) -> String {
    let Some(reduction) = time.reduction() else {
        return "how much faster than building everything: not known, for no build was recorded"
            .to_owned();
    };
    let left_out = match time.unknown {
        0 => String::new(),
        unknown => format!(
            "; {} of {} are left out, for their build or fetch was never timed",
            count(unknown),
            things(time.known + unknown, "path")
        ),
    };
    format!(
        "building and fetching took {} instead of {} of building everything: {} less{left_out}",
        elapsed(time.spent),
        elapsed(time.cold),
        percent(reduction)
    )
}

/// How a cache grows, in words.
#[must_use]
pub fn growth(forecast: &Forecast, limit: Option<u64>) -> String {
    let per_day = match forecast.per_day {
        0 => "none".to_owned(),
        bytes if bytes < 0 => format!("-{} a day", size(bytes.unsigned_abs())),
        bytes => format!("{} a day", size(bytes.unsigned_abs())),
    };
    match (forecast.full, limit) {
        (Some(full), _) => {
            let sooner = forecast.earliest.filter(|earliest| *earliest < full);
            let sooner = sooner.map_or_else(String::new, |earliest| {
                format!(", hardly before {}", day(earliest))
            });
            format!("{per_day}, full by {}{sooner}", day(full))
        }
        (None, Some(_)) if forecast.per_day > 0 => format!("{per_day}, not full for years"),
        _ => per_day,
    }
}

/// What got worse, in words.
#[must_use]
pub fn worse(trend: &Trend) -> String {
    let value = |value: f64| match trend.unit.as_str() {
        "%" => format!("{value:.1} %"),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time is above zero and ends some day"
        )]
        _ => elapsed(value as u64),
    };
    let commit = trend.commit.as_deref().map_or_else(String::new, |commit| {
        format!(
            " (commit {})",
            safe(&commit.chars().take(10).collect::<String>())
        )
    });
    format!(
        "{}: {} since {}{commit}, before that {}; {} since then",
        trend.figure,
        value(trend.after),
        trend.since,
        value(trend.before),
        things(trend.runs, "run")
    )
}

/// For how long figures look back, in words.
#[must_use]
pub fn back(seconds: u64) -> String {
    duration(seconds)
}

#[cfg(test)]
mod tests;
