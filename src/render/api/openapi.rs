//! The description of the HTTP API, as OpenAPI 3.1: made from the same types that are sent.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{Applied, ApplyRequest, ApplyState, Problem};
use crate::insight::measure::Report;
use crate::insight::status::Status;
use crate::render::json::{Document, pretty};

/// The number of the API. Raised when a client of an older one could misunderstand.
pub const VERSION: &str = "1.0.0";

/// Something that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method; whoever may `GET` may also `HEAD`.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// What the answer is, as a type of HTTP.
    pub media: &'static str,
}

/// JSON.
pub const JSON: &str = "application/json";
/// A problem (RFC 9457).
pub const PROBLEM: &str = "application/problem+json";
/// A page.
pub const HTML: &str = "text/html; charset=utf-8";
/// The text format of Prometheus.
pub const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that can be asked for.
pub const ROUTES: &[Route] = &[
    get("/", "The page for people", HTML),
    get("/metrics", "Figures for Prometheus", METRICS),
    get(
        "/api/v1/status",
        "How full caches are, what is where, what is pending: `nanna-cache status --format json`",
        JSON,
    ),
    get(
        "/api/v1/plan",
        "What an apply would do now: `nanna-cache reconcile --format json`",
        JSON,
    ),
    get(
        "/api/v1/report",
        "What recorded runs measured: `nanna-cache analytics --format json`",
        JSON,
    ),
    get(
        "/api/v1/apply",
        "Whether an apply is at work, and what came of the last one",
        JSON,
    ),
    Route {
        method: "POST",
        path: "/api/v1/apply",
        summary: "Plans and applies, as `nanna-cache reconcile --apply --yes` does; answers when it is done",
        media: JSON,
    },
    get("/openapi.json", "This description", JSON),
];

const fn get(path: &'static str, summary: &'static str, media: &'static str) -> Route {
    Route {
        method: "GET",
        path,
        summary,
        media,
    }
}

/// The description.
#[must_use]
pub fn text() -> String {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in ROUTES {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        item[route.method.to_lowercase()] = operation(route, &mut generator);
    }
    let schemas = generator.take_definitions(true);
    pretty(&json!({
        "openapi": "3.1.0",
        "info": {
            "title": "nanna-cache",
            "version": VERSION,
            "summary": "The caches of a Nix project: how they stand, what would change, and changing it",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" }
        },
        "servers": [{ "url": "http://127.0.0.1:7862", "description": "Where `nanna-cache serve` listens unless told otherwise" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of `--token-env` or `--token-file`"
                }
            }
        }
    }))
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let is_post = route.method == "POST";
    let mut responses = Map::new();
    responses.insert("200".to_owned(), answered(route, generator));
    let mut problem = |code: &str, why: &str, generator: &mut SchemaGenerator| {
        let schema = schema::<Problem>(generator);
        let problem = json!({ "description": why, "content": { PROBLEM: { "schema": schema } } });
        responses.insert(code.to_owned(), problem);
    };
    problem("401", "The token is missing or wrong", generator);
    problem("403", "Not from there, or not without a token", generator);
    problem("500", "It failed", generator);
    if is_post {
        problem("400", "The body is not as described", generator);
        problem("409", "Another apply is at work", generator);
        problem("415", "The body is no JSON", generator);
        problem("422", "The guards refuse; nothing was changed", generator);
        problem("503", "The server is stopping", generator);
    }
    responses.sort_keys();
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "responses": responses,
        // Without a token where only reading is asked for, on loopback.
        "security": if is_post { json!([{ "token": [] }]) } else { json!([{}, { "token": [] }]) }
    });
    if is_post {
        let schema = schema::<ApplyRequest>(generator);
        operation["requestBody"] =
            json!({ "required": false, "content": { JSON: { "schema": schema } } });
    }
    operation
}

fn answered(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let schema = match (route.method, route.path) {
        ("GET", "/api/v1/status") => schema::<Status>(generator),
        ("GET", "/api/v1/report") => schema::<Report>(generator),
        ("GET", "/api/v1/plan") => schema::<Document>(generator),
        ("GET", "/api/v1/apply") => schema::<ApplyState>(generator),
        ("POST", _) => schema::<Applied>(generator),
        (_, "/openapi.json") => json!({ "type": "object" }),
        _ => json!({ "type": "string" }),
    };
    let media = route.media.split(';').next().unwrap_or(route.media);
    json!({ "description": route.summary, "content": { media: { "schema": schema } } })
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// `getStatus`, `postApply`: the method and the last part of the path.
fn operation_id(route: &Route) -> String {
    let last = route.path.rsplit('/').next().unwrap_or_default();
    let last = last.split('.').next().unwrap_or_default();
    let name = if last.is_empty() { "page" } else { last };
    let mut letters = name.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    let method = route.method.to_lowercase();
    first.into_iter().fold(method, |id, c| id + &c.to_string()) + letters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_every_reference_leads_somewhere() {
        let all: Value = serde_json::from_str(&text()).unwrap();
        for route in ROUTES {
            let operation = &all["paths"][route.path][route.method.to_lowercase()];
            assert!(operation["responses"]["200"].is_object(), "{route:?}");
            assert_eq!(operation["operationId"], operation_id(route));
        }
        let mut references = Vec::new();
        collect(&all, &mut references);
        assert!(references.len() > 20, "{references:?}");
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(all.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_ids_of_operations_differ() {
        let mut ids: Vec<String> = ROUTES.iter().map(operation_id).collect();
        assert!(ids.contains(&"getStatus".to_owned()) && ids.contains(&"postApply".to_owned()));
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), ROUTES.len());
    }

    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    into.push(reference.clone());
                }
                map.values().for_each(|each| collect(each, into));
            }
            Value::Array(list) => list.iter().for_each(|each| collect(each, into)),
            _ => {}
        }
    }
}
