//! Why a cache, or one path, is not used: facts go in, findings come out.
//!
//! The checks follow the order in which Nix comes by them: settings, caches, keys, the path, what this machine
//! remembers. Promise: nothing is found on a set-up that works. It must not look at anything itself, and a
//! finding says what to type.

mod caches;
mod client;
mod code;
mod facts;
mod keys;
mod path;
mod settings;

pub use caches::askable;
pub use code::{Code, Link, Severity};
pub use facts::{Answer, CacheFacts, Facts, NetrcFacts, Remembered, base};

use serde::Serialize;

use crate::nix::key::looks_like_secret_key;
use crate::nix::store_path::StorePath;
use crate::plan::address::Address;

/// Number of the format of a diagnosis as JSON.
pub const FORMAT: u32 = 1;

/// Something that is wrong or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its stable word.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The cause in one sentence.
    pub what: String,
    /// `FILE:LINE` or a URL.
    pub place: Option<String>,
    /// Since when, in seconds since 1970, where that is known.
    pub since: Option<i64>,
    /// What Nix makes of it.
    pub effect: String,
    /// What to type or write, line by line.
    pub remedy: Vec<String>,
    /// The steps of a plan that mend it; none: it is not ours to mend.
    pub mended_by: Vec<Address>,
}

impl Finding {
    fn new(code: Code, what: impl Into<String>, effect: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            what: what.into(),
            place: None,
            since: None,
            effect: effect.into(),
            remedy: Vec::new(),
            mended_by: Vec::new(),
        }
    }

    fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    fn since(mut self, time: i64) -> Self {
        self.since = Some(time);
        self
    }

    fn remedy(mut self, line: impl Into<String>) -> Self {
        self.remedy.push(line.into());
        self
    }

    fn mended_by(mut self, steps: impl IntoIterator<Item = Address>) -> Self {
        self.mended_by.extend(steps);
        self
    }
}

/// One link of the chain, folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkState {
    /// Which.
    pub link: Link,
    /// Whether nothing is wrong in it; `None`: it was not looked at.
    pub fine: Option<bool>,
    /// What was seen, in a line.
    pub seen: String,
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Number of the format ([`FORMAT`]).
    pub format: u32,
    /// The path that was asked about.
    pub path: Option<StorePath>,
    /// Whether nothing is wrong.
    pub healthy: bool,
    /// The links in Nix's order.
    pub links: Vec<LinkState>,
    /// What was found, in Nix's order.
    pub findings: Vec<Finding>,
}

/// Judges.
#[must_use]
pub fn diagnose(facts: &Facts) -> Diagnosis {
    let mut findings = settings::check(facts);
    findings.extend(caches::check(facts));
    findings.extend(keys::check(facts));
    findings.extend(path::check(facts));
    findings.extend(client::check(facts));
    for finding in &mut findings {
        let texts = [&mut finding.what, &mut finding.effect].into_iter();
        let texts = texts.chain(&mut finding.place).chain(&mut finding.remedy);
        texts.for_each(|text| *text = harmless(text));
    }
    findings.sort_by_key(|finding| (finding.severity, finding.code.link()));
    let wrong = |link: Link| {
        findings
            .iter()
            .any(|it| it.code.link() == link && it.severity == Severity::Wrong)
    };
    let links = Link::ALL.map(|link| {
        let looked = link != Link::Path || facts.path.is_some();
        LinkState {
            link,
            fine: looked.then(|| !wrong(link)),
            seen: harmless(&seen(facts, link)),
        }
    });
    Diagnosis {
        format: FORMAT,
        path: facts.path.clone(),
        healthy: !Link::ALL.into_iter().any(wrong),
        links: links.into(),
        findings,
    }
}

/// What was seen of a link, in a line.
fn seen(facts: &Facts, link: Link) -> String {
    match link {
        Link::Settings => {
            let who = match (facts.daemon, facts.trusted) {
                (false, _) => "works without a daemon",
                (true, true) => "is trusted by the daemon",
                (true, false) => "is not trusted by the daemon",
            };
            format!(
                "{} read; {} {who}; {} in effect",
                counted(facts.conf.files.len(), "file"),
                if facts.user.is_empty() {
                    "the user"
                } else {
                    &facts.user
                },
                counted(facts.words("substituters").count(), "substituter")
            )
        }
        Link::Caches => {
            let mut order: Vec<(Option<i64>, String)> = facts
                .caches
                .iter()
                .map(|cache| {
                    let priority = caches::priority(cache);
                    let answer = match (&cache.info, priority) {
                        (Answer::Got { status: 200, .. }, Some(priority)) => {
                            format!("priority {priority}, {} ms", cache.took_ms)
                        }
                        (Answer::NotAsked, _) => "not asked".to_owned(),
                        _ => "out of use".to_owned(),
                    };
                    (priority, format!("{} ({answer})", cache.base()))
                })
                .collect();
            order.sort_by_key(|(priority, _)| priority.unwrap_or(i64::MAX));
            let order: Vec<String> = order.into_iter().map(|(_, text)| text).collect();
            order.join(", then ")
        }
        Link::Keys => format!("{} trusted", counted(facts.keys().count(), "key")),
        Link::Path if facts.path.is_none() => "no path was named".to_owned(),
        Link::Path => {
            let mut caches = facts.caches.iter();
            let has =
                |cache: &&CacheFacts| matches!(cache.narinfo, Answer::Got { status: 200, .. });
            let has = caches.find(has).map(|cache| format!("in {}", cache.base()));
            has.unwrap_or_else(|| "in no cache".to_owned())
        }
        Link::Client => {
            let remembered = facts
                .caches
                .iter()
                .filter(|cache| cache.remembered.is_some())
                .count();
            match &facts.path {
                Some(_) => format!(
                    "Nix remembers {} of the path",
                    counted(remembered, "answer")
                ),
                None => "clock and daemon".to_owned(),
            }
        }
    }
}

/// The text without logins in URLs, and without what looks like a secret key that somebody put among public ones.
fn harmless(text: &str) -> String {
    let clean = |word: &str| {
        if looks_like_secret_key(word) {
            return "(a secret key)".to_owned();
        }
        let Some((scheme, rest)) = word.split_once("://") else {
            return word.to_owned();
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        match rest.get(..end).and_then(|authority| authority.rfind('@')) {
            Some(at) => format!("{scheme}://…{}", &rest[at..]),
            None => word.to_owned(),
        }
    };
    let words: Vec<String> = text.split(' ').map(clean).collect();
    words.join(" ")
}

fn counted(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// Whether an answer is a refusal.
const fn refuses(status: u16) -> bool {
    matches!(status, 401 | 403 | 407)
}

#[cfg(test)]
mod tests;
