//! Tokens that tell by their own form what they are.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::shape::{
    Hit, View, entropy, is_alnum, is_base64, is_base64url, is_placeholder, is_random, run, run_back,
};
use crate::config::gate::SecretRule;

/// A pattern that is compiled when it is first used.
macro_rules! shape {
    ($pattern:literal) => {
        LazyLock::new(|| Regex::new($pattern).expect("a constant pattern"))
    };
}

/// A token of a constant beginning and so many digits of a kind.
fn plain(
    view: View<'_>,
    (rule, prefix): (SecretRule, &str),
    is: fn(u8) -> bool,
    (least, most): (usize, usize),
) -> Option<Hit> {
    let digits = run(view.after(prefix.len()), is);
    let secret = view.after(prefix.len()).get(..digits)?;
    let fits = (least..=most).contains(&digits)
        && view.begins_word()
        && is_random(secret)
        && !is_placeholder(secret);
    fits.then(|| view.hit(rule, prefix.len() + digits, prefix))
}

/// What stands at the hit up to and with the first `-` or `_` after `from` bytes.
fn prefix(view: View<'_>, from: usize) -> &str {
    let bytes = view.after(0);
    let end = bytes
        .iter()
        .skip(from)
        .position(|byte| matches!(byte, b'-' | b'_'));
    let end = end.map_or(0, |end| from + end + 1);
    std::str::from_utf8(bytes.get(..end).unwrap_or_default()).unwrap_or_default()
}

/// Letters and digits with a CRC-32 at their end, in six digits of base 62: GitHub's way, and npm's.
fn has_checksum(digits: &[u8]) -> bool {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let Some((body, sum)) = digits.len().checked_sub(6).map(|at| digits.split_at(at)) else {
        return false;
    };
    let mut crc = crc32(body);
    for digit in sum.iter().rev() {
        if ALPHABET.get((crc % 62) as usize) != Some(digit) {
            return false;
        }
        crc /= 62;
    }
    crc == 0
}

/// The CRC-32 of zip, gzip and PNG.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

pub(super) fn github(view: View<'_>) -> Option<Hit> {
    let digits = view.after(4).get(..run(view.after(4), is_alnum))?;
    let fits = digits.len() == 36 && view.begins_word() && has_checksum(digits);
    fits.then(|| view.hit(SecretRule::GithubToken, 40, prefix(view, 0)))
}

pub(super) fn github_fine_grained(view: View<'_>) -> Option<Hit> {
    let body = view.after(11);
    let (first, second) = (run(body, is_alnum), run(body.get(23..)?, is_alnum));
    let fits = first == 22
        && body.get(22) == Some(&b'_')
        && second == 59
        && view.begins_word()
        && is_random(body.get(23..82)?);
    fits.then(|| view.hit(SecretRule::GithubFineGrained, 93, "github_pat_"))
}

pub(super) fn gitlab(view: View<'_>) -> Option<Hit> {
    let prefix = prefix(view, 0);
    let is = |byte| is_base64url(byte) || byte == b'.';
    plain(view, (SecretRule::GitlabToken, prefix), is, (20, 310))
}

pub(super) fn npm(view: View<'_>) -> Option<Hit> {
    let digits = view.after(4).get(..run(view.after(4), is_alnum))?;
    if digits.len() == 36 && view.begins_word() && has_checksum(digits) {
        return Some(view.hit(SecretRule::NpmToken, 40, "npm_"));
    }
    // Older ones had no checksum.
    plain(view, (SecretRule::NpmToken, "npm_"), is_alnum, (36, 36))
}

pub(super) fn pypi(view: View<'_>) -> Option<Hit> {
    let digits = run(view.after(5), is_base64url);
    let body = view.after(5).get(..digits)?;
    // A macaroon of version 2 whose location is the index.
    let first = data_encoding::BASE64URL_NOPAD
        .decode(body.get(..digits / 4 * 4)?)
        .ok()?;
    let is_macaroon = first.get(..2) == Some(&[2, 1])
        && (first.windows(8).take(8).any(|part| part == b"pypi.org")
            || first
                .windows(13)
                .take(8)
                .any(|part| part == b"test.pypi.org"));
    let fits = digits >= 64 && is_macaroon && view.begins_word();
    fits.then(|| view.hit(SecretRule::PypiToken, 5 + digits, "pypi-"))
}

