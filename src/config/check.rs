//! What the rules share: the document, what was found wrong in its shape, the problems so far.

use std::str::FromStr;

use super::code::Code;
use super::nearest::nearest;
use super::problem::Problem;

use super::units::{Share, Size, Span, UnitError};
use crate::text::place::{ByteSpan, escape};
use crate::text::yaml::{Document, Found, Value};

/// The state of a validation.
pub(crate) struct Check<'a> {
    /// The file.
    pub(crate) document: &'a Document,
    /// What was found so far.
    pub(crate) problems: Vec<Problem>,
    /// Pointers of what is missing from the decoded values because its shape is wrong.
    pub(crate) broken: Vec<String>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(document: &'a Document) -> Self {
        Self {
            document,
            problems: Vec::new(),
            broken: Vec::new(),
        }
    }

    pub(crate) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// What to underline for the value at `pointer`, or for the nearest thing above it.
    pub(crate) fn value(&self, pointer: &str) -> ByteSpan {
        self.locate(pointer).value_span()
    }

    /// What to underline for the entry at `pointer`, or for the nearest thing above it.
    pub(crate) fn entry(&self, pointer: &str) -> ByteSpan {
        self.locate(pointer).entry_span()
    }

    /// What stands at `pointer`, or the nearest thing above it; the whole file at last.
    fn locate(&self, pointer: &str) -> Found<'a> {
        let mut pointer = pointer;
        loop {
            if let Some(found) = self.document.find(pointer) {
                return found;
            }
            pointer = &pointer[..pointer.rfind('/').unwrap_or(0)];
        }
    }

    /// Whether nothing at, above or below `pointer` was taken out for its shape.
    pub(crate) fn intact(&self, pointer: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        !self
            .broken
            .iter()
            .any(|broken| within(broken, pointer) || within(pointer, broken))
    }

    /// The keys of the mapping at `pointer` as they stand in the file, also those of wrong shape.
    pub(crate) fn names(&self, pointer: &str) -> Vec<&'a str> {
        match self.document.find(pointer).map(|found| &found.node.value) {
            Some(Value::Map(entries)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// Reports `name` if it is not among `known`.
    pub(crate) fn known(
        &mut self,
        pointer: &str,
        on_key: bool,
        what: &str,
        name: &str,
        known: &[&str],
    ) -> bool {
        if known.contains(&name) {
            return true;
        }
        let span = if on_key {
            self.entry(pointer)
        } else {
            self.value(pointer)
        };
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("the file declares no {what}"),
            None => format!("declared: {}", list(known)),
        };
        let problem = Problem::new(Code::UnknownName, format!("there is no {what} `{name}`"));
        self.report(problem.at(span, "not declared").help(help));
        false
    }

    /// Reports `name` if it cannot name anything.
    pub(crate) fn name(&mut self, pointer: &str, what: &str, name: &str) {
        let first = name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        let rest = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if first && rest && name.len() <= 100 {
            return;
        }
        let message = if name.is_empty() {
            format!("the name of {what} is empty")
        } else {
            format!("`{name}` cannot be the name of {what}")
        };
        let span = if what == "the project" || what == "a key" {
            self.value(pointer)
        } else {
            self.entry(pointer)
        };
        let help = "a name starts with a letter or digit and goes on with letters, digits, `.`, `_` and `-`, at most 100 in all";
        self.report(
            Problem::new(Code::InvalidName, message)
                .at(span, "")
                .help(help),
        );
    }

    /// Reads a size.
    pub(crate) fn size(&mut self, pointer: &str, text: &str) -> Option<Size> {
        let help = "write a whole or decimal number and a unit, such as `20 GiB` or `500 MB`";
        self.unit(pointer, text, Code::InvalidSize, "size", help)
    }

    /// Reads a size that may be `none`.
    pub(crate) fn size_or_none(&mut self, pointer: &str, text: &str) -> Option<Size> {
        if text == "none" {
            return None;
        }
        let help = "write a number and a unit, such as `4 GiB`, or `none`";
        self.unit(pointer, text, Code::InvalidSize, "size", help)
    }

    /// Reads a duration.
    pub(crate) fn span(&mut self, pointer: &str, text: &str) -> Option<Span> {
        let help = "write a whole number and one unit, such as `30d`, `24h`, `90m` or `45s`";
        self.unit(pointer, text, Code::InvalidDuration, "duration", help)
    }

    /// Reads a share.
    pub(crate) fn share(&mut self, pointer: &str, text: &str) -> Option<Share> {
        let help = "write a number from 0 to 100 and `%`, such as `30%` or `12.5%`";
        self.unit(pointer, text, Code::InvalidShare, "share", help)
    }

    fn unit<T: FromStr<Err = UnitError>>(
        &mut self,
        pointer: &str,
        text: &str,
        code: Code,
        what: &str,
        help: &str,
    ) -> Option<T> {
        let error = match text.parse() {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let problem = Problem::new(code, format!("`{text}` is no {what}: it {error}"));
        self.report(problem.at(self.value(pointer), "").help(help));
        None
    }

    /// Compiles a regular expression.
    pub(crate) fn regex(&mut self, pointer: &str, pattern: &str) -> Option<regex::Regex> {
        let error = match regex::RegexBuilder::new(pattern)
            .size_limit(1 << 20)
            .build()
        {
            Ok(regex) => return Some(regex),
            Err(error) => error,
        };
        let why = match &error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            // The last line says what is wrong; those above draw the pattern, which we do ourselves.
            other => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.trim().trim_start_matches("error: ").to_owned()
            }
        };
        let problem = Problem::new(
            Code::InvalidRegex,
            format!("`{pattern}` is no regular expression"),
        );
        let help = "look-around and back-references do not exist here; write `\\.` for a full stop, and quote the pattern with '…'";
        self.report(problem.at(self.value(pointer), why).help(help));
        None
    }
}

/// Names in back-ticks, for a message.
pub(crate) fn list<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    names.join(", ")
}

/// A pointer one step further.
pub(crate) fn below(pointer: &str, step: impl AsRef<str>) -> String {
    format!("{pointer}/{}", escape(step.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::super::raw::NAME_PATTERN;
    use super::*;

    #[test]
    fn names_fit_as_the_pattern_says() {
        let document = Document::parse(b"x: 1").unwrap();
        let pattern = regex::Regex::new(NAME_PATTERN).unwrap();
        let long = "x".repeat(101);
        for name in [
            "a",
            "nanna-coder",
            "v1.2_x",
            "",
            "-a",
            "a b",
            "a/b",
            "é",
            "a:b",
            &long,
            &long[1..],
        ] {
            let mut check = Check::new(&document);
            check.name("/x", "a cache", name);
            assert_eq!(
                check.problems.is_empty(),
                pattern.is_match(name),
                "{name:?}"
            );
        }
    }

    #[test]
    fn broken_reaches_up_and_down() {
        let document = Document::parse(b"x: 1").unwrap();
        let mut check = Check::new(&document);
        check.broken.push("/caches/dev".to_owned());
        assert!(!check.intact("/caches") && !check.intact("/caches/dev/path") && !check.intact(""));
        assert!(check.intact("/caches/development") && check.intact("/artifacts"));
    }
}
