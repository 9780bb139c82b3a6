//! A small client of a language server: one file, opened once, asked a few questions.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server with one open file.
pub(crate) struct Server {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Json>,
    uri: String,
    requests: u64,
    diagnostics: Option<Json>,
}

/// The server's program, if it is installed. `NANNA_REQUIRE_TOOLS=1` makes its absence a failure.
pub(crate) fn program() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"));
    let program = target.join("tools/node_modules/.bin/yaml-language-server");
    if program.exists() {
        return Some(program);
    }
    let set = |name| std::env::var(name).is_ok_and(|value| value == "1");
    assert!(
        !set("NANNA_REQUIRE_TOOLS") && !set("NANNA_REQUIRE_NIX"),
        "{} is not installed",
        program.display()
    );
    eprintln!(
        "SKIPPED: yaml-language-server is not at {}",
        program.display()
    );
    None
}

impl Server {
    /// Starts the server and opens `file`.
    pub(crate) fn open(program: &Path, file: &Path) -> Self {
        let mut child = Command::new(program)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = child.stdout.take().unwrap();
        let (send, messages) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(message) = receive(&mut output) {
                if send.send(message).is_err() {
                    break;
                }
            }
        });
        let uri = format!("file://{}", file.display());
        let mut server = Self {
            child,
            input,
            messages,
            uri,
            requests: 0,
            diagnostics: None,
        };
        let capabilities = json!({
            "workspace": { "configuration": true },
            "textDocument": {
                "completion": { "completionItem": { "documentationFormat": ["markdown"], "snippetSupport": true } },
                "hover": { "contentFormat": ["markdown"] }
            }
        });
        server.ask(
            "initialize",
            &json!({ "processId": null, "rootUri": null, "capabilities": capabilities }),
        );
        server.tell("initialized", &json!({}));
        let text = std::fs::read_to_string(file).unwrap();
        let document =
            json!({ "uri": server.uri, "languageId": "yaml", "version": 1, "text": text });
        server.tell("textDocument/didOpen", &json!({ "textDocument": document }));
        server
    }

    /// The diagnostics of the file.
    pub(crate) fn diagnostics(&mut self) -> Vec<Json> {
        let end = Instant::now() + PATIENCE;
        while self.diagnostics.is_none() {
            self.step(end);
        }
        let found = self.diagnostics.as_ref().unwrap();
        found["diagnostics"].as_array().unwrap().clone()
    }

    /// The result of a request about a place; line and column from 0.
    pub(crate) fn at(&mut self, method: &str, line: usize, column: usize) -> Json {
        let position = json!({ "line": line, "character": column });
        self.ask(
            method,
            &json!({ "textDocument": { "uri": self.uri.clone() }, "position": position }),
        )
    }

    fn ask(&mut self, method: &str, params: &Json) -> Json {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let end = Instant::now() + PATIENCE;
        loop {
            let message = self.step(end);
            if message["id"] == json!(id) && message.get("method").is_none() {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    fn tell(&mut self, method: &str, params: &Json) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Takes one message; answers it if it is a question.
    fn step(&mut self, end: Instant) -> Json {
        let left = end.saturating_duration_since(Instant::now());
        let message = self
            .messages
            .recv_timeout(left)
            .expect("the language server answers in time");
        let method = message["method"].as_str().unwrap_or_default();
        if method == "textDocument/publishDiagnostics"
            && message["params"]["uri"] == json!(self.uri)
        {
            self.diagnostics = Some(message["params"].clone());
        }
        if !method.is_empty() && message.get("id").is_some() {
            let result = if method == "workspace/configuration" {
                let items = message["params"]["items"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                items.iter().map(settings).collect()
            } else {
                Json::Null
            };
            self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
        }
        message
    }

    fn send(&mut self, message: &Json) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to lose, and a test must not leave it behind.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What an editor with default settings and no schema store says.
fn settings(item: &Json) -> Json {
    match item["section"].as_str() {
        Some("yaml") => {
            json!({ "validate": true, "hover": true, "completion": true, "schemaStore": { "enable": false } })
        }
        _ => json!({}),
    }
}

fn receive(output: &mut impl BufRead) -> Option<Json> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
