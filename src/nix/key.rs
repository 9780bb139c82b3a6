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
mod tests;
