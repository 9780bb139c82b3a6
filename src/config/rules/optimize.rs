//! `optimize`.

use indexmap::IndexMap;

use super::push::unknown_word;
use crate::config::check::{Check, below, list};
use crate::config::code::Code;
use crate::config::model::{Jobs, Optimize};
use crate::config::problem::Problem;
use crate::config::raw::RawConfig;
use crate::config::raw::forms::{RawJobs, RawSetting};
use crate::config::units::Span;
use crate::nix::settings::{self, Kind};

/// Settings that have a word of their own: name (without `extra-`), and that word.
const MANAGED: [(&str, &str); 12] = [
    ("substituters", "caches"),
    ("trusted-substituters", "caches"),
    ("trusted-public-keys", "caches.NAME.public-keys"),
    ("max-jobs", "optimize.max-jobs"),
    ("cores", "optimize.cores"),
    ("http-connections", "optimize.http-connections"),
    ("max-substitution-jobs", "optimize.max-substitution-jobs"),
    (
        "narinfo-cache-positive-ttl",
        "optimize.narinfo-ttl.positive",
    ),
    (
        "narinfo-cache-negative-ttl",
        "optimize.narinfo-ttl.negative",
    ),
    ("secret-key-files", "caches.NAME.signing-key"),
    ("include", "setup.nix-conf"),
    ("!include", "setup.nix-conf"),
];

/// Settings that must not come from a shared file, and why.
const UNSAFE: [(&str, &str); 6] = [
    (
        "require-sigs",
        "without it Nix takes paths that nobody has signed",
    ),
    (
        "trusted-users",
        "a trusted user is as good as root on the machine",
    ),
    ("allowed-users", "it decides who may use the machine's Nix"),
    (
        "access-tokens",
        "its value is a secret, and this file is read by everybody",
    ),
    (
        "accept-flake-config",
        "any flake could then change the settings of Nix",
    ),
    (
        "post-build-hook",
        "it runs a program as root after each build",
    ),
];

/// Checks `optimize`.
pub(in crate::config) fn check(check: &mut Check<'_>, raw: &RawConfig) -> Optimize {
    let raw_optimize = &raw.optimize;
    let max_jobs = raw_optimize.max_jobs.as_ref().map(|jobs| match jobs {
        RawJobs::Count(count) => Jobs::Count(*count),
        RawJobs::Word(word) => {
            if word != "auto" {
                unknown_word(
                    check,
                    "/optimize/max-jobs",
                    word,
                    &["auto"],
                    "a number, or `auto`",
                );
            }
            Jobs::Auto
        }
    });
    for (at, output) in raw_optimize.warm.iter().enumerate() {
        let pointer = below("/optimize/warm", at.to_string());
        check.installable(&pointer, output, !raw.systems.is_empty());
    }
    let ttl = |check: &mut Check<'_>, key: &str, text: &Option<String>| {
        let pointer = below("/optimize/narinfo-ttl", key);
        text.as_ref()
            .and_then(|text| check.span(&pointer, text))
            .map(|span: Span| span)
    };
    Optimize {
        max_jobs,
        cores: raw_optimize.cores,
        http_connections: raw_optimize.http_connections,
        max_substitution_jobs: raw_optimize.max_substitution_jobs,
        narinfo_ttl_positive: ttl(check, "positive", &raw_optimize.narinfo_ttl.positive),
        narinfo_ttl_negative: ttl(check, "negative", &raw_optimize.narinfo_ttl.negative),
        nix_settings: nix_settings(check, &raw_optimize.nix_settings),
        warm: raw_optimize.warm.clone(),
    }
}

fn nix_settings(
    check: &mut Check<'_>,
    raw: &IndexMap<String, RawSetting>,
) -> IndexMap<String, String> {
    let mut settings = IndexMap::new();
    for (name, value) in raw {
        let pointer = below("/optimize/nix-settings", name);
        if let Some(problem) = forbidden(name) {
            check.report(problem.at(check.entry(&pointer), ""));
            continue;
        }
        let Some(kind) = kind_of(name) else {
            let extra = if name.starts_with("extra-") {
                "extra-"
            } else {
                ""
            };
            let help = match settings::nearest(name) {
                Some(near) => format!("did you mean `{extra}{near}`?"),
                None => "`nix config show` lists what your Nix knows".to_owned(),
            };
            let problem = Problem::new(
                Code::UnknownNixSetting,
                format!("no Nix knows a setting `{name}`"),
            );
            check.report(problem.at(check.entry(&pointer), "").help(help));
            continue;
        };
        match written(kind, value) {
            Ok(text) => {
                settings.insert(name.clone(), text);
            }
            Err(wanted) => {
                let problem = Problem::new(
                    Code::InvalidNixSetting,
                    format!("Nix would refuse this value of `{name}`"),
                );
                check.report(
                    problem
                        .at(check.value(&pointer), "")
                        .help(format!("`{name}` takes {wanted}")),
                );
            }
        }
    }
    settings
}

