//! Signing keys and signatures: Ed25519, written as `name:base64`.
//!
//! A signature covers a fingerprint text (see [`super::narinfo::fingerprint`]) and nothing else.
//! Promises: the secret half of a key is printed by [`SecretKey::to_file_text`] alone; it has no
//! `Debug`, no `Display`, no serialisation, and is wiped from memory when dropped.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use super::hash::decode_base64;

/// Why a text is not a key or a signature. Never holds any part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No colon, or nothing before it.
    #[error("not of the form `name:base64`")]
    Form,
    /// A name with a line break or another control character, or a blank.
    #[error("the name of a key holds a blank or a control character")]
    Name,
    /// The base 64 is malformed, or has another number of bytes.
    #[error("not the base 64 of {wanted} bytes")]
    Base64 {
        /// Bytes wanted: 32 of a public key, 64 of a secret key or a signature.
        wanted: usize,
    },
    /// The 32 bytes are no point of the curve, or a weak one.
    #[error("not a usable Ed25519 public key")]
    Point,
    /// The two halves of a secret key do not belong together.
    #[error("the halves of the secret key do not belong together")]
    Halves,
}

/// Checks a key's name: free text without colon, blanks and control characters.
fn check_key_name(name: &str) -> Result<(), KeyError> {
    if name.is_empty() || name.contains(':') {
        return Err(KeyError::Form);
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(KeyError::Name);
    }
    Ok(())
}

/// Splits `name:base64` and decodes the second part.
fn split<const N: usize>(text: &str) -> Result<(&str, [u8; N]), KeyError> {
    let (name, digits) = text.split_once(':').ok_or(KeyError::Form)?;
    check_key_name(name)?;
    let mut bytes = [0; N];
    decode_base64(digits.as_bytes(), &mut bytes).ok_or(KeyError::Base64 { wanted: N })?;
    Ok((name, bytes))
}

/// A signature with the name of the key that made it, printed `name:base64`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature {
    name: Box<str>,
    bytes: [u8; 64],
}

impl Signature {
    /// A signature from its parts.
    ///
    /// # Errors
    ///
    /// The name is empty, or holds a colon, a blank or a control character.
    pub fn new(name: &str, bytes: [u8; 64]) -> Result<Self, KeyError> {
        check_key_name(name)?;
        Ok(Self {
            name: name.into(),
            bytes,
        })
    }

    /// The name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The 64 bytes of the signature.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 64] {
        &self.bytes
    }

    /// Whether `text` is a well-formed signature; allocates nothing.
    #[must_use]
    pub fn is_well_formed(text: &str) -> bool {
        split::<64>(text).is_ok()
    }
}

impl FromStr for Signature {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = split(text)?;
        Ok(Self {
            name: name.into(),
            bytes,
        })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode_display(&self.bytes))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A public key, printed `name:base64`.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: Box<str>,
    key: VerifyingKey,
}

impl PublicKey {
    /// The name, by habit `host-1`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Whether `signature` bears this key's name and was made over `fingerprint` by its secret
    /// half.
    ///
    /// As Nix (libsodium) does, signatures of a form that more than one text could have are
    /// refused.
    #[must_use]
    pub fn verify(&self, fingerprint: &str, signature: &Signature) -> bool {
        let bytes = ed25519_dalek::Signature::from_bytes(&signature.bytes);
        *self.name == *signature.name
            && self
                .key
                .verify_strict(fingerprint.as_bytes(), &bytes)
                .is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = split::<32>(text)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Point)?;
        if key.is_weak() {
            return Err(KeyError::Point);
        }
        Ok(Self {
            name: name.into(),
            key,
        })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode_display(self.bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

super::serde_as_text!(Signature, PublicKey);

/// A secret key. Wiped from memory when dropped; deliberately without `Debug` and `Display`.
#[derive(Clone)]
pub struct SecretKey {
    name: Box<str>,
    key: SigningKey,
}

impl SecretKey {
    /// The key that `seed` stands for. The caller brings 32 bytes of the system's randomness.
    ///
    /// # Errors
    ///
    /// The name is empty, or holds a colon, a blank or a control character.
    pub fn generate(name: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        check_key_name(name)?;
        Ok(Self {
            name: name.into(),
            key: SigningKey::from_bytes(&seed),
        })
    }

    /// Reads the text of a secret key file; a line break at the end is tolerated, as by Nix.
    ///
    /// # Errors
    ///
    /// Any other text than `name:base64` of seed and public key. The error holds nothing of it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = split::<64>(text.trim_end())?;
        let key = SigningKey::from_keypair_bytes(&bytes).map_err(|_| KeyError::Halves)?;
        Ok(Self {
            name: name.into(),
            key,
        })
    }

    /// The text of a secret key file: one line without a line break. This is the secret.
    #[must_use]
    pub fn to_file_text(&self) -> String {
        format!(
            "{}:{}",
            self.name,
            BASE64.encode(&self.key.to_keypair_bytes())
        )
    }

    /// The name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public half, under the same name.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// Signs a fingerprint. The same fingerprint always gives the same signature.
    #[must_use]
    pub fn sign(&self, fingerprint: &str) -> Signature {
        let bytes = self.key.sign(fingerprint.as_bytes()).to_bytes();
        Signature {
            name: self.name.clone(),
            bytes,
        }
    }
}

/// Whether `text` could be, or hold, a secret key: for places where a public key, a URL or a name
/// belongs, so that it is refused and never printed.
///
/// Errs on the side of caution: a word is suspicious when what follows its last colon is base 64
/// of about 64 bytes, also with a few characters lost or added. A signature looks the same.
#[must_use]
pub fn looks_like_secret_key(text: &str) -> bool {
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ','))
        .any(|word| {
            let digits = word.rsplit(':').next().unwrap_or(word);
            (80..=96).contains(&digits.len()) && digits.bytes().all(base64)
        })
}

#[cfg(test)]
mod tests {
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
}
