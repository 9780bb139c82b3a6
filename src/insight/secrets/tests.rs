#![allow(clippy::format_push_string, reason = "a test")]

use proptest::prelude::*;

use super::samples::{Sample, all, nix_key, random};
use super::shape::{AHEAD, BEHIND};
use super::*;
use crate::config::gate::SecretRule;

fn scan(pieces: &[&[u8]]) -> Vec<Finding> {
    let mut scanner = Scanner::default();
    scanner.begin(pieces.iter().map(|piece| piece.len() as u64).sum());
    for piece in pieces {
        scanner.content(piece);
    }
    scanner.end()
}

fn names(found: &[Finding]) -> Vec<&'static str> {
    found.iter().map(|one| one.rule.name()).collect()
}

#[test]
fn one_of_every_kind_is_found_where_it_stands_and_not_shown() {
    let samples = all();
    for Sample { rule, secret, text } in &samples {
        let found = scan(&[text.as_bytes()]);
        assert_eq!(names(&found), [*rule], "{text}");
        let start = usize::try_from(found[0].offset).unwrap();
        let end = start + usize::try_from(found[0].len).unwrap();
        let stands = text[start..end].trim_end();
        assert!(
            secret.trim_end().starts_with(stands) && stands.len() + 64 > secret.trim_end().len(),
            "{rule}: {stands} in {secret}"
        );
        let said = format!("{:?}", found[0]);
        for part in secret.as_bytes().windows(12).step_by(4).skip(7) {
            let part = std::str::from_utf8(part).unwrap();
            assert!(!said.contains(part) || part.contains(['-', ' ']), "{said}");
        }
        assert_eq!(found[0].fingerprint.len(), 16);
    }
    for rule in SecretRule::ALL {
        assert!(
            samples.iter().any(|s| s.rule == rule.name()),
            "{rule} has no sample"
        );
    }
}

#[test]
fn what_only_looks_like_one_is_let_be() {
    let github = random(1, 36);
    let half = nix_key("cache-1", 2);
    let wrong = format!(
        "{}{}",
        &half[..60],
        nix_key("cache-1", 3).get(60..).unwrap()
    );
    let public = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
    for text in [
        format!("ghp_{github}"),
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".to_owned(),
        wrong,
        public.to_owned(),
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----".to_owned(),
        "-----BEGIN CERTIFICATE-----\nMIIB\n".to_owned(),
        "if (b.startsWith(\"-----BEGIN RSA PRIVATE KEY-----\")) {}".to_owned(),
        "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c".to_owned(),
        "password = \"correct horse battery staple\"".to_owned(),
        "password: ${{ secrets.TOKEN_2_OF_9 }}".to_owned(),
        "token = self.lexer.next_token_0_1_2_3()".to_owned(),
        "secret = \"your-secret-0a1b2c3d4e5f6a7b\"".to_owned(),
        "https://user:password1@github.com/x".to_owned(),
        "https://user:s3cr3tXq9@example.org/x".to_owned(),
        "http://[::1]:8080/a@b".to_owned(),
        "machine HOST login USER password STRING".to_owned(),
        format!("sha256-{}", half.split(':').nth(1).unwrap().get(..43).unwrap()),
    ] {
        assert_eq!(names(&scan(&[text.as_bytes()])), [""; 0], "{text}");
    }
}

#[test]
fn a_binary_file_is_looked_through_for_what_has_a_form() {
    let token = &all()[0].secret;
    let value = random(70, 32);
    let text = format!("\0\u{1}{token}\0 password = \"{value}\"");
    assert_eq!(names(&scan(&[text.as_bytes()])), ["github-token"]);
}

#[test]
fn a_fingerprint_is_of_the_rule_and_the_secret() {
    let sample = &all()[0];
    let before = scan(&[sample.text.as_bytes()]);
    let moved = format!("{}{}", "\n".repeat(300_000), sample.text);
    let after = scan(&[moved.as_bytes()]);
    assert_eq!(before[0].fingerprint, after[0].fingerprint);
    assert_eq!(before[0].offset + 300_000, after[0].offset);
    let other = scan(&[all()[1].text.as_bytes()]);
    assert_ne!(before[0].fingerprint, other[0].fingerprint);
}