pub(super) fn crates(view: View<'_>) -> Option<Hit> {
    let digits = run(view.after(4), is_alnum);
    let secret = view.after(4).get(..digits)?;
    let fits = digits == 32 && is_random(secret) && !is_placeholder(secret);
    // The byte before it is part of the literal.
    fits.then(|| Hit {
        rule: SecretRule::CratesToken,
        range: view.at + 1..view.at + 36,
        shown: "cio…".to_owned(),
    })
}

pub(super) fn docker(view: View<'_>) -> Option<Hit> {
    let prefix = prefix(view, 5);
    plain(
        view,
        (SecretRule::DockerToken, prefix),
        is_base64url,
        (27, 64),
    )
}

pub(super) fn google_api(view: View<'_>) -> Option<Hit> {
    plain(
        view,
        (SecretRule::GoogleApiKey, "AIza"),
        is_base64url,
        (35, 35),
    )
}

pub(super) fn google_oauth(view: View<'_>) -> Option<Hit> {
    plain(
        view,
        (SecretRule::GoogleOauth, "GOCSPX-"),
        is_base64url,
        (28, 28),
    )
}

pub(super) fn stripe(view: View<'_>) -> Option<Hit> {
    let prefix = prefix(view, 3);
    plain(view, (SecretRule::StripeKey, prefix), is_alnum, (16, 250))
}

pub(super) fn anthropic(view: View<'_>) -> Option<Hit> {
    plain(
        view,
        (SecretRule::AnthropicKey, "sk-ant-"),
        is_base64url,
        (80, 220),
    )
}

pub(super) fn sendgrid(view: View<'_>) -> Option<Hit> {
    static SHAPE: LazyLock<Regex> =
        shape!(r"^SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?:[^A-Za-z0-9_-]|$)");
    let found = view.after(1);
    let fits = SHAPE.is_match(found) && is_random(found.get(26..69)?);
    fits.then(|| Hit {
        rule: SecretRule::SendgridKey,
        range: view.at + 1..view.at + 70,
        shown: "SG.…".to_owned(),
    })
}

pub(super) fn slack(view: View<'_>) -> Option<Hit> {
    static SHAPE: LazyLock<Regex> = shape!(r"^xox[a-z]-(?:[0-9]{8,}-){1,3}[0-9A-Za-z]{16,64}");
    by_shape(view, SecretRule::SlackToken, &SHAPE, prefix(view, 0))
}

pub(super) fn slack_app(view: View<'_>) -> Option<Hit> {
    static SHAPE: LazyLock<Regex> = shape!(r"^xapp-[0-9]-[A-Z0-9]+-[0-9]+-[0-9a-f]{32,80}");
    by_shape(view, SecretRule::SlackToken, &SHAPE, "xapp-")
}

pub(super) fn slack_webhook(view: View<'_>) -> Option<Hit> {
    static SHAPE: LazyLock<Regex> =
        shape!(r"^hooks\.slack\.com/services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[0-9A-Za-z]{20,32}");
    let shown = "hooks.slack.com/services/";
    by_shape(view, SecretRule::SlackWebhook, &SHAPE, shown)
}

fn by_shape(view: View<'_>, rule: SecretRule, shape: &Regex, shown: &str) -> Option<Hit> {
    let found = shape.find(view.after(0))?.as_bytes();
    let last = found.rsplit(|byte| matches!(byte, b'-' | b'/')).next()?;
    let fits = is_random(last) && !is_placeholder(last);
    fits.then(|| view.hit(rule, found.len(), shown))
}

/// Keys of `OpenAI` have this in their middle: it says their name in base 64.
pub(super) fn openai(view: View<'_>) -> Option<Hit> {
    let before = run_back(view.before(), is_base64url);
    let start = view.at - before;
    let all = view.bytes.get(start..)?;
    // What stands before the key may be of the same letters.
    let key = all
        .windows(3)
        .take(before)
        .position(|part| part == b"sk-")?;
    let all = all.get(key..)?;
    let len = run(all, is_base64url);
    let after = len.checked_sub(before - key + 8)?;
    let fits = (16..200).contains(&after)
        && (16..200).contains(&(before - key - 3))
        && is_random(all.get(len - after..len)?);
    fits.then(|| Hit {
        rule: SecretRule::OpenaiKey,
        range: start + key..start + key + len,
        shown: "sk-…".to_owned(),
    })
}

