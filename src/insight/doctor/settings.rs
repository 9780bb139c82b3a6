//! What the files of settings say, and what of it counts.

use std::collections::BTreeSet;

use super::{Code, Facts, Finding, base};
use crate::nix::conf::{Assignment, ProblemKind};
use crate::plan::address::{fragment_address, nix_conf_address};

/// The lists without which no cache is used.
const LISTS: [&str; 2] = ["substituters", "trusted-public-keys"];

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = refused(facts);
    found.extend(facts.unreadable.iter().map(|file| {
        let effect = "Nix ignores the whole file, and does not say so";
        Finding::new(
            Code::ConfUnreadable,
            format!("{file} may not be read"),
            effect,
        )
        .at(file)
        .remedy(format!("sudo chmod a+r {file}"))
    }));
    found.extend(unknown(facts));
    found.extend(overridden(facts));
    found.extend(switched_off(facts));
    found.extend(not_in_settings(facts));
    found.extend(trust(facts));
    found
}

fn refused(facts: &Facts) -> Vec<Finding> {
    let effect = "every command of Nix fails, also the daemon";
    let mut found: Vec<Finding> = facts
        .conf
        .errors
        .iter()
        .map(|problem| {
            let place = format!("{}:{}", problem.file, problem.line);
            let what = format!("Nix refuses a line of its settings: {}", problem.kind);
            Finding::new(Code::SettingsRefused, what, effect)
                .at(&place)
                .remedy(format!("mend {place}, or take the line away"))
        })
        .collect();
    if let (Some(why), true) = (&facts.refused, found.is_empty()) {
        let what = format!("Nix does not tell its settings: {why}");
        found.push(
            Finding::new(Code::SettingsRefused, what, effect)
                .remedy("nix show-config    # says the same, with its context"),
        );
    }
    found
}

fn unknown(facts: &Facts) -> impl Iterator<Item = Finding> {
    facts.conf.warnings.iter().filter_map(|problem| {
        let ProblemKind::Unknown { name, nearest } = &problem.kind else {
            return None;
        };
        let place = format!("{}:{}", problem.file, problem.line);
        let finding = Finding::new(
            Code::SettingUnknown,
            format!("no Nix knows the setting `{name}`"),
            "the line has no effect; Nix only warns",
        )
        .at(&place);
        Some(match nearest {
            Some(nearest) => finding.remedy(format!("write `{nearest}` in {place}")),
            None => finding.remedy(format!("take the line out of {place}")),
        })
    })
}

/// Words that a later plain assignment threw away.
fn overridden(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    for name in LISTS {
        let Some(setting) = facts.conf.settings.get(name) else {
            continue;
        };
        let kept: BTreeSet<&str> = facts.words(name).collect();
        let is_lost = |word: &&String| {
            let word = word.as_str();
            !kept.contains(word) && !kept.iter().any(|kept| base(kept) == base(word))
        };
        for (at, origin) in setting.assignments.iter().enumerate() {
            let later = setting.assignments.get(at + 1..).unwrap_or_default();
            let Some(by) = later.iter().find(|it| it.assignment == Assignment::Set) else {
                continue;
            };
            // A plain value that another plain value replaces is how files of settings are meant.
            if origin.assignment == Assignment::Set {
                continue;
            }
            let lost: Vec<&str> = origin
                .words
                .iter()
                .filter(is_lost)
                .map(String::as_str)
                .collect();
            if lost.is_empty() {
                continue;
            }
            let (from, to) = (
                format!("{}:{}", origin.file, origin.line),
                format!("{}:{}", by.file, by.line),
            );
            let what = format!("{to} throws away what {from} had added to `{name}`");
            let effect = format!("Nix goes on without {}", lost.join(" "));
            found.push(
                Finding::new(Code::SettingOverridden, what, effect)
                    .at(&to)
                    .remedy(format!("in {to}:"))
                    .remedy(format!("- {name} = {}", by.words.join(" ")))
                    .remedy(format!("+ extra-{name} = {}", by.words.join(" "))),
            );
        }
    }
    found
}

