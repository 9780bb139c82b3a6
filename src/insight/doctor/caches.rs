//! The servers and folders: do they answer, and as what?

use super::{Answer, CacheFacts, Code, Facts, Finding, refuses};
use crate::nix::cache_info::CacheInfo;

/// Slower than this for one small answer, in milliseconds, and a build with a thousand paths feels it.
const SLOW_MS: u64 = 1000;

/// The number by which Nix sorts it; `None`: it is out of use.
pub(super) fn priority(cache: &CacheFacts) -> Option<i64> {
    let Answer::Got {
        status: 200, body, ..
    } = &cache.info
    else {
        return None;
    };
    let info = CacheInfo::parse(body).ok()?;
    let stated = cache
        .parameter("priority")
        .and_then(|text| text.parse().ok());
    Some(stated.unwrap_or_else(|| info.priority().map_or(0, i64::from)))
}

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    facts
        .caches
        .iter()
        .flat_map(|cache| one(facts, cache))
        .collect()
}

/// Whether a cache of this URL can be asked in the way of a server or a folder.
#[must_use]
pub fn askable(url: &str) -> bool {
    ["http://", "https://", "file://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}

fn one(facts: &Facts, cache: &CacheFacts) -> Vec<Finding> {
    let url = cache.base();
    let goes_on = "Nix warns once and goes on without it; if it was used before, a build may fail";
    let finding = match &cache.info {
        Answer::NotAsked if askable(url) => return Vec::new(),
        Answer::NotAsked => Finding::new(
            Code::NotLookedAt,
            format!("{url} was not looked at: doctor asks only http, https and file"),
            "whether it works, and what it has, is not known",
        )
        .remedy(format!("nix path-info --store '{}' PATH", cache.url)),
        Answer::Silent(why) => Finding::new(
            Code::CacheUnreachable,
            format!("{url} does not answer: {why}"),
            goes_on,
        )
        .remedy(format!("curl -v {url}/nix-cache-info")),
        // What is wrong with the login is said where logins are judged.
        Answer::Got { status, .. } if refuses(*status) => return refused(facts, cache, *status),
        Answer::Got {
            status: 404 | 410, ..
        } => {
            let finding = Finding::new(
                Code::CacheInfoMissing,
                format!("{url} has no nix-cache-info"),
                "Nix does not take it for a cache, and leaves it out",
            );
            match &cache.made_by {
                Some(step) => finding
                    .remedy("nanna-cache doctor --fix")
                    .mended_by([step.clone()]),
                None => finding.remedy(format!(
                    "curl -v {url}/nix-cache-info    # is the URL right?"
                )),
            }
        }
        Answer::Got {
            status: 200, body, ..
        } => return info(facts, cache, body),
        Answer::Got { status, .. } => Finding::new(
            Code::CacheFails,
            format!("{url} answers HTTP {status}"),
            goes_on,
        )
        .remedy(format!("curl -v {url}/nix-cache-info    # later again"))
        .remedy("or meanwhile: --option fallback true"),
    };
    vec![finding.at(url)]
}

fn refused(facts: &Facts, cache: &CacheFacts, status: u16) -> Vec<Finding> {
    let url = cache.base();
    let known = cache
        .host()
        .is_some_and(|host| facts.netrc.hosts.iter().any(|known| known == host));
    if !known {
        // There is no login at all: that is said instead, by who judges the netrc.
        return Vec::new();
    }
    let what = format!(
        "{url} does not take the login in {} (HTTP {status})",
        facts.netrc.path
    );
    let effect = "no path comes from it; a recent Nix stops the build unless `fallback` is true";
    let remedy = format!("put a token that is valid into {}", facts.netrc.path);
    vec![
        Finding::new(Code::CacheRefuses, what, effect)
            .at(url)
            .remedy(remedy),
    ]
}

fn info(facts: &Facts, cache: &CacheFacts, body: &str) -> Vec<Finding> {
    let url = cache.base();
    let malformed = |why: &str| {
        Finding::new(
            Code::CacheInfoMalformed,
            format!("what {url} gives as nix-cache-info is of no use: {why}"),
            "Nix drops the cache",
        )
        .at(url)
        .remedy(format!(
            "curl {url}/nix-cache-info    # should have a line `StoreDir: {}`",
            facts.store_dir
        ))
    };
    let info = match CacheInfo::parse(body) {
        Ok(info) => info,
        Err(error) => return vec![malformed(&error.to_string())],
    };
    let Some(dir) = info.store_dir() else {
        return vec![malformed("it names no StoreDir")];
    };
    let mut found = Vec::new();
    if dir != facts.store_dir.as_str() {
        let what = format!(
            "{url} is a cache of the store {dir}, and the store here is {}",
            facts.store_dir
        );
        let effect = "Nix refuses the cache: paths of another store directory do not work here";
        found.push(
            Finding::new(Code::StoreDirDiffers, what, effect)
                .at(url)
                .remedy("take it out of `substituters`, or use a cache of this store directory"),
        );
    }
    if info.priority().is_none() && cache.parameter("priority").is_none() {
        found.push(
            Finding::new(
                Code::PriorityMissing,
                format!("{url} states no priority"),
                "that counts as 0: Nix asks it before all others, for every path",
            )
            .at(url)
            .remedy("add to its nix-cache-info: Priority: 41")
            .remedy(format!("or in the settings: {url}?priority=41")),
        );
    }
    if cache.took_ms > SLOW_MS {
        found.push(
            Finding::new(
                Code::CacheSlow,
                format!("{url} took {} ms to answer", cache.took_ms),
                "Nix asks caches one after another, so each path waits for it",
            )
            .at(url)
            .remedy(format!(
                "in the settings: {url}?priority=100    # ask it last"
            )),
        );
    }
    found
}