/// A key's number alone is no secret; the secret beside it is.
pub(super) fn aws(view: View<'_>) -> Option<Hit> {
    let number = view.after(0).get(..run(view.after(0), is_alnum))?;
    let is_number = number.len() == 20
        && view.begins_word()
        && number
            .iter()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
        && !is_placeholder(number);
    if !is_number {
        return None;
    }
    let first = view.at.saturating_sub(256);
    let near = view.bytes.get(first..view.bytes.len().min(view.at + 276))?;
    let mut at = 0;
    while at < near.len() {
        let len = run(near.get(at..)?, is_base64);
        let secret = near.get(at..at + len)?;
        let kinds = secret.iter().any(u8::is_ascii_lowercase)
            && secret.iter().any(u8::is_ascii_uppercase)
            && secret.iter().any(u8::is_ascii_digit);
        if len == 40 && kinds && entropy(secret) >= 4.0 && !is_placeholder(secret) {
            return Some(Hit {
                rule: SecretRule::AwsKey,
                range: first + at..first + at + len,
                shown: "beside an access key…".to_owned(),
            });
        }
        at += len + 1;
    }
    None
}

/// The key of Azure's emulator, which is the same everywhere.
const EMULATOR: &[u8] = b"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1";

pub(super) fn azure_storage(view: View<'_>) -> Option<Hit> {
    azure(view, view.at + 11, 86, "==")
}

pub(super) fn azure_shared(view: View<'_>) -> Option<Hit> {
    azure(view, view.at + 16, 43, "=")
}

/// Newer keys of storage accounts have these four digits 76 digits from their beginning.
pub(super) fn azure_marked(view: View<'_>) -> Option<Hit> {
    let start = view.at.checked_sub(76)?;
    let is_begun = start.checked_sub(1).and_then(|at| view.bytes.get(at));
    if is_begun.is_some_and(|byte| is_base64(*byte)) {
        return None;
    }
    azure(view, start, 86, "==")
}

fn azure(view: View<'_>, start: usize, digits: usize, padding: &str) -> Option<Hit> {
    let key = view.bytes.get(start..)?;
    let secret = key.get(..digits)?;
    let fits = run(key, is_base64) == digits
        && key.get(digits..)?.starts_with(padding.as_bytes())
        && is_random(secret)
        && !secret.starts_with(EMULATOR);
    fits.then(|| Hit {
        rule: SecretRule::AzureKey,
        range: start..start + digits + padding.len(),
        shown: "…".to_owned(),
    })
}

/// Header and claims must be JSON; whose subject is that of all examples is one.
pub(super) fn jwt(view: View<'_>) -> Option<Hit> {
    let bytes = view.after(0);
    let begins = view
        .before()
        .last()
        .is_none_or(|byte| !is_base64url(*byte) && *byte != b'.');
    let header = run(bytes, is_base64url);
    let claims = run(bytes.get(header + 1..)?, is_base64url);
    let signed = header + claims + 2;
    let signature = run(bytes.get(signed..)?, is_base64url);
    let dots = bytes.get(header) == Some(&b'.') && bytes.get(signed - 1) == Some(&b'.');
    if !begins || !dots || signature < 20 {
        return None;
    }
    let json = |part: &[u8]| -> Option<serde_json::Map<String, serde_json::Value>> {
        let text = data_encoding::BASE64URL_NOPAD.decode(part).ok()?;
        serde_json::from_slice(&text).ok()
    };
    let (head, body) = (
        json(bytes.get(..header)?)?,
        json(bytes.get(header + 1..signed - 1)?)?,
    );
    let is_example = body.get("sub").and_then(serde_json::Value::as_str) == Some("1234567890");
    let is_signed = head
        .get("alg")
        .and_then(serde_json::Value::as_str)
        .is_some_and(|alg| alg != "none");
    let fits = is_signed && !is_example;
    fits.then(|| view.hit(SecretRule::Jwt, signed + signature, "eyJ"))
}
