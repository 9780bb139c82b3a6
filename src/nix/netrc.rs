//! netrc files, in which Nix (through curl) finds passwords by host.
//!
//! Promise: an edit changes one password, or adds one line; everything else stays byte for byte.

use std::ops::Range;

/// The words of a text with their places; comments and macros are left out.
fn words(text: &str) -> Vec<(Range<usize>, &str)> {
    let mut words = Vec::new();
    let mut at = 0;
    let mut in_macro = false;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if line.trim().is_empty() {
            in_macro = false;
        }
        if in_macro || line.trim_start().starts_with('#') {
            continue;
        }
        for word in line.split_whitespace() {
            let offset = word.as_ptr() as usize - line.as_ptr() as usize;
            if word == "macdef" {
                in_macro = true;
                break;
            }
            words.push((start + offset..start + offset + word.len(), word));
        }
    }
    words
}

/// The place of the password of a host: of the first entry that names it, as curl looks.
fn place(text: &str, host: &str) -> Option<Range<usize>> {
    let mut words = words(text).into_iter();
    let mut is_it = false;
    while let Some((_, word)) = words.next() {
        match word {
            "machine" => {
                let named = words.next()?.1;
                if is_it {
                    return None;
                }
                is_it = named.eq_ignore_ascii_case(host);
            }
            "default" if is_it => return None,
            "login" | "account" => drop(words.next()),
            "password" => {
                let (place, _) = words.next()?;
                if is_it {
                    return Some(place);
                }
            }
            _ => {}
        }
    }
    None
}

/// The password of a host. Never print it.
#[must_use]
pub fn password<'t>(text: &'t str, host: &str) -> Option<&'t str> {
    text.get(place(text, host)?)
}

/// The text with this password for a host. A new entry stands in front, for the first one counts, and an
/// entry `default` ends the search.
#[must_use]
pub fn with_password(text: &str, host: &str, password: &str) -> String {
    match place(text, host) {
        Some(place) => format!("{}{password}{}", &text[..place.start], &text[place.end..]),
        None => format!("machine {host} login cachix password {password}\n{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\nmachine a.example login me password one\n\nmachine b.example\n  login you\n  \
                        password two # not a comment to curl\nmacdef init\nmachine c.example password no\n\n\
                        default login any password rest\n";

    #[test]
    fn passwords_are_found_where_curl_finds_them() {
        assert_eq!(password(FILE, "a.example"), Some("one"));
        assert_eq!(password(FILE, "B.example"), Some("two"));
        assert_eq!(password(FILE, "c.example"), None, "in a macro");
        assert_eq!(
            password("machine a login password password x", "a"),
            Some("x")
        );
        assert_eq!(password("machine a\nmachine b password x", "a"), None);
        for broken in ["", "machine", "machine a", "machine a password", "password"] {
            assert_eq!(password(broken, "a"), None, "{broken}");
        }
    }

    #[test]
    fn an_edit_changes_one_password_or_adds_one_line() {
        assert_eq!(
            with_password(FILE, "b.example", "new"),
            FILE.replace("two", "new")
        );
        let added = with_password(FILE, "d.example", "new");
        assert_eq!(
            added,
            format!("machine d.example login cachix password new\n{FILE}")
        );
        assert_eq!(password(&added, "d.example"), Some("new"));
        assert_eq!(with_password(&added, "d.example", "new"), added);
    }
}
