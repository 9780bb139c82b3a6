//! Caches in buckets: names, prefixes, addresses.

use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::leak;
use crate::config::model::{Bucket, Storage};
use crate::config::problem::Problem;
use crate::config::raw::caches::{RawAzure, RawGcs, RawS3};

/// What `cache.yaml` says of a bucket, whatever its storage.
struct Given<'r> {
    storage: Storage,
    /// The key of the name, and the name.
    name: (&'static str, &'r str),
    account: Option<&'r str>,
    region: Option<&'r str>,
    prefix: Option<&'r str>,
    endpoint: Option<&'r str>,
    url: Option<&'r str>,
    insecure: bool,
}

pub(super) fn s3(check: &mut Check<'_>, pointer: &str, raw: &RawS3) -> Bucket {
    let given = Given {
        storage: Storage::S3,
        name: ("bucket", &raw.bucket),
        account: None,
        region: raw.region.as_deref(),
        prefix: raw.prefix.as_deref(),
        endpoint: raw.endpoint.as_deref(),
        url: raw.url.as_deref(),
        insecure: raw.insecure,
    };
    bucket(check, pointer, &given)
}

pub(super) fn gcs(check: &mut Check<'_>, pointer: &str, raw: &RawGcs) -> Bucket {
    let given = Given {
        storage: Storage::Gcs,
        name: ("bucket", &raw.bucket),
        account: None,
        region: None,
        prefix: raw.prefix.as_deref(),
        endpoint: raw.endpoint.as_deref(),
        url: raw.url.as_deref(),
        insecure: raw.insecure,
    };
    bucket(check, pointer, &given)
}

pub(super) fn azure(check: &mut Check<'_>, pointer: &str, raw: &RawAzure) -> Bucket {
    let given = Given {
        storage: Storage::Azure,
        name: ("container", &raw.container),
        account: Some(&raw.account),
        region: None,
        prefix: raw.prefix.as_deref(),
        endpoint: raw.endpoint.as_deref(),
        url: raw.url.as_deref(),
        insecure: raw.insecure,
    };
    bucket(check, pointer, &given)
}

fn bucket(check: &mut Check<'_>, pointer: &str, given: &Given<'_>) -> Bucket {
    let (key, name) = given.name;
    names(
        check,
        pointer,
        &Names {
            name: Some((key, name)),
            account: given.account,
            region: given.region,
            prefix: given.prefix,
        },
    );
    let mut address = |key: &str, text: Option<&str>| {
        text.and_then(|text| check.url(&below(pointer, key), text, given.insecure))
    };
    let endpoint = address("endpoint", given.endpoint);
    let url = address("url", given.url);
    let bucket = Bucket {
        storage: given.storage,
        name: name.to_owned(),
        account: given.account.map(str::to_owned),
        prefix: given.prefix.unwrap_or_default().to_owned(),
        region: given.region.map(str::to_owned),
        endpoint,
        url,
    };
    readable(check, pointer, &bucket, given.url.is_some());
    bucket
}

/// What names a bucket, as far as it is said in one place.
pub(super) struct Names<'r> {
    /// The key of the name, and the name.
    pub(super) name: Option<(&'static str, &'r str)>,
    pub(super) account: Option<&'r str>,
    pub(super) region: Option<&'r str>,
    pub(super) prefix: Option<&'r str>,
}

/// Reports names that no storage takes.
pub(super) fn names(check: &mut Check<'_>, pointer: &str, given: &Names<'_>) {
    if let Some((key, name)) = given.name
        && !is_name(name, 3, 63, "-._")
    {
        let help = "3 to 63 small letters, digits, `-`, `.` and `_`, with a letter or digit at both ends; no URL and no path";
        report(check, &below(pointer, key), key, name, help);
    }
    if let Some(account) = given.account
        && !is_name(account, 3, 24, "")
    {
        let help = "3 to 24 small letters and digits: the name alone, not its address";
        report(check, &below(pointer, "account"), "account", account, help);
    }
    if let Some(region) = given.region
        && !is_name(region, 2, 64, "-_")
    {
        let help = "write it as the storage does, such as `eu-central-1`";
        report(check, &below(pointer, "region"), "region", region, help);
    }
    if let Some(prefix) = given.prefix
        && !is_prefix(prefix)
    {
        let help = "write it as `nix` or `team/nix`: letters, digits, `-`, `_` and `.`, parts separated by one slash";
        report(check, &below(pointer, "prefix"), "prefix", prefix, help);
    }
}

/// Reports a part of a bucket that Nix would have to read by `s3://`.
pub(super) fn readable(check: &mut Check<'_>, pointer: &str, bucket: &Bucket, has_url: bool) {
    if bucket.storage == Storage::S3
        && !bucket.prefix.is_empty()
        && !has_url
        && check.intact(pointer)
    {
        let problem = Problem::new(
            Code::MissingUrl,
            "Nix cannot read a part of a bucket by `s3://`",
        );
        let help = "add `url: https://…`, the address at which the prefix can be read, or take `prefix` out";
        let place = check.entry(&below(pointer, "prefix"));
        check.report(problem.at(place, "").help(help));
    }
}

/// What tells a bucket, and the part of it, from every other.
pub(super) fn identity(bucket: &Bucket) -> String {
    let account = bucket.account.as_deref().unwrap_or_default();
    let endpoint = bucket.endpoint.as_deref().unwrap_or_default();
    format!(
        "{}://{account}/{}/{} {}",
        bucket.storage.word(),
        bucket.name,
        bucket.prefix,
        endpoint.to_ascii_lowercase()
    )
}

fn report(check: &mut Check<'_>, pointer: &str, what: &str, text: &str, help: &str) {
    // Reported as a secret; it must not be complained about in other words as well.
    if leak::is_secret(text) || !check.intact(pointer) {
        return;
    }
    let message = format!("`{text}` is no {what}");
    let problem = Problem::new(Code::InvalidBucket, message);
    check.report(problem.at(check.value(pointer), "").help(help));
}

fn is_name(text: &str, least: usize, most: usize, inside: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (least..=most).contains(&text.len())
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|c| plain(c) || inside.contains(c))
        && !text.contains("..")
}

fn is_prefix(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.chars().any(|c| c != '.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    text.len() <= 512 && text.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_prefixes_are_what_storages_take() {
        for good in ["abc", "team-nix.cache_1", "0a0"] {
            assert!(is_name(good, 3, 63, "-._"), "{good}");
        }
        for bad in [
            "ab", "Team", "a b", "-abc", "abc-", "a..b", "a/b", "s3://abc", "äbc",
        ] {
            assert!(!is_name(bad, 3, 63, "-._"), "{bad}");
        }
        for good in ["nix", "team/nix", "a.b/c_d-1"] {
            assert!(is_prefix(good), "{good}");
        }
        for bad in ["", "/", "/nix", "nix/", "a//b", "a/../b", ".", "a b", "a?b"] {
            assert!(!is_prefix(bad), "{bad}");
        }
    }
}
