//! What is sent is what the description says.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::client::{Said, Server, bed};
use super::support;

/// The schema of an answer, alone.
fn schema(all: &Value, method: &str, path: &str, said: &Said) -> Value {
    let answers = &all["paths"][path][method.to_lowercase()]["responses"];
    let content = answers[said.code.to_string()]["content"].as_object();
    let content =
        content.unwrap_or_else(|| panic!("{method} {path} {} is not described", said.code));
    let (media, content) = content.iter().next().unwrap();
    assert!(
        said.head.contains(&format!("content-type: {media}")),
        "{}",
        said.head
    );
    let mut schema = content["schema"].clone();
    // References lead into the description.
    schema["components"] = all["components"].clone();
    schema
}

#[test]
fn every_answer_is_as_it_is_described() {
    let bed = bed();
    let server = Server::start(&bed, "");
    let all = server.get("/openapi.json").ok().json();
    let token = super::client::BEARER;
    let body = ("content-type", "application/json");
    let asked: Vec<(&str, &str, Said)> = vec![
        ("GET", "/api/v1/apply", server.get("/api/v1/apply")),
        ("GET", "/api/v1/plan", server.get("/api/v1/plan")),
        ("GET", "/api/v1/status", server.get("/api/v1/status")),
        (
            "GET",
            "/api/v1/status",
            server.ask("GET", "/api/v1/status", &[("host", "x")], ""),
        ),
        (
            "POST",
            "/api/v1/apply",
            server.ask("POST", "/api/v1/apply", &[], ""),
        ),
        (
            "POST",
            "/api/v1/apply",
            server.ask("POST", "/api/v1/apply", &[token], "x"),
        ),
        (
            "POST",
            "/api/v1/apply",
            server.ask("POST", "/api/v1/apply", &[token, body], "x"),
        ),
        (
            "POST",
            "/api/v1/apply",
            server.apply(r#"{"only": ["push"]}"#),
        ),
        ("POST", "/api/v1/apply", server.apply("")),
        ("GET", "/api/v1/apply", server.get("/api/v1/apply")),
        ("GET", "/api/v1/status", server.get("/api/v1/status")),
        ("GET", "/api/v1/report", server.get("/api/v1/report")),
    ];
    let codes: Vec<u16> = asked.iter().map(|(_, _, said)| said.code).collect();
    assert_eq!(
        codes,
        [200, 200, 200, 403, 401, 415, 400, 422, 200, 200, 200, 200]
    );
    for (method, path, said) in &asked {
        let validator = jsonschema::validator_for(&schema(&all, method, path, said)).unwrap();
        let document = said.json();
        let wrong: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| error.to_string())
            .collect();
        assert!(wrong.is_empty(), "{method} {path} {}: {wrong:?}", said.code);
    }
    // The rest is text; that it comes is another test's.
    for (path, methods) in all["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let said = server.ask(&method.to_uppercase(), path, &[], "");
            assert!(![404, 405].contains(&said.code), "{method} {path}");
        }
    }
    server.end(0);
}

#[test]
fn the_description_in_the_repository_is_that_of_the_program() {
    let bed = bed();
    let said = bed.run(["schema", "--of", "api"]).success();
    let file = support::fixture("schema/openapi.json");
    if std::env::var_os("NANNA_WRITE_SCHEMA").is_some() {
        std::fs::write(&file, &said.stdout).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        there == said.stdout,
        "schema/openapi.json is old: `nanna-cache schema --write` makes it anew"
    );
}

/// A Python with validators; `None`, said loudly: it is not installed.
fn python() -> Option<Command> {
    let folder = support::target().join("tools/python");
    if !folder.join("pins").exists() {
        support::skip_always("no validators; `bash tests/setup/python.sh` installs them");
        return None;
    }
    Some(Command::new(folder.join("bin/python")))
}

/// Has Prometheus' own parser read figures, and holds them to its rules for names.
pub(crate) fn judge_metrics(text: &str) {
    let Some(mut python) = python() else { return };
    let mut child = python
        .arg(support::fixture("tests/serve/metrics.py"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(
        said.status.success(),
        "{}\n{text}",
        String::from_utf8_lossy(&said.stderr)
    );
}

#[test]
fn the_description_is_openapi() {
    let Some(mut python) = python() else { return };
    let said = python
        .args(["-m", "openapi_spec_validator"])
        .arg(support::fixture("schema/openapi.json"))
        .output()
        .unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stdout)
    );
}
