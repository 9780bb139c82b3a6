//! Every form of a hash, there and back.

use super::*;
use proptest::prelude::*;

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[test]
fn prints_the_known_vector_in_all_forms() {
    let hash = Sha256::of(b"hello");
    assert_eq!(hash.to_hex(), HELLO);
    assert_eq!(
        hash.to_nix32(),
        "094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic"
    );
    assert_eq!(
        hash.to_sri(),
        "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    );
    let forms = [
        format!("sha256:{HELLO}"),
        format!("sha256:{}", HELLO.to_uppercase()),
        hash.to_string(),
        "sha256:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=".to_owned(),
        hash.to_sri(),
    ];
    for form in forms {
        assert_eq!(Sha256::parse(&form), Ok(hash), "{form}");
    }
    assert_eq!(Sha256::from_hex(HELLO), Ok(hash));
    let mut pieces = Hasher::new();
    pieces.update(b"he");
    pieces.update(b"llo");
    assert_eq!((pieces.len(), pieces.finish()), (5, hash));
}

#[test]
fn rejects_other_texts() {
    assert_eq!(Sha256::parse(HELLO), Err(HashError::NoAlgorithm));
    assert_eq!(
        Sha256::parse("sha3:00"),
        Err(HashError::UnknownAlgorithm("sha3".into()))
    );
    assert!(matches!(
        Sha256::parse("sha256:00"),
        Err(HashError::Length { found: 2, .. })
    ));
    assert!(matches!(
        Sha256::parse(&format!("sha256:{}", HELLO.replace('2', "g"))),
        Err(HashError::Digits { form: "hex", .. })
    ));
    assert!(matches!(
        Sha256::parse(&format!("sha256-{HELLO}")),
        Err(HashError::Length { .. })
    ));
    assert_eq!(
        Sha256::parse("md5:1B2M2Y8AsgTpgAmY7PhCfg=="),
        Err(HashError::NotSha256(Algorithm::Md5))
    );
    // Not canonical: bits beyond the last byte are set.
    assert!(Sha256::parse("sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCR=").is_err());
}

#[test]
fn serialises_as_text() {
    let json = serde_json::to_string(&Sha256::of(b"hello")).unwrap();
    assert_eq!(
        json,
        "\"sha256:094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic\""
    );
    assert_eq!(
        serde_json::from_str::<Sha256>(&json).unwrap(),
        Sha256::of(b"hello")
    );
}

proptest! {
    #[test]
    fn every_algorithm_round_trips(bytes in any::<[u8; 32]>(), more in any::<[u8; 32]>()) {
        let digest = [bytes, more].concat();
        for algorithm in [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
            let hash = Hash::new(algorithm, &digest[..algorithm.size()]).unwrap();
            prop_assert_eq!(hash.to_string().parse::<Hash>().unwrap(), hash);
            prop_assert_eq!(hash.to_sri().parse::<Hash>().unwrap(), hash);
            let hex = format!("{algorithm}:{}", hash.to_hex());
            prop_assert_eq!(hex.parse::<Hash>().unwrap(), hash);
        }
    }

    #[test]
    fn any_text_is_safe(text in "\\PC*") {
        let _ = text.parse::<Hash>();
    }
}
