//! The schema: never stale, a help in editors, the source of the reference.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::PathBuf;

use nanna_cache::config::schema;
use serde_json::Value as Json;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_schema_file_is_not_stale() {
    let path = root().join("schema/cache.schema.json");
    let text = schema::text();
    if std::env::var_os("NANNA_WRITE_SCHEMA").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == text,
        "schema/cache.schema.json is stale; run with NANNA_WRITE_SCHEMA=1"
    );
    assert_eq!(text, schema::text(), "the same text every time");
}

/// Each default of the schema, put into a file where the key is missing, changes nothing.
#[test]
fn defaults_of_the_schema_are_written_out() {
    let text =
        fs::read_to_string(root().join("tests/fixtures/valid/defaults-written-out.yaml")).unwrap();
    let mut missing = Vec::new();
    visit(&schema::schema(), "", &mut |path, _, property| {
        let key = path.rsplit('.').next().unwrap();
        if property.get("default").is_some()
            && !path.starts_with("pins.")
            && !text.contains(&format!("{key}:"))
        {
            missing.push(path.to_owned());
        }
    });
    // Of an upstream, and of the mapping form of an output: both absent from a smallest file.
    missing.retain(|path| !path.ends_with(".insecure") && !path.ends_with(".closure"));
    // Of a bucket: `config_valid` looks at those.
    missing.retain(|path| path != "caches.*.replicas");
    // Of a cache of Cachix: `config_valid` looks at those.
    let of_cachix = ["visibility", "create", "read-only", "on-error", "records"];
    missing.retain(|path| {
        !of_cachix
            .iter()
            .any(|key| path == &format!("caches.*.{key}"))
    });
    // Without prices there is nothing to have a default: `measure` looks at those.
    missing.retain(|path| !path.starts_with("prices."));
    assert!(
        missing.is_empty(),
        "defaults that no test looks at: {missing:?}"
    );
}

/// Calls `f` with the dotted path, the required keys beside it, and the schema of every key.
fn visit(schema: &Json, path: &str, f: &mut impl FnMut(&str, &[Json], &Json)) {
    let required: Vec<Json> = schema
        .get("required")
        .and_then(Json::as_array)
        .cloned()
        .unwrap_or_default();
    for (key, property) in schema
        .get("properties")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        f(&path, &required, property);
        visit(property, &path, f);
        for inner in ["additionalProperties", "items"] {
            if let Some(inner) = property.get(inner).filter(|inner| inner.is_object()) {
                visit(inner, &format!("{path}.*"), f);
            }
        }
    }
}

#[test]
fn every_key_helps_in_an_editor() {
    let mut count = 0;
    visit(&schema::schema(), "", &mut |path, required, property| {
        count += 1;
        let key = path.rsplit('.').next().unwrap();
        let text = property["description"]
            .as_str()
            .unwrap_or_else(|| panic!("{path} has no description"));
        assert!(
            text.len() > 20 && text.ends_with(['.', '`']),
            "{path}: {text}"
        );
        assert!(
            property.get("type").is_some(),
            "{path} has no type of its own"
        );
        let examples = property["examples"]
            .as_array()
            .unwrap_or_else(|| panic!("{path} has no example"));
        assert!(!examples.is_empty(), "{path}");
        let validator = jsonschema::draft202012::new(property).unwrap();
        for value in examples.iter().chain(property.get("default")) {
            assert!(
                validator.is_valid(value),
                "{path}: {value} does not fit its own schema"
            );
        }
        let optional = !required.contains(&Json::from(key));
        let says = ["ithout", "not given", "One of", "Keep", "must"]
            .iter()
            .any(|word| text.contains(word));
        let secret = path.contains("signing-key");
        let phase = property["type"] == "object"
            || path.starts_with("optimize.")
            || path.starts_with("caches.");
        assert!(
            !optional || property.get("default").is_some() || says || secret || phase,
            "{path} does not say what it is by default"
        );
        for (of, texts) in [("enum", "enumDescriptions")] {
            if property[of][0].is_string() {
                assert_eq!(
                    property[of].as_array().unwrap().len(),
                    property[texts].as_array().map_or(0, Vec::len),
                    "{path}"
                );
            }
        }
    });
    assert!(count > 50, "only {count} keys");
    let text = schema::text();
    for hidden in ["\"oneOf\"", "\"anyOf\"", "\"$ref\"", "\"null\"", "null"] {
        assert!(
            !text.contains(hidden),
            "{hidden} hides what an editor should show"
        );
    }
}

