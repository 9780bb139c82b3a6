use std::collections::{BTreeSet, HashSet};

use super::*;
use crate::nix::hash::Sha256;
use crate::nix::key::{PublicKey, SecretKey};
use crate::nix::narinfo::NarInfo;
use crate::nix::store_path::{HashPart, StoreDir};

const HASH: &str = "0123456789abcdfghijklmnpqrsvwxyz";
const OTHER: &str = "1123456789abcdfghijklmnpqrsvwxyz";

fn secret() -> SecretKey {
    SecretKey::generate("here-1", [7; 32]).unwrap()
}

fn keys() -> Vec<PublicKey> {
    vec![secret().public()]
}

fn unsigned() -> String {
    let hash = Sha256::of(b"nar");
    format!(
        "StorePath: /nix/store/{HASH}-a\nURL: nar/x.nar.zst\nCompression: zstd\nFileHash: {hash}\n\
         FileSize: 3\nNarHash: {hash}\nNarSize: 3\nReferences: {OTHER}-b\n"
    )
}

fn info(text: &str) -> NarInfo {
    NarInfo::parse(text, &StoreDir::default()).unwrap()
}

fn signed() -> String {
    let mut info = info(&unsigned());
    info.sign(&secret(), &StoreDir::default());
    info.display(&StoreDir::default()).to_string()
}

#[track_caller]
fn codes(text: &str, expected: &[Code]) -> Judged {
    let key = format!("{HASH}.narinfo");
    let judged = judge_narinfo(&key, text.as_bytes(), &StoreDir::default(), &keys());
    let found: Vec<Code> = judged.findings.iter().map(|one| one.code).collect();
    assert_eq!(found, expected, "{text}");
    judged
}

#[test]
fn a_good_narinfo_has_no_finding() {
    let judged = codes(&signed(), &[]);
    assert_eq!(judged.signing.by, ["here-1"]);
    assert!(judged.info.is_some());
}

#[test]
fn each_fault_of_a_narinfo_has_its_code() {
    let good = signed();
    codes("", &[Code::NarinfoMalformed]);
    codes(&good.replace("NarSize: 3\n", ""), &[Code::NarinfoMalformed]);
    codes(
        &good.replace(&format!("{HASH}-a"), &format!("{OTHER}-a")),
        &[Code::NarinfoMisplaced],
    );
    codes(&unsigned(), &[Code::SignatureMissing]);
    codes(
        &good.replace("NarSize: 3", "NarSize: 4"),
        &[Code::SignatureFalse],
    );
    codes(
        &format!("{}Sig: nonsense\n", unsigned()),
        &[Code::SignatureMalformed],
    );
    codes(
        &format!("{good}System: x86_64-linux\n"),
        &[Code::NarinfoUnknownField],
    );
    codes(
        &format!("{good}URL: nar/y.nar.zst\n"),
        &[Code::NarinfoRepeated],
    );
    codes(&format!("{good}URL: nar/x.nar.zst\n"), &[Code::NarinfoForm]);
    let hash = Sha256::of(b"nar");
    let hex = format!("FileHash: sha256:{}", hash.to_hex());
    codes(
        &good.replace(&format!("FileHash: {hash}"), &hex),
        &[Code::NarinfoForm],
    );
    let ca = format!("{good}CA: fixed:r:{hash}\n");
    codes(&ca, &[Code::CaFalse]);
}

#[test]
fn another_key_of_another_name_is_said_as_missing() {
    let mut info = info(&unsigned());
    let other = SecretKey::generate("there-1", [9; 32]).unwrap();
    info.sign(&other, &StoreDir::default());
    let judged = codes(
        &info.display(&StoreDir::default()).to_string(),
        &[Code::SignatureMissing],
    );
    assert!(judged.findings[0].text.contains("`there-1`"));
}

fn facts() -> NarFacts {
    NarFacts {
        file_size: 3,
        file_hash: Sha256::of(b"nar"),
        state: NarState::Canonical,
        nar_size: 3,
        nar_hash: Sha256::of(b"nar"),
        flat: None,
        named: BTreeSet::from([OTHER.parse().unwrap()]),
    }
}

#[track_caller]
fn nar_codes(facts: &NarFacts, expected: &[Code]) {
    let found: Vec<Code> = judge_nar("key", &info(&unsigned()), facts)
        .iter()
        .map(|one| one.code)
        .collect();
    assert_eq!(found, expected, "{facts:?}");
}

