//! A token: it can be sent, and nothing else. It cannot be printed or serialised.

use reqwest::header::HeaderValue;

use crate::nix::netrc::with_password;
use crate::sys::host::Host;

/// A token of Cachix.
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
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// A text of somebody else without the token in it.
    pub(super) fn hide_in(&self, text: &str) -> String {
        text.replace(&self.0, "…")
    }

    /// Tells the machine to hide it in its log.
    pub fn hide(&self, host: &Host) {
        host.hide(&self.0);
    }

    /// Whether a text is this token.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.0 == text
    }

    /// Whether two are the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The text of a netrc file with the token for a host. Never print it.
    #[must_use]
    pub fn in_netrc(&self, text: &str, host: &str) -> String {
        with_password(text, host, &self.0)
    }
}

/// The token in the text of the Cachix client's own file (`cachix.dhall`), if it stands there as a plain
/// text: that file is a program in Dhall, and only its simplest form is read.
#[must_use]
pub fn of_client_file(text: &str) -> Option<Token> {
    let at = text.find("authToken")?;
    let rest = text[at + "authToken".len()..]
        .trim_start()
        .strip_prefix('=')?;
    let (token, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+/=~".contains(c);
    token
        .chars()
        .all(plain)
        .then(|| Token::new(token))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_text_is_taken_from_the_clients_file() {
        let token = |text: &str| of_client_file(text).map(|token| token.0);
        let file = "{ authToken =\n    \"eyJhbGci.a-b_c\"\n, hostname = \"https://cachix.org\"\n}";
        assert_eq!(token(file).as_deref(), Some("eyJhbGci.a-b_c"));
        for none in [
            "",
            "{ authToken = \"\" }",
            "{ authToken = env:TOKEN as Text }",
            "{ authToken = \"a${b}\" }",
            "{ authToken = \"a\\n\" }",
            "{ authToken = \"open",
            "{ hostname = \"x\" }",
        ] {
            assert_eq!(token(none), None, "{none}");
        }
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_no_token() {
        assert!(Token::new(" abc \n").is_some());
        for none in ["", " ", "a b", "a\nb", "ü"] {
            assert!(Token::new(none).is_none(), "{none:?}");
        }
        let header = Token::new("abc").unwrap().header().unwrap();
        assert!(!format!("{header:?}").contains("abc"));
        assert_eq!(Token::new("abc").unwrap().hide_in("is abc ok"), "is … ok");
    }
}
