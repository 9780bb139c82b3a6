//! One path: narinfo, closure, NAR.

use super::caches::askable;
use super::{Answer, CacheFacts, Code, Facts, Finding};
use crate::nix::narinfo::NarInfo;
use crate::nix::store_path::StorePath;

/// Missing paths that are named.
const NAMED: usize = 3;

/// The narinfo that a cache has of the path.
pub(super) fn narinfo(facts: &Facts, cache: &CacheFacts) -> Option<NarInfo> {
    let Answer::Got {
        status: 200, body, ..
    } = &cache.narinfo
    else {
        return None;
    };
    let info = NarInfo::parse(body, &facts.store_dir).ok()?;
    (Some(info.store_path.hash()) == facts.path.as_ref().map(StorePath::hash)).then_some(info)
}

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let Some(path) = &facts.path else {
        return Vec::new();
    };
    let full = facts.store_dir.display(path).to_string();
    let again = format!("nanna-cache push --apply --path {full}");
    let asked = || {
        facts
            .caches
            .iter()
            .filter(|cache| cache.narinfo != Answer::NotAsked)
    };
    let mut found = Vec::new();
    for cache in asked() {
        found.extend(one(facts, cache, &full, &again));
    }
    let has = asked().any(|cache| matches!(cache.narinfo, Answer::Got { status: 200, .. }));
    let untold: Vec<String> = facts.caches.iter().filter_map(cannot_tell).collect();
    if !has && asked().next().is_some() && !untold.is_empty() {
        found.push(
            Finding::new(
                Code::PathUnknown,
                format!("whether a cache has {full} is not known: {}", untold.join("; ")),
                "Nix builds it, or fails, as long as the cache does not tell",
            )
            .remedy("ask again when it answers; what is wrong with a login or an URL is said of the cache"),
        );
    } else if !has && asked().next().is_some() {
        let urls: Vec<&str> = asked().map(CacheFacts::base).collect();
        found.push(
            Finding::new(
                Code::PathAbsent,
                format!("no cache has {full}"),
                "Nix builds it, or fails where it has no derivation",
            )
            .at(urls.join(", "))
            .remedy(again)
            .remedy("where it was pushed from another commit, its hash is another one: compare with `nix path-info`"),
        );
    }
    found
}

/// Why a cache that Nix would ask says nothing of the path; `None`: it has said yes or no.
fn cannot_tell(cache: &CacheFacts) -> Option<String> {
    let url = cache.base();
    let of = |answer: &Answer| match answer {
        Answer::Silent(why) => Some(format!("{url} does not answer: {why}")),
        // A bucket that may not be listed says 403 where nothing is, and Nix takes it for a miss.
        Answer::Got {
            status: 200 | 403 | 404 | 410,
            ..
        }
        | Answer::NotAsked => None,
        Answer::Got { status, .. } => Some(format!("{url} answers HTTP {status}")),
    };
    if cache.info == Answer::NotAsked && !askable(url) {
        return Some(format!("{url} was not looked at"));
    }
    of(&cache.narinfo).or_else(|| of(&cache.info))
}

/// What was not seen of the closure.
fn unseen(cache: &CacheFacts, again: &str) -> Option<Finding> {
    let mut why = Vec::new();
    if cache.cut {
        why.push("it is too large to be looked at whole".to_owned());
    }
    if cache.untold > 0 {
        why.push(format!("of {} paths no cache could tell", cache.untold));
    }
    (!why.is_empty()).then(|| {
        let what = format!(
            "not all of the closure was looked at: {}",
            why.join(", and ")
        );
        Finding::new(
            Code::ClosureUnknown,
            what,
            "what was not looked at may be missing",
        )
        .at(cache.base())
        .remedy(again)
    })
}

fn one(facts: &Facts, cache: &CacheFacts, full: &str, again: &str) -> Vec<Finding> {
    let url = cache.base();
    let Answer::Got { status: 200, .. } = &cache.narinfo else {
        return Vec::new();
    };
    let Some(info) = narinfo(facts, cache) else {
        let what = format!("what {url} gives as the narinfo of {full} is none");
        let effect = "Nix stops the whole build with an error; only a current one goes on, with `fallback = true`";
        return vec![
            Finding::new(Code::NarinfoMalformed, what, effect)
                .at(url)
                .remedy(again),
        ];
    };
    let mut found = Vec::new();
    if !cache.missing.is_empty() {
        let names: Vec<String> = cache
            .missing
            .iter()
            .take(NAMED)
            .map(|path| facts.store_dir.display(path).to_string())
            .collect();
        let more = cache.missing.len().saturating_sub(NAMED);
        let more = if more == 0 {
            String::new()
        } else {
            format!(" and {more} more")
        };
        let what = format!(
            "{url} has the path, and no cache has {}{more}, which it needs",
            names.join(", ")
        );
        let effect = "Nix builds what is missing, and then often everything above it";
        found.push(
            Finding::new(Code::ClosureIncomplete, what, effect)
                .at(url)
                .remedy(again),
        );
    }
    let all = format!("nix path-info --recursive --store '{}' {full}", cache.url);
    found.extend(unseen(cache, &all));
    let nar = format!("{url}/{}", info.url);
    match (&cache.nar, info.file_size) {
        (
            Answer::Got {
                status: 200,
                size: Some(size),
                ..
            },
            Some(said),
        ) if *size != said => {
            let what = format!("the NAR has {size} bytes, and its narinfo says {said}");
            let effect = "the download fails, and with it the build, unless `fallback` is true";
            found.push(
                Finding::new(Code::NarSizeDiffers, what, effect)
                    .at(nar)
                    .remedy(again),
            );
        }
        (Answer::Got { status, .. }, _) if *status >= 500 => {
            let what = format!("whether the NAR is there is not known (HTTP {status})");
            let effect = "Nix tries again, and then fails or builds the path";
            found.push(
                Finding::new(Code::PathUnknown, what, effect)
                    .at(nar)
                    .remedy("ask again when the cache answers"),
            );
        }
        (Answer::Got { status, .. }, _) if *status != 200 => {
            let what = format!("the narinfo is there and its NAR is not (HTTP {status})");
            let effect = "Nix tries twice and then builds the path, whatever `fallback` says";
            found.push(
                Finding::new(Code::NarMissing, what, effect)
                    .at(nar)
                    .remedy(again),
            );
        }
        _ => {
            if let Some(damage) = &cache.damage {
                let what = format!("the NAR is damaged: {damage}");
                let effect = "the build fails, unless `fallback` is true";
                found.push(
                    Finding::new(Code::NarDamaged, what, effect)
                        .at(nar)
                        .remedy(again),
                );
            }
        }
    }
    found
}
