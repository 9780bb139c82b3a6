//! A plan as GitHub flavoured Markdown: the summary first, the details folded.
//!
//! It can be posted as a comment, so it stays below the length that GitHub takes, and nothing
//! foreign in it becomes markup, a mention or a link to an issue.

use std::fmt::Write as _;

use super::text;
use super::units;
use super::view::{Detail, Group, Item, Line, Notice, PhaseView, PlanView, Symbol};

/// Characters of the whole; a comment on GitHub may have 65,536.
const LONGEST: usize = 60_000;
/// Paths of one line that the default detail lists.
const ITEMS: usize = 100;

/// Writes a plan. What would be too long for a comment is folded further, down to the summary.
#[must_use]
pub fn plan(view: &PlanView) -> String {
    let budgets = match view.detail {
        Detail::Concise => [Some(0), Some(0)],
        Detail::Default => [Some(ITEMS), Some(0)],
        Detail::Full => [None, Some(ITEMS)],
    };
    for budget in budgets {
        let text = page(view, budget, view.detail != Detail::Concise);
        if text.chars().count() <= LONGEST {
            return text;
        }
    }
    let short = page(view, Some(0), false);
    if short.chars().count() <= LONGEST {
        return short;
    }
    let sum = escape(&view.sum);
    format!(
        "## {}\n\n**{sum}**\n\nThe plan is too long for a comment.\n",
        escape(&view.heading.join(" · "))
    )
}

fn page(view: &PlanView, items: Option<usize>, diffs: bool) -> String {
    let mut page = Page {
        text: String::new(),
        items,
        diffs,
    };
    page.line(&format!("## {}", escape(&view.heading.join(" · "))));
    page.line("");
    page.line(&format!("**{}**", escape(&view.sum)));
    page.notices(&view.notices);
    for phase in &view.phases {
        page.phase(phase);
    }
    if let Some(hidden) = &view.hidden {
        page.line("");
        page.line(&escape(hidden));
    }
    if let Some(looked) = &view.looked {
        page.line("");
        page.line(&escape(looked));
    }
    if let Some(cost) = &view.cost {
        page.line("");
        page.line(&escape(cost));
    }
    if !view.legend.is_empty() {
        let legend: Vec<String> = view
            .legend
            .iter()
            .map(|symbol| format!("{} {}", code(symbol.sign()), symbol.meaning()))
            .collect();
        page.line("");
        page.line(&format!("<sub>{}</sub>", legend.join(" · ")));
    }
    page.text
}

struct Page {
    text: String,
    items: Option<usize>,
    diffs: bool,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn notices(&mut self, notices: &[Notice]) {
        if notices.is_empty() {
            return;
        }
        let worst = notices.iter().map(|notice| notice.symbol).max();
        let kind = match worst {
            Some(Symbol::Error | Symbol::Refusal) => "CAUTION",
            Some(Symbol::Unknown) => "WARNING",
            _ => "IMPORTANT",
        };
        self.line("");
        self.line(&format!("> [!{kind}]"));
        self.line(&format!("> **{}**", text::title(notices)));
        for notice in notices {
            let place = if notice.place.is_empty() {
                String::new()
            } else {
                format!(" ({})", code(&notice.place))
            };
            let help = if notice.help.is_empty() {
                String::new()
            } else {
                format!(" → {}", escape(&notice.help))
            };
            self.line(&format!(
                "> - {} **{}**{place}: {}{help}",
                code(notice.symbol.sign()),
                escape(&notice.about),
                escape(&notice.text)
            ));
            if !notice.lines.is_empty() {
                let fence = fence(notice.lines.iter().map(String::as_str));
                self.line(&format!(">   {fence}"));
                for line in &notice.lines {
                    self.line(&format!(">   {line}"));
                }
                self.line(&format!(">   {fence}"));
            }
        }
    }

    fn phase(&mut self, phase: &PhaseView) {
        for group in &phase.groups {
            self.group(phase, group);
        }
        if let Some((before, after)) = &phase.order {
            if phase.groups.is_empty() {
                self.line(&format!("\n### {}", phase.phase));
            }
            self.line("");
            self.line("Nix asks the caches in this order, lower priority first:");
            self.line("");
            self.line(&format!("- now: {}", escape(before)));
            self.line(&format!("- then: {}", escape(after)));
            for because in &phase.order_because {
                self.line(&format!("- {}", escape(because)));
            }
        }
    }

