//! What several types of cache have: references to secrets, keys, compression, priorities.

use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::leak;
use crate::config::model::{Compression, Method, SigningKey};
use crate::config::problem::Problem;
use crate::config::raw::caches::{RawCompression, RawMethod, RawSigningKey};
use crate::config::secret::SecretRef;

/// Nix's priority of a cache that has none of its own, by tier: lower is asked first, and an
/// upstream without a tier has that of cache.nixos.org.
pub(super) const fn priority_of(tier: Option<u8>) -> u32 {
    match tier {
        Some(3) => 30,
        Some(2) => 35,
        Some(_) => 41,
        None => 40,
    }
}

/// Reads a reference to a secret: the setting's name, what it is, and the three places where it may be.
pub(super) fn secret(
    check: &mut Check<'_>,
    pointer: &str,
    (setting, what): (&str, &str),
    (env, file, command): (&Option<String>, &Option<String>, &Option<Vec<String>>),
) -> SecretRef {
    let given = [
        env.clone().map(SecretRef::Env),
        file.clone().map(SecretRef::File),
        command.clone().map(SecretRef::Command),
    ];
    let mut given: Vec<SecretRef> = given.into_iter().flatten().collect();
    let invalid =
        |message: String, help: &str| Problem::new(Code::InvalidSecretRef, message).help(help);
    if given.len() != 1 && check.intact(pointer) {
        let message = match given.len() {
            0 => format!("`{setting}` does not say where the {what} is"),
            _ => format!("`{setting}` names more than one place"),
        };
        let problem = invalid(message, "give exactly one of `env`, `file` and `command`");
        check.report(problem.at(check.entry(pointer), ""));
    }
    let secret = given.pop().unwrap_or(SecretRef::Env(String::new()));
    match &secret {
        SecretRef::Env(variable) if given.is_empty() && env.is_some() => {
            let first = |c: char| c.is_ascii_alphabetic() || c == '_';
            let good = variable.starts_with(first)
                && variable.chars().all(|c| first(c) || c.is_ascii_digit());
            if !good && !leak::is_secret(variable) {
                let message = format!("`{variable}` is no name of an environment variable");
                let problem = invalid(
                    message,
                    "write the name alone, without `$`; never the secret itself",
                );
                check.report(problem.at(check.value(&below(pointer, "env")), ""));
            }
        }
        SecretRef::File(path) => check.path(&below(pointer, "file"), path),
        SecretRef::Command(words) if words.first().is_none_or(|word| word.trim().is_empty()) => {
            let problem = invalid(
                "`command` names no program".to_owned(),
                "for example: `[pass, show, cache-key]`",
            );
            check.report(problem.at(check.entry(&below(pointer, "command")), ""));
        }
        _ => {}
    }
    secret
}

pub(super) fn signing_key(
    check: &mut Check<'_>,
    pointer: &str,
    raw: &RawSigningKey,
    name: &str,
) -> SigningKey {
    let given = (&raw.env, &raw.file, &raw.command);
    let secret = secret(check, pointer, ("signing-key", "key"), given);
    if raw.generate && raw.file.is_none() && check.intact(pointer) {
        let problem = Problem::new(
            Code::GenerateWithoutFile,
            "`generate` needs a `file` to put the key in",
        );
        let help = "name the key by `file`, or make it yourself and take `generate` out";
        check.report(
            problem
                .at(check.entry(&below(pointer, "generate")), "")
                .help(help),
        );
    }
    if let Some(name) = raw.name.as_ref().filter(|name| !leak::is_secret(name)) {
        check.name(&below(pointer, "name"), "a key", name);
    }
    SigningKey {
        secret,
        generate: raw.generate,
        name: raw.name.clone().unwrap_or_else(|| name.to_owned()),
    }
}

pub(super) fn compression(
    check: &mut Check<'_>,
    pointer: &str,
    raw: &RawCompression,
) -> Compression {
    let (method, word, levels, usual) = match raw.method {
        RawMethod::Zstd => (Method::Zstd, "zstd", 1..=22, 3),
        RawMethod::Xz => (Method::Xz, "xz", 0..=9, 6),
        RawMethod::None => (Method::None, "none", 0..=0, 0),
    };
    let level = raw.level.unwrap_or(usual);
    if !levels.contains(&level) {
        let message = format!("`{word}` has no level {level}");
        let help = if levels.start() == levels.end() {
            format!("take `level` out: `{word}` has none")
        } else {
            format!(
                "choose a level from {} to {}; without one it is {usual}",
                levels.start(),
                levels.end()
            )
        };
        let problem = Problem::new(Code::CompressionLevel, message).help(help);
        check.report(problem.at(check.value(&below(pointer, "level")), ""));
    }
    Compression { method, level }
}
