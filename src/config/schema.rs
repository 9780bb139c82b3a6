//! The JSON Schema of `cache.yaml` (draft 2020-12), made from the words in `config/raw.rs`.
//!
//! It is shaped for editors: every key says its `type`, nothing is behind a reference, and no
//! choice hides the description of the key that has it. The same value is what files are checked
//! with.

use schemars::generate::SchemaSettings;
use serde_json::{Value as Json, json};

use super::raw::RawConfig;

/// The schema of `cache.yaml`; the same value every time.
#[must_use]
pub fn schema() -> Json {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<RawConfig>()
        .to_value();
    without_null(&mut schema);
    tidy(&mut schema);
    schema
}

/// The schema as the text of `schema/cache.schema.json`, with a final newline.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", schema())
}

/// A key that may be left out is not one that may be null.
fn without_null(schema: &mut Json) {
    match schema {
        Json::Object(map) => {
            if let Some(Json::Array(types)) = map.get_mut("type") {
                types.retain(|each| *each != json!("null"));
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".to_owned(), only);
                }
            }
            // `Option` of a structure: the structure, with what was said beside.
            if let Some(Json::Array(branches)) = map.get_mut("anyOf") {
                branches.retain(|branch| *branch != json!({ "type": "null" }));
                if let [Json::Object(only)] = branches.as_mut_slice() {
                    let only = std::mem::take(only);
                    map.shift_remove("anyOf");
                    for (key, value) in only {
                        map.entry(key).or_insert(value);
                    }
                }
            }
            map.values_mut().for_each(without_null);
        }
        Json::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// Takes out what serves no editor: formats that JSON Schema does not know (`uint32`), defaults that
/// mean "left out", bounds beside a list of values, and the line breaks of our source.
fn tidy(schema: &mut Json) {
    match schema {
        Json::Object(map) => {
            if map.get("format").is_some_and(Json::is_string) {
                map.shift_remove("format");
            }
            if map.get("default").is_some_and(Json::is_null) {
                map.shift_remove("default");
            }
            if map.get("enum").is_some_and(Json::is_array) {
                map.shift_remove("minimum");
                map.shift_remove("maximum");
            }
            if let Some(Json::String(text)) = map.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            map.values_mut().for_each(tidy);
        }
        Json::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
