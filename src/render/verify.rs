//! The answer to `verify`, as text and as JSON.

use std::fmt::Write as _;

use super::json;
use super::layout::{safe, wrap};
use super::style::Role;
use super::text::Layout;
use super::units::{count, list, percent, size, things};
use crate::insight::verify::{Code, Finding, Rebuild, Sources, Tally, Verification, Weight};

/// Findings of one code that are named; the others are counted.
const SHOWN: usize = 8;

/// The verification as JSON.
#[must_use]
pub fn json(report: &Verification) -> String {
    json::pretty(report)
}

/// The verification as text: what was looked at, what was found, the sum. `full` names every finding.
#[must_use]
pub fn text(report: &Verification, full: bool, layout: Layout) -> String {
    let mut page = Page {
        layout,
        text: String::new(),
    };
    let title = format!("{} · {}", safe(&report.cache), safe(&report.place));
    page.title(Role::Title, &title);
    page.looked(report);
    for weight in [Weight::Damage, Weight::Unknown, Weight::Advice] {
        page.findings(report, weight, full);
    }
    page.sum(report);
    page.text
}

/// What was found about sources, as text.
#[must_use]
pub fn sources(report: &Sources, layout: Layout) -> String {
    let mut page = Page {
        layout,
        text: String::new(),
    };
    page.title(Role::Title, "sources in the local store");
    let text = format!(
        "{} content-addressed paths below the derivations of what is wanted",
        count(report.derived)
    );
    page.put("  hashed  ", &text);
    let text = format!(
        "{} inputs of flake.lock; {} more are not in the local store",
        count(report.locked),
        count(report.not_here)
    );
    page.put("  hashed  ", &text);
    for unknown in &report.unknowns {
        page.put("  ? ", &safe(unknown));
    }
    for finding in &report.findings {
        page.put(
            "  ✗ ",
            &format!("{}: {}", finding.code, finding.code.title()),
        );
        page.finding(finding);
    }
    let number = report.findings.len() as u64;
    page.text.push('\n');
    if number == 0 {
        page.title(Role::Good, "Verified: no damage.");
    } else {
        page.title(
            Role::Refusal,
            &format!("Verified: {}.", things(number, "damage")),
        );
    }
    page.text
}

/// How a path that was built again went, and what is known of it, as text.
#[must_use]
pub fn rebuilt(
    rebuild: &Rebuild,
    tally: &Tally,
    kept: &[String],
    full: bool,
    layout: Layout,
) -> String {
    let mut page = Page {
        layout,
        text: String::new(),
    };
    let (role, symbol, word) = if rebuild.same {
        (Role::Good, "✓", "reproduced")
    } else {
        (Role::Refusal, "✗", "differs")
    };
    let title = format!("{symbol} {} {word}", safe(&rebuild.path.to_string()));
    page.title(role, &title);
    let shown = if full { usize::MAX } else { SHOWN };
    for difference in rebuild.differences.iter().take(shown) {
        let file = if difference.file.is_empty() {
            "the path itself"
        } else {
            &difference.file
        };
        page.put("      ", &safe(&format!("{file}: {}", difference.text)));
    }
    let rest = rebuild.differences.len().saturating_sub(shown);
    if rest > 0 {
        page.put(
            "      ",
            &format!("{} more; --full names them", count(rest as u64)),
        );
    }
    if !rebuild.same {
        let check = format!("{}.check", rebuild.path);
        for kept in kept.iter().filter(|kept| kept.ends_with(&check)) {
            page.put(
                "    ",
                &format!("the second build is kept at {}", safe(kept)),
            );
        }
    }
    let mut text = format!(
        "reproduced {} by {}",
        things(tally.same, "time"),
        things(tally.machines, "machine")
    );
    if tally.different > 0 {
        let _ = write!(text, ", not reproduced {}", things(tally.different, "time"));
    }
    page.put("    ", &text);
    page.text
}

struct Page {
    layout: Layout,
    text: String,
}

impl Page {
    fn title(&mut self, role: Role, text: &str) {
        let painted = self.layout.palette().paint(role, text).to_string();
        self.text.push_str(&painted);
        self.text.push('\n');
    }

    /// Text behind a head, wrapped beside it.
    fn put(&mut self, head: &str, text: &str) {
        let room = self.layout.width().saturating_sub(head.len());
        for (at, line) in wrap(text, room).iter().enumerate() {
            let lead = if at == 0 {
                head.to_owned()
            } else {
                " ".repeat(head.len())
            };
            self.text.push_str(format!("{lead}{line}").trim_end());
            self.text.push('\n');
        }
    }

