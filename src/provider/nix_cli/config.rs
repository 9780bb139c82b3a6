//! The effective settings, as Nix itself has them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::run::{Nix, NixError, QUICK, succeeded, wants_feature};

impl Nix {
    /// The effective settings by main name, each as nix.conf would write it.
    ///
    /// A user without the `nix-command` feature gets it for this one question; it does not show
    /// in the answer.
    ///
    /// # Errors
    /// Nix rejects its configuration (the message then names what it stumbled over), or does not
    /// answer.
    pub fn show_config(&self) -> Result<BTreeMap<String, String>, NixError> {
        let what = "read the settings of Nix";
        let words: &[&str] = if self.at_least(2, 20) {
            &["config", "show"]
        } else {
            &["show-config"]
        };
        let ask = |feature: bool, json: bool| {
            let mut command = self.command().args(words.iter().copied());
            if json {
                command = command.arg("--json");
            }
            if feature {
                command = command.args(["--extra-experimental-features", "nix-command"]);
            }
            succeeded(what, command.time_limit(QUICK).output()?)
        };
        let (text, lent) = match ask(false, true) {
            Ok(text) => (text, false),
            Err(error) if wants_feature(&error) => (ask(true, true)?, true),
            Err(error) => return Err(error),
        };
        let odd = |message: &str| NixError::Answer {
            what: what.to_owned(),
            message: message.to_owned(),
        };
        let value: Value = serde_json::from_str(&text).map_err(|error| odd(&error.to_string()))?;
        let object = value.as_object().ok_or_else(|| odd("not an object"))?;
        let mut settings: BTreeMap<String, String> = object
            .iter()
            .filter_map(|(name, setting)| Some((name.clone(), line(setting.get("value")?))))
            .collect();
        let features = "experimental-features";
        // 2.8 prints numbers there, whose meaning changes from version to version.
        if settings
            .get(features)
            .is_some_and(|words| words.starts_with(|c: char| c.is_ascii_digit()))
        {
            let plain = ask(lent, false)?;
            let named = plain
                .lines()
                .find_map(|line| line.strip_prefix("experimental-features ="));
            settings.insert(
                features.to_owned(),
                named.unwrap_or_default().trim().to_owned(),
            );
        }
        if lent && let Some(words) = settings.get_mut(features) {
            let own: Vec<&str> = words
                .split_whitespace()
                .filter(|word| *word != "nix-command")
                .collect();
            *words = own.join(" ");
        }
        Ok(settings)
    }

    /// Whether the daemon trusts this user, where this Nix can say so (2.19 and later).
    ///
    /// # Errors
    /// The store does not answer.
    pub fn trusted(&self) -> Result<Option<bool>, NixError> {
        if !self.at_least(2, 19) {
            return Ok(None);
        }
        let what = "ask the store whether it trusts us";
        let command = self.with_features(None).args(["store", "info", "--json"]);
        let text = succeeded(what, command.time_limit(QUICK).output()?)?;
        let value: Value = serde_json::from_str(&text).map_err(|error| NixError::Answer {
            what: what.to_owned(),
            message: error.to_string(),
        })?;
        Ok(value.get("trusted").and_then(|trusted| match trusted {
            Value::Bool(trusted) => Some(*trusted),
            Value::Number(number) => number.as_i64().map(|number| number != 0),
            _ => None,
        }))
    }
}

/// A value as nix.conf writes it.
fn line(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(list) => list.iter().map(line).collect::<Vec<_>>().join(" "),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| format!("{key}={}", line(value)))
            .collect::<Vec<_>>()
            .join(" "),
    }
}
