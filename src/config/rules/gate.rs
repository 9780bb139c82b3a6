//! `push.secrets`.

use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::gate::{Allow, OnSecret, SecretRule, Secrets, glob};
use crate::config::problem::Problem;
use crate::config::raw::RawConfig;
use crate::config::raw::gate::{RawAllow, RawOnSecret};

/// Checks `push.secrets`.
pub(super) fn secrets(check: &mut Check<'_>, raw: &RawConfig) -> Secrets {
    let raw = &raw.push.secrets;
    let allow = raw.allow.iter().enumerate();
    Secrets {
        on_public: on_secret(raw.on_public),
        on_private: on_secret(raw.on_private),
        allow: allow
            .filter_map(|(at, raw)| {
                allowed(check, &below("/push/secrets/allow", at.to_string()), raw)
            })
            .collect(),
    }
}

const fn on_secret(raw: RawOnSecret) -> OnSecret {
    match raw {
        RawOnSecret::Refuse => OnSecret::Refuse,
        RawOnSecret::Warn => OnSecret::Warn,
        RawOnSecret::Off => OnSecret::Off,
    }
}

fn allowed(check: &mut Check<'_>, pointer: &str, raw: &RawAllow) -> Option<Allow> {
    if raw.path.is_none() && raw.rule.is_none() && raw.fingerprint.is_none() {
        if check.intact(pointer) {
            let problem = Problem::new(Code::InvalidValue, "this would let every secret pass");
            let problem = problem.at(check.value(pointer), "");
            check.report(problem.help("say which: `path`, `rule`, `fingerprint`, or several"));
        }
        return None;
    }
    let path = match raw.path.as_deref().map(glob) {
        Some(Ok(path)) => Some(path),
        None => None,
        // Too large to be compiled.
        Some(Err(_)) => {
            let problem = Problem::new(Code::InvalidGlob, "the glob is too large");
            check.report(problem.at(check.value(&below(pointer, "path")), ""));
            return None;
        }
    };
    Some(Allow {
        path,
        // The schema has refused other names.
        rule: raw.rule.as_deref().and_then(SecretRule::named),
        fingerprint: raw.fingerprint.clone(),
        reason: raw.reason.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read;

    fn file(secrets: &str) -> String {
        format!(
            "version: 1\nproject: demo\ncaches: {{ dev: {{ type: file, path: out, signing-key: {{ file: k }} }} }}\n\
             artifacts: {{ all: {{ priority: 10, default: true }} }}\npush: {{ secrets: {secrets} }}\n"
        )
    }

    #[test]
    fn what_is_let_pass_is_read() {
        let text = file(
            "{ on-public: warn, on-private: 'off', allow: [{ path: 'a-*/x', rule: jwt, fingerprint: 00112233aabbccdd, reason: r }] }",
        );
        let Ok((config, _)) = read("cache.yaml", text.as_bytes()) else {
            panic!("it is valid")
        };
        let secrets = config.push.secrets;
        assert_eq!(secrets.on_public, OnSecret::Warn);
        assert_eq!(secrets.on_private, OnSecret::Off);
        let allow = &secrets.allow[0];
        assert!(allow.fits("a-1/x", SecretRule::Jwt, "00112233aabbccdd"));
        assert!(!allow.fits("b-1/x", SecretRule::Jwt, "00112233aabbccdd"));
    }

    #[test]
    fn what_would_let_everything_pass_is_refused() {
        for (secrets, why) in [
            ("{ allow: [{ reason: r }] }", "would let every secret pass"),
            ("{ allow: [{ rule: jwt }] }", "reason"),
            ("{ allow: [{ rule: jwd, reason: r }] }", "jwd"),
            (
                "{ allow: [{ fingerprint: 00, reason: r }] }",
                "invalid-value",
            ),
            ("{ on-public: no }", "on-public"),
        ] {
            let Err(problems) = read("cache.yaml", file(secrets).as_bytes()) else {
                panic!("{secrets} is not valid")
            };
            let said = format!("{:?}", problems.located());
            assert!(said.contains(why), "{secrets}: {said}");
        }
    }
}