    fn group(&mut self, phase: &PhaseView, group: &Group) {
        let title = group
            .title
            .clone()
            .unwrap_or_else(|| phase.phase.word().to_owned());
        let facts = group.facts.join(", ");
        let gap = if facts.is_empty() { "" } else { ": " };
        self.line("");
        self.line(&format!("### {}{gap}{}", escape(&title), escape(&facts)));
        if !group.lines.is_empty() {
            self.line("");
            let has_numbers = group.lines.iter().any(|line| !line.count.is_empty());
            if has_numbers {
                self.line("| | what | | paths | size | asked for by | why |");
                self.line("|:-:|---|---|--:|--:|---|---|");
            } else {
                self.line("| | what | asked for by | why |");
                self.line("|:-:|---|---|---|");
            }
            for line in &group.lines {
                self.row(line, has_numbers);
            }
        }
        if self.diffs {
            for line in &group.lines {
                self.diff(line);
                self.list(&line.label, &line.items, line.more);
            }
        }
        if let Some(kept) = &group.kept_back {
            self.line("");
            self.line(&escape(kept));
        }
        self.list("kept back", &group.kept, 0);
    }

    fn row(&mut self, line: &Line, has_numbers: bool) {
        let mut row = format!(
            "| {} | {} |",
            code(line.symbol.sign()),
            cell_code(&line.label)
        );
        if has_numbers {
            let _ = write!(
                row,
                " {} | {} | {} |",
                escape(&line.remark),
                escape(&line.count),
                escape(&line.bytes)
            );
        }
        let place = if line.place.is_empty() {
            String::new()
        } else {
            cell_code(&line.place)
        };
        let _ = write!(row, " {place} | {} |", escape(&line.note));
        self.line(&row);
    }

    fn diff(&mut self, line: &Line) {
        if line.diff.is_empty() {
            return;
        }
        let fence = fence(line.diff.iter().map(|line| line.text.as_str()));
        self.line("");
        self.line(&format!(
            "<details><summary><code>{}</code></summary>\n",
            html(&line.label)
        ));
        self.line(&format!("{fence}diff"));
        for change in &line.diff {
            self.line(&format!("{}{}", change.sign, change.text));
        }
        self.line(&fence);
        self.line("\n</details>");
    }

    fn list(&mut self, label: &str, items: &[Item], more: u64) {
        let shown = self.items.unwrap_or(items.len()).min(items.len());
        if shown == 0 {
            return;
        }
        self.line("");
        let number = units::count(items.len() as u64 + more);
        self.line(&format!(
            "<details><summary><code>{}</code>: {number}</summary>\n",
            html(label)
        ));
        for item in items.iter().take(shown) {
            let bytes = if item.bytes.is_empty() {
                String::new()
            } else {
                format!(", {}", item.bytes)
            };
            let note = if item.note.is_empty() {
                String::new()
            } else {
                format!(": {}", escape(&item.note))
            };
            self.line(&format!(
                "- {} {}{bytes}{note}",
                code(item.symbol.sign()),
                code(&item.text)
            ));
        }
        let more = (items.len() - shown) as u64 + more;
        if more > 0 {
            self.line(&format!("- and {} more", units::count(more)));
        }
        self.line("\n</details>");
    }
}

/// Prose: what stands between back-ticks stays code, everything else becomes plain text.
#[must_use]
pub fn escape(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        // An odd number of back-ticks: none of them is a quote.
        return plain(text);
    }
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        if at % 2 == 0 || part.is_empty() {
            out.push_str(&plain(part));
        } else {
            out.push_str(&cell_code(part));
        }
    }
    out
}

/// Text of which nothing is markup.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' => out.push_str("&#124;"),
            // A joiner of no width keeps GitHub from making a mention or a link of it.
            '@' => out.push_str("@&#8203;"),
            '#' if chars.peek().is_some_and(char::is_ascii_digit) => out.push_str("#&#8203;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Inline code, whatever back-ticks it holds.
fn code(text: &str) -> String {
    if !text.contains('`') {
        return format!("`{text}`");
    }
    let fence = "`".repeat(longest_run(text) + 1);
    format!("{fence} {text} {fence}")
}

/// Inline code within a table, where a bar would end the cell.
fn cell_code(text: &str) -> String {
    code(&text.replace('|', "\\|"))
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A fence that nothing in `lines` closes.
fn fence<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    "`".repeat(lines.map(longest_run).max().unwrap_or(0).max(2) + 1)
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_becomes_markup() {
        assert_eq!(escape("see `a|b` and c|d"), "see `a\\|b` and c&#124;d");
        assert_eq!(
            escape("<img> @all #12 .#x"),
            "&lt;img&gt; @&#8203;all #&#8203;12 .\\#x"
        );
        assert_eq!(escape("one ` tick"), "one \\` tick");
        assert_eq!(escape("*a*_b_[c]"), "\\*a\\*\\_b\\_\\[c\\]");
        assert_eq!(code("a`b``c"), "``` a`b``c ```");
        assert_eq!(fence(["x", "````"].into_iter()), "`````");
    }
}
