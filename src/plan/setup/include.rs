//! The one line in nix.conf that is ours.

use std::collections::BTreeSet;

use super::fragment::TUNING;
use super::{section, step, why_not_edit, why_not_make};
use crate::nix::conf::{ConfFile, Content, ensure_include};
use crate::plan::address::{Phase, fragment_address, nix_conf_address};
use crate::plan::change::Changes;
use crate::plan::desired::{ConfFiles, Desired};
use crate::plan::observed::{Observation, Observed};
use crate::plan::plan::{Advice, Unknown};
use crate::plan::step::{Op, Scope};

/// Name of the settings fragment beside nix.conf.
const FRAGMENT: &str = "nanna-cache.conf";

/// The one line in nix.conf that is ours.
pub(super) fn line(
    desired: &Desired,
    observed: &Observed,
    conf: &ConfFiles,
    changes: &mut Changes,
) {
    let path = conf.nix_conf.as_str();
    let because = desired.because("nix.conf includes the fragment", "/setup/nix-conf");
    let line = format!("!include {FRAGMENT}");
    let (before, text) = match observed.files.get(path) {
        Some(Observation::Absent) => (None, ""),
        Some(Observation::Present(file)) => (Some(file.text.clone()), file.text.as_str()),
        Some(Observation::Unknown(why) | Observation::Error(why)) => {
            changes.unknowns.push(Unknown {
                what: path.to_owned(),
                why: why.clone(),
                effect: "it is not edited".to_owned(),
            });
            return;
        }
        None => return,
    };
    let Some(after) = with_line(text, conf) else {
        return;
    };
    if let Some(line) = first_malformed(text) {
        changes.advice.push(Advice {
            phase: Phase::Setup,
            about: path.to_owned(),
            text: format!(
                "Nix refuses line {line} of it and does not start: mend that, then run again"
            ),
            lines: Vec::new(),
            because,
        });
        return;
    }
    let why = match observed.files.get(path) {
        Some(Observation::Present(file)) => why_not_edit(file),
        _ => why_not_make(observed, path),
    };
    if let Some(why) = why {
        changes.advice.push(Advice {
            phase: Phase::Setup,
            about: path.to_owned(),
            text: why,
            lines: vec![format!("!include {}", conf.fragment)],
            because,
        });
        return;
    }
    let op = Op::EditFile {
        path: path.to_owned(),
        before,
        after,
    };
    let mut edit = step(nix_conf_address(), Scope::Machine, op, because);
    edit.waits_for = vec![fragment_address()];
    changes.steps.push(edit);
    let daemon = observed.nix.present().is_some_and(|nix| nix.daemon);
    if daemon && !conf.user {
        changes.advice.push(Advice {
            phase: Phase::Setup,
            about: "nix-daemon".to_owned(),
            text: format!("it reads {line} only when it starts: restart it after the apply"),
            lines: vec!["systemctl restart nix-daemon".to_owned()],
            because: desired.because("nix.conf changes", "/setup/nix-conf"),
        });
    }
}

/// The first line that Nix itself refuses; with one, the file is not in effect and not edited.
fn first_malformed(text: &str) -> Option<usize> {
    let file = ConfFile::parse(text);
    let at = file
        .lines()
        .iter()
        .position(|line| matches!(line.content, Content::Malformed(_)))?;
    Some(at + 1)
}

/// The text with our line; `None`: it includes the fragment already, by its name or (where somebody else
/// keeps the settings) by its whole path.
fn with_line(text: &str, conf: &ConfFiles) -> Option<String> {
    let whole = ConfFile::parse(text)
        .includes_of(conf.fragment.as_str())
        .next();
    if whole.is_some() {
        return None;
    }
    ensure_include(text, FRAGMENT)
}

/// Whether nix.conf includes our fragment now.
pub(in crate::plan) fn is_included(observed: &Observed, conf: &ConfFiles) -> bool {
    let file = observed
        .files
        .get(conf.nix_conf.as_str())
        .and_then(Observation::present);
    file.is_some_and(|file| with_line(&file.text, conf).is_none())
}

/// Whether Nix reads the tuning file now.
pub(in crate::plan) fn is_tuning_included(observed: &Observed, conf: &ConfFiles) -> bool {
    in_effect(observed, conf).is_some_and(|text| {
        let line = format!("!include {TUNING}");
        text.lines().any(|each| each.trim() == line)
    })
}

/// The words that this project's section of our fragment adds to a list setting now.
pub(in crate::plan) fn added_by_project(
    desired: &Desired,
    observed: &Observed,
    conf: &ConfFiles,
    setting: &str,
) -> BTreeSet<String> {
    let Some(text) = in_effect(observed, conf) else {
        return BTreeSet::new();
    };
    let own = section::lines(text, &desired.config.project).unwrap_or_default();
    added(own, setting).collect()
}

/// The words that our fragment, all projects together, adds to a list setting now.
pub(super) fn added_by_all(observed: &Observed, conf: &ConfFiles, setting: &str) -> Vec<String> {
    in_effect(observed, conf)
        .map(|text| added(text.lines(), setting).collect())
        .unwrap_or_default()
}

/// The text of our fragment, if nix.conf includes it.
fn in_effect<'o>(observed: &'o Observed, conf: &ConfFiles) -> Option<&'o str> {
    let file = observed.files.get(conf.fragment.as_str())?.present()?;
    is_included(observed, conf).then_some(file.text.as_str())
}

fn added<'t>(
    lines: impl IntoIterator<Item = &'t str>,
    setting: &str,
) -> impl Iterator<Item = String> {
    let start = format!("extra-{setting} = ");
    lines
        .into_iter()
        .filter_map(move |line| line.strip_prefix(&start))
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
}
