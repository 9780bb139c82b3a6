//! Findings about workflows as text, as JSON, as annotations of GitHub Actions, and as a diff that mends them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use similar::TextDiff;

use super::github::{message, property};
use super::json;
use super::layout::{safe, wrap};
use super::style::Role;
use super::text::Layout;
use super::units::things;
use crate::insight::workflows::{File, Finding, Severity, mended};

/// Number of the JSON form of findings.
pub const FORMAT: u32 = 1;

/// Columns before a message.
const INDENT: &str = "    ";

/// What `workflows --format json` prints.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    files: usize,
    findings: &'a [Finding],
}

/// Findings as text, with the sum as the last line; `files` is the number of files looked at.
#[must_use]
pub fn text(findings: &[Finding], files: usize, layout: Layout) -> String {
    let palette = layout.palette();
    let mut text = String::new();
    for finding in findings {
        let role = match finding.severity {
            Severity::Wrong => Role::Refusal,
            Severity::Warning => Role::Advice,
            Severity::Note => Role::Faint,
        };
        let _ = writeln!(
            text,
            "{}:{}:{}: {} {}",
            safe(&finding.file),
            finding.line,
            finding.column,
            palette.paint(role, finding.severity.word()),
            palette.paint(Role::Faint, format!("[{}]", finding.code)),
        );
        for part in [&finding.message, &finding.help] {
            let columns = layout.width().saturating_sub(INDENT.len());
            for line in wrap(&safe(part), columns) {
                let _ = writeln!(text, "{INDENT}{line}");
            }
        }
        text.push('\n');
    }
    text.push_str(&sum(findings, files));
    text
}

fn sum(findings: &[Finding], files: usize) -> String {
    let files = things(files as u64, "file");
    if findings.is_empty() {
        return format!("Nothing found in {files}.\n");
    }
    let number = |severity| {
        let same = findings.iter().filter(|one| one.severity == severity);
        same.count() as u64
    };
    let mendable = findings.iter().filter(|one| one.edit.is_some()).count() as u64;
    let mut sum = format!(
        "{files}: {} wrong, {}, {}.",
        number(Severity::Wrong),
        things(number(Severity::Warning), "warning"),
        things(number(Severity::Note), "note"),
    );
    if mendable > 0 {
        let _ = write!(
            sum,
            " `nanna-cache workflows --format diff` mends {mendable} of them."
        );
    }
    sum + "\n"
}

/// Findings as JSON.
#[must_use]
pub fn json(findings: &[Finding], files: usize) -> String {
    json::pretty(&Document {
        format: FORMAT,
        files,
        findings,
    })
}

/// Findings as workflow commands of GitHub Actions, which shows them beside the lines.
#[must_use]
pub fn github(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let command = match finding.severity {
            Severity::Wrong => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let _ = writeln!(
            text,
            "::{command} file={},line={},col={},title={}::{}",
            property(&finding.file),
            finding.line,
            finding.column,
            property(finding.code.word()),
            message(&format!("{}\n{}", finding.message, finding.help))
        );
    }
    text
}

/// A unified diff of what can be mended, for `git apply`; empty, if nothing can.
///
/// The text of files goes out as it is, or the diff would not apply.
#[must_use]
pub fn diff(findings: &[Finding], files: &[File]) -> String {
    let mut out = String::new();
    let texts: BTreeMap<&str, &str> = files
        .iter()
        .filter_map(|file| {
            let bytes = file.content.as_ref().ok()?;
            Some((file.name.as_str(), std::str::from_utf8(bytes).ok()?))
        })
        .collect();
    for (name, before) in texts {
        let after = mended(name, before, findings);
        if after != before {
            let diff = TextDiff::from_lines(before, after.as_str());
            let (old, new) = (format!("a/{name}"), format!("b/{name}"));
            let _ = write!(out, "{}", diff.unified_diff().header(&old, &new));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::workflows::{Declared, findings};

    const TEXT: &str = "on: push\njobs:\n  a:\n    steps:\n      - run: cachix info %0A\n      - uses: cachix/cachix-action@v15\n";

    #[test]
    fn annotations_and_the_diff_come_from_the_same_findings() {
        let files = [File {
            name: "a,b.yml".to_owned(),
            content: Ok(TEXT.as_bytes().to_vec()),
        }];
        let found = findings(&Declared::default(), &files);
        let github = github(&found);
        assert_eq!(github.lines().count(), found.len(), "a line each: {github}");
        assert!(
            github.starts_with(
                "::error file=a%2Cb.yml,line=5,col=14,title=command-unknown::there is no `cachix info`"
            ),
            "{github}"
        );
        let json: serde_json::Value = serde_json::from_str(&json(&found, 1)).expect("JSON");
        assert_eq!(json["findings"][1]["code"], "action-old");
        assert_eq!(
            diff(&found, &files),
            "--- a/a,b.yml\n+++ b/a,b.yml\n@@ -3,4 +3,4 @@\n   a:\n     steps:\n       - run: cachix info %0A\n\
             -      - uses: cachix/cachix-action@v15\n+      - uses: cachix/cachix-action@v17\n"
        );
        assert_eq!(diff(&[], &files), "");
    }
}
