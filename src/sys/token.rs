//! A token: it can be sent, and nothing else. It cannot be printed or serialised.

use reqwest::header::HeaderValue;

use super::host::Host;

/// The token of a service.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Takes a token; `None`: no token looks like this (it is empty, or no line of a header).
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then(|| Self(text.to_owned()))
    }

    /// The header that carries it, marked so that nothing logs it.
    #[must_use]
    pub fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// A text of somebody else without the token in it.
    #[must_use]
    pub fn hide_in(&self, text: &str) -> String {
        text.replace(&self.0, "…")
    }

    /// Tells the machine to hide it in its log.
    pub fn hide(&self, host: &Host) {
        host.hide(&self.0);
    }

    /// Whether a text is this token, in a time that depends on the lengths alone: whoever guesses learns nothing
    /// of how far a guess was right.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), text.as_bytes());
        let mut differs = u8::from(ours.len() != theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            differs = std::hint::black_box(differs | (ours ^ theirs));
        }
        differs == 0
    }

    /// Whether two are the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// What a writer of secret files makes of it. Never print that.
    pub fn written<R>(&self, write: impl FnOnce(&str) -> R) -> R {
        write(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_stand_in_a_header_is_no_token() {
        assert!(Token::new(" abc \n").is_some());
        for none in ["", " ", "a b", "a\nb", "ü"] {
            assert!(Token::new(none).is_none(), "{none:?}");
        }
        let header = Token::new("abc").unwrap().header().unwrap();
        assert!(!format!("{header:?}").contains("abc"));
        let token = Token::new("abc").unwrap();
        assert!(token.is("abc"));
        for other in ["", "a", "ab", "abd", "abcd", "ABC"] {
            assert!(!token.is(other), "{other:?}");
        }
        assert_eq!(Token::new("abc").unwrap().hide_in("is abc ok"), "is … ok");
    }
}