/// The types of cache that have the key, and whether they want it; none if all have it alike.
fn types_of(path: &str) -> Option<String> {
    let key = path.strip_prefix("caches.*.")?.split('.').next()?;
    let schema = schema::schema();
    let conditions = schema["properties"]["caches"]["additionalProperties"]["allOf"].clone();
    let conditions = conditions.as_array().unwrap().clone();
    let of = |condition: &Json| {
        let name = condition["if"]["properties"]["type"]["const"]
            .as_str()
            .unwrap()
            .to_owned();
        let then = &condition["then"];
        let required = then["required"]
            .as_array()
            .is_some_and(|keys| keys.contains(&Json::from(key)));
        let has = then["properties"][key] != Json::Bool(false);
        has.then(|| {
            format!(
                "`{name}`{}",
                if required && path.ends_with(key) {
                    ", required there"
                } else {
                    ""
                }
            )
        })
    };
    let types: Vec<String> = conditions.iter().filter_map(of).collect();
    let special = types.len() < conditions.len();
    special.then(|| types.join(", "))
}

/// The table of all keys, as docs/cache-yaml.md has it.
fn reference() -> String {
    let mut lines = vec!["| key | what it says |".to_owned(), "|---|---|".to_owned()];
    visit(&schema::schema(), "", &mut |path, required, property| {
        let key = path.rsplit('.').next().unwrap();
        let text = property["description"].as_str().unwrap();
        let code = |value: &Json| format!("`{}`", value.to_string().replace('|', "\\|"));
        let mut facts = Vec::new();
        if let Some(types) = types_of(path) {
            facts.push(format!("Only for type {types}."));
        }
        if required.contains(&Json::from(key)) {
            facts.push("Required.".to_owned());
        }
        if let Some(values) = property.get("enum").and_then(Json::as_array) {
            let texts = property.get("enumDescriptions").and_then(Json::as_array);
            let value = |(at, value): (usize, &Json)| match texts
                .and_then(|texts| texts.get(at))
                .and_then(Json::as_str)
            {
                Some(text) => format!("{} ({text})", code(value)),
                None => code(value),
            };
            facts.push(format!(
                "One of {}.",
                values
                    .iter()
                    .enumerate()
                    .map(value)
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
        }
        if let Some(default) = property.get("default") {
            facts.push(format!("Default: {}.", code(default)));
        }
        facts.push(format!("Example: {}.", code(&property["examples"][0])));
        lines.push(format!(
            "| `{}` | {text} {} |",
            path.replace(".*", ".NAME"),
            facts.join(" ")
        ));
    });
    lines.join("\n")
}

#[test]
fn every_key_is_in_the_reference() {
    let path = root().join("docs/cache-yaml.md");
    let docs = fs::read_to_string(&path).unwrap();
    let (before, rest) = docs.split_once("<!-- keys").unwrap();
    let (mark, rest) = rest.split_once("-->").unwrap();
    let (_, after) = rest.split_once("<!-- end of keys -->").unwrap();
    let wanted = format!(
        "{before}<!-- keys{mark}-->\n\n{}\n\n<!-- end of keys -->{after}",
        reference()
    );
    if std::env::var_os("NANNA_WRITE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(
        found == wanted,
        "docs/cache-yaml.md is stale; run with NANNA_WRITE_DOCS=1"
    );
}