#[test]
fn secrets_are_taken_out_of_texts() {
    let mut text = String::from("building\n");
    let samples = all();
    for sample in &samples {
        text += &format!("\n{}\n{}\n", "-".repeat(600), sample.text);
    }
    let clean = redact(text.as_bytes());
    let shown = String::from_utf8(clean.text).unwrap();
    for sample in &samples {
        let secret = sample.secret.trim_end();
        assert!(
            !shown.contains(secret),
            "{}: {:?}",
            sample.rule,
            clean.found
        );
        assert!(
            shown.contains(&format!("[redacted {}]", sample.rule)),
            "{}:
            {shown}",
            sample.rule
        );
    }
    assert!(shown.starts_with("building\n") && shown.contains("# settings\nvalue: "));
    let none = redact(b"nothing here\xff\0");
    assert_eq!(
        (none.text.as_slice(), none.found.len()),
        (&b"nothing here\xff\0"[..], 0)
    );
}

#[test]
fn a_key_longer_than_what_is_looked_at_is_taken_out_whole() {
    let body = "MIIz".to_owned() + &"QUJDREVGR0hJSktMTU5P\n".repeat(3000);
    let text =
        format!("x\n-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----\ny");
    // No sequence of DER has such a length here, but an encrypted one is any text.
    let text = text.replace("KEY-----\nMIIz", "KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIz");
    let clean = String::from_utf8(redact(text.as_bytes()).text).unwrap();
    assert!(!clean.contains("QUJDREVG"), "{}", &clean[..200]);
}

#[test]
fn a_file_that_goes_on_after_its_size_is_looked_at_whole() {
    let file = b"machine cache.team.org login ci password 1td9prviHab-4z\n";
    for first in 1..file.len() {
        let mut scanner = Scanner::default();
        scanner.begin(first as u64);
        scanner.content(&file[..first]);
        scanner.content(&file[first..]);
        assert_eq!(scanner.end(), scan(&[file]), "cut at {first}");
    }
}

/// Files of several samples with stretches of different lengths between them.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let gap = prop_oneof![
        0..40_usize,
        BEHIND - 20..BEHIND + 20,
        AHEAD - 200..AHEAD + 200,
        100_000..180_000_usize
    ];
    let part = (0..all().len(), gap, any::<bool>());
    (prop::collection::vec(part, 1..6), any::<bool>()).prop_map(|(parts, is_binary)| {
        let samples = all();
        let mut file = if is_binary { vec![0] } else { Vec::new() };
        for (at, gap, is_line) in parts {
            let between: &[u8] = if is_line {
                b"plain text\n"
            } else {
                b"AbC4+/09"
            };
            file.extend(between.iter().cycle().take(gap));
            file.extend(samples[at].text.as_bytes());
        }
        file
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pieces_change_nothing(file in file(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(file.len() + 1)).collect();
        cuts.extend([0, file.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|two| &file[two[0]..two[1]]).collect();
        let whole = scan(&[&file]);
        prop_assert_eq!(&whole, &scan(&pieces));
        let mut scanner = Scanner::default();
        // A size that was wrong.
        scanner.begin(1);
        for piece in &pieces {
        scanner.content(piece);
    }
        prop_assert_eq!(&whole, &scanner.end());
    }

    #[test]
    fn no_bytes_are_too_odd(parts in prop::collection::vec(
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| bytes),
            (0..all().len(), any::<prop::sample::Index>()).prop_map(|(at, cut)| {
                let text = all().swap_remove(at).text.into_bytes();
                let cut = cut.index(text.len());
                text[cut..].to_vec()
            }),
            Just(b"A==".to_vec()), Just(b"://a:b@".to_vec()), Just(b"-----BEGIN PGP PRIVATE KEY BLOCK-----".to_vec()),
            Just(b"password".to_vec()), Just(b"\"auth\":\"".to_vec()), Just(b"T3BlbkFJ".to_vec()), Just(b"+ASt".to_vec()),
        ], 0..30)) {
        let file = parts.concat();
        let _ = scan(&[&file]);
        let clean = redact(&file);
        prop_assert!(clean.found.is_empty() || clean.text != file);
    }
}
