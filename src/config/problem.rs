//! What is wrong with a `cache.yaml`: codes, places, help. Data only; drawing is another layer's.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, SourceCode};
use serde::Serialize;

use super::leak;
use crate::text::place::{ByteSpan, LineIndex, Place};

pub use super::code::{Code, Severity};

/// A stretch of the file and what it has to do with the problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The stretch.
    pub span: ByteSpan,
    /// What to know about it; may be empty.
    pub text: String,
}

/// One problem of a `cache.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The kind of problem, stable across releases.
    pub code: Code,
    /// The fact, without a full stop.
    pub message: String,
    /// Where; the first is the main place. Empty if the file has no text to point at.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
    /// How bad it is.
    pub severity: Severity,
}

impl Problem {
    /// A problem of the severity that `code` always has.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            labels: Vec::new(),
            help: None,
            severity: code.severity(),
        }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(mut self, span: ByteSpan, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Offset of the main place, to sort by.
    pub(crate) fn order(&self) -> (usize, Severity, Code) {
        let start = self.labels.first().map_or(0, |label| label.span.start);
        (start, self.severity, self.code)
    }

    /// The problem with everything that looks like a secret taken out of its words.
    fn concealed(mut self) -> Self {
        self.message = leak::conceal(&self.message);
        self.help = self.help.map(|help| leak::conceal(&help));
        for label in &mut self.labels {
            label.text = leak::conceal(&label.text);
        }
        self
    }
}

/// All problems of one `cache.yaml`, in the order of the file, with its text to draw them on.
///
/// What looks like a secret is masked in the text and in the words. As a [`Diagnostic`] it is one
/// heading with the problems as its related diagnostics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    file: String,
    source: String,
    list: Vec<Drawn>,
}

/// A problem as it appears among the related diagnostics.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Drawn(Problem);

impl Problems {
    /// Puts problems in order and takes secrets out of them and of `source`.
    /// `hide` are stretches of `source` that are secret beyond what the text itself shows.
    #[must_use]
    pub fn new(file: &str, source: &str, hide: &[ByteSpan], mut list: Vec<Problem>) -> Self {
        list.sort_by_key(Problem::order);
        Self {
            file: file.to_owned(),
            source: leak::mask(source, hide),
            list: list
                .into_iter()
                .map(|problem| Drawn(problem.concealed()))
                .collect(),
        }
    }

    /// The first of them, at most so many: all of them may be more than anybody reads.
    #[must_use]
    pub fn first(&self, number: usize) -> Self {
        Self {
            list: self.list.iter().take(number).cloned().collect(),
            ..self.clone()
        }
    }

    /// Name of the file, as it was given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text of the file, secrets masked; as long as the text itself, byte for byte.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The problems in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter().map(|drawn| &drawn.0)
    }

    /// Number of problems.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether one of them makes the file unusable.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// The problems with lines and columns instead of bytes: for JSON and for annotations.
    #[must_use]
    pub fn located(&self) -> Vec<Located> {
        let lines = LineIndex::new(&self.source);
        let place = |offset| lines.place(&self.source, offset);
        let locate = |problem: &Problem| Located {
            code: problem.code.to_string(),
            severity: problem.severity,
            file: self.file.clone(),
            message: problem.message.clone(),
            help: problem.help.clone(),
            labels: problem
                .labels
                .iter()
                .map(|label| LocatedLabel {
                    start: place(label.span.start),
                    end: place(label.span.end()),
                    text: label.text.clone(),
                })
                .collect(),
        };
        self.iter().map(locate).collect()
    }
}

/// A problem with lines and columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Located {
    /// The code as printed, such as `nanna::config::duplicate-key`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// Name of the file, as it was given.
    pub file: String,
    /// The fact.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where; the first is the main place.
    pub labels: Vec<LocatedLabel>,
}

/// A label with lines and columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocatedLabel {
    /// First character.
    pub start: Place,
    /// Just after the last character.
    pub end: Place,
    /// What to know about it; may be empty.
    pub text: String,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .count();
        let warnings = self.len() - errors;
        let count = |number: usize, what: &str| {
            let plural = if number == 1 { "" } else { "s" };
            format!("{number} {what}{plural}")
        };
        let counted = match (errors, warnings) {
            (errors, 0) => count(errors, "problem"),
            (0, warnings) => count(warnings, "warning"),
            _ => format!(
                "{}, {}",
                count(errors, "problem"),
                count(warnings, "warning")
            ),
        };
        write!(f, "`{}` has {counted}", self.file)
    }
}

impl std::error::Error for Problems {}

impl Diagnostic for Problems {
    fn severity(&self) -> Option<miette::Severity> {
        (!self.has_errors()).then_some(miette::Severity::Warning)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(
            self.list.iter().map(|drawn| drawn as &dyn Diagnostic),
        ))
    }
}

impl SourceCode for Problems {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let contents = self.source.read_span(span, before, after)?;
        let named = miette::MietteSpanContents::new_named(
            self.file.clone(),
            contents.data(),
            *contents.span(),
            contents.line(),
            contents.column(),
            contents.line_count(),
        );
        Ok(Box::new(named.with_language("yaml")))
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Drawn {}

impl Diagnostic for Drawn {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.0.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.0.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.0.help.as_ref()?;
        Some(Box::new(help))
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.0.labels.iter().enumerate().map(
            |(at, label)| {
                let text = (!label.text.is_empty()).then(|| label.text.clone());
                let span = (label.span.start, label.span.len);
                match at {
                    0 => LabeledSpan::new_primary_with_span(text, span),
                    _ => LabeledSpan::new_with_span(text, span),
                }
            },
        )))
    }
}
