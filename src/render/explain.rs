//! The answer to `explain PATH`, as text and as JSON.

use super::json;
use super::layout::{safe, wrap};
use super::style::Role;
use super::text::Layout;
use super::units::{duration, list, size, things, to_come};
use super::view::{bare, drop_reason, held_words};
use crate::plan::explain::{CacheVerdict, Explanation, Need, RootReach, Verdict};
use crate::plan::step::Because;
use crate::plan::time::Time;

/// Roots that are listed for a cache; the others are counted.
const ROOTS: usize = 8;

/// The explanation as JSON.
#[must_use]
pub fn json(explanation: &Explanation) -> String {
    json::pretty(explanation)
}

/// The explanation as text: facts first, then the verdict of each cache with its reasons.
#[must_use]
pub fn text(explanation: &Explanation, layout: Layout) -> String {
    let mut page = Page {
        layout,
        text: String::new(),
        now: explanation.now,
        file: safe(bare(&explanation.file)),
    };
    page.heading(explanation);
    for cache in &explanation.caches {
        page.cache(cache);
    }
    page.text
}

struct Page {
    layout: Layout,
    text: String,
    now: Time,
    /// The name of `cache.yaml`.
    file: String,
}

impl Page {
    /// `rule (cache.yaml:31)`.
    fn reason(&self, because: &Because) -> String {
        let place = because
            .line
            .map_or_else(String::new, |line| format!(" ({}:{line})", self.file));
        format!("{}{place}", safe(&because.rule))
    }

    fn put(&mut self, head: &str, text: &str) {
        let indent = super::layout::width(head);
        for (at, line) in wrap(text, self.layout.width().saturating_sub(indent))
            .iter()
            .enumerate()
        {
            let lead = if at == 0 {
                head.to_owned()
            } else {
                " ".repeat(indent)
            };
            self.text.push_str(format!("{lead}{line}").trim_end());
            self.text.push('\n');
        }
    }

    fn title(&mut self, text: &str) {
        let painted = self.layout.palette().paint(Role::Title, text).to_string();
        self.text.push_str(&painted);
        self.text.push('\n');
    }

    fn heading(&mut self, explanation: &Explanation) {
        self.title(&safe(&explanation.path.to_string()));
        if let Some(bytes) = explanation.nar_size {
            self.put("  size      ", &format!("{} NAR", size(bytes)));
        }
        let store = match explanation.in_store {
            Some(true) => match explanation.gc_roots.as_slice() {
                [] => "in the local Nix store, where no link keeps it from the garbage collector"
                    .to_owned(),
                [only] => format!("in the local Nix store, kept there by {}", safe(only)),
                [first, rest @ ..] => format!(
                    "in the local Nix store, kept there by {} and {}",
                    safe(first),
                    things(rest.len() as u64, "more link")
                ),
            },
            Some(false) => "not in the local Nix store".to_owned(),
            None => "unknown: the local Nix store could not be seen".to_owned(),
        };
        self.put("  store     ", &store);
        let class = &explanation.class;
        let mut text = format!(
            "{}: {}; priority {}, retention {}",
            safe(class.class.as_str()),
            self.reason(&class.because),
            class.priority,
            duration(class.retention)
        );
        if !class.also.is_empty() {
            let names: Vec<String> = class.also.iter().map(|name| safe(name.as_str())).collect();
            text.extend(["; ", &list(&names), " would match too, but later"]);
        }
        self.put("  class     ", &text);
        if explanation.wanted_by.is_empty() {
            self.put("  wanted    ", "by nothing that cache.yaml asks to push");
        }
        for wanted in &explanation.wanted_by {
            let text = format!(
                "in the closure of {}: {}",
                safe(&wanted.what),
                self.reason(&wanted.because)
            );
            self.put("  wanted    ", &text);
        }
        for upstream in &explanation.upstreams {
            let has = match upstream.has {
                Some(true) => "has it",
                Some(false) => "does not have it",
                None => "may have it",
            };
            let text = format!(
                "{} {has}: {}",
                safe(upstream.cache.as_str()),
                safe(&upstream.how)
            );
            self.put("  upstream  ", &text);
        }
    }

    fn cache(&mut self, cache: &CacheVerdict) {
        self.text.push('\n');
        let (word, why) = self.verdict(&cache.verdict);
        self.title(&format!("{}: {word}", safe(cache.cache.as_str())));
        if !why.is_empty() {
            self.put("  because   ", &why);
        }
        let present = match cache.present {
            Some(true) => "there now",
            Some(false) => "not there now",
            None => "unknown: the cache could not be seen",
        };
        self.put("  present   ", present);
        let need = match &cache.need {
            Need::Pinned { pin } => format!("for ever, pinned as {}", safe(pin.as_str())),
            Need::Until { time } => self.until(*time),
            Need::Foreign { time: None } => "for ever: no record of ours covers it".to_owned(),
            Need::Foreign { time: Some(time) } => {
                format!(
                    "{}, by its class: no record of ours covers it",
                    self.until(*time)
                )
            }
            Need::Unreached => "none: no pin and no root of a declared class reaches it".to_owned(),
            Need::Unknown { why } => format!("unknown: {}", safe(&why.0)),
        };
        self.put("  need      ", &need);
        if let Some(priority) = cache.priority {
            self.put(
                "  priority  ",
                &format!("{priority}, the highest of the roots that reach it"),
            );
        }
        for root in cache.roots.iter().take(ROOTS) {
            let text = self.root(root);
            self.put("  root      ", &text);
        }
        if cache.roots.len() > ROOTS {
            self.put(
                "            ",
                &format!("and {} more", cache.roots.len() - ROOTS),
            );
        }
    }

    fn until(&self, time: Time) -> String {
        if time > self.now {
            format!("until {time}, for {}", to_come(time.since(self.now).0))
        } else {
            format!("ended {time}, {} ago", duration(self.now.since(time).0))
        }
    }

    fn root(&self, root: &RootReach) -> String {
        let attr = root
            .attr
            .as_ref()
            .map_or_else(String::new, |attr| format!(" for {}", safe(attr)));
        format!(
            "{}{attr}: {} (priority {}), written {} ago + {} = {}",
            safe(&root.path.to_string()),
            safe(root.class.as_str()),
            root.priority,
            duration(self.now.since(root.written).0),
            duration(root.retention),
            self.until(root.until)
        )
    }

    /// A verdict in a word, and why.
    fn verdict(&self, verdict: &Verdict) -> (&'static str, String) {
        match verdict {
            Verdict::Pushed { because } => ("pushed", self.reason(because)),
            Verdict::Kept { why } => ("kept", safe(why)),
            Verdict::AfterBuild {
                installable,
                because,
            } => (
                "pushed once it is built",
                format!("{} makes it: {}", safe(installable), self.reason(because)),
            ),
            Verdict::NotWanted => ("not pushed", "nothing asks for it".to_owned()),
            Verdict::HeldBack { reason, needs } => {
                let why = needs.as_ref().map_or_else(
                    || held_words(reason),
                    |needs| format!("it needs {}, which is kept back", safe(&needs.to_string())),
                );
                ("kept back", why)
            }
            Verdict::Deleted { reason } => ("deleted", drop_reason(reason, self.now)),
            Verdict::Undecided { why } => ("left alone", safe(&why.0)),
        }
    }
}
