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
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let word = &rest[..end_of_word(rest)];
            let offset = word.as_ptr() as usize - line.as_ptr() as usize;
            if word == "macdef" {
                in_macro = true;
                break;
            }
            words.push((start + offset..start + offset + word.len(), word));
            rest = rest[word.len()..].trim_start();
        }
    }
    words
}

/// Where the first word of a line ends. A quoted one may hold blanks, and quotes behind backslashes.
fn end_of_word(line: &str) -> usize {
    let blank = || line.find(char::is_whitespace).unwrap_or(line.len());
    let Some(quoted) = line.strip_prefix('"') else {
        return blank();
    };
    let mut is_escaped = false;
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 2,
            _ => {}
        }
    }
    blank()
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
            // Whoever gets here is given what stands behind it, whatever comes later.
            "default" => return None,
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

/// The password of a host, without quotes around it. Never print it.
#[must_use]
pub fn password<'t>(text: &'t str, host: &str) -> Option<&'t str> {
    let word = text.get(place(text, host)?)?;
    let inner = word
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    Some(inner.unwrap_or(word))
}

/// The login name of a host, of the first entry that names it; empty where the entry has none.
#[must_use]
pub fn login<'t>(text: &'t str, host: &str) -> Option<&'t str> {
    let mut words = words(text).into_iter().map(|(_, word)| word);
    let mut found = None;
    while let Some(word) = words.next() {
        match word {
            "machine" if found.is_some() => break,
            "machine" => {
                let named = words.next()?;
                if named.eq_ignore_ascii_case(host) {
                    found = Some("");
                }
            }
            "default" => break,
            "login" => {
                let name = words.next()?;
                if found.is_some() {
                    return Some(name.trim_matches('"'));
                }
            }
            "account" | "password" => drop(words.next()),
            _ => {}
        }
    }
    found
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
        assert_eq!(
            password("default password x machine a password y", "a"),
            None
        );
        let quoted = "machine a password \"x \\\" y\" machine b password \"z\"";
        assert_eq!(password(quoted, "a"), Some("x \\\" y"));
        assert_eq!(password(quoted, "b"), Some("z"));
        assert_eq!(password("machine a password \"x y", "a"), Some("\"x"));
        for broken in ["", "machine", "machine a", "machine a password", "password"] {
            assert_eq!(password(broken, "a"), None, "{broken}");
        }
    }

    #[test]
    fn logins_are_those_of_the_same_entry() {
        assert_eq!(login(FILE, "a.example"), Some("me"));
        assert_eq!(login(FILE, "B.example"), Some("you"));
        assert_eq!(login(FILE, "c.example"), None);
        assert_eq!(
            login("machine a password x machine b login y", "a"),
            Some("")
        );
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
        assert_eq!(
            with_password("machine a password \"x y\" # z", "a", "new"),
            "machine a password new # z"
        );
        let behind = "default login any password rest\nmachine a password old\n";
        assert_eq!(
            with_password(behind, "a", "new"),
            format!("machine a login cachix password new\n{behind}")
        );
    }
}
