//! The token that the client of Cachix keeps.

use crate::sys::token::Token;

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
        let token = |text: &str| of_client_file(text).map(|it| it.written(str::to_owned));
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
}