    fn looked(&mut self, report: &Verification) {
        let checked = &report.checked;
        let narinfos = if checked.listed {
            format!(
                "{} of {} read",
                count(checked.narinfos),
                count(checked.of_narinfos)
            )
        } else {
            format!(
                "{} read: the place lists nothing, so only the paths that were asked for",
                count(checked.narinfos)
            )
        };
        self.put("  narinfos   ", &narinfos);
        let mut nars = format!(
            "{} of {} read to the end, {}",
            count(checked.nars),
            count(checked.of_nars),
            size(checked.nar_bytes)
        );
        if let Some(seed) = &checked.seed {
            let _ = write!(
                nars,
                "; chosen by the seed `{}` (--all reads every one)",
                safe(seed)
            );
        }
        self.put("  NARs       ", &nars);
        let coverage = &report.coverage;
        if !coverage.by_key.is_empty() {
            let keys: Vec<String> = coverage
                .by_key
                .iter()
                .map(|(key, signed)| format!("{} by {}", count(*signed), safe(key)))
                .collect();
            let mut text = format!(
                "{} of {} ({}): {}",
                count(coverage.signed),
                count(coverage.paths),
                percent(coverage.signed, coverage.paths),
                list(&keys)
            );
            if coverage.content_addressed > 0 {
                let more = count(coverage.content_addressed);
                let _ = write!(text, "; {more} more need none, being content-addressed");
            }
            self.put("  signed     ", &text);
        }
    }

    fn findings(&mut self, report: &Verification, weight: Weight, full: bool) {
        let codes: Vec<(Code, usize)> = report
            .counts()
            .into_iter()
            .filter(|(code, _)| code.weight() == weight)
            .collect();
        let whole: &[String] = match weight {
            Weight::Unknown => &report.unknowns,
            Weight::Damage | Weight::Advice => &[],
        };
        if codes.is_empty() && whole.is_empty() {
            return;
        }
        let (role, symbol) = match weight {
            Weight::Damage => (Role::Refusal, "✗"),
            Weight::Unknown => (Role::Unknown, "?"),
            Weight::Advice => (Role::Advice, "!"),
        };
        self.text.push('\n');
        self.title(role, weight.as_str());
        for text in whole {
            self.put(&format!("  {symbol} "), &safe(text));
        }
        for (code, number) in codes {
            let number = if number == 1 {
                String::new()
            } else {
                format!(" ({})", count(number as u64))
            };
            self.put(
                &format!("  {symbol} "),
                &format!("{code}{number}: {}", code.title()),
            );
            let all = report.findings.iter().filter(|one| one.code == code);
            let shown = if full { usize::MAX } else { SHOWN };
            for finding in all.clone().take(shown) {
                self.finding(finding);
            }
            let rest = all.count().saturating_sub(shown);
            if rest > 0 {
                let text = format!("{} more; --full names them", count(rest as u64));
                self.put("      ", &text);
            }
        }
    }

    fn finding(&mut self, finding: &Finding) {
        let what = finding
            .path
            .as_ref()
            .map_or_else(|| safe(&finding.key), |path| safe(&path.to_string()));
        let text = if finding.text.is_empty() {
            what
        } else {
            format!("{what}: {}", safe(&finding.text))
        };
        self.put("      ", &text);
    }

    fn sum(&mut self, report: &Verification) {
        let number = |weight| {
            let of = report.findings.iter().filter(|one| one.weight == weight);
            of.count() as u64
        };
        let damages = number(Weight::Damage);
        let unknowns = number(Weight::Unknown) + report.unknowns.len() as u64;
        let mut parts = Vec::new();
        if damages > 0 {
            parts.push(things(damages, "damage"));
        } else {
            parts.push("no damage".to_owned());
        }
        if unknowns > 0 {
            parts.push(things(unknowns, "unknown"));
        }
        let advice = number(Weight::Advice);
        if advice > 0 {
            parts.push(format!("{} advice", count(advice)));
        }
        let (whole, tenth) = (report.score / 10, report.score % 10);
        self.text.push('\n');
        let text = format!(
            "Verified: {}. Score {whole}.{tenth} of 100.",
            parts.join(", ")
        );
        let role = if damages > 0 {
            Role::Refusal
        } else {
            Role::Good
        };
        self.title(role, &text);
    }
}
