//! Private keys, each held to what its format says of itself.

use std::str;

use super::shape::{Hit, View, is_base64, run, run_back};
use crate::config::gate::SecretRule;
use crate::nix::key::SecretKey;

/// A secret key of Nix: its second half follows from the first, so there is no doubt.
pub(super) fn nix(view: View<'_>) -> Option<Hit> {
    let digits = run_back(view.before(), is_base64);
    if digits != 85
        || view
            .after(3)
            .first()
            .is_some_and(|byte| *byte == b'=' || is_base64(*byte))
    {
        return None;
    }
    let colon = view.at.checked_sub(86)?;
    if view.bytes.get(colon) != Some(&b':') {
        return None;
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let name = run_back(view.bytes.get(..colon)?, is_name);
    let start = colon - name;
    let text = str::from_utf8(view.bytes.get(start..view.at + 3)?).ok()?;
    SecretKey::parse(text).ok()?;
    Some(Hit {
        rule: SecretRule::NixKey,
        range: colon + 1..view.at + 3,
        shown: format!("{}…", text.get(..=name).unwrap_or_default()),
    })
}

/// A secret key of age: bech32 with its checksum.
pub(super) fn age(view: View<'_>) -> Option<Hit> {
    const DIGITS: &[u8; 32] = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
    const LEN: usize = 58;
    let is = |byte: u8| DIGITS.contains(&byte);
    if run(view.after(16), is) != LEN {
        return None;
    }
    let value = |byte: &u8| DIGITS.iter().position(|digit| digit == byte);
    let hrp = b"age-secret-key-";
    let values = hrp
        .iter()
        .map(|byte| usize::from(byte >> 5))
        .chain([0])
        .chain(hrp.iter().map(|byte| usize::from(byte & 31)))
        .chain(view.after(16).iter().take(LEN).filter_map(value));
    let mut sum: u32 = 1;
    for value in values {
        let top = sum >> 25;
        sum = ((sum & 0x1ff_ffff) << 5) ^ u32::try_from(value).ok()?;
        for (at, part) in [
            0x3b6a_57b2,
            0x2650_8e6d,
            0x1ea1_19fa,
            0x3d42_33dd,
            0x2a14_62b3,
        ]
        .into_iter()
        .enumerate()
        {
            if top >> at & 1 == 1 {
                sum ^= part;
            }
        }
    }
    (sum == 1).then(|| view.hit(SecretRule::AgeKey, 16 + LEN, "AGE-SECRET-KEY-1"))
}

/// A private key of `PuTTY`.
pub(super) fn putty(view: View<'_>) -> Option<Hit> {
    let text = view.after(0);
    let at = find(text, b"Private-Lines: ")?;
    let body = text.get(at..)?;
    let line = body.iter().position(|byte| *byte == b'\n')? + 1;
    // So many lines as the header says.
    let count: usize = str::from_utf8(body.get(15..line)?)
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let lines = body.get(line..)?;
    let digits: usize = lines
        .split_inclusive(|byte| *byte == b'\n')
        .take(count)
        .take_while(|line| {
            line.trim_ascii()
                .iter()
                .all(|byte| is_base64(*byte) || *byte == b'=')
        })
        .map(<[u8]>::len)
        .sum();
    (digits >= 40).then(|| Hit {
        rule: SecretRule::SshKey,
        range: view.at + at + line..view.at + at + line + digits,
        shown: "PuTTY-User-Key-File-…".to_owned(),
    })
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// A private key in PEM or `OpenPGP` armour, as a file or as a text of a program (line breaks written `\n`).
pub(super) fn pem(view: View<'_>) -> Option<Hit> {
    let text = view.after(0);
    let label = text.get(11..)?;
    let label = label.get(
        ..run(label.get(..60.min(label.len()))?, |byte| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' '
        }),
    )?;
    let is_pgp = label == b"PGP PRIVATE KEY BLOCK";
    let begin = 11 + label.len() + 5;
    if !(is_pgp || label.ends_with(b"PRIVATE KEY")) || text.get(begin - 5..begin) != Some(b"-----")
    {
        return None;
    }
    let end = find(text.get(begin..)?, b"-----END ");
    let body = text.get(begin..end.map_or(text.len(), |end| begin + end))?;
    let (digits, is_encrypted) = digits(body)?;
    let whole = digits.get(..digits.len() / 4 * 4)?;
    let content = data_encoding::BASE64
        .decode(whole)
        .or_else(|_| data_encoding::BASE64_NOPAD.decode(whole))
        .ok()?;
    let is_key = match label {
        _ if is_pgp => matches!(content.first(), Some(0x94 | 0x95 | 0x96 | 0x97 | 0xc5)),
        b"OPENSSH PRIVATE KEY" => content.starts_with(b"openssh-key-v1\0"),
        _ => is_encrypted || is_der(&content, end.is_some()),
    };
    if !is_key || content.len() < 40 {
        return None;
    }
    let is_google = find(view.before(), b"\"private_key_id\"").is_some()
        || find(text.get(..text.len().min(6 << 10))?, b"gserviceaccount.com").is_some();
    let (rule, len) = (
        match label {
            _ if is_pgp => SecretRule::PgpKey,
            b"OPENSSH PRIVATE KEY" => SecretRule::SshKey,
            b"PRIVATE KEY" if is_google => SecretRule::GoogleServiceAccount,
            _ => SecretRule::PrivateKey,
        },
        begin + body.len(),
    );
    let label = str::from_utf8(label).unwrap_or_default();
    Some(view.hit(rule, len, &format!("-----BEGIN {label}-----")))
}

/// The digits of base 64 in the body of a PEM, whatever is put around its lines, and whether a header says
/// that it is encrypted; `None`: it is none.
fn digits(body: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut digits = Vec::new();
    let mut is_encrypted = false;
    let mut at = 0;
    while at < body.len() {
        let rest = body.get(at..)?;
        let len = rest
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\\'))
            .unwrap_or(rest.len());
        let line = rest.get(..len)?;
        at += len + 1;
        if rest.get(len) == Some(&b'\\') && matches!(body.get(at), Some(b'n' | b'r')) {
            at += 1;
        }
        let line = line.trim_ascii();
        let is_frame = |byte: &u8| matches!(byte, b'"' | b'\'' | b',' | b' ' | b'\t' | b'#' | b'*');
        let from = line
            .iter()
            .position(|byte| !is_frame(byte))
            .unwrap_or(line.len());
        let to = line
            .iter()
            .rposition(|byte| !is_frame(byte))
            .map_or(from, |at| at + 1);
        let line = line.get(from..to)?;
        if line.contains(&b':') && digits.is_empty() {
            is_encrypted |= line.ends_with(b"ENCRYPTED");
            continue;
        }
        // The checksum of an `OpenPGP` armour.
        if line.len() == 5 && line.starts_with(b"=") {
            continue;
        }
        let padding = run_back(line, |byte| byte == b'=');
        if !line
            .iter()
            .take(line.len() - padding)
            .all(|byte| is_base64(*byte))
        {
            return None;
        }
        digits.extend_from_slice(line);
    }
    (digits.len() >= 56).then_some((digits, is_encrypted))
}

/// Whether this is a DER sequence, of just this length where all of it is there.
fn is_der(content: &[u8], is_all: bool) -> bool {
    let (len, head) = match content {
        [0x30, len @ ..=0x7f, ..] => (usize::from(*len), 2),
        [0x30, 0x81, len, ..] => (usize::from(*len), 3),
        [0x30, 0x82, high, low, ..] => (usize::from(*high) << 8 | usize::from(*low), 4),
        _ => return false,
    };
    // Up to two bytes may be in digits that do not fill a group.
    !is_all || (content.len()..=content.len() + 2).contains(&(len + head))
}
