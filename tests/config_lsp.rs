//! The schema in a real editor's engine: completion, hover and diagnostics of cache.yaml.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod lsp;

use std::path::Path;

use lsp::Server;
use serde_json::Value as Json;

/// Opens a file with these lines beside the schema; `|` marks a place.
fn open(program: &Path, folder: &Path, text: &str) -> (Server, (usize, usize)) {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/cache.schema.json");
    std::fs::copy(schema, folder.join("cache.schema.json")).unwrap();
    let text = format!("# yaml-language-server: $schema=./cache.schema.json\n{text}");
    let before = &text[..text.find('|').unwrap()];
    let line = before.matches('\n').count();
    let column = before.len() - before.rfind('\n').unwrap() - 1;
    let file = folder.join("cache.yaml");
    std::fs::write(&file, text.replacen('|', "", 1)).unwrap();
    (Server::open(program, &file), (line, column))
}

fn ask(text: &str, method: &str) -> Option<Json> {
    let program = lsp::program()?;
    let folder = tempfile::tempdir().unwrap();
    let (mut server, (line, column)) = open(&program, folder.path(), text);
    Some(server.at(method, line, column))
}

fn labels(completion: &Json) -> Vec<String> {
    let items = completion["items"]
        .as_array()
        .or(completion.as_array())
        .unwrap();
    items
        .iter()
        .map(|item| item["label"].as_str().unwrap().to_owned())
        .collect()
}

const HEAD: &str = "version: 1\nproject: demo\n";
const ARTIFACTS: &str = "artifacts:\n  all:\n    priority: 1\n    default: true\n";

#[test]
fn completion_of_type() {
    let text = format!("{HEAD}caches:\n  dev:\n    type: |\n{ARTIFACTS}");
    let Some(values) = ask(&text, "textDocument/completion") else {
        return;
    };
    let values = labels(&values);
    assert!(
        values.contains(&"file".to_owned()) && values.contains(&"upstream".to_owned()),
        "{values:?}"
    );
}

#[test]
fn completion_of_keys_with_their_colon() {
    let text = format!("{HEAD}caches:\n  dev:\n    type: file\n    |\n{ARTIFACTS}");
    let Some(keys) = ask(&text, "textDocument/completion") else {
        return;
    };
    for key in ["path", "signing-key", "max-size", "nix-priority"] {
        let items = keys["items"].as_array().unwrap();
        let item = items
            .iter()
            .find(|item| item["label"] == key)
            .unwrap_or_else(|| panic!("no `{key}` in {:?}", labels(&keys)));
        let inserted = item["insertText"].as_str().unwrap_or_default();
        assert!(
            inserted.starts_with(&format!("{key}:")),
            "`{key}` completes to {inserted:?}"
        );
    }
}

#[test]
fn hover_on_retention() {
    let text = format!(
        "{HEAD}caches: {{ dev: {{ type: file, path: x }} }}\nartifacts:\n  all:\n    reten|tion: 30d\n    priority: 1\n    default: true\n"
    );
    let Some(hover) = ask(&text, "textDocument/hover") else {
        return;
    };
    let shown = hover.to_string();
    assert!(
        shown.contains("is kept after it was last pushed") && shown.contains("180d"),
        "{shown}"
    );
}

#[test]
fn hover_on_a_word_shows_key_and_words() {
    let text = format!("{HEAD}caches:\n  dev:\n    ty|pe: file\n    path: x\n{ARTIFACTS}");
    let Some(hover) = ask(&text, "textDocument/hover") else {
        return;
    };
    let shown = hover.to_string();
    assert!(
        shown.contains("What kind of cache it is") && shown.contains("is never pushed"),
        "{shown}"
    );
}

#[test]
fn a_typo_is_a_diagnostic() {
    let Some(program) = lsp::program() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{HEAD}caches:\n  dev:\n    type: file\n    path: x\n    |retenton: 30d\n{ARTIFACTS}"
    );
    let (mut server, (line, column)) = open(&program, folder.path(), &text);
    let found = server.diagnostics();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0]["message"].as_str().unwrap().contains("retenton"),
        "{found:?}"
    );
    assert_eq!(
        (
            &found[0]["range"]["start"]["line"],
            &found[0]["range"]["start"]["character"]
        ),
        (&line.into(), &column.into())
    );
}

#[test]
fn a_key_of_another_type_is_a_diagnostic() {
    let Some(program) = lsp::program() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{HEAD}caches:\n  dev:\n    type: file\n    path: x\n    |url: https://example.org\n{ARTIFACTS}"
    );
    let (mut server, (line, _)) = open(&program, folder.path(), &text);
    let found = server.diagnostics();
    assert!(
        found
            .iter()
            .any(|found| found["range"]["start"]["line"] == line),
        "{found:?}"
    );
}

#[test]
fn our_own_file_has_no_diagnostic() {
    let Some(program) = lsp::program() else {
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "cache.yaml",
        "examples/nanna-coder/cache.yaml",
        "examples/quickstart/cache.yaml",
    ] {
        let found = Server::open(&program, &root.join(file)).diagnostics();
        assert!(found.is_empty(), "{file}: {found:?}");
    }
}
