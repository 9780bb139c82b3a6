//! Public keys of one cache and of all.

use std::collections::BTreeMap;

use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::leak;
use crate::config::problem::Problem;
use crate::nix::key::PublicKey;

/// Public keys by name, each with the place of its first mention.
pub(super) type Seen = BTreeMap<String, (String, String)>;

/// Reads the public keys of a cache. `seen` are those of the caches before it.
pub(super) fn check(
    check: &mut Check<'_>,
    pointer: &str,
    keys: &[String],
    seen: &mut Seen,
) -> Vec<PublicKey> {
    let mut own: BTreeMap<String, String> = BTreeMap::new();
    let mut good = Vec::new();
    for (at, text) in keys.iter().enumerate() {
        let pointer = below(pointer, at.to_string());
        let span = check.value(&pointer);
        // Reported with the secrets of the file; nothing of it may be said here.
        if leak::is_secret(text) {
            continue;
        }
        let key: PublicKey = match text.parse() {
            Ok(key) => key,
            Err(error) => {
                let problem = Problem::new(
                    Code::InvalidPublicKey,
                    format!("this is no public key: {error}"),
                );
                let help = "a public key is `NAME:BASE64` with 32 bytes in base64, such as `cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=`";
                check.report(problem.at(span, "").help(help));
                continue;
            }
        };
        let printed = key.to_string();
        let name = key.name().to_owned();
        if let Some(first) = own.get(&printed) {
            let problem = Problem::new(
                Code::DuplicatePublicKey,
                format!("the public key `{name}` stands twice"),
            );
            let first = check.value(first);
            check.report(
                problem
                    .at(span, "again here")
                    .at(first, "first here")
                    .help("take one of them out"),
            );
            continue;
        }
        own.insert(printed.clone(), pointer.clone());
        match seen.get(&name) {
            Some((other, first)) if *other != printed => {
                let message = format!("the name `{name}` stands for two different public keys");
                let first = check.value(first);
                let help = "Nix finds a key by its name and keeps only one of them; find out which one is right";
                let problem = Problem::new(Code::ConflictingPublicKey, message);
                check.report(
                    problem
                        .at(span, "this key")
                        .at(first, "and this one")
                        .help(help),
                );
            }
            Some(_) => {}
            None => {
                seen.insert(name, (printed, pointer));
            }
        }
        good.push(key);
    }
    good
}
