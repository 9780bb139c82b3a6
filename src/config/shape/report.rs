//! What a schema error says to people.

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value as Json;

use super::{SCHEMA, indent};
use crate::config::check::{Check, below, list};
use crate::config::code::Code;
use crate::config::nearest::nearest;
use crate::config::problem::Problem;
use crate::config::raw::SIZE_OR_NONE_PATTERN;
use crate::config::units::{SHARE_PATTERN, SIZE_PATTERN, SPAN_PATTERN};

/// Reports one schema error about the value at `pointer`.
pub(super) fn report(check: &mut Check<'_>, error: &ValidationError<'_>, pointer: &str) {
    let name = pointer.rsplit('/').next().unwrap_or_default();
    let schema_path = error.schema_path().as_str();
    let schema = schema_path
        .rsplit_once('/')
        .map_or("", |(parent, _)| parent);
    let name = if name.is_empty() {
        "the file".to_owned()
    } else {
        format!("`{}`", name.replace("~1", "/").replace("~0", "~"))
    };
    let name = if name.trim_matches('`').parse::<usize>().is_ok() {
        "this item".to_owned()
    } else {
        name
    };
    let value = error.instance();
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            for key in unexpected {
                let problem = unknown_key(check, pointer, schema, key);
                check.report(problem);
            }
        }
        Kind::FalseSchema => {
            let owner = pointer.rsplit_once('/').map_or("", |(owner, _)| owner);
            let type_ = check
                .document
                .root
                .to_json()
                .pointer(&below(owner, "type"))
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned();
            let problem = Problem::new(
                Code::ForeignKey,
                format!("{name} is no key of a cache of type `{type_}`"),
            );
            let help = "take it out, or change the `type`";
            check.report(
                problem
                    .at(check.entry(pointer), "belongs to another type of cache")
                    .help(help),
            );
        }
        Kind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            let problem = missing_key(check, pointer, schema, &name, key);
            check.report(problem);
        }
        Kind::Type { kind: expected } => {
            let types: Vec<JsonType> = match expected {
                TypeKind::Single(one) => vec![*one],
                TypeKind::Multiple(set) => set.iter().collect(),
            };
            let problem = wrong_type(&name, value, &types, pointer, schema);
            check.report(problem.at(check.value(pointer), ""));
        }
        Kind::Enum { options } => {
            let words: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .map(plain)
                .collect();
            let word = plain(value);
            let problem = Problem::new(Code::UnknownValue, format!("{name} cannot be `{word}`"));
            let help = match nearest(&word, words.iter().map(String::as_str)) {
                Some(near) if !near.is_empty() && value.is_string() => {
                    format!("did you mean `{near}`?")
                }
                _ => format!("possible: {}", list(&words)),
            };
            check.report(problem.at(check.value(pointer), "").help(help));
        }
        Kind::Minimum { limit } | Kind::Maximum { limit } => {
            let side = if matches!(error.kind(), Kind::Minimum { .. }) {
                "less"
            } else {
                "more"
            };
            let message = format!("{name} is {}, {side} than {limit}", plain(value));
            let problem = Problem::new(Code::OutOfRange, message).at(check.value(pointer), "");
            check.report(with_example(problem, schema));
        }
        other => {
            let problem = impossible(other, pointer, &name).at(check.value(pointer), "");
            check.report(with_example(problem, schema));
        }
    }
}

fn wrong_type(
    name: &str,
    value: &Json,
    types: &[JsonType],
    pointer: &str,
    schema: &str,
) -> Problem {
    if let (Json::Number(number), Some(unit)) = (value, unit_of(schema)) {
        let problem = Problem::new(Code::WrongType, format!("{name} has no unit"));
        return match number.as_u64() {
            Some(number @ 1..10_000) => problem.help(format!("write `{number}{unit}`")),
            _ => with_example(problem, schema),
        };
    }
    let words: Vec<&str> = types.iter().map(|kind| type_word(*kind)).collect();
    let message = format!("{name} is {}, not {}", kind(value), words.join(" or "));
    let problem = Problem::new(Code::WrongType, message);
    if types == [JsonType::Object] {
        if let Some(help) = indent::no_mapping(&SCHEMA.json, pointer, value) {
            return problem.help(help);
        }
        if value.is_null() {
            let example = example(schema).map_or_else(String::new, |example| {
                let key = name.trim_matches('`');
                format!(", for example: `{key}: {}`", flow(example))
            });
            let help = format!("indent what belongs to it further than {name} itself{example}");
            return problem.help(help);
        }
    }
    with_example(problem, schema)
}

