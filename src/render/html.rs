//! One self-contained page of HTML: figures, charts with their tables. Knows nothing of what it shows.
//!
//! Promises: the page works from a file, without a network and without scripts; everything foreign in it is
//! escaped; light and dark, on paper, by keyboard and for a screen reader it says the same; what a chart
//! shows stands in the table below it.

mod chart;
mod unit;

pub use chart::{Chart, Kind, Series};
pub use unit::Unit;

use std::fmt::Write as _;

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// What is said below the title: of what time and from what.
    pub subtitle: String,
    /// Figures at a glance.
    pub cards: Vec<Card>,
    /// The parts, in the order of reading.
    pub sections: Vec<Section>,
    /// What stands at the end.
    pub footer: String,
}

/// A figure at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// What it is.
    pub label: String,
    /// The figure, with its unit.
    pub value: String,
    /// What to compare it with, such as a target.
    pub note: String,
    /// How it compares.
    pub state: CardState,
}

/// How a figure compares with its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardState {
    /// There is nothing to compare it with.
    Plain,
    /// As good as it is to be, or better.
    Met,
    /// Worse than it is to be.
    Missed,
}

/// A part of a page.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name in the address of the page: letters, digits, `-`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What to know.
    pub text: String,
    /// A picture of the table.
    pub chart: Option<Chart>,
    /// The numbers; without a heading row, none is shown.
    pub table: Table,
    /// What to know of single things, such as what could be done.
    pub notes: Vec<Note>,
}

/// Something with a title, a text, and what is to be copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Its title.
    pub title: String,
    /// What to know; may be empty.
    pub text: String,
    /// Text whose lines stand as they are, such as a diff.
    pub code: Option<String>,
}

/// A table with a heading row, and the first column as the heading of each row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The heading of each column.
    pub head: Vec<String>,
    /// The rows, as long as the heading.
    pub rows: Vec<Vec<String>>,
}

/// Text as HTML, also inside of a quoted attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters mean nothing to a reader, and some are no HTML.
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The page as one document.
#[must_use]
pub fn page(page: &Page) -> String {
    let mut out = String::new();
    let title = escape(&page.title);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#content\">To the content</a>\n\
         <header>\n<h1>{title}</h1>\n<p>{}</p>\n</header>\n",
        escape(&page.subtitle)
    );
    contents(page, &mut out);
    out.push_str("<main id=\"content\">\n");
    cards(&page.cards, &mut out);
    for part in &page.sections {
        section(part, &mut out);
    }
    let _ = write!(
        out,
        "</main>\n<footer><p>{}</p></footer>\n</body>\n</html>\n",
        escape(&page.footer)
    );
    out
}

fn contents(page: &Page, out: &mut String) {
    if page.sections.len() < 2 {
        return;
    }
    out.push_str("<nav aria-label=\"Contents\">\n<ul>\n");
    for part in &page.sections {
        let _ = writeln!(
            out,
            "<li><a href=\"#{}\">{}</a></li>",
            escape(&part.id),
            escape(&part.title)
        );
    }
    out.push_str("</ul>\n</nav>\n");
}

fn cards(cards: &[Card], out: &mut String) {
    if cards.is_empty() {
        return;
    }
    out.push_str("<section aria-label=\"At a glance\">\n<dl class=\"cards\">\n");
    for card in cards {
        let (class, word) = match card.state {
            CardState::Plain => ("", ""),
            CardState::Met => (" met", "✓ "),
            CardState::Missed => (" missed", "✗ "),
        };
        let _ = writeln!(
            out,
            "<div class=\"card{class}\"><dt>{}</dt><dd class=\"value\">{}</dd><dd>{word}{}</dd></div>",
            escape(&card.label),
            escape(&card.value),
            escape(&card.note)
        );
    }
    out.push_str("</dl>\n</section>\n");
}

fn section(part: &Section, out: &mut String) {
    let (id, title) = (escape(&part.id), escape(&part.title));
    let _ = writeln!(
        out,
        "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>"
    );
    if !part.text.is_empty() {
        let _ = writeln!(out, "<p>{}</p>", escape(&part.text));
    }
    if let Some(chart) = &part.chart {
        let _ = writeln!(
            out,
            "<figure>\n{}</figure>",
            chart.svg(&part.id, &part.title)
        );
    }
    table(&title, &part.table, out);
    for note in &part.notes {
        let _ = writeln!(out, "<h3>{}</h3>", escape(&note.title));
        if !note.text.is_empty() {
            let _ = writeln!(out, "<p>{}</p>", escape(&note.text));
        }
        if let Some(code) = &note.code {
            let label = escape(&note.title);
            let _ = writeln!(
                out,
                "<pre role=\"region\" aria-label=\"{label}, as a text to copy\" tabindex=\"0\">{}</pre>",
                escape(code)
            );
        }
    }
    out.push_str("</section>\n");
}

fn table(title: &str, table: &Table, out: &mut String) {
    if table.head.is_empty() {
        return;
    }
    // What does not fit is scrolled, by keyboard, too.
    let _ = writeln!(
        out,
        "<div class=\"table\" role=\"region\" aria-label=\"{title}, as a table\" tabindex=\"0\">\n<table>"
    );
    out.push_str("<thead><tr>");
    // Numbers stand below one another by their ends, words by their beginnings.
    let is_number = |cell: &String| cell.starts_with(|c: char| c.is_ascii_digit() || c == '−');
    let class = |at: usize| {
        let mut cells = table.rows.iter().filter_map(|row| row.get(at));
        if at == 0 || cells.any(is_number) {
            ""
        } else {
            " class=\"words\""
        }
    };
    for (at, name) in table.head.iter().enumerate() {
        let class = class(at);
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", escape(name));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let cell = escape(cell);
            let _ = if at == 0 {
                write!(out, "<th scope=\"row\">{cell}</th>")
            } else {
                write!(out, "<td{}>{cell}</td>", class(at))
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

/// Colours have a contrast of at least 4.5 to 1 for text and 3 to 1 for lines, on both grounds.
const STYLE: &str = include_str!("html/page.css");

#[cfg(test)]
mod tests;
