//! Why a text is not a YAML document that we read.

use std::fmt;

use super::ByteSpan;

/// A text that cannot be read as one YAML document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of fault.
    pub kind: FaultKind,
    /// What is wrong, as a fragment without a full stop.
    pub message: String,
    /// Where, in bytes of `text`.
    pub span: Option<ByteSpan>,
    /// As much of the text as could be read, without a byte order mark; empty if it is no text.
    pub text: String,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// More than [`super::MAX_BYTES`].
    TooLarge,
    /// Not UTF-8, or with characters that YAML does not allow, such as NUL.
    NotText,
    /// Nothing but white space and comments.
    Empty,
    /// More than one document.
    ManyDocuments,
    /// A tab where YAML wants spaces.
    Tab,
    /// Nested too deep, or aliases that would grow too large.
    TooComplex,
    /// Not YAML.
    Syntax,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
