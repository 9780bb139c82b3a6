//! The worked example, refusals, and random keys.

use super::*;
use proptest::prelude::*;

const SECRET: &str = "example-1:8koO89VNylQW6s7ZojnKSDE6u2s+to+/rAh/tkIlwBgN29HtbsuxbJ7I1i2eUEvYGR5Nr76Ey+9oWEAKuiV0QA==";
const PUBLIC: &str = "example-1:DdvR7W7LsWyeyNYtnlBL2BkeTa++hMvvaFhACroldEA=";
const FINGERPRINT: &str = "1;/nix/store/f195fnyk5327666xrc2y1sky4xmh2qs8-signed-1.0;sha256:0wj0c1sq5fv4z0wv62hb72wdz4x4aq4bw3cl8pzyc9nnhrw32f7s;568;/nix/store/gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-ref.txt,/nix/store/ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt";
const SIGNATURE: &str = "example-1:Yp4btLjs+B7lKhyCBAtuvIAVbda2XtnoPlFpjcN7LwGNA8/MyXNiqqYQoOm5f5Pa28VGJsx28t5akdkKNHNQBQ==";

#[test]
fn reproduces_the_known_vector() {
    let mut seed = [0; 32];
    data_encoding::HEXLOWER
        .decode_mut(
            b"f24a0ef3d54dca5416eaced9a239ca48313abb6b3eb68fbfac087fb64225c018",
            &mut seed,
        )
        .unwrap();
    let key = SecretKey::generate("example-1", seed).unwrap();
    assert_eq!(key.to_file_text(), SECRET);
    assert_eq!(key.public().to_string(), PUBLIC);
    assert_eq!(key.sign(FINGERPRINT).to_string(), SIGNATURE);
    let read = SecretKey::parse(&format!("{SECRET}\n")).unwrap();
    assert_eq!(read.to_file_text(), SECRET);
    let public: PublicKey = PUBLIC.parse().unwrap();
    assert_eq!(public, key.public());
    assert!(public.verify(FINGERPRINT, &SIGNATURE.parse().unwrap()));
    assert!(!public.verify(
        &FINGERPRINT.replace("568", "569"),
        &SIGNATURE.parse().unwrap()
    ));
}

#[test]
fn a_name_is_part_of_the_key() {
    let public: PublicKey = PUBLIC.parse().unwrap();
    let renamed: Signature = SIGNATURE.replace("example-1", "example-2").parse().unwrap();
    assert!(!public.verify(FINGERPRINT, &renamed));
}

#[test]
fn rejects_other_texts() {
    let public = |text: &str| text.parse::<PublicKey>().unwrap_err();
    assert_eq!(
        public("DdvR7W7LsWyeyNYtnlBL2BkeTa++hMvvaFhACroldEA="),
        KeyError::Form
    );
    assert_eq!(
        public(":DdvR7W7LsWyeyNYtnlBL2BkeTa++hMvvaFhACroldEA="),
        KeyError::Form
    );
    assert_eq!(
        public("a b:DdvR7W7LsWyeyNYtnlBL2BkeTa++hMvvaFhACroldEA="),
        KeyError::Name
    );
    assert_eq!(public(SECRET), KeyError::Base64 { wanted: 32 });
    assert_eq!(
        public("a:DdvR7W7LsWyeyNYtnlBL2BkeTa"),
        KeyError::Base64 { wanted: 32 }
    );
    let zero = format!("a:{}", BASE64.encode(&[0; 32]));
    assert_eq!(public(&zero), KeyError::Point);
    assert_eq!(
        PUBLIC.parse::<Signature>(),
        Err(KeyError::Base64 { wanted: 64 })
    );
    assert_eq!(SecretKey::parse(SIGNATURE).err(), Some(KeyError::Halves));
    assert_eq!(
        SecretKey::parse(PUBLIC).err(),
        Some(KeyError::Base64 { wanted: 64 })
    );
    assert!(SecretKey::generate("a:b", [1; 32]).is_err());
}

#[test]
fn spots_a_secret_key_in_the_wrong_place() {
    let (_, digits) = SECRET.split_once(':').unwrap();
    let unpadded = digits.trim_end_matches('=');
    let mangled = &digits[..84];
    for text in [
        SECRET,
        digits,
        unpadded,
        mangled,
        &format!("see \"{SECRET}\" there"),
    ] {
        assert!(looks_like_secret_key(text));
    }
    let url = "https://cache.example.org/nar/04qp0yn020drcr7xjzka3dz8mcjknx74gf18c5b7cbjcfdxqp1kw.nar.zst?with=parameters";
    for text in [
        PUBLIC,
        "",
        "name",
        url,
        "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
    ] {
        assert!(!looks_like_secret_key(text), "{text}");
    }
}

proptest! {
    #[test]
    fn signatures_verify_and_round_trip(
        seed in any::<[u8; 32]>(), text in "\\PC{0,80}", flip in 0usize..64, bit in 0u8..8
    ) {
        let key = SecretKey::generate("k-1", seed).unwrap();
        let signature = key.sign(&text);
        prop_assert!(key.public().verify(&text, &signature));
        prop_assert_eq!(signature.to_string().parse::<Signature>().unwrap(), signature.clone());
        prop_assert_eq!(key.public().to_string().parse::<PublicKey>().unwrap(), key.public());
        let mut bytes = *signature.bytes();
        bytes[flip] ^= 1 << bit;
        prop_assert!(!key.public().verify(&text, &Signature::new("k-1", bytes).unwrap()));
    }

    #[test]
    fn any_text_is_safe(text in "\\PC*") {
        let _ = text.parse::<PublicKey>();
        let _ = text.parse::<Signature>();
        let _ = SecretKey::parse(&text);
        let _ = looks_like_secret_key(&text);
    }
}