fn switched_off(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let place = |finding: Finding, name: &str| match facts.place(name) {
        Some(place) => finding
            .remedy(format!("take the line out of {place}"))
            .at(place),
        None => finding,
    };
    if facts
        .values
        .get("substitute")
        .is_some_and(|value| value == "false")
    {
        let finding = Finding::new(
            Code::SubstituteOff,
            "`substitute` is false",
            "Nix asks no cache and builds everything",
        );
        found.push(place(finding, "substitute").remedy("or once: --option substitute true"));
    }
    if facts.refused.is_none() && facts.words("substituters").next().is_none() {
        let finding = Finding::new(
            Code::NoSubstituters,
            "`substituters` is empty",
            "there is no cache that Nix could ask",
        );
        found.push(place(finding, "substituters"));
    }
    if facts.words("trusted-users").any(|word| word == "*") {
        let finding = Finding::new(
            Code::TrustedEverybody,
            "`trusted-users` holds `*`",
            "every user of this machine can become root through the daemon",
        );
        let finding =
            finding.remedy("name the users; for caches, `trusted-substituters` is enough");
        found.push(match facts.place("trusted-users") {
            Some(place) => finding.at(place),
            None => finding,
        });
    }
    if let Some(file) = &facts.flake_config
        && facts
            .values
            .get("accept-flake-config")
            .is_none_or(|value| value != "true")
        && !facts
            .caches
            .iter()
            .any(|cache| cache.name.is_some() && cache.in_settings)
    {
        found.push(
            Finding::new(
                Code::FlakeConfigIgnored,
                format!("the caches in `nixConfig` of {file} count only for who accepts them"),
                "Nix asks about each setting, and without a terminal leaves them out",
            )
            .at(file)
            .remedy("nanna-cache setup --apply    # settings that need no answer")
            .remedy("or once: --accept-flake-config"),
        );
    }
    found
}

fn not_in_settings(facts: &Facts) -> impl Iterator<Item = Finding> {
    let missing = facts
        .caches
        .iter()
        .filter(|cache| !cache.in_settings && facts.refused.is_none());
    missing.filter_map(|cache| {
        let name = cache.name.as_ref()?;
        Some(
            Finding::new(
                Code::NotInSettings,
                format!("the cache {name} of cache.yaml is not among Nix's substituters"),
                "Nix never asks it",
            )
            .at(cache.base())
            .remedy("nanna-cache doctor --fix")
            .mended_by([fragment_address(), nix_conf_address()]),
        )
    })
}

/// What a daemon drops that does not trust the user.
fn trust(facts: &Facts) -> Vec<Finding> {
    if !facts.daemon || facts.trusted {
        return Vec::new();
    }
    let of_machine = |name: &str| facts.machine_conf.words(name).unwrap_or_default();
    let known: BTreeSet<String> = of_machine("substituters")
        .into_iter()
        .chain(of_machine("trusted-substituters"))
        .map(|url| url.trim_end_matches('/').to_owned())
        .collect();
    let user = &facts.user;
    let mut found = Vec::new();
    let place = |finding: Finding, name: &str| match facts.place(name) {
        Some(place) => finding.at(place),
        None => finding,
    };
    for url in facts.words("substituters") {
        if !known.contains(url.trim_end_matches('/')) {
            let finding = Finding::new(
                Code::SubstituterNotTrusted,
                format!("the daemon does not let {user} add the substituter {url}"),
                "it is ignored: the user is not in `trusted-users`, the URL not in `trusted-substituters`",
            );
            found.push(
                place(finding, "substituters")
                    .remedy("an administrator adds to the machine's nix.conf:")
                    .remedy(format!("extra-trusted-substituters = {url}"))
                    .remedy("sudo systemctl restart nix-daemon"),
            );
        }
    }
    let keys = of_machine("trusted-public-keys");
    for key in facts.words("trusted-public-keys") {
        if !keys.iter().any(|known| known == key) {
            let name = key.split(':').next().unwrap_or(key);
            let finding = Finding::new(
                Code::KeyNotTrusted,
                format!("the daemon does not let {user} add the key {name}"),
                "it is ignored without a word, and so is every path that only this key signed",
            );
            found.push(
                place(finding, "trusted-public-keys")
                    .remedy("an administrator adds to the machine's nix.conf:")
                    .remedy(format!("extra-trusted-public-keys = {key}"))
                    .remedy("sudo systemctl restart nix-daemon"),
            );
        }
    }
    found
}
