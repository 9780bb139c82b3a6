//! Problems of a `cache.yaml` as text, as JSON and as annotations of GitHub Actions.

use std::fmt::Write as _;

use miette::{GraphicalReportHandler, GraphicalTheme};

use super::json;
use super::layout::safe;
use super::text::Layout;
use super::units;
use crate::config::problem::{Located, Problems, Severity};

/// Problems that are drawn; who has more has another file, or mends these first.
const DRAWN: usize = 25;

/// Draws problems on the text of the file, the first of them if there are many. Empty if there is none.
#[must_use]
pub fn text(problems: &Problems, layout: Layout) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let mut text = draw(&problems.first(DRAWN), layout);
    if problems.len() > DRAWN {
        let more = units::count((problems.len() - DRAWN) as u64);
        let _ = writeln!(
            text,
            "\n… and {more} more; `nanna-cache validate --format json` has all of them"
        );
    }
    text
}

fn draw(problems: &Problems, layout: Layout) -> String {
    let theme = if layout.palette().is_coloured() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(layout.width())
        .with_links(false)
        .with_context_lines(1);
    let mut drawn = String::new();
    if handler.render_report(&mut drawn, problems).is_err() {
        // Drawing fails on places outside of the text; what is wrong must be said all the same.
        drawn = lines(problems);
    }
    let mut clean = String::with_capacity(drawn.len());
    for line in drawn.lines() {
        // Colours are ours; other control characters come from the file.
        let line = if layout.palette().is_coloured() {
            keep_colours(line)
        } else {
            safe(line)
        };
        clean.push_str(line.trim_end());
        clean.push('\n');
    }
    clean
}

/// Escapes what is hidden except for the colours that we put there.
fn keep_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, colour) = rest.split_at(at);
        out.push_str(&safe(before));
        let end = colour[2..]
            .find(|c: char| !c.is_ascii_digit() && c != ';')
            .map(|end| end + 2);
        match end {
            Some(end) if colour[end..].starts_with('m') => {
                out.push_str(&colour[..=end]);
                rest = &colour[end + 1..];
            }
            _ => {
                out.push_str("\\u{1b}");
                rest = &colour[1..];
            }
        }
    }
    out.push_str(&safe(rest));
    out
}

/// One line for each problem: `cache.yaml:3:5: error: … [code]`.
#[must_use]
pub fn lines(problems: &Problems) -> String {
    let mut text = String::new();
    for problem in problems.located() {
        let place = problem.labels.first().map_or_else(String::new, |label| {
            format!(":{}:{}", label.start.line, label.start.column)
        });
        let _ = writeln!(
            text,
            "{}{place}: {}: {} [{}]",
            safe(&problem.file),
            word(problem.severity),
            safe(&problem.message),
            problem.code
        );
    }
    text
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// What `validate --format json` prints.
#[derive(serde::Serialize)]
struct Document {
    format: u32,
    file: String,
    valid: bool,
    problems: Vec<Located>,
}

/// Number of the JSON form of problems.
pub const FORMAT: u32 = 1;

/// Problems as JSON; an empty list for a file without any.
#[must_use]
pub fn json(problems: &Problems) -> String {
    json::pretty(&Document {
        format: FORMAT,
        file: problems.file().to_owned(),
        valid: !problems.has_errors(),
        problems: problems.located(),
    })
}

/// Problems as workflow commands of GitHub Actions, which shows them beside the lines.
#[must_use]
pub fn github(problems: &Problems) -> String {
    let mut text = String::new();
    for problem in problems.located() {
        let mut properties = vec![format!("file={}", property(&problem.file))];
        if let Some(label) = problem.labels.first() {
            properties.push(format!("line={}", label.start.line));
            properties.push(format!("col={}", label.start.column));
            if label.end.line == label.start.line {
                properties.push(format!("endColumn={}", label.end.column));
            } else {
                properties.push(format!("endLine={}", label.end.line));
            }
        }
        properties.push(format!("title={}", property(&problem.code)));
        let help = problem
            .help
            .as_ref()
            .map_or_else(String::new, |help| format!("\n{help}"));
        let _ = writeln!(
            text,
            "::{} {}::{}",
            word(problem.severity),
            properties.join(","),
            message(&format!("{}{help}", problem.message))
        );
    }
    text
}

/// Escapes the message of a workflow command.
pub(super) fn message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
pub(super) fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::style::Palette;

    fn problems() -> Problems {
        let text = "version: 1\nproject: \"caf\u{e9} \\e[2J\"\ncache: 5\n";
        match crate::config::read("cache, the.yaml", text.as_bytes()) {
            Err(problems) => problems,
            Ok(_) => panic!("the sample is invalid"),
        }
    }

    #[test]
    fn annotations_are_escaped() {
        let text = github(&problems());
        assert!(text.starts_with("::"), "{text}");
        assert!(text.contains("file=cache%2C the.yaml"), "{text}");
        assert!(text.contains("title=nanna%3A%3Aconfig%3A%3A"), "{text}");
        assert_eq!(text.lines().count(), problems().len());
        assert_eq!(property("50%:a,b\n"), "50%25%3Aa%2Cb%0A");
    }

    #[test]
    fn every_form_has_every_problem() {
        let problems = problems();
        assert!(problems.len() > 1);
        let parsed: serde_json::Value = serde_json::from_str(&json(&problems)).unwrap();
        assert_eq!(parsed["problems"].as_array().unwrap().len(), problems.len());
        assert_eq!(parsed["valid"], false);
        assert_eq!(lines(&problems).lines().count(), problems.len());
        for palette in [Palette::PLAIN, Palette::COLOUR] {
            let drawn = text(&problems, Layout::new(None, palette));
            for problem in problems.iter() {
                assert!(drawn.contains(&problem.code.to_string()), "{drawn}");
            }
            assert!(!drawn.contains("\u{1b}[2J"), "{drawn}");
        }
    }

    #[test]
    fn only_colours_pass() {
        assert_eq!(keep_colours("\u{1b}[31ma\u{1b}[0m"), "\u{1b}[31ma\u{1b}[0m");
        assert_eq!(
            keep_colours("\u{1b}[2Ja\u{1b}]0;x\u{7}"),
            "\\u{1b}[2Ja\\u{1b}]0;x\\u{7}"
        );
        assert_eq!(keep_colours("\u{1b}["), "\\u{1b}[");
    }
}
