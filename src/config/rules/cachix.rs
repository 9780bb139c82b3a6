//! A cache of `type: cachix`.

use super::keys::{self, Seen};
use super::written::{compression, priority_of, secret, signing_key};
use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::leak;
use crate::config::model::{Cache, CacheKind, CachixCache, Method, OnError, Visibility, Written};
use crate::config::problem::Problem;
use crate::config::raw::caches::{RawCachix, RawOnError, RawRecords, RawVisibility};
use crate::config::secret::SecretRef;

/// Where the interface of the service answers.
const API: &str = "https://cachix.org/api/v1";
/// The variable in which its client looks for a token.
const TOKEN: &str = "CACHIX_AUTH_TOKEN";

/// Reads one.
pub(super) fn check(
    check: &mut Check<'_>,
    pointer: &str,
    here: &str,
    raw: &RawCachix,
    seen: &mut Seen,
) -> Cache {
    let tier = raw.tier.or(Some(1));
    let name = raw.name.clone().unwrap_or_else(|| here.to_owned());
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if raw.name.is_none()
        && !leak::is_secret(&name)
        && !(name.chars().all(is_plain) && name.starts_with(|c| is_plain(c) && c != '-'))
    {
        let message = format!("`{name}` is no name that a cache of Cachix can have");
        let problem = Problem::new(Code::ServiceSetting, message).at(check.entry(pointer), "");
        check.report(problem.help("write its name there as `name`: small letters, digits and `-`"));
    }
    let mut url = |key: &str, given: &Option<String>, usual: String| match given {
        Some(text) => check
            .url(&below(pointer, key), text, raw.insecure)
            .unwrap_or_default(),
        None => usual,
    };
    let api = url("api", &raw.api, API.to_owned());
    let own = url("url", &raw.url, format!("https://{name}.cachix.org"));
    if raw.api.is_some() && raw.url.is_none() && check.intact(pointer) {
        let message = "a server of one's own has its caches at addresses of its own";
        let at = check.entry(&below(pointer, "api"));
        let problem = Problem::new(Code::ServiceSetting, message).at(at, "");
        check.report(problem.help("write where Nix reads this cache as `url`"));
    }
    let token = raw.token.as_ref().map(|token| {
        let given = (&token.env, &token.file, &token.command);
        secret(check, &below(pointer, "token"), ("token", "token"), given)
    });
    let key = raw.signing_key.as_ref().map(|key| {
        let usual = format!("{name}.cachix.org-1");
        signing_key(check, &below(pointer, "signing-key"), key, &usual)
    });
    if raw.signing_key.as_ref().is_some_and(|key| key.generate) {
        let at = check.entry(&below(&below(pointer, "signing-key"), "generate"));
        let message = "the key of a cache of Cachix is not made here";
        let problem = Problem::new(Code::ServiceSetting, message).at(at, "");
        let help = "take `generate` out; without any `signing-key` the service makes one and signs";
        check.report(problem.help(help));
    }
    let method = compression(check, &below(pointer, "compression"), &raw.compression);
    let mut refuse = |key: &str, is_wrong: bool, message: &str, help: &str| {
        if is_wrong {
            let at = check.entry(&below(&below(pointer, "compression"), key));
            let problem = Problem::new(Code::ServiceSetting, message).at(at, "");
            check.report(problem.help(help));
        }
    };
    refuse(
        "method",
        method.method == Method::None,
        "Cachix takes no NAR that is not compressed",
        "choose `zstd` or `xz`",
    );
    refuse(
        "recompress",
        raw.compression.recompress,
        "Cachix never overwrites a path that it has",
        "take `recompress` out",
    );
    let max_size = raw.max_size.as_ref();
    let max_size = max_size.and_then(|size| check.size(&below(pointer, "max-size"), size));
    Cache {
        tier,
        nix_priority: raw.nix_priority.unwrap_or(priority_of(tier)),
        public_keys: keys::check(
            check,
            &below(pointer, "public-keys"),
            &raw.public_keys,
            seen,
        ),
        replica: None,
        kind: CacheKind::Cachix(CachixCache {
            name,
            url: own,
            api,
            token_given: token.is_some(),
            token: token.unwrap_or_else(|| SecretRef::Env(TOKEN.to_owned())),
            visibility: match raw.visibility {
                RawVisibility::Public => Visibility::Public,
                RawVisibility::Private => Visibility::Private,
            },
            create: raw.create,
            read_only: raw.read_only,
            on_error: match raw.on_error {
                RawOnError::Fail => OnError::Fail,
                RawOnError::Warn => OnError::Warn,
            },
            records: raw.records == RawRecords::Keep,
            written: Written {
                signing_key: key,
                compression: method,
                recompress: false,
                max_size,
            },
        }),
    }
}
