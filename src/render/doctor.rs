//! The answer to `doctor`, as text and as JSON.

use super::json;
use super::layout::{safe, wrap};
use super::style::Role;
use super::text::Layout;
use super::units::{duration, things};
use crate::insight::doctor::{Diagnosis, Finding, Severity};

/// The diagnosis as JSON.
#[must_use]
pub fn json(diagnosis: &Diagnosis) -> String {
    json::pretty(diagnosis)
}

/// The diagnosis as text: the chain, a line for each link, then what was found, each with its way out.
#[must_use]
pub fn text(diagnosis: &Diagnosis, now: i64, layout: Layout) -> String {
    let mut page = Page {
        layout,
        text: String::new(),
        now,
    };
    if let Some(path) = &diagnosis.path {
        page.line(Role::Title, "", &safe(&path.to_string()));
    }
    for link in &diagnosis.links {
        let (role, sign) = match link.fine {
            Some(true) => (Role::Good, "✓"),
            Some(false) => (Role::Refusal, "✗"),
            None => (Role::Faint, "·"),
        };
        let head = format!("  {sign} {:<9} ", link.link.word());
        page.line(role, &head, &safe(&link.seen));
    }
    for finding in &diagnosis.findings {
        page.finding(finding);
    }
    page.text.push('\n');
    let count = |severity| {
        let all = diagnosis.findings.iter();
        all.filter(|it| it.severity == severity).count() as u64
    };
    let (wrong, more) = (count(Severity::Wrong), count(Severity::WorthKnowing));
    let mut sum = if wrong == 0 {
        "Nothing is wrong".to_owned()
    } else {
        format!("{} found", things(wrong, "fault"))
    };
    if more > 0 {
        sum.extend(["; ", &things(more, "thing"), " worth knowing"]);
    }
    let mendable = diagnosis
        .findings
        .iter()
        .filter(|it| !it.mended_by.is_empty());
    match mendable.count() {
        0 => {}
        number => sum.extend(["; `nanna-cache doctor --fix` mends ", &number.to_string()]),
    }
    sum.push('.');
    let role = if wrong == 0 {
        Role::Good
    } else {
        Role::Refusal
    };
    page.line(role, "", &sum);
    page.text
}

struct Page {
    layout: Layout,
    text: String,
    now: i64,
}

impl Page {
    /// A wrapped text; only the head is painted, or all of it where there is none.
    fn line(&mut self, role: Role, head: &str, text: &str) {
        let indent = super::layout::width(head);
        let palette = self.layout.palette();
        for (at, line) in wrap(text, self.layout.width().saturating_sub(indent))
            .iter()
            .enumerate()
        {
            let lead = match (at, head.is_empty()) {
                (_, true) => palette.paint(role, line).to_string(),
                (0, false) => format!("{}{line}", palette.paint(role, head)),
                (_, false) => format!("{}{line}", " ".repeat(indent)),
            };
            self.text.push_str(lead.trim_end());
            self.text.push('\n');
        }
    }

    fn finding(&mut self, finding: &Finding) {
        self.text.push('\n');
        let (role, sign) = match finding.severity {
            Severity::Wrong => (Role::Refusal, "✗ "),
            Severity::WorthKnowing => (Role::Advice, "! "),
        };
        let what = format!("{}  [{}]", safe(&finding.what), finding.code.word());
        self.line(role, sign, &what);
        if let Some(place) = &finding.place {
            self.line(Role::Faint, "    where   ", &safe(place));
        }
        if let Some(since) = finding.since {
            let ago = u64::try_from(self.now.saturating_sub(since)).unwrap_or(0);
            self.line(
                Role::Faint,
                "    since   ",
                &format!("{} ago", duration(ago)),
            );
        }
        self.line(Role::Faint, "    effect  ", &safe(&finding.effect));
        for (at, line) in finding.remedy.iter().enumerate() {
            let head = if at == 0 {
                "    mend    "
            } else {
                "            "
            };
            // What is to be typed is not broken into lines.
            let head = self.layout.palette().paint(Role::Faint, head).to_string();
            self.text.extend([&head, safe(line).as_str(), "\n"]);
        }
    }
}
