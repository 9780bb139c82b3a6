//! Real narinfos, judged by the keys that signed them.

use nanna_cache::insight::verify::{Code, Weight, judge_narinfo};
use nanna_cache::nix::key::PublicKey;
use nanna_cache::nix::narinfo::NarInfo;
use nanna_cache::nix::store_path::StoreDir;

const OURS: &str = include_str!("../fixtures/nix/narinfos.txt");
const OUR_KEY: &str = include_str!("../fixtures/nix/narinfos.pub");
const NIXOS_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

#[test]
fn real_narinfos_have_no_damage() {
    let (texts, key) = match std::env::var("NANNA_NARINFOS") {
        Ok(path) => (std::fs::read_to_string(path).unwrap(), NIXOS_KEY),
        Err(_) => (OURS.to_owned(), OUR_KEY.trim_end()),
    };
    let keys: Vec<PublicKey> = vec![key.parse().unwrap()];
    let store = StoreDir::default();
    let (mut all, mut advice) = (0, 0);
    for text in texts.trim_end_matches('\n').split("\n\n") {
        let text = format!("{text}\n");
        let name = NarInfo::parse(&text, &store).unwrap().file_name();
        let judged = judge_narinfo(&name, text.as_bytes(), &store, &keys);
        let mut weights = judged.findings.iter().map(|one| one.weight);
        assert!(
            weights.all(|it| it == Weight::Advice),
            "{:?}",
            judged.findings
        );
        assert_eq!(judged.signing.by, [keys[0].name()], "{name}");
        all += 1;
        advice += judged.findings.len();
    }
    eprintln!("{all} narinfos, {advice} advice");
    assert!(all >= 20);
    if all == 978 {
        assert_eq!(advice, 8, "the `System` lines of old");
    }
}

#[test]
fn the_document_has_each_code_once_in_its_order() {
    let document = std::fs::read_to_string(crate::support::fixture("docs/verify.md")).unwrap();
    let headings: Vec<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(headings, codes);
    let mut weight = "";
    for line in document.lines() {
        if let Some(section) = line.strip_prefix("## ") {
            weight = section;
        }
        if let Some(code) = line.strip_prefix("### ") {
            let code = Code::ALL.iter().find(|it| it.as_str() == code).unwrap();
            assert_eq!(code.weight().as_str(), weight.to_lowercase(), "{code}");
            assert!(
                document
                    .to_lowercase()
                    .contains(&code.title().to_lowercase()),
                "{code}: {}",
                code.title()
            );
        }
    }
}
