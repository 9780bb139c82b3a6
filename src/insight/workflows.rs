//! Judges the workflows of a repository: every step that installs Nix or touches a cache, against `cache.yaml`.
//!
//! Pure: the files come in as they were read, findings go out, each with its place, why it matters, and, where the
//! file alone tells how, the edit that mends it. An edit replaces a stretch of bytes and touches no other. What
//! only a run could tell (an expression's value, a secret) is not guessed: it gives no finding.

mod code;
mod declared;
mod judge;
mod read;
mod scripts;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use code::{Code, Severity};
pub use declared::Declared;

/// A workflow or a composite action as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, relative to the repository, with `/`.
    pub name: String,
    /// Its bytes, or why they could not be had.
    pub content: Result<Vec<u8>, String>,
}

/// What is to be said about one place of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of fault.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The file, as [`File::name`].
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is there, and why it matters.
    pub message: String,
    /// How to mend it.
    pub help: String,
    /// The edit that mends it, if the file alone tells how.
    pub edit: Option<Edit>,
}

/// A stretch of a file's bytes, and what stands there afterwards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Edit {
    /// Offset of the first byte.
    pub start: usize,
    /// Number of bytes.
    pub len: usize,
    /// What replaces them.
    pub with: String,
}

/// Everything that is to be said about `files`, in the order of files and lines.
#[must_use]
pub fn findings(declared: &Declared, files: &[File]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut parsed = Vec::new();
    for file in files {
        match read::file(file) {
            Ok(workflow) => parsed.push(workflow),
            Err(finding) => found.push(*finding),
        }
    }
    for workflow in &parsed {
        judge::file(declared, workflow, &mut found);
        scripts::file(workflow, &mut found);
    }
    judge::together(&parsed, &mut found);
    found.sort_by(|a, b| {
        (&a.file, a.line, a.column, a.code).cmp(&(&b.file, b.line, b.column, b.code))
    });
    found.dedup();
    found
}

/// `text` with all edits of `findings` in `file` made; of two that overlap, the first.
///
/// Every byte outside the edits stays. A place that is not in the text is left alone.
#[must_use]
pub fn mended(file: &str, text: &str, findings: &[Finding]) -> String {
    let mut edits: Vec<&Edit> = findings
        .iter()
        .filter(|finding| finding.file == file)
        .filter_map(|finding| finding.edit.as_ref())
        .collect();
    edits.sort();
    edits.dedup();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for edit in edits {
        let end = edit.start.saturating_add(edit.len);
        if edit.start < done || text.get(edit.start..end).is_none() {
            continue;
        }
        out.push_str(text.get(done..edit.start).unwrap_or_default());
        out.push_str(&edit.with);
        done = end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}