#[test]
fn only_the_first_fault_of_a_nar_is_said() {
    nar_codes(&facts(), &[]);
    let wrong = Sha256::of(b"wrong");
    nar_codes(
        &NarFacts {
            file_size: 4,
            file_hash: wrong,
            nar_hash: wrong,
            ..facts()
        },
        &[Code::FileSize],
    );
    nar_codes(
        &NarFacts {
            file_hash: wrong,
            nar_hash: wrong,
            ..facts()
        },
        &[Code::FileHash],
    );
    nar_codes(
        &NarFacts {
            state: NarState::Undecodable("x".into()),
            ..facts()
        },
        &[Code::NarUndecodable],
    );
    nar_codes(
        &NarFacts {
            state: NarState::Malformed("x".into()),
            ..facts()
        },
        &[Code::NarMalformed],
    );
    nar_codes(
        &NarFacts {
            state: NarState::Longer,
            ..facts()
        },
        &[Code::NarSize],
    );
    nar_codes(
        &NarFacts {
            nar_size: 4,
            nar_hash: wrong,
            ..facts()
        },
        &[Code::NarSize],
    );
    nar_codes(
        &NarFacts {
            nar_hash: wrong,
            ..facts()
        },
        &[Code::NarHash],
    );
    nar_codes(
        &NarFacts {
            state: NarState::Unreadable,
            named: BTreeSet::new(),
            ..facts()
        },
        &[Code::NarUnreadable],
    );
    nar_codes(
        &NarFacts {
            named: BTreeSet::new(),
            ..facts()
        },
        &[Code::ReferenceUnfound],
    );
    let third: HashPart = "2123456789abcdfghijklmnpqrsvwxyz".parse().unwrap();
    let named = BTreeSet::from([OTHER.parse().unwrap(), third]);
    nar_codes(&NarFacts { named, ..facts() }, &[Code::ReferenceUndeclared]);
}

#[test]
fn hash_parts_are_found_wherever_the_stream_is_cut() {
    let hash: HashPart = HASH.parse().unwrap();
    let wanted = HashSet::from([hash]);
    let text = format!("xx/nix/store/{HASH}-a and e{OTHER}");
    for cut in 0..=text.len() {
        for size in [1, 5, 31, 32, 200] {
            let mut scanner = Scanner::new(&wanted);
            let (one, two) = text.as_bytes().split_at(cut);
            for piece in one.chunks(size).chain(two.chunks(size)) {
                scanner.update(piece);
            }
            assert_eq!(scanner.finish(), BTreeSet::from([hash]), "{cut} {size}");
        }
    }
    let mut scanner = Scanner::new(&wanted);
    scanner.update(&HASH.as_bytes()[..31]);
    scanner.update(b"-");
    assert!(scanner.finish().is_empty());
}

#[test]
fn a_seed_chooses_the_same_again_and_another_seed_others() {
    let keys: Vec<String> = (0..100).map(|n| format!("k{n}")).collect();
    let one = choose(&keys, 10, "a");
    assert_eq!(one.len(), 10);
    assert_eq!(one, choose(&keys, 10, "a"));
    assert_ne!(one, choose(&keys, 10, "b"));
    assert_eq!(choose(&keys, 1000, "a").len(), 100);
}

#[test]
fn the_score_is_whole_only_without_damage() {
    let mut report = Verification {
        checked: Checked {
            narinfos: 10_000,
            ..Checked::default()
        },
        ..Verification::default()
    };
    report.settle();
    assert_eq!((report.score, report.is_sound()), (1000, true));
    let advice = Finding::new(Code::Leftover, None, "x", "");
    report.findings = vec![advice.clone()];
    report.settle();
    assert_eq!((report.score, report.is_sound()), (1000, true));
    report.findings = vec![advice, Finding::new(Code::NarHash, None, "y", "")];
    report.settle();
    assert_eq!((report.score, report.is_sound()), (999, false));
    assert_eq!(report.findings[0].code, Code::NarHash, "damage comes first");
    assert_eq!(report.counts().len(), 2);
}

#[test]
fn codes_are_unique() {
    let texts: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(texts.len(), Code::ALL.len());
}
