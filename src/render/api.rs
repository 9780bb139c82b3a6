//! The documents of the HTTP API that are not plans, reports or states themselves.
//!
//! They are formats that others read: fields are added, never renamed. [`openapi`] describes them all.

pub mod openapi;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::plan::Refusal;
use crate::plan::report::Report;
use crate::plan::summary::Summary;

/// Number of the format of these documents. Raised when a reader of an older format could misunderstand.
pub const FORMAT: u32 = 1;

/// Why a request was not answered as it was meant (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The code of the answer.
    pub status: u16,
    /// What kind of thing is wrong, in a few words that stay the same.
    pub title: String,
    /// What is wrong this time.
    pub detail: String,
    /// What would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What the guards refuse, where that is it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
}

impl Problem {
    /// A problem in words.
    #[must_use]
    pub fn new(status: u16, title: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            title: title.to_owned(),
            detail: detail.into(),
            help: None,
            refusals: Vec::new(),
        }
    }

    /// Says what would help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What to apply; what is left out is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// Only these steps, or all of a place or phase: `push/dev/test-containers`, `push/dev`, `push`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Only these caches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<String>,
}

/// What came of an apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// Number of the format ([`FORMAT`]).
    pub format: u32,
    /// What `nanna-cache reconcile --apply` would have ended with.
    pub exit: u8,
    /// What that number means.
    pub meaning: String,
    /// What was planned.
    pub planned: Summary,
    /// What happened; none: there was nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

/// Whether an apply is at work here, and what came of the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApplyState {
    /// Number of the format ([`FORMAT`]).
    pub format: u32,
    /// Whether one is at work.
    pub applying: bool,
    /// The last one since the server began; none: there was none, or it did not get as far as a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Applied>,
}
