//! `nix.conf`: its grammar, what several files say together, and the one edit that we make.
//!
//! The grammar has no quoting, no escaping and no continuation. [`ConfFile`] keeps every byte of
//! its text; [`Effective`] is what Nix makes of the files in load order, with the origin of each
//! value; [`ensure_include`] adds our one line. Promise: what Nix calls fatal is an error here,
//! and what it warns of is a warning, each with its file and line; all are found, not only the
//! first.

mod effective;

use std::ops::Range;

pub use effective::{
    Assignment, Effective, Entry, FileRead, Origin, Problem, ProblemKind, Setting,
};

/// Why Nix refuses a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedLine {
    /// A single word, as in `cores=4`.
    #[error("a single word: `=` needs blanks around it")]
    OneWord,
    /// The second word is not `=`.
    #[error("the second word is not `=`")]
    NoEquals,
    /// `include` or `!include` without exactly one file name.
    #[error("`include` takes exactly one file name")]
    Include,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing: blanks, or a comment.
    Nothing,
    /// `NAME = WORD…`
    Assignment {
        /// The name as written: may be an alias, may begin with `extra-`, may be unknown.
        name: String,
        /// The value's words, possibly none.
        words: Vec<String>,
    },
    /// `include FILE` or `!include FILE`.
    Include {
        /// The file's name as written.
        file: String,
        /// Whether a missing file is fatal (`include`).
        required: bool,
    },
    /// A line that makes every Nix command fail.
    Malformed(MalformedLine),
}

/// One line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its bytes in the file, line break included.
    pub span: Range<usize>,
    /// What it says. Bytes that are not UTF-8 are shown as replacement characters.
    pub content: Content,
}

/// A file with every byte of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfFile {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

impl ConfFile {
    /// Reads a file. Any bytes will do; lines that Nix refuses are [`Content::Malformed`].
    #[must_use]
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let mut start = 0;
        let lines = bytes
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| {
                let span = start..start + line.len();
                start = span.end;
                Line {
                    span,
                    content: content(line),
                }
            })
            .collect();
        Self { bytes, lines }
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The lines; the first one is line 1.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The bytes of a line, line break included.
    #[must_use]
    pub fn text_of(&self, line: &Line) -> &[u8] {
        self.bytes.get(line.span.clone()).unwrap_or_default()
    }

    /// The numbers, from 1, of the lines that include `file` by exactly this name.
    pub fn includes_of<'a>(&'a self, file: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.lines
            .iter()
            .enumerate()
            .filter_map(move |(index, line)| match &line.content {
                Content::Include { file: named, .. } if named == file => Some(index + 1),
                _ => None,
            })
    }
}

/// What one line says.
fn content(line: &[u8]) -> Content {
    let code = line.split(|&byte| byte == b'#').next().unwrap_or_default();
    let mut words = code
        .split(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned());
    let Some(name) = words.next() else {
        return Content::Nothing;
    };
    let Some(second) = words.next() else {
        return Content::Malformed(MalformedLine::OneWord);
    };
    let required = name == "include";
    if required || name == "!include" {
        if words.next().is_some() {
            return Content::Malformed(MalformedLine::Include);
        }
        return Content::Include {
            file: second,
            required,
        };
    }
    if second != "=" {
        return Content::Malformed(MalformedLine::NoEquals);
    }
    Content::Assignment {
        name,
        words: words.collect(),
    }
}

/// The text with one line `!include FRAGMENT` more at its end, or none when it is there already
/// (anywhere, with or without `!`).
///
/// Every other byte stays; the line ends as the last line does, and a last line that does not end
/// is ended first. A fragment's name that the grammar cannot express (blanks, `#`) adds nothing.
#[must_use]
pub fn ensure_include(text: &str, fragment: &str) -> Option<String> {
    let line = format!("!include {fragment}");
    let wanted = Content::Include {
        file: fragment.to_owned(),
        required: false,
    };
    if content(line.as_bytes()) != wanted || fragment.contains(['\n', '\r']) {
        return None;
    }
    if ConfFile::parse(text).includes_of(fragment).next().is_some() {
        return None;
    }
    let last_break = text.rfind('\n').map(|at| &text[..at]);
    let end = if last_break.is_some_and(|before| before.ends_with('\r')) {
        "\r\n"
    } else {
        "\n"
    };
    let ended = text.is_empty() || text.ends_with('\n');
    Some(format!("{text}{}{line}{end}", if ended { "" } else { end }))
}

#[cfg(test)]
mod tests;