/// The main name of the setting that `name` sets or, after `extra-`, appends to.
fn main_name(name: &str) -> &str {
    let find = |name| settings::find(name).map(|info| info.name);
    let plain = name.strip_prefix("extra-").unwrap_or(name);
    find(name).or_else(|| find(plain)).unwrap_or(plain)
}

/// What values `name` takes; `extra-` goes before lists only.
fn kind_of(name: &str) -> Option<Kind> {
    let appended = || {
        let info = settings::find(name.strip_prefix("extra-")?)?;
        info.kind.can_append().then_some(info.kind)
    };
    settings::find(name).map(|info| info.kind).or_else(appended)
}

/// Why a setting must not stand here, if it must not.
fn forbidden(name: &str) -> Option<Problem> {
    let name = main_name(name);
    if let Some((_, word)) = MANAGED.iter().find(|(managed, _)| *managed == name) {
        let problem = Problem::new(Code::ManagedNixSetting, format!("`{name}` is not set here"));
        return Some(problem.help(format!(
            "say it by `{word}`, so that there is one place for it"
        )));
    }
    let (_, why) = UNSAFE.iter().find(|(each, _)| *each == name)?;
    let problem = Problem::new(
        Code::UnsafeNixSetting,
        format!("`{name}` cannot be set by a project"),
    );
    Some(problem.help(format!(
        "{why}; who runs the machine sets it in /etc/nix/nix.conf"
    )))
}

/// The value as nix.conf has it, or what Nix wants instead.
fn written(kind: Kind, value: &RawSetting) -> Result<String, String> {
    // A `#` begins a comment wherever it stands, and nothing can quote it.
    let word = |text: &String| {
        !text.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#')
    };
    let line =
        |text: &str| !text.contains(|c: char| c.is_control() || c == '#') && text.trim() == text;
    let wanted = |what: &str| Err(what.to_owned());
    match (kind, value) {
        (Kind::Bool, RawSetting::Bool(value)) => Ok(value.to_string()),
        (Kind::Bool, _) => wanted("`true` or `false`"),
        (Kind::Integer | Kind::IntegerOrAuto, RawSetting::Number(number)) if *number >= 0 => {
            Ok(number.to_string())
        }
        (Kind::IntegerOrAuto, RawSetting::Text(text)) if text == "auto" => Ok(text.clone()),
        (Kind::Integer | Kind::IntegerOrAuto, _) => wanted("a whole number without unit"),
        (Kind::OneOf(words), RawSetting::Bool(value))
            if words.contains(&value.to_string().as_str()) =>
        {
            Ok(value.to_string())
        }
        (Kind::OneOf(words), RawSetting::Text(text)) if words.contains(&text.as_str()) => {
            Ok(text.clone())
        }
        (Kind::OneOf(words), _) => Err(format!("one of {}", list(words))),
        (Kind::List | Kind::Set | Kind::Map, RawSetting::List(items)) if items.iter().all(word) => {
            Ok(items.join(" "))
        }
        (Kind::List | Kind::Set | Kind::Map, RawSetting::Text(text)) if line(text) => {
            Ok(text.clone())
        }
        (Kind::List | Kind::Set | Kind::Map, _) => {
            wanted("a list of words without blanks and `#`, or one text")
        }
        (Kind::Path, RawSetting::Text(text)) if text.is_empty() => wanted("a path"),
        (Kind::Path | Kind::OptionalPath | Kind::Text, RawSetting::Text(text)) if line(text) => {
            Ok(text.clone())
        }
        (Kind::Path | Kind::OptionalPath | Kind::Text, _) => {
            wanted("a text on one line, without `#`")
        }
    }
}

#[cfg(test)]
mod tests;
