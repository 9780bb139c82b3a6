//! Judging the NAR of a narinfo by what was found when it was read, and looking for references in it.

use std::collections::{BTreeSet, HashSet};

use super::code::Code;
use super::report::Finding;
use crate::nix::content_address::Method;
use crate::nix::hash::{Hash, Sha256};
use crate::nix::narinfo::NarInfo;
use crate::nix::store_path::{HashPart, StorePath};

/// What became of a NAR file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NarState {
    /// It decompresses, and is a NAR by the letter.
    Canonical,
    /// It decompresses, and is no NAR: why.
    Malformed(String),
    /// It does not decompress: why.
    Undecodable(String),
    /// It was given up: it is longer than its narinfo says.
    Longer,
    /// Its method of compression is not read here.
    Unreadable,
}

/// What was found when a NAR file was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarFacts {
    /// Bytes of the file.
    pub file_size: u64,
    /// Hash of the file.
    pub file_hash: Sha256,
    /// What became of it.
    pub state: NarState,
    /// Bytes of what is in it, as far as it was read.
    pub nar_size: u64,
    /// Hash of what is in it, as far as it was read.
    pub nar_hash: Sha256,
    /// Where the NAR is one regular file: the hash of its content.
    pub flat: Option<Sha256>,
    /// Hash parts that were looked for and stand in it.
    pub named: BTreeSet<HashPart>,
}

/// Judges the NAR of a narinfo: the first thing that is wrong, then what is only advice.
#[must_use]
pub fn judge(key: &str, info: &NarInfo, facts: &NarFacts) -> Vec<Finding> {
    let find = |code, text: String| Finding::new(code, Some(&info.store_path), key, text);
    if let Some((code, text)) = first_damage(info, facts) {
        return vec![find(code, text)];
    }
    if facts.state == NarState::Unreadable {
        let text = format!(
            "`{}` is read by Nix alone, so only the file was checked",
            info.compression
        );
        return vec![find(Code::NarUnreadable, text)];
    }
    let mut findings = Vec::new();
    match content_address(info, facts) {
        Some(true) | None => {}
        Some(false) => {
            let ca = info.ca.map(|ca| ca.to_string()).unwrap_or_default();
            return vec![find(Code::CaContent, format!("it is not that of `{ca}`"))];
        }
    }
    if info.ca.is_some() && content_address(info, facts).is_none() {
        let ca = info.ca.map(|ca| ca.to_string()).unwrap_or_default();
        findings.push(find(
            Code::CaUnchecked,
            format!("`{ca}`: the NAR hash was checked"),
        ));
    }
    let declared: BTreeSet<HashPart> = info.references.iter().map(StorePath::hash).collect();
    let list = |hashes: Vec<String>| match hashes.len() {
        0..=3 => hashes.join(", "),
        many => format!("{} and {} more", hashes[..3].join(", "), many - 3),
    };
    let unfound: Vec<String> = info
        .references
        .iter()
        .filter(|path| !facts.named.contains(&path.hash()))
        .map(|path| format!("`{path}`"))
        .collect();
    if !unfound.is_empty() {
        findings.push(find(Code::ReferenceUnfound, list(unfound)));
    }
    let undeclared: Vec<String> = facts
        .named
        .iter()
        .filter(|hash| !declared.contains(hash) && **hash != info.store_path.hash())
        .map(|hash| format!("`{hash}`"))
        .collect();
    if !undeclared.is_empty() {
        findings.push(find(Code::ReferenceUndeclared, list(undeclared)));
    }
    findings
}

