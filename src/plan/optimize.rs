//! The optimize phase: tuning that takes effect, the order of asking, and warming.
//!
//! Settings stand in `nanna-cache-tuning.conf`, which is ours and which `nanna-cache.conf` includes
//! last; in a job of GitHub Actions they also go to the later steps, by the environment file.

mod order;
mod warm;

use std::collections::BTreeSet;

use super::address::{Address, Phase, tuning_address};
use super::change::Changes;
use super::desired::{ConfFiles, Desired, expand};
use super::observed::{NixFacts, Observation, Observed};
use super::plan::Advice;
use super::setup::{self, section};
use super::step::{Effect, Known, Op, Scope, Step};
use crate::config::model::{Jobs, NixConf, Optimize};
use crate::nix::store_path::{HashPart, StorePath};

/// Plans tuning and warming.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Changes {
    let mut changes = Changes::default();
    let settings = settings(&desired.config.optimize, observed.nix.present());
    if let Some(conf) = &desired.conf {
        tuning_file(desired, observed, conf, &settings, &mut changes);
        not_included(desired, observed, conf, &settings, &mut changes);
        order::compare(desired, observed, conf, &mut changes);
    }
    export(desired, observed, &settings, &mut changes);
    for installable in warm_outputs(desired) {
        warm::step(desired, observed, &installable, &mut changes);
    }
    changes
}

/// The paths of outputs to be warmed, for the questions to upstreams.
#[must_use]
pub fn questions(desired: &Desired, observed: &Observed) -> BTreeSet<HashPart> {
    warm_outputs(desired)
        .iter()
        .filter_map(|installable| observed.outputs.get(installable)?.present())
        .flat_map(|facts| facts.outputs.values().map(StorePath::hash))
        .collect()
}

/// The outputs to be warmed on this machine: `{system}` stands for its own.
#[must_use]
pub fn warm_outputs(desired: &Desired) -> Vec<String> {
    let own: Vec<String> = desired
        .config
        .systems
        .iter()
        .filter(|system| **system == desired.site.system)
        .cloned()
        .collect();
    let outputs = desired.config.optimize.warm.iter();
    outputs.flat_map(|output| expand(output, &own)).collect()
}

/// The settings that are tuned, as nix.conf names and writes them.
pub(super) fn settings(tuning: &Optimize, nix: Option<&NixFacts>) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: Option<String>| {
        settings.extend(value.map(|value| (name.to_owned(), value)));
    };
    set(
        "max-jobs",
        tuning.max_jobs.map(|jobs| match jobs {
            Jobs::Auto => "auto".to_owned(),
            Jobs::Count(count) => count.to_string(),
        }),
    );
    set("cores", tuning.cores.map(|cores| cores.to_string()));
    set(
        "http-connections",
        tuning.http_connections.map(|count| count.to_string()),
    );
    if nix.is_none_or(knows_substitution_jobs) {
        let jobs = tuning.max_substitution_jobs;
        set("max-substitution-jobs", jobs.map(|count| count.to_string()));
    }
    let positive = tuning.narinfo_ttl_positive;
    set(
        "narinfo-cache-positive-ttl",
        positive.map(|span| span.0.to_string()),
    );
    let negative = tuning.narinfo_ttl_negative;
    set(
        "narinfo-cache-negative-ttl",
        negative.map(|span| span.0.to_string()),
    );
    let further = tuning.nix_settings.iter();
    settings.extend(further.map(|(name, value)| (name.clone(), value.clone())));
    settings
}

/// `max-substitution-jobs` came with Nix 2.16; an older Nix warns of it in every command.
fn knows_substitution_jobs(nix: &NixFacts) -> bool {
    let Some(version) = &nix.version else {
        return true;
    };
    let mut parts = version
        .split(['.', '-', '_', '+', 'p'])
        .map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (2, 16)
}

