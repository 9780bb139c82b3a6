//! Plans as JSON, and the schema of that JSON.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::plan::plan::Plan;
use crate::plan::summary::Summary;

/// Where the schema is published; its number is that of the plan format.
const SCHEMA_ID: &str =
    "https://raw.githubusercontent.com/nanna-coder/nanna-cache/main/schema/plan.schema.json";

/// A plan with its sum: what `--format json` prints and `--out` saves.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Plan of nanna-cache")]
pub(super) struct Document<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    /// The numbers of the last line; computed from the rest and ignored when a plan is read.
    summary: Summary,
}

/// Writes a plan, with a line break at its end.
#[must_use]
pub fn plan(plan: &Plan) -> String {
    let document = Document {
        plan,
        summary: Summary::of(plan),
    };
    pretty(&document)
}

/// Any of our documents as JSON with a line break at its end.
#[must_use]
pub fn pretty<T: Serialize>(document: &T) -> String {
    // Our documents have only text as keys, so they always become JSON.
    serde_json::to_string_pretty(document).unwrap_or_default() + "\n"
}

/// The JSON Schema (draft 2020-12) of what [`plan`] writes.
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(Document);
    schema.insert("$id".to_owned(), Value::from(SCHEMA_ID));
    pretty(&schema)
}

/// Why a text is no plan that this version reads.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No plan at all.
    #[error("read it as a plan of nanna-cache: {place}")]
    Form {
        /// Where in the document, and what is wrong there.
        place: String,
    },
    /// A plan of a later format.
    #[error("read it: its format is {found}, this version reads up to {known}")]
    Format {
        /// The number that it carries.
        found: u64,
        /// The highest that we read.
        known: u32,
    },
}

/// Reads a plan that was saved. Fields that this version does not know are ignored.
///
/// # Errors
/// It is no plan, or one of a later format.
pub fn read(text: &str) -> Result<Plan, ReadError> {
    let value: Value = serde_json::from_str(text).map_err(|error| ReadError::Form {
        place: error.to_string(),
    })?;
    let known = crate::plan::plan::FORMAT;
    if let Some(found) = value.get("format").and_then(Value::as_u64)
        && found > u64::from(known)
    {
        return Err(ReadError::Format { found, known });
    }
    if value.get("format").is_none() {
        return Err(ReadError::Form {
            place: "it is JSON, but has no `format`".to_owned(),
        });
    }
    serde_path_to_error::deserialize(value).map_err(|error| ReadError::Form {
        place: match error.path().to_string().as_str() {
            "." => error.inner().to_string(),
            path => format!("at `{path}`: {}", error.inner()),
        },
    })
}
