//! `optimize`.

use indexmap::IndexMap;

use super::push::unknown_word;
use super::settings::{self, Kind};
use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::model::{Jobs, Optimize};
use crate::config::nearest::nearest;
use crate::config::problem::Problem;
use crate::config::raw::RawConfig;
use crate::config::raw::forms::{RawJobs, RawSetting};
use crate::config::units::Span;

/// Settings that have a word of their own: name (without `extra-`), and that word.
const MANAGED: [(&str, &str); 12] = [
    ("substituters", "caches"),
    ("trusted-substituters", "caches"),
    ("trusted-public-keys", "caches.NAME.public-keys"),
    ("max-jobs", "optimize.max-jobs"),
    ("cores", "optimize.cores"),
    ("http-connections", "optimize.http-connections"),
    ("max-substitution-jobs", "optimize.max-substitution-jobs"),
    ("narinfo-cache-positive-ttl", "optimize.narinfo-ttl.positive"),
    ("narinfo-cache-negative-ttl", "optimize.narinfo-ttl.negative"),
    ("secret-key-files", "caches.NAME.signing-key"),
    ("include", "setup.nix-conf"),
    ("!include", "setup.nix-conf"),
];

/// Settings that must not come from a shared file, and why.
const UNSAFE: [(&str, &str); 6] = [
    ("require-sigs", "without it Nix takes paths that nobody has signed"),
    ("trusted-users", "a trusted user is as good as root on the machine"),
    ("allowed-users", "it decides who may use the machine's Nix"),
    ("access-tokens", "its value is a secret, and this file is read by everybody"),
    ("accept-flake-config", "any flake could then change the settings of Nix"),
    ("post-build-hook", "it runs a program as root after each build"),
];

/// Checks `optimize`.
pub(in crate::config) fn check(check: &mut Check<'_>, raw: &RawConfig) -> Optimize {
    let raw_optimize = &raw.optimize;
    let max_jobs = raw_optimize.max_jobs.as_ref().map(|jobs| match jobs {
        RawJobs::Count(count) => Jobs::Count(*count),
        RawJobs::Word(word) => {
            if word != "auto" {
                unknown_word(check, "/optimize/max-jobs", word, &["auto"], "a number, or `auto`");
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
        text.as_ref().and_then(|text| check.span(&pointer, text)).map(|span: Span| span)
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

fn nix_settings(check: &mut Check<'_>, raw: &IndexMap<String, RawSetting>) -> IndexMap<String, String> {
    let mut settings = IndexMap::new();
    for (name, value) in raw {
        let pointer = below("/optimize/nix-settings", name);
        if let Some(problem) = forbidden(name) {
            check.report(problem.at(check.entry(&pointer), ""));
            continue;
        }
        let Some(kind) = settings::kind(name) else {
            let help = match nearest(name, settings::names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`nix config show` lists what your Nix knows".to_owned(),
            };
            let problem = Problem::new(Code::UnknownNixSetting, format!("no Nix knows a setting `{name}`"));
            check.report(problem.at(check.entry(&pointer), "").help(help));
            continue;
        };
        match written(kind, value) {
            Ok(text) => {
                settings.insert(name.clone(), text);
            }
            Err(wanted) => {
                let problem = Problem::new(Code::InvalidNixSetting, format!("Nix would refuse this value of `{name}`"));
                check.report(problem.at(check.value(&pointer), "").help(format!("`{name}` takes {wanted}")));
            }
        }
    }
    settings
}

/// Why a setting must not stand here, if it must not.
fn forbidden(name: &str) -> Option<Problem> {
    let name = settings::canonical(name);
    let plain = name.strip_prefix("extra-").unwrap_or(name);
    let plain = settings::canonical(plain);
    if let Some((_, word)) = MANAGED.iter().find(|(managed, _)| *managed == plain) {
        let problem = Problem::new(Code::ManagedNixSetting, format!("`{plain}` is not set here"));
        return Some(problem.help(format!("say it by `{word}`, so that there is one place for it")));
    }
    let (_, why) = UNSAFE.iter().find(|(each, _)| *each == plain)?;
    let problem = Problem::new(Code::UnsafeNixSetting, format!("`{plain}` cannot be set by a project"));
    Some(problem.help(format!("{why}; who runs the machine sets it in /etc/nix/nix.conf")))
}

/// The value as nix.conf has it, or what Nix wants instead.
fn written(kind: Kind, value: &RawSetting) -> Result<String, &'static str> {
    let words = |items: &[String]| {
        let word = |item: &String| !item.is_empty() && !item.contains(char::is_whitespace) && !item.contains('#');
        items.iter().all(word).then(|| items.join(" "))
    };
    let line = |text: &str| !text.contains(char::is_control) && !text.contains('#') && text.trim() == text;
    match (kind, value) {
        (Kind::Bool, RawSetting::Bool(value)) => Ok(value.to_string()),
        (Kind::Bool, _) => Err("`true` or `false`"),
        (Kind::Sandbox, RawSetting::Bool(value)) => Ok(value.to_string()),
        (Kind::Sandbox, RawSetting::Text(text)) if text == "relaxed" => Ok(text.clone()),
        (Kind::Sandbox, _) => Err("`true`, `false` or `relaxed`"),
        (Kind::Integer, RawSetting::Number(number)) if *number >= 0 => Ok(number.to_string()),
        (Kind::Integer, _) => Err("a whole number without unit"),
        (Kind::List, RawSetting::List(items)) => words(items).ok_or("a list of words without blanks"),
        (Kind::List, RawSetting::Text(text)) if line(text) => Ok(text.clone()),
        (Kind::List, _) => Err("a list of words, or one text"),
        (Kind::Text, RawSetting::Text(text)) if line(text) => Ok(text.clone()),
        (Kind::Text, _) => Err("a text on one line, without `#`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_nix_reads_them() {
        let text = |text: &str| RawSetting::Text(text.to_owned());
        let list = |items: &[&str]| RawSetting::List(items.iter().map(ToString::to_string).collect());
        assert_eq!(written(Kind::Bool, &RawSetting::Bool(true)), Ok("true".to_owned()));
        assert_eq!(written(Kind::List, &list(&["a", "b"])), Ok("a b".to_owned()));
        assert_eq!(written(Kind::Sandbox, &text("relaxed")), Ok("relaxed".to_owned()));
        assert_eq!(written(Kind::Integer, &RawSetting::Number(300)), Ok("300".to_owned()));
        for (kind, value) in [
            (Kind::Bool, text("yes")), (Kind::Sandbox, text("yes")), (Kind::Integer, RawSetting::Number(-1)),
            (Kind::Integer, text("1G")), (Kind::List, list(&["a b"])), (Kind::Text, text("a\nsubstituters = x")),
            (Kind::Text, text("a # b")), (Kind::List, text("a\nb")), (Kind::Text, list(&["a"])),
        ] {
            assert!(written(kind, &value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn other_names_of_a_setting_are_forbidden_too() {
        for name in ["substituters", "extra-substituters", "binary-caches", "extra-binary-caches", "build-max-jobs", "require-sigs"] {
            assert!(forbidden(name).is_some(), "{name}");
        }
        assert!(forbidden("keep-outputs").is_none());
    }
}