fn tuning_file(
    desired: &Desired,
    observed: &Observed,
    conf: &ConfFiles,
    settings: &[(String, String)],
    changes: &mut Changes,
) {
    let path = conf.tuning.as_str();
    let known = observed.files.get(path);
    let project = desired.config.project.as_str();
    let has_section = known
        .and_then(Observation::present)
        .is_some_and(|file| section::lines(&file.text, project).is_some());
    if settings.is_empty() && !has_section {
        return;
    }
    let (before, why) = match setup::own_file(path, tuning_address(), observed, changes) {
        setup::Own::Write(before) => (before, None),
        setup::Own::Ask(before, why) => (before, Some(why)),
        setup::Own::Leave => return,
    };
    let lines: Vec<String> = settings
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let after = section::with(before.as_deref(), project, &lines, None);
    let mine = beaten(desired, &after, settings, changes);
    beats(desired, &after, &mine, changes);
    if before.as_deref() == Some(after.as_str()) {
        check_effect(desired, observed, conf, &mine, changes);
        return;
    }
    if let Some(why) = why {
        let because = desired.because("the settings of optimize", "/optimize");
        setup::ask(Phase::Optimize, path, (why, &after), because, changes);
        return;
    }
    changes.steps.push(Step {
        address: tuning_address(),
        phase: Phase::Optimize,
        scope: Scope::Machine,
        because: desired.because("the settings of optimize", "/optimize"),
        effect: Effect::default(),
        known: Known::Now,
        revision: None,
        waits_for: Vec::new(),
        op: Op::WriteFile {
            path: path.to_owned(),
            before,
            after,
        },
    });
}

/// Where setup is not part of what is asked for, nothing makes Nix read the file: it is to be said.
fn not_included(
    desired: &Desired,
    observed: &Observed,
    conf: &ConfFiles,
    settings: &[(String, String)],
    changes: &mut Changes,
) {
    let elsewhere = matches!(
        desired.config.setup.nix_conf,
        NixConf::Dir(_) | NixConf::None
    ) || observed.environment.github_env.is_some();
    if desired.has(Phase::Setup)
        || elsewhere
        || settings.is_empty()
        || setup::is_tuning_included(observed, conf)
    {
        return;
    }
    changes.advice.push(Advice {
        phase: Phase::Optimize,
        about: conf.tuning.to_string(),
        text: "nothing includes it yet, so Nix does not use these settings: run setup as well"
            .to_owned(),
        lines: vec!["nanna-cache setup --apply".to_owned()],
        because: desired.because("the settings of optimize", "/optimize"),
    });
}

/// The settings that no other project sets otherwise further down; of those that one does, advice.
fn beaten(
    desired: &Desired,
    text: &str,
    settings: &[(String, String)],
    changes: &mut Changes,
) -> Vec<(String, String)> {
    let later = section::later(text, &desired.config.project);
    let mut mine = Vec::new();
    for (name, value) in settings {
        let winner = later
            .iter()
            .filter_map(|(project, line)| {
                let (other, value) = line.split_once('=')?;
                (other.trim() == name).then_some((project, value.trim()))
            })
            .next_back()
            .filter(|(_, other)| !same_value(other, value));
        let Some((project, other)) = winner else {
            mine.push((name.clone(), value.clone()));
            continue;
        };
        changes.advice.push(Advice {
            phase: Phase::Optimize,
            about: name.clone(),
            text: format!(
                "the project {project} sets it to `{other}` on this machine, too, and wins over `{value}`, \
                 because its section comes later"
            ),
            lines: Vec::new(),
            because: desired.because(format!("{name} is tuned"), "/optimize"),
        });
    }
    mine
}

/// Says which settings of other projects these undo: they count for the whole machine.
fn beats(desired: &Desired, text: &str, mine: &[(String, String)], changes: &mut Changes) {
    let earlier = section::earlier(text, &desired.config.project);
    for (name, value) in mine {
        let loser = earlier
            .iter()
            .filter_map(|(project, line)| {
                let (other, value) = line.split_once('=')?;
                (other.trim() == name).then_some((project, value.trim()))
            })
            .next_back()
            .filter(|(_, other)| *other != value);
        let Some((project, other)) = loser else {
            continue;
        };
        changes.advice.push(Advice {
            phase: Phase::Optimize,
            about: name.clone(),
            text: format!(
                "`{value}` wins over `{other}` of the project {project} on this machine, because its \
                 section comes first"
            ),
            lines: Vec::new(),
            because: desired.because(format!("{name} is tuned"), "/optimize"),
        });
    }
}

