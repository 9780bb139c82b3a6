//! Secrets that are known by what they are given to: `password = "…"`, `user:password@host`, a netrc.
//!
//! Here the form of the value says nothing, so it must look random, and what commonly stands in
//! documents, tests and templates is left alone.

use std::str;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::shape::{Hit, View, entropy, is_base64, is_placeholder, is_random, run, run_back};
use crate::config::gate::SecretRule;

/// How the names end that secrets are given to, in small letters without `_`, `-` and `.`.
const ENDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secretkey",
    "token",
    "apikey",
    "accesskey",
    "secretaccesskey",
    "clientsecret",
    "authtoken",
    "apitoken",
    "accesstoken",
];

/// Names whose values are no secrets although they end so.
const HARMLESS: &[&str] = &[
    "csrftoken",
    "nexttoken",
    "pagetoken",
    "continuationtoken",
    "nextpagetoken",
    "tokentoken",
    "synctoken",
    "publickeytoken",
    "publictoken",
];

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// A random value that is given to a password, key or token.
pub(super) fn assigned(view: View<'_>) -> Option<Hit> {
    // The same name may hold two literals: only the last of them counts.
    let before = run_back(view.before().get(view.at.saturating_sub(48)..)?, is_name);
    let after = run(view.after(0).get(..48.min(view.after(0).len()))?, is_name);
    let start = view.at - before;
    let name = str::from_utf8(view.bytes.get(start..view.at + after)?).ok()?;
    let bare: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if bare == "password"
        && view
            .bytes
            .get(view.at + after)
            .is_some_and(u8::is_ascii_whitespace)
    {
        let netrc = netrc(view, view.at + after);
        if netrc.is_some() {
            return netrc;
        }
    }
    let is_meant = ENDS.iter().any(|end| bare.ends_with(end))
        && !HARMLESS.iter().any(|name| bare.ends_with(name))
        && !is_placeholder_name(&bare);
    if !is_meant || start.checked_sub(1).and_then(|at| view.bytes.get(at)) == Some(&b'$') {
        return None;
    }
    let (from, is_quoted) = value(view.bytes, view.at + after, start)?;
    let rest = view.bytes.get(from..)?;
    let len = if is_quoted {
        let quote = *view.bytes.get(from - 1)?;
        let len = run(rest.get(..rest.len().min(201))?, |byte| {
            byte != quote && byte.is_ascii_graphic()
        });
        (rest.get(len) == Some(&quote)).then_some(len)?
    } else {
        let len = run(rest.get(..rest.len().min(201))?, |byte| {
            is_base64(byte) || matches!(byte, b'_' | b'-' | b'=' | b'~' | b'.')
        });
        let ends = rest
            .get(len)
            .is_none_or(|byte| matches!(byte, b'\n' | b'\r'));
        ends.then_some(len)?
    };
    let secret = rest.get(..len)?;
    looks_given(secret, is_quoted).then(|| Hit {
        rule: SecretRule::Assignment,
        range: from..from + len,
        shown: format!("{name} = …"),
    })
}

fn is_placeholder_name(name: &str) -> bool {
    [
        "test", "example", "dummy", "fake", "mock", "sample", "invalid", "wrong", "default",
    ]
    .iter()
    .any(|word| name.contains(word))
}

/// Where the value begins that is given to the name before `at`, and whether it is in quotes.
fn value(bytes: &[u8], at: usize, name: usize) -> Option<(usize, bool)> {
    let blank = |byte: u8| matches!(byte, b' ' | b'\t');
    let mut at = at;
    if matches!(bytes.get(at), Some(b'"' | b'\'')) {
        at += 1;
    }
    at += run(bytes.get(at..at + 8.min(bytes.len() - at))?, blank);
    at += match bytes.get(at..)? {
        [b'=', b'=' | b'~', ..] | [b':', b':', ..] => return None,
        [b':', b'=', ..] | [b'=', b'>', ..] => 2,
        [b'=' | b':', ..] => 1,
        _ => return None,
    };
    at += run(bytes.get(at..at + 8.min(bytes.len() - at))?, blank);
    if matches!(bytes.get(at), Some(b'"' | b'\'' | b'`')) {
        return Some((at + 1, true));
    }
    // Without quotes only where the name begins its line, as in settings.
    let line = bytes.get(..name)?;
    let line = line.get(
        line.iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1)..,
    )?;
    let line = line.trim_ascii();
    (line.is_empty() || line == b"export" || line == b"-").then_some((at, false))
}