fn first_damage(info: &NarInfo, facts: &NarFacts) -> Option<(Code, String)> {
    if let Some(size) = info.file_size.filter(|size| *size != facts.file_size) {
        let text = format!(
            "`{}` has {} bytes, and its narinfo says {size}",
            info.url, facts.file_size
        );
        return Some((Code::FileSize, text));
    }
    let good = (facts.nar_hash, facts.nar_size) == (info.nar_hash, info.nar_size);
    if let Some(hash) = info.file_hash.filter(|hash| *hash != facts.file_hash) {
        let rest = if facts.state == NarState::Canonical && good {
            "the NAR in it is right"
        } else {
            "the NAR in it is not right either"
        };
        let text = format!(
            "`{}` is {}, and its narinfo says {hash}; {rest}",
            info.url, facts.file_hash
        );
        return Some((Code::FileHash, text));
    }
    match &facts.state {
        NarState::Unreadable => return None,
        NarState::Undecodable(why) => {
            return Some((Code::NarUndecodable, format!("`{}`: {why}", info.url)));
        }
        NarState::Longer => {
            let text = format!(
                "it has more than the {} bytes that its narinfo says",
                info.nar_size
            );
            return Some((Code::NarSize, text));
        }
        NarState::Malformed(why) => {
            return Some((Code::NarMalformed, format!("`{}`: {why}", info.url)));
        }
        NarState::Canonical => {}
    }
    if facts.nar_size != info.nar_size {
        let text = format!(
            "it has {} bytes, and its narinfo says {}",
            facts.nar_size, info.nar_size
        );
        return Some((Code::NarSize, text));
    }
    if !good {
        let text = format!(
            "it is {}, and its narinfo says {}",
            facts.nar_hash, info.nar_hash
        );
        return Some((Code::NarHash, text));
    }
    None
}

/// Whether the content has its content address; `None`: it has none, or one that is not computed here.
fn content_address(info: &NarInfo, facts: &NarFacts) -> Option<bool> {
    let ca = info.ca?;
    match ca.method {
        // With a reference to itself the hash is another one; other algorithms are not computed.
        Method::Nar if !info.refers_to_itself() => {
            let same = ca.hash == Hash::from(facts.nar_hash);
            (ca.hash.algorithm() == crate::nix::hash::Algorithm::Sha256).then_some(same)
        }
        Method::Flat | Method::Text => {
            if ca.hash.algorithm() != crate::nix::hash::Algorithm::Sha256 {
                return None;
            }
            Some(facts.flat.is_some_and(|flat| ca.hash == Hash::from(flat)))
        }
        Method::Nar | Method::Git => None,
    }
}

/// Finds hash parts of store paths in a stream of bytes, as Nix does: 32 characters of its base 32 in a row.
#[derive(Debug)]
pub struct Scanner<'a> {
    wanted: &'a HashSet<HashPart>,
    /// The end of what came before.
    tail: Vec<u8>,
    found: BTreeSet<HashPart>,
}

/// Characters of a hash part.
const LEN: usize = 32;

impl<'a> Scanner<'a> {
    /// A scanner that looks for these.
    #[must_use]
    pub const fn new(wanted: &'a HashSet<HashPart>) -> Self {
        Self {
            wanted,
            tail: Vec::new(),
            found: BTreeSet::new(),
        }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        // What crosses the border first, then the rest in place.
        let head = bytes.get(..bytes.len().min(LEN - 1)).unwrap_or_default();
        self.tail.extend_from_slice(head);
        let border = std::mem::take(&mut self.tail);
        self.scan(&border);
        self.scan(bytes);
        self.tail = if bytes.len() >= LEN - 1 {
            bytes
                .get(bytes.len() - (LEN - 1)..)
                .unwrap_or_default()
                .to_vec()
        } else {
            let from = border.len().saturating_sub(LEN - 1);
            border.get(from..).unwrap_or_default().to_vec()
        };
    }

    fn scan(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(window) = bytes.get(at..at + LEN) {
            // From behind, so that most of the bytes are never looked at.
            if let Some(other) = window.iter().rposition(|byte| !is_digit(*byte)) {
                at += other + 1;
                continue;
            }
            if let Ok(hash) = HashPart::parse(window)
                && self.wanted.contains(&hash)
            {
                self.found.insert(hash);
            }
            at += 1;
        }
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> BTreeSet<HashPart> {
        self.found
    }
}

/// Whether it is a digit of Nix's base 32.
const fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'd' | b'f'..=b'n' | b'p'..=b's' | b'v'..=b'z')
}