/// Where the file is as it should be, but Nix sees another value all the same.
fn check_effect(
    desired: &Desired,
    observed: &Observed,
    conf: &ConfFiles,
    settings: &[(String, String)],
    changes: &mut Changes,
) {
    if matches!(
        desired.config.setup.nix_conf,
        NixConf::Dir(_) | NixConf::None
    ) {
        return;
    }
    let Some(nix) = observed.nix.present() else {
        return;
    };
    let included = setup::is_included(observed, conf);
    for (name, wanted) in settings.iter().filter(|_| included) {
        let Some(effective) = nix.settings.get(name) else {
            continue;
        };
        if same_value(&effective.value, wanted) {
            continue;
        }
        let winner = effective
            .origins
            .last()
            .cloned()
            .unwrap_or_else(|| "a default".to_owned());
        changes.advice.push(Advice {
            phase: Phase::Optimize,
            about: name.clone(),
            text: format!(
                "Nix uses `{}`, not `{wanted}`: {winner} wins",
                effective.value
            ),
            lines: Vec::new(),
            because: desired.because(format!("{name} is tuned"), "/optimize"),
        });
    }
}

fn same_value(effective: &str, wanted: &str) -> bool {
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    // `auto` is printed as the number of CPUs, and a size in bytes.
    wanted == "auto"
        || words(effective) == words(wanted)
        || bytes(wanted).is_some_and(|wanted| bytes(effective) == Some(wanted))
}

/// A number as Nix reads it, with `K`, `M`, `G` or `T` behind it.
fn bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().last()? {
        (at, 'K' | 'k') => (&text[..at], 10),
        (at, 'M' | 'm') => (&text[..at], 20),
        (at, 'G' | 'g') => (&text[..at], 30),
        (at, 'T' | 't') => (&text[..at], 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Whether a line stands in the text, and no later one gives its setting another value.
fn is_in_effect(text: &str, line: &str) -> bool {
    let name = |line: &str| line.split('=').next().unwrap_or(line).trim().to_owned();
    let last = text
        .lines()
        .rfind(|other| name(other) == name(line))
        .map(str::trim);
    last == Some(line)
}

/// Hands the settings to the later steps of a job.
fn export(
    desired: &Desired,
    observed: &Observed,
    settings: &[(String, String)],
    changes: &mut Changes,
) {
    let Some(file) = &observed.environment.github_env else {
        return;
    };
    let mut lines: Vec<String> = settings
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    if let (Some(conf), NixConf::Dir(_)) = (&desired.conf, &desired.config.setup.nix_conf) {
        lines.insert(0, format!("!include {}", conf.fragment));
    }
    let before = &observed.environment.nix_config;
    let missing: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| !is_in_effect(before, line))
        .collect();
    if missing.is_empty() {
        return;
    }
    let mut after = before.clone();
    for line in missing {
        if !after.is_empty() && !after.ends_with('\n') {
            after.push('\n');
        }
        after.push_str(line);
    }
    changes.steps.push(Step {
        address: Address::new(Phase::Optimize, "job", "NIX_CONFIG"),
        phase: Phase::Optimize,
        scope: Scope::Machine,
        because: desired.because(
            "later steps of this job have to see the settings",
            "/optimize",
        ),
        effect: Effect::default(),
        known: Known::Now,
        revision: None,
        waits_for: Vec::new(),
        op: Op::ExportVariable {
            file: file.clone(),
            name: "NIX_CONFIG".to_owned(),
            before: before.clone(),
            after,
        },
    });
}

#[cfg(test)]
mod tests;
