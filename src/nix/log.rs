//! What Nix says of its work with `--log-format internal-json`: lines on standard error that begin with `@nix `.
//!
//! Source: `logging.cc` of Nix 2.8 and 2.34, and captures of both. The format has no version and no times: who
//! reads a line says when it came. Ids are unique within one run; the parent of an activity is told from 2.18 on.
//! Promises: a line that is not understood, or is damaged, loses nothing but itself; nothing here fails.

mod facts;

pub use facts::{Build, Facts, Fetch, Log, Said, Substitution};

use serde::Deserialize;
use serde_json::Value;

/// What such a line begins with.
const PREFIX: &str = "@nix ";

/// One line of standard error.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<'a> {
    /// Something happened.
    Event(Event),
    /// Something else than an event: for people.
    Plain(&'a str),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An activity began.
    Start {
        /// Its number.
        id: u64,
        /// The one that it is a part of; 0: none, or this Nix does not tell.
        parent: u64,
        /// What it is.
        activity: Activity,
    },
    /// An activity ended.
    Stop {
        /// Its number.
        id: u64,
    },
    /// Something about an activity.
    Result {
        /// Its number.
        id: u64,
        /// What about it.
        result: Outcome,
    },
    /// A message for people.
    Message {
        /// How grave: 0 error, 1 warning, 2 notice, 3 information, more is talk.
        level: u64,
        /// The text; may hold colours.
        text: String,
    },
    /// An event of a kind that concerns no figure.
    Other,
}

/// What an activity is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// A path is copied (100).
    CopyPath {
        /// The path.
        path: String,
        /// From where.
        from: String,
        /// To where; `local` while substituting.
        to: String,
    },
    /// Something is downloaded or uploaded (101).
    FileTransfer {
        /// From where.
        url: String,
    },
    /// The sum of what is built (104).
    Builds,
    /// The sum of what is copied (103).
    CopyPaths,
    /// A derivation is built (105).
    Build {
        /// The derivation.
        drv: String,
        /// The other machine that does it; empty: this one.
        machine: String,
    },
    /// A path is fetched from a cache (108).
    Substitute {
        /// The path.
        path: String,
        /// The cache.
        url: String,
    },
    /// A cache is asked for a path (109).
    QueryPathInfo {
        /// The path.
        path: String,
        /// The cache.
        url: String,
    },
    /// Something else, in words for people, if there are any.
    Other(String),
}

/// What is said about an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A line of the log of a build (101).
    Line(String),
    /// A build is in this phase now (104).
    Phase(String),
    /// How far it is (105): bytes of a copy or transfer, counts of a sum.
    Progress {
        /// Done.
        done: u64,
        /// To be done in the end, as far as is known.
        expected: u64,
        /// At work.
        running: u64,
        /// Failed.
        failed: u64,
    },
    /// Anything else.
    Other,
}

#[derive(Deserialize)]
struct Raw<'a> {
    action: &'a str,
    #[serde(default)]
    id: u64,
    #[serde(default)]
    parent: u64,
    #[serde(default)]
    level: u64,
    #[serde(default, rename = "type")]
    kind: u64,
    #[serde(default)]
    text: String,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    fields: Vec<Value>,
}

/// Reads one line, without its end.
#[must_use]
pub fn line(line: &str) -> Line<'_> {
    let Some(json) = line.strip_prefix(PREFIX) else {
        return Line::Plain(line);
    };
    let Ok(raw) = serde_json::from_str::<Raw<'_>>(json) else {
        return Line::Plain(line);
    };
    Line::Event(event(raw))
}

fn event(raw: Raw<'_>) -> Event {
    let id = raw.id;
    match raw.action {
        "start" => Event::Start {
            id,
            parent: raw.parent,
            activity: activity(raw.kind, &raw.fields, raw.text),
        },
        "stop" => Event::Stop { id },
        "result" => Event::Result {
            id,
            result: outcome(raw.kind, &raw.fields),
        },
        "msg" => Event::Message {
            level: raw.level,
            text: raw.msg,
        },
        _ => Event::Other,
    }
}

fn activity(kind: u64, fields: &[Value], text: String) -> Activity {
    let field = |at: usize| fields.get(at).and_then(Value::as_str).map(str::to_owned);
    let known = match kind {
        100 => match (field(0), field(1), field(2)) {
            (Some(path), Some(from), Some(to)) => Some(Activity::CopyPath { path, from, to }),
            _ => None,
        },
        101 => field(0).map(|url| Activity::FileTransfer { url }),
        103 => Some(Activity::CopyPaths),
        104 => Some(Activity::Builds),
        105 => field(0).map(|drv| Activity::Build {
            drv,
            machine: field(1).unwrap_or_default(),
        }),
        108 | 109 => match (field(0), field(1)) {
            (Some(path), Some(url)) if kind == 108 => Some(Activity::Substitute { path, url }),
            (Some(path), Some(url)) => Some(Activity::QueryPathInfo { path, url }),
            _ => None,
        },
        _ => None,
    };
    known.unwrap_or(Activity::Other(text))
}

fn outcome(kind: u64, fields: &[Value]) -> Outcome {
    let text = || fields.first().and_then(Value::as_str).map(str::to_owned);
    let number = |at: usize| fields.get(at).and_then(Value::as_u64).unwrap_or(0);
    match kind {
        101 | 107 => text().map_or(Outcome::Other, Outcome::Line),
        104 => text().map_or(Outcome::Other, Outcome::Phase),
        105 => Outcome::Progress {
            done: number(0),
            expected: number(1),
            running: number(2),
            failed: number(3),
        },
        _ => Outcome::Other,
    }
}

/// Text without the escapes that colour it.
#[must_use]
pub fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            out.push(c);
            continue;
        }
        // `ESC [ … letter`; another escape has one more character.
        if rest.next() == Some('[') {
            for c in rest.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
