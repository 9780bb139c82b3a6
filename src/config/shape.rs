//! The schema check: every fault of shape as a problem, and the values without what is wrong.
//!
//! What is wrong is taken out so that the rules can still look at all the rest: one run shows every
//! problem. What a pattern refuses is left in, for a rule says better what is wrong with it.

mod indent;
mod report;

use std::sync::LazyLock;

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::{Value as Json, json};

use self::report::{kind, report};
use super::check::{Check, below};
use super::code::Code;
use super::problem::Problem;
use super::schema;

struct Schema {
    json: Json,
    validator: Validator,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let json = schema::schema();
    let validator = jsonschema::draft202012::new(&json).expect("our own schema is one");
    Schema { json, validator }
});

/// Each round takes something out; a file needs one round for each level of its values.
const ROUNDS: usize = 16;

/// What the schema check leaves.
pub(crate) struct Shaped {
    /// The values, without those of wrong shape.
    pub(crate) json: Json,
    /// Pointers of what a pattern refused; a rule should have said why.
    pub(crate) refused: Vec<String>,
}

/// Reports every fault of shape. `None` if nothing is left to look at.
pub(crate) fn check(check: &mut Check<'_>) -> Option<Shaped> {
    let mut json = check.document.root.to_json();
    if !json.is_object() {
        let problem = Problem::new(
            Code::WrongType,
            format!("the file is {}, not a mapping", kind(&json)),
        );
        check.report(
            problem
                .at(check.value(""), "")
                .help("start with `version: 1`"),
        );
        return None;
    }
    let mut refused = Vec::new();
    for round in 0..ROUNDS {
        let mut remove = Vec::new();
        for error in SCHEMA.validator.iter_errors(&json) {
            let pointer = error.instance_path().as_str().to_owned();
            if matches!(
                error.kind(),
                Kind::Pattern { .. } | Kind::PropertyNames { .. }
            ) {
                if round == 0 {
                    refused.push(pointer);
                }
                continue;
            }
            // Of one value say one thing; of a mapping, every key that is missing or unknown.
            let of_keys = matches!(
                error.kind(),
                Kind::Required { .. } | Kind::AdditionalProperties { .. }
            );
            if round == 0 && (of_keys || !remove.contains(&pointer)) {
                report(check, &error, &pointer);
            }
            match error.kind() {
                Kind::AdditionalProperties { unexpected } => {
                    remove.extend(unexpected.iter().map(|key| below(&pointer, key)));
                }
                _ => remove.push(pointer),
            }
        }
        if remove.is_empty() {
            return Some(Shaped { json, refused });
        }
        for pointer in remove {
            take(&mut json, &pointer);
            check.broken.push(pointer);
        }
    }
    None
}

/// Takes out the value at `pointer`; at the root, puts in what has to be there.
fn take(json: &mut Json, pointer: &str) {
    let Some((parent, step)) = pointer.rsplit_once('/') else {
        if let Json::Object(map) = json {
            for (key, value) in [
                ("version", json!(1)),
                ("project", json!("project")),
                (
                    "caches",
                    json!({ "placeholder": { "type": "file", "path": "placeholder" } }),
                ),
                (
                    "artifacts",
                    json!({ "placeholder": { "priority": 0, "default": true } }),
                ),
            ] {
                map.entry(key).or_insert(value);
            }
        }
        return;
    };
    match json.pointer_mut(parent) {
        Some(Json::Object(map)) => {
            map.shift_remove(&step.replace("~1", "/").replace("~0", "~"));
        }
        // A hole would move the items after it away from their places.
        Some(Json::Array(_)) => take(json, parent),
        _ => {}
    }
}