/// Whether a value looks as if drawn at random.
fn looks_given(secret: &[u8], is_quoted: bool) -> bool {
    let count = |is: fn(&u8) -> bool| secret.iter().filter(|byte| is(byte)).count();
    let (digits, lower, upper) = (
        count(u8::is_ascii_digit),
        count(u8::is_ascii_lowercase),
        count(u8::is_ascii_uppercase),
    );
    let others = secret.len() - digits - lower - upper;
    let has = |part: &[u8]| secret.windows(part.len()).any(|window| window == part);
    let is_template = secret.iter().any(|byte| b"<>{}[]()|\\ ".contains(byte))
        || has(b"://")
        || has(b"$")
        || has(b"%s")
        || has(b"..");
    let kinds = [digits, lower, upper, others]
        .iter()
        .filter(|count| **count > 0)
        .count();
    let turns = secret
        .windows(2)
        .filter(|two| two[0].is_ascii_digit() != two[1].is_ascii_digit())
        .count();
    if is_template || is_placeholder(secret) || digits == 0 || lower + upper == 0 {
        return false;
    }
    match secret.len() {
        // Short: a password, if it is of every kind.
        10..16 => is_quoted && kinds >= 3 && digits >= 2 && turns >= 3 && entropy(secret) >= 3.0,
        16..=200 => {
            let is_hex = secret.iter().all(u8::is_ascii_hexdigit);
            let is_plain = others * 6 <= secret.len();
            digits >= 3
                && turns >= 4
                && is_plain
                && (is_hex || kinds >= 3 || lower == 0 || upper == 0)
                && entropy(secret) >= if is_hex { 3.0 } else { 3.5 }
        }
        _ => false,
    }
}

/// The password of a line of a netrc, whose name ends before `at`.
fn netrc(view: View<'_>, at: usize) -> Option<Hit> {
    static LINE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:machine\s+\S+|default)\s+login\s+\S+\s+password$")
            .expect("a constant pattern")
    });
    let before = view.bytes.get(..at)?;
    if !LINE.is_match(before) {
        return None;
    }
    let blank = run(view.bytes.get(at..)?, |byte| byte.is_ascii_whitespace());
    let rest = view.bytes.get(at + blank..)?;
    let len = run(rest, |byte| byte.is_ascii_graphic());
    let secret = rest.get(..len)?;
    let fits = (6..4096).contains(&len)
        && secret.iter().any(|byte| !byte.is_ascii_alphabetic())
        && !secret.iter().any(|byte| b"<>{}$%".contains(byte))
        && !is_placeholder(secret);
    fits.then(|| Hit {
        rule: SecretRule::NetrcPassword,
        range: at + blank..at + blank + len,
        shown: "password …".to_owned(),
    })
}

/// The password in `scheme://user:password@host`.
pub(super) fn in_url(view: View<'_>) -> Option<Hit> {
    let rest = view.after(3);
    let rest = rest.get(..rest.len().min(400))?;
    let is_part =
        |byte: u8| byte.is_ascii_graphic() && !b"/\"'`<>{}()[]$*|\\@?#,; ".contains(&byte);
    let user = run(rest, |byte| is_part(byte) && byte != b':');
    if rest.get(user) != Some(&b':') {
        return None;
    }
    let password = run(rest.get(user + 1..)?, is_part);
    let end = user + 1 + password;
    if rest.get(end) != Some(&b'@') {
        return None;
    }
    let host = rest.get(end + 1..)?;
    let host = host.get(
        ..run(host, |byte| {
            byte.is_ascii_alphanumeric() || b".-".contains(&byte)
        }),
    )?;
    let secret = rest.get(user + 1..end)?;
    let is_local = [&b"localhost"[..], b"127.", b"host"]
        .iter()
        .any(|local| host.starts_with(local))
        || host.windows(7).any(|part| part == b"example")
        || host.len() < 3;
    let alike = secret == rest.get(..user)?;
    // Small letters, perhaps after a capital.
    let is_word = secret.split_first().is_some_and(|(first, rest)| {
        first.is_ascii_alphabetic() && rest.iter().all(u8::is_ascii_lowercase)
    }) && secret.len() < 16;
    let fits = password >= 6
        && user > 0
        && !is_local
        && !alike
        && !is_word
        && !secret.contains(&b'%')
        && !is_placeholder(secret);
    fits.then(|| Hit {
        rule: SecretRule::UrlPassword,
        range: view.at + 3 + user + 1..view.at + 3 + end,
        shown: "://…:…".to_owned(),
    })
}

/// `"auth": "…"` in a configuration of Docker: base 64 of `user:password`.
pub(super) fn login(view: View<'_>) -> Option<Hit> {
    let (from, is_quoted) = value(view.bytes, view.at + 5, view.at)?;
    let rest = view.bytes.get(from..)?;
    let len = run(rest, |byte| is_base64(byte) || byte == b'=');
    if !is_quoted || rest.get(len) != Some(&b'"') || len < 12 {
        return None;
    }
    let text = data_encoding::BASE64.decode(rest.get(..len)?).ok()?;
    let colon = text.iter().position(|byte| *byte == b':')?;
    let password = text.get(colon + 1..)?;
    let fits = colon > 0
        && text.iter().all(u8::is_ascii_graphic)
        && password.len() >= 6
        && !is_placeholder(password)
        && (is_random(password) || password.len() > 8);
    fits.then(|| Hit {
        rule: SecretRule::DockerLogin,
        range: from..from + len,
        shown: "\"auth\": …".to_owned(),
    })
}
