//! From the events of a log, and when they came, to what was fetched, built and downloaded.

use std::collections::{BTreeMap, VecDeque};

use super::{Activity, Event, Line, Outcome, line, without_colours};

/// Lines of a build's log that are kept for the case that it fails.
const TAIL: usize = 25;

/// A path that was fetched from a cache, or should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Substitution {
    /// The store path.
    pub path: String,
    /// The cache, as Nix names it.
    pub url: String,
    /// When it began, in milliseconds since the start of the log.
    pub began: u64,
    /// When it ended; none: it did not, before the log did.
    pub ended: Option<u64>,
    /// Bytes of the NAR, where this Nix tells.
    pub nar: Option<u64>,
    /// Bytes that were downloaded for it, where they can be told from those of others.
    pub download: Option<u64>,
    /// Whether it is known to have failed.
    pub failed: bool,
}

/// A derivation that was built, or should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The derivation.
    pub drv: String,
    /// The other machine that did it; empty: this one.
    pub machine: String,
    /// When it began, in milliseconds since the start of the log.
    pub began: u64,
    /// When it ended; none: it did not, before the log did.
    pub ended: Option<u64>,
    /// Whether it is known to have failed.
    pub failed: bool,
    /// The phase that it is in.
    pub phase: String,
    /// The last lines of its log.
    pub tail: VecDeque<String>,
}

/// A download that is no path of a cache and no question to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// From where.
    pub url: String,
    /// When it began, in milliseconds since the start of the log.
    pub began: u64,
    /// When it ended.
    pub ended: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
}

/// What a log tells, in the order of its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Paths from caches.
    pub substitutions: Vec<Substitution>,
    /// Derivations.
    pub builds: Vec<Build>,
    /// Other downloads.
    pub fetches: Vec<Fetch>,
    /// How many builds Nix expects in all, and how many paths to copy; sums that may shrink.
    pub expected: (u64, u64),
    /// Events that were read.
    pub events: u64,
}

/// What is to be shown of a line at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Something that is no event: a line of a program that Nix started, say.
    Plain(String),
    /// A message of Nix; level 0 is an error, 1 a warning.
    Message(u64, String),
    /// A line of the log of the build with this number in [`Facts::builds`].
    BuildLine(usize, String),
}

/// What an id stands for.
#[derive(Clone, Copy, Debug)]
enum Open {
    Substitution(usize),
    /// The copy that is a part of it.
    Copy(usize),
    /// The download that is a part of it.
    Nar(usize),
    Build(usize),
    Fetch(usize),
    Builds,
    Copies,
    /// A question to a cache.
    Query,
}

/// Reads a log as it comes.
#[derive(Debug, Default)]
pub struct Log {
    facts: Facts,
    open: BTreeMap<u64, Open>,
    /// The latest substitution of each path.
    latest: BTreeMap<String, usize>,
    /// Substitutions whose copy has begun and whose download has not, in a dialect without parents.
    waiting: Vec<usize>,
}

impl Log {
    /// What is known so far.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Takes one line, without its end, that came `at` milliseconds after the start.
    pub fn take(&mut self, at: u64, text: &str) -> Option<Said> {
        let event = match line(text) {
            Line::Plain(plain) => return Some(Said::Plain(plain.to_owned())),
            Line::Event(event) => event,
        };
        self.facts.events += 1;
        match event {
            Event::Start {
                id,
                parent,
                activity,
            } => self.start(at, id, parent, activity),
            Event::Stop { id } => self.stop(at, id),
            Event::Result { id, result } => return self.result(id, result),
            Event::Message { level, text } => {
                if level == 0 {
                    self.error(&without_colours(&text));
                }
                return Some(Said::Message(level, text));
            }
            Event::Other => {}
        }
        None
    }

    /// What the log told. What has not ended by now has no end.
    #[must_use]
    pub fn end(self) -> Facts {
        self.facts
    }

    fn start(&mut self, at: u64, id: u64, parent: u64, activity: Activity) {
        let open = match activity {
            Activity::Substitute { path, url } => {
                let number = self.facts.substitutions.len();
                // Whoever fetches a path again did not get it before.
                if let Some(before) = self.latest.insert(path.clone(), number) {
                    self.facts.substitutions[before].failed = true;
                }
                self.facts.substitutions.push(Substitution {
                    path,
                    url,
                    began: at,
                    ended: None,
                    nar: None,
                    download: None,
                    failed: false,
                });
                Some(Open::Substitution(number))
            }
            Activity::CopyPath { path, .. } => {
                let at_work = self.at_work(&path);
                if parent == 0 {
                    self.waiting.extend(at_work);
                }
                at_work.map(Open::Copy)
            }
            Activity::FileTransfer { url } => self.transfer(at, parent, url),
            Activity::Build { drv, machine } => {
                self.facts.builds.push(Build {
                    drv,
                    machine,
                    began: at,
                    ended: None,
                    failed: false,
                    phase: String::new(),
                    tail: VecDeque::new(),
                });
                Some(Open::Build(self.facts.builds.len() - 1))
            }
            Activity::Builds => Some(Open::Builds),
            Activity::CopyPaths => Some(Open::Copies),
            Activity::QueryPathInfo { .. } => Some(Open::Query),
            Activity::Other(_) => None,
        };
        match open {
            Some(open) => self.open.insert(id, open),
            None => self.open.remove(&id),
        };
    }