/// The unit that a number most likely lacks, if the schema at this place wants one.
fn unit_of(schema: &str) -> Option<&'static str> {
    let pattern = SCHEMA.json.pointer(schema)?.get("pattern")?.as_str()?;
    match pattern {
        SIZE_PATTERN | SIZE_OR_NONE_PATTERN => Some(" GiB"),
        SPAN_PATTERN => Some("d"),
        SHARE_PATTERN => Some("%"),
        _ => None,
    }
}

/// A value that is refused for another reason than its type or range.
fn impossible(kind: &Kind, pointer: &str, name: &str) -> Problem {
    let fact = match kind {
        Kind::MinLength { .. } | Kind::MinItems { .. } | Kind::MinProperties { .. } => "is empty",
        Kind::UniqueItems => "has an item twice",
        _ => "is not possible here",
    };
    let code = match kind {
        Kind::MinItems { .. } if pointer.ends_with("/public-keys") => Code::MissingPublicKeys,
        _ => Code::InvalidValue,
    };
    Problem::new(code, format!("{name} {fact}"))
}

fn unknown_key(check: &Check<'_>, pointer: &str, schema: &str, key: &str) -> Problem {
    let properties = SCHEMA.json.pointer(&format!("{schema}/properties"));
    let known: Vec<&str> = properties
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    let present = check.names(pointer);
    let free = known.iter().copied().filter(|key| !present.contains(key));
    let help = if let Some(near) = nearest(key, free) {
        format!("did you mean `{near}`?")
    } else if let Some(help) = indent::unknown(check, &SCHEMA.json, pointer, key) {
        help
    } else {
        format!("possible here: {}", list(&known))
    };
    let problem = Problem::new(Code::UnknownKey, format!("there is no key `{key}` here"));
    problem
        .at(check.entry(&below(pointer, key)), "unknown")
        .help(help)
}

fn missing_key(check: &Check<'_>, pointer: &str, schema: &str, name: &str, key: &str) -> Problem {
    // The conditions of a cache stand inside the schema that has its keys.
    let schema = schema.split("/allOf/").next().unwrap_or(schema);
    let found = SCHEMA.json.pointer(&format!("{schema}/properties/{key}"));
    let example = found.and_then(|found| found.pointer("/examples/0"));
    let code = match key {
        "public-keys" => Code::MissingPublicKeys,
        _ => Code::MissingKey,
    };
    let mut problem = Problem::new(code, format!("{name} has no `{key}`"));
    if !pointer.is_empty() {
        problem = problem.at(check.entry(pointer), format!("`{key}` is missing here"));
    }
    if code == Code::MissingPublicKeys {
        return problem.help("Nix takes nothing from a cache without the keys that sign it: add what the cache's owner publishes");
    }
    if let Some(help) = indent::section(&SCHEMA.json, pointer) {
        return problem.help(help);
    }
    match example {
        Some(example) => problem.help(format!("add it, for example `{key}: {}`", flow(example))),
        None => problem.help(format!("add `{key}`")),
    }
}

/// Adds the schema's first example of the value, if there is one.
fn with_example(problem: Problem, schema: &str) -> Problem {
    match example(schema) {
        Some(example) => problem.help(format!("for example: `{}`", flow(example))),
        None => problem,
    }
}

fn example(schema: &str) -> Option<&'static Json> {
    SCHEMA.json.pointer(schema)?.pointer("/examples/0")
}

/// A value on one line, as YAML would have it.
fn flow(value: &Json) -> String {
    match value {
        Json::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}: {}", flow(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Json::String(text)
            if text.contains(['#', '{', '*', '[', ',', '\\', '%'])
                || text.starts_with(['.', '-']) =>
        {
            format!("'{text}'")
        }
        other => plain(other),
    }
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "empty",
        Json::Bool(_) => "`true` or `false`",
        Json::Number(number) if number.is_f64() => "a number with a fraction",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "a mapping",
    }
}

fn type_word(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Null => "empty",
        JsonType::Boolean => "`true` or `false`",
        JsonType::Integer => "a whole number",
        JsonType::Number => "a number",
        JsonType::String => "a text",
        JsonType::Array => "a list",
        JsonType::Object => "a mapping",
    }
}
