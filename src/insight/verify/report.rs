//! The answer of a verification.

use std::collections::BTreeMap;

use serde::Serialize;

use super::code::{Code, Weight};
use crate::nix::hash::Sha256;
use crate::nix::store_path::StorePath;

/// Version of the JSON form of [`Verification`].
pub const FORMAT: u32 = 1;

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// How much it weighs.
    pub weight: Weight,
    /// The path that it concerns, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<StorePath>,
    /// The object of the cache.
    pub key: String,
    /// What exactly, as a sentence without a full stop.
    pub text: String,
    /// The NAR hash that the narinfo says, where the narinfo could be read and there is damage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nar_hash: Option<Sha256>,
    /// The reference that is meant, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<StorePath>,
}

impl Finding {
    /// A finding about an object.
    #[must_use]
    pub fn new(code: Code, path: Option<&StorePath>, key: &str, text: impl Into<String>) -> Self {
        Self {
            code,
            weight: code.weight(),
            path: path.cloned(),
            key: key.to_owned(),
            text: text.into(),
            nar_hash: None,
            reference: None,
        }
    }
}

/// How much was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Narinfos that were read.
    pub narinfos: u64,
    /// Narinfos that there are; what was not listed is not counted.
    pub of_narinfos: u64,
    /// NARs that were read to their ends.
    pub nars: u64,
    /// NARs that narinfos name.
    pub of_nars: u64,
    /// Bytes of these NARs, uncompressed.
    pub nar_bytes: u64,
    /// What chose the NARs, where not all were read: the same seed chooses the same ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    /// `false`: the place lists nothing, so only the paths that are wanted were looked at.
    pub listed: bool,
}

/// How many paths the declared keys vouch for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Narinfos that were judged.
    pub paths: u64,
    /// Those that at least one declared key signed.
    pub signed: u64,
    /// Those without such a signature whose names follow from their contents, so that Nix needs none.
    pub content_addressed: u64,
    /// By declared key: how many it signed.
    pub by_key: BTreeMap<String, u64>,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// [`FORMAT`].
    pub format: u32,
    /// The cache, by its name in `cache.yaml`.
    pub cache: String,
    /// Where it is.
    pub place: String,
    /// How much was looked at.
    pub checked: Checked,
    /// Signatures.
    pub coverage: Coverage,
    /// Thousandths of the paths that were looked at and have no damage; 1000 only if none has.
    pub score: u64,
    /// What was found: damage first.
    pub findings: Vec<Finding>,
    /// What as a whole could not be judged, a sentence each.
    pub unknowns: Vec<String>,
}

impl Verification {
    /// Puts findings in order, each once, and computes the score.
    pub fn settle(&mut self) {
        self.format = FORMAT;
        let order = |finding: &Finding| {
            let place = Code::ALL.iter().position(|code| *code == finding.code);
            (finding.weight, place)
        };
        self.findings
            .sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.cmp(b)));
        self.findings.dedup();
        let mut damaged: Vec<&str> = self.damages().map(|one| one.key.as_str()).collect();
        damaged.sort_unstable();
        damaged.dedup();
        let (bad, all) = (damaged.len() as u64, self.checked.narinfos);
        self.score = match bad {
            0 => 1000,
            // An object beside the narinfos may be damaged, too.
            _ => (u128::from(all.saturating_sub(bad)) * 1000)
                .checked_div(u128::from(all))
                .and_then(|share| u64::try_from(share).ok())
                .unwrap_or(0)
                .min(999),
        };
    }

    /// The findings that are damage.
    pub fn damages(&self) -> impl Iterator<Item = &Finding> {
        let is = |finding: &&Finding| finding.weight == Weight::Damage;
        self.findings.iter().filter(is)
    }

    /// Whether there is no damage.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damages().next().is_none()
    }

    /// How many findings there are of each code, in the order of showing.
    #[must_use]
    pub fn counts(&self) -> Vec<(Code, usize)> {
        let count = |code: &Code| self.findings.iter().filter(|it| it.code == *code).count();
        let mut counts: Vec<_> = Code::ALL.iter().map(|code| (*code, count(code))).collect();
        counts.retain(|(_, count)| *count > 0);
        counts.sort_by_key(|(code, _)| code.weight());
        counts
    }
}
