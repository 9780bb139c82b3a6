//! Real narinfos, as Nix wrote them: they print back byte for byte, their signatures verify, and
//! no signed byte can be changed unseen.
//!
//! `NANNA_NARINFOS` names a file of narinfos with an empty line between them, signed by
//! cache.nixos.org; without it, those in `tests/fixtures/nix/` stand in, which Nix 2.8 wrote.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests: a panic is a failure, and what was skipped is said"
)]

use nanna_cache::nix::key::PublicKey;
use nanna_cache::nix::narinfo::{Brief, NarInfo};
use nanna_cache::nix::store_path::{StoreDir, StorePath};
use proptest::prelude::*;

const OURS: &str = include_str!("fixtures/nix/narinfos.txt");
const OUR_KEY: &str = include_str!("fixtures/nix/narinfos.pub");
const NIXOS_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

struct Samples {
    texts: Vec<String>,
    key: PublicKey,
    store: StoreDir,
}

fn split(file: &str) -> Vec<String> {
    file.trim_end_matches('\n')
        .split("\n\n")
        .map(|text| format!("{text}\n"))
        .collect()
}

fn samples() -> Samples {
    let (texts, key) = match std::env::var("NANNA_NARINFOS") {
        Ok(path) => (split(&std::fs::read_to_string(path).unwrap()), NIXOS_KEY),
        Err(_) => (split(OURS), OUR_KEY.trim_end()),
    };
    println!("{} narinfos", texts.len());
    assert!(texts.len() >= 20);
    Samples {
        texts,
        key: key.parse().unwrap(),
        store: StoreDir::default(),
    }
}

#[test]
fn they_print_back_byte_for_byte() {
    let Samples { texts, store, .. } = samples();
    let mut relics = 0;
    for text in &texts {
        let info = NarInfo::parse(text, &store).unwrap();
        let printed = info.display(&store).to_string();
        if info.unknown.is_empty() {
            assert_eq!(&printed, text);
        } else {
            // A relic that Nix reads and never writes.
            let without = |line: &&str| !line.starts_with("System: ");
            let lines: String = text.split_inclusive('\n').filter(without).collect();
            assert_eq!(printed, lines);
            relics += 1;
        }
    }
    println!(
        "{} print back, {relics} but for the `System` line",
        texts.len() - relics
    );
    if texts.len() == 978 {
        assert_eq!(relics, 8);
    }
}

#[test]
fn all_signatures_verify() {
    let Samples { texts, key, store } = samples();
    for text in &texts {
        let info = NarInfo::parse(text, &store).unwrap();
        assert!(info.is_signed_by(&key, &store), "{}", info.store_path);
        assert_eq!(info.malformed_signatures, 0);
    }
}

#[test]
fn every_content_address_is_true() {
    let Samples { texts, store, .. } = samples();
    let mut addressed = 0;
    for text in &texts {
        let info = NarInfo::parse(text, &store).unwrap();
        assert_eq!(
            info.has_valid_ca(&store),
            info.ca.is_some(),
            "{}",
            info.store_path
        );
        addressed += usize::from(info.ca.is_some());
    }
    assert!(addressed >= 4);
}

#[test]
fn no_signed_byte_changes_unseen() {
    let Samples { texts, key, store } = samples();
    let signed = ["StorePath", "NarHash", "NarSize", "References", "Sig"];
    // Every byte of a few samples, a share of the bytes of many.
    let step = texts.len().div_ceil(20);
    let mut flips = 0;
    for (sample, text) in texts.iter().enumerate() {
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let value = line.find(": ").unwrap() + 2;
            let field = signed.contains(&&line[..value - 2]);
            let bytes = start + value..start + line.len() - 1;
            start += line.len();
            for at in bytes.filter(|at| field && at % step == sample % step) {
                let mut changed = text.clone().into_bytes();
                changed[at] ^= 1 << (at % 8);
                flips += 1;
                let believed = Brief::from_bytes(&changed, &store)
                    .is_ok_and(|brief| brief.to_nar_info().is_signed_by(&key, &store));
                assert!(!believed, "byte {at} of\n{text}");
            }
        }
    }
    println!("{flips} bytes flipped");
    assert!(flips > 4000, "{flips}");
}

/// Both readers agree on a text: the same error, or the same values.
fn agree(text: &str, store: &StoreDir) {
    let (brief, info) = match (Brief::parse(text, store), NarInfo::parse(text, store)) {
        (Ok(brief), Ok(info)) => (brief, info),
        (brief, info) => {
            assert_eq!(brief.err(), info.err());
            return;
        }
    };
    assert_eq!(StorePath::from(brief.store_path), info.store_path);
    assert_eq!(brief.url, info.url);
    assert_eq!(brief.file_hash, info.file_hash);
    assert_eq!(brief.file_size, info.file_size);
    assert_eq!(brief.nar_hash, info.nar_hash);
    assert_eq!(brief.nar_size, info.nar_size);
    assert_eq!(brief.deriver.map(StorePath::from), info.deriver);
    assert_eq!(brief.ca, info.ca);
    let mut references: Vec<StorePath> = brief.references().map(StorePath::from).collect();
    references.sort();
    references.dedup();
    assert_eq!(references, info.references);
    let signatures: Vec<String> = info.signatures.iter().map(ToString::to_string).collect();
    assert!(brief.signatures().eq(signatures.iter().map(String::as_str)));
    let sig_lines = text
        .lines()
        .filter(|line| line.starts_with("Sig: "))
        .count();
    assert_eq!(info.malformed_signatures + signatures.len(), sig_lines);
}

#[test]
fn the_brief_reader_agrees_and_is_fast() {
    let Samples { texts, store, .. } = samples();
    for text in &texts {
        agree(text, &store);
    }
    let start = std::time::Instant::now();
    let mut rounds = 0u32;
    while rounds == 0 || start.elapsed().as_millis() < 200 {
        for text in &texts {
            assert!(Brief::parse(text, &store).unwrap().nar_size > 0);
        }
        rounds += 1;
    }
    let each = start.elapsed() / rounds / u32::try_from(texts.len()).unwrap();
    println!("{each:?} for each narinfo (means something in an optimised build only)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn the_brief_reader_agrees_on_changed_texts(
        sample: prop::sample::Index,
        at: prop::sample::Index,
        drop in 0usize..4,
        put in "[ -~\n\r]{0,3}|(Sig|CA|References|Deriver|NarSize|FileHash): |\nURL: x\n",
    ) {
        let texts = split(OURS);
        let mut text = sample.get(&texts).clone();
        prop_assert!(text.is_ascii());
        let at = at.index(text.len());
        let end = (at + drop).min(text.len());
        text.replace_range(at..end, &put);
        agree(&text, &StoreDir::default());
    }
}
