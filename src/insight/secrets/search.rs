//! The first search: literals that are rare where there is no secret, many at once.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Span, packed};

use super::given::{assigned, in_url, login};
use super::shape::Judge;
use super::{keys, tokens};

/// The longest literal, in bytes.
pub(super) const LONGEST: usize = 32;

/// Literals, and who judges where they stand.
pub(super) struct Search {
    engine: Engine,
    judges: Vec<Judge>,
}

enum Engine {
    /// By vector instructions.
    Packed(packed::Searcher),
    /// Where the machine has none that fit.
    Automaton(Box<AhoCorasick>),
}

impl Search {
    fn new(literals: &[(&'static str, Judge)]) -> Self {
        let texts = || literals.iter().map(|(text, _)| text);
        let mut builder = packed::Builder::new();
        builder.extend(texts());
        let engine = match builder.build() {
            Some(packed) => Engine::Packed(packed),
            None => Engine::Automaton(Box::new(
                AhoCorasick::new(texts()).expect("a few constant literals"),
            )),
        };
        Self {
            engine,
            judges: literals.iter().map(|(_, judge)| *judge).collect(),
        }
    }

    /// Calls `each` with the place of every literal that begins in `from..to`, in ascending order; literals
    /// may end behind `to`.
    pub(super) fn each(
        &self,
        bytes: &[u8],
        from: usize,
        to: usize,
        mut each: impl FnMut(usize, Judge),
    ) {
        let end = bytes.len().min(to + LONGEST);
        let mut start = from;
        while start < to {
            let span = Span { start, end };
            let found = match &self.engine {
                Engine::Packed(packed) => packed.find_in(bytes, span),
                Engine::Automaton(automaton) => {
                    automaton.find(aho_corasick::Input::new(bytes).span(span))
                }
            };
            let Some(found) = found.filter(|found| found.start() < to) else {
                return;
            };
            if let Some(judge) = self.judges.get(found.pattern().as_usize()) {
                each(found.start(), *judge);
            }
            // Literals may overlap; whatever the pieces, each is seen.
            start = found.start() + 1;
        }
    }
}

/// Literals that are looked for in every file.
pub(super) static EVERYWHERE: LazyLock<Search> = LazyLock::new(|| {
    Search::new(&[
        ("ghp_", tokens::github),
        ("gho_", tokens::github),
        ("ghu_", tokens::github),
        ("ghs_", tokens::github),
        ("ghr_", tokens::github),
        ("github_pat_", tokens::github_fine_grained),
        ("glpat-", tokens::gitlab),
        ("glptt-", tokens::gitlab),
        ("gldt-", tokens::gitlab),
        ("glrt-", tokens::gitlab),
        ("glcbt-", tokens::gitlab),
        ("glsoat-", tokens::gitlab),
        ("glagent-", tokens::gitlab),
        ("AKIA", tokens::aws),
        ("ASIA", tokens::aws),
        ("AIza", tokens::google_api),
        ("GOCSPX-", tokens::google_oauth),
        ("AccountKey=", tokens::azure_storage),
        ("+ASt", tokens::azure_marked),
        ("SharedAccessKey=", tokens::azure_shared),
        ("xoxb-", tokens::slack),
        ("xoxp-", tokens::slack),
        ("xoxa-", tokens::slack),
        ("xoxr-", tokens::slack),
        ("xoxs-", tokens::slack),
        ("xapp-", tokens::slack_app),
        ("hooks.slack.com/services/", tokens::slack_webhook),
        ("sk_live_", tokens::stripe),
        ("rk_live_", tokens::stripe),
        ("npm_", tokens::npm),
        ("pypi-AgE", tokens::pypi),
        ("\"cio", tokens::crates),
        ("'cio", tokens::crates),
        ("=cio", tokens::crates),
        (" cio", tokens::crates),
        ("dckr_pat_", tokens::docker),
        ("dckr_oat_", tokens::docker),
        ("eyJhbGci", tokens::jwt),
        ("eyJ0eXAi", tokens::jwt),
        ("eyJraWQi", tokens::jwt),
        ("eyJjdHki", tokens::jwt),
        ("eyJ4NXQi", tokens::jwt),
        ("T3BlbkFJ", tokens::openai),
        ("sk-ant-", tokens::anthropic),
        ("\"SG.", tokens::sendgrid),
        ("'SG.", tokens::sendgrid),
        ("=SG.", tokens::sendgrid),
        (" SG.", tokens::sendgrid),
        (":SG.", tokens::sendgrid),
        ("AGE-SECRET-KEY-1", keys::age),
        ("-----BEGIN ", keys::pem),
        ("PuTTY-User-Key-File-", keys::putty),
        // The last digit of 64 bytes in base 64.
        ("A==", keys::nix),
        ("Q==", keys::nix),
        ("g==", keys::nix),
        ("w==", keys::nix),
    ])
});

/// Literals that are looked for in texts: parts of words, so that capitals do not matter.
pub(super) static IN_TEXTS: LazyLock<Search> = LazyLock::new(|| {
    Search::new(&[
        ("assw", assigned),
        ("ASSW", assigned),
        ("assph", assigned),
        ("ASSPH", assigned),
        ("ecret", assigned),
        ("ECRET", assigned),
        ("oken", assigned),
        ("OKEN", assigned),
        ("pi_key", assigned),
        ("pi-key", assigned),
        ("piKey", assigned),
        ("pikey", assigned),
        ("PI_KEY", assigned),
        ("PIKEY", assigned),
        ("ccess_key", assigned),
        ("ccess-key", assigned),
        ("ccessKey", assigned),
        ("CCESS_KEY", assigned),
        ("://", in_url),
        ("\"auth\"", login),
    ])
});