    /// The number of the substitution of this path that has not ended.
    fn at_work(&self, path: &str) -> Option<usize> {
        let number = *self.latest.get(path)?;
        let ended = self.facts.substitutions[number].ended;
        ended.is_none().then_some(number)
    }

    fn transfer(&mut self, at: u64, parent: u64, url: String) -> Option<Open> {
        match self.open.get(&parent) {
            Some(Open::Substitution(number) | Open::Copy(number)) => {
                return Some(Open::Nar(*number));
            }
            Some(Open::Query) => return None,
            _ => {}
        }
        if is_question(&url) {
            return None;
        }
        let is_from_its_cache = |number: &usize| {
            let cache = self.facts.substitutions[*number].url.as_str();
            let cache = cache.split('?').next().unwrap_or(cache);
            url.starts_with(cache.trim_end_matches('/'))
        };
        let (candidates, others): (Vec<_>, Vec<_>) = self
            .waiting
            .iter()
            .partition(|number| is_from_its_cache(number));
        if parent == 0 && !candidates.is_empty() {
            self.waiting = others;
            // With several at once nobody can tell whose download it is.
            return (candidates.len() == 1).then(|| Open::Nar(candidates[0]));
        }
        self.facts.fetches.push(Fetch {
            url,
            began: at,
            ended: None,
            bytes: None,
        });
        Some(Open::Fetch(self.facts.fetches.len() - 1))
    }

    fn stop(&mut self, at: u64, id: u64) {
        match self.open.remove(&id) {
            Some(Open::Substitution(number)) => {
                self.facts.substitutions[number].ended = Some(at);
                self.waiting.retain(|waiting| *waiting != number);
            }
            Some(Open::Build(number)) => self.facts.builds[number].ended = Some(at),
            Some(Open::Fetch(number)) => self.facts.fetches[number].ended = Some(at),
            _ => {}
        }
    }

    fn result(&mut self, id: u64, result: Outcome) -> Option<Said> {
        let open = *self.open.get(&id)?;
        match (open, result) {
            (Open::Build(number), Outcome::Line(text)) => {
                let tail = &mut self.facts.builds[number].tail;
                if tail.len() == TAIL {
                    tail.pop_front();
                }
                tail.push_back(text.clone());
                return Some(Said::BuildLine(number, text));
            }
            (Open::Build(number), Outcome::Phase(phase)) => self.facts.builds[number].phase = phase,
            (Open::Copy(number), Outcome::Progress { done, .. }) => {
                self.facts.substitutions[number].nar = Some(done);
            }
            (Open::Nar(number), Outcome::Progress { done, .. }) => {
                self.facts.substitutions[number].download = Some(done);
            }
            (Open::Fetch(number), Outcome::Progress { done, .. }) => {
                self.facts.fetches[number].bytes = Some(done);
            }
            (Open::Builds, Outcome::Progress { expected, .. }) => self.facts.expected.0 = expected,
            (Open::Copies, Outcome::Progress { expected, .. }) => self.facts.expected.1 = expected,
            _ => {}
        }
        None
    }

    /// An error says of a build, or of a path that is being fetched, that it failed.
    fn error(&mut self, text: &str) {
        let text = text.trim_start();
        let text = text.strip_prefix("error:").unwrap_or(text).trim_start();
        // Of what hangs on a failure, and of all that was asked for, Nix speaks in the same way.
        if text.starts_with("build of ") || text.contains("failed to build") {
            return;
        }
        let named = text.split('\'').nth(1).unwrap_or_default();
        if text.contains("dependency failed") || text.contains("dependencies failed") {
            return;
        }
        for build in &mut self.facts.builds {
            build.failed |= build.drv == named;
        }
        for fetched in &mut self.facts.substitutions {
            fetched.failed |= fetched.path == named;
        }
    }
}

/// Whether this address is that of a question to a cache, not of something to have.
fn is_question(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or(url);
    path.ends_with(".narinfo") || path.ends_with("/nix-cache-info")
}
