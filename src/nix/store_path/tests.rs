//! The rules of names, the order, and random texts.

use super::*;
use proptest::prelude::*;

const HELLO: &str = "ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt";

#[test]
fn reads_and_prints() {
    let path: StorePath = HELLO.parse().unwrap();
    assert_eq!(path.to_string(), HELLO);
    assert_eq!(
        (path.hash().to_string().as_str(), path.name()),
        HELLO.split_once('-').unwrap()
    );
    let store = StoreDir::default();
    let full = format!("/nix/store/{HELLO}");
    assert_eq!(store.display(&path).to_string(), full);
    assert_eq!(store.parse(&full), Ok(path.clone()));
    assert_eq!(
        store.containing(&format!("{full}/bin/x")),
        Ok((path.clone(), "/bin/x"))
    );
    assert_eq!(store.containing(&full), Ok((path.clone(), "")));
    assert_eq!(serde_json::to_value(&path).unwrap(), HELLO);
    assert_eq!(
        serde_json::from_value::<StorePath>(HELLO.into()).unwrap(),
        path
    );
}

#[test]
fn folds_to_the_known_hash_part() {
    let mut bytes = [0; 20];
    data_encoding::HEXLOWER
        .decode_mut(b"3e0f91f510c5230e06fab315a54108629ea8db8e", &mut bytes)
        .unwrap();
    assert_eq!(
        HashPart::from_nix_bytes(bytes).to_string(),
        "ivdsi7k2110sa5dkz830w8y523sr23ry"
    );
}

#[test]
fn names_follow_the_rules_of_newer_versions() {
    let longest = "a".repeat(211);
    for name in ["a", "0+-._?=Z", ".a", "...", ".-", "..-x", &longest, "-"] {
        let wanted = !matches!(name, ".-" | "..-x");
        assert_eq!(check_name(name).is_ok(), wanted, "{name}");
    }
    assert_eq!(check_name(""), Err(StorePathError::EmptyName));
    assert_eq!(check_name("."), Err(StorePathError::Dots));
    assert_eq!(check_name(".."), Err(StorePathError::Dots));
    assert_eq!(check_name("..-a-b"), Err(StorePathError::Dots));
    assert_eq!(
        check_name(&"a".repeat(212)),
        Err(StorePathError::LongName(212))
    );
    assert_eq!(check_name("a/b"), Err(StorePathError::Character('/')));
    assert_eq!(check_name("aä"), Err(StorePathError::Character('ä')));
    assert_eq!(
        check_name("a\u{161}"),
        Err(StorePathError::Character('\u{161}'))
    );
}

#[test]
fn the_bytes_of_names_are_those_of_nix() {
    for byte in 0..=255u8 {
        let wanted = byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
        assert_eq!(is_name_byte(byte), wanted, "{byte}");
    }
}

#[test]
fn rejects_other_paths() {
    let store = StoreDir::default();
    let outside = StorePathError::Outside("/nix/store".into());
    assert_eq!(store.parse(HELLO), Err(outside.clone()));
    assert_eq!(store.parse(&format!("/nix/stores/{HELLO}")), Err(outside));
    assert!(store.parse(&format!("/nix/store/{HELLO}/x")).is_err());
    assert!(store.parse(&format!("/nix/store//{HELLO}")).is_err());
    assert_eq!("".parse::<StorePath>(), Err(StorePathError::Form));
    assert_eq!(
        HELLO.replace('-', "_").parse::<StorePath>(),
        Err(StorePathError::Form)
    );
    assert!(matches!(
        HELLO.replace('i', "e").parse::<StorePath>(),
        Err(StorePathError::Hash(Base32Error::Digit { position: 0 }))
    ));
    assert!(
        "ääääääääääääääääääääääääääääääää-x"
            .parse::<StorePath>()
            .is_err()
    );
    for dir in [
        "",
        "nix",
        "/",
        "/nix/",
        "/nix//store",
        "/nix/../store",
        "/a\n",
    ] {
        assert_eq!(StoreDir::new(dir), Err(StorePathError::StoreDir), "{dir:?}");
    }
    assert_eq!(StoreDir::new("/nix/store"), Ok(store));
}

proptest! {
    #[test]
    fn agrees_with_base32(bytes in any::<[u8; 20]>()) {
        let part = HashPart::from_nix_bytes(bytes);
        let text = base32::encode(&bytes);
        prop_assert_eq!(part.to_string(), text.clone());
        prop_assert_eq!(text.parse::<HashPart>().unwrap(), part);
        prop_assert_eq!(HashPart::from_bytes(*part.as_bytes()), part);
    }

    #[test]
    fn order_is_that_of_the_text(
        a in "[0-9a-df-np-s]{32}-[a-c.-]{1,3}x", b in "[01]{32}-[A-c]{1,3}"
    ) {
        if let (Ok(x), Ok(y)) = (a.parse::<StorePath>(), b.parse::<StorePath>()) {
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }
    }

    #[test]
    fn both_checks_of_base_names_agree(
        text in "[0-9a-df-z]{31,33}-?[!-~]{0,4}", more in "\\PC{0,40}"
    ) {
        for text in [text, more] {
            let parsed = StorePathRef::parse(&text).map(drop);
            prop_assert_eq!(check_base_name(&text), parsed);
        }
    }

    #[test]
    fn any_text_is_safe(text in "\\PC*", full in "/nix/store/\\PC*") {
        let _ = text.parse::<StorePath>();
        let _ = StoreDir::default().containing(&full);
        let _ = StoreDir::new(&text);
    }
}
