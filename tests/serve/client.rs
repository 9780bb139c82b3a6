//! A server of a test, and a client that is no library: it sends what it is told to, nothing else.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::support::bed::TestBed;

/// The token of the servers here.
pub(crate) const TOKEN: &str = "plantedTokenOfThisServer0123456789";

/// The header that carries it.
pub(crate) const BEARER: (&str, &str) =
    ("authorization", "Bearer plantedTokenOfThisServer0123456789");

/// The key is read by each look: `looks` counts them, and `hold` holds them up.
const CONFIG: &str = "version: 1
project: shop
caches:
  dev:
    type: file
    path: out/cache
    tier: 3
    max-size: 1GiB
    signing-key: { command: [/bin/sh, -c, 'echo x >> looks; while [ -e hold ]; do /bin/sleep 0.05; done; cat key'] }
artifacts:
  models: { priority: 80, retention: 60d, directories: ['models/*'], default: true }
setup: { nix-conf: none }
";

/// A project with a folder cache and a directory that is pushed to it; without Nix.
pub(crate) fn bed() -> TestBed {
    let mut bed = TestBed::new();
    bed.without_nix();
    bed.set("NANNA_TOKEN", TOKEN).set("EMPTY", "");
    bed.write("cache.yaml", CONFIG.replace("cat key", "/bin/cat key"));
    // A key that stands here is no secret.
    let key = "dev-1:";
    let seed: Vec<u8> = (1..=32).collect();
    let pair = [seed, PUBLIC.to_vec()].concat();
    bed.write(
        "key",
        format!("{key}{}\n", data_encoding::BASE64.encode(&pair)),
    );
    bed.write("models/tiny/config.json", "{}");
    bed
}

/// The public half of the key whose secret half is 1, 2, … 32.
const PUBLIC: [u8; 32] = [
    0x79, 0xb5, 0x56, 0x2e, 0x8f, 0xe6, 0x54, 0xf9, 0x40, 0x78, 0xb1, 0x12, 0xe8, 0xa9, 0x8b, 0xa7,
    0x90, 0x1f, 0x85, 0x3a, 0xe6, 0x95, 0xbe, 0xd7, 0xe0, 0xe3, 0x91, 0x0b, 0xad, 0x04, 0x96, 0x64,
];

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// Its code.
    pub(crate) code: u16,
    /// The first line and the headers.
    pub(crate) head: String,
    /// What follows.
    pub(crate) body: String,
}

impl Said {
    /// Asserts that it is good.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 200, "{}\n{}", self.head, self.body);
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Asks a server.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Said {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    let own = [
        ("host".to_owned(), address.to_string()),
        ("content-length".to_owned(), body.len().to_string()),
    ];
    for (name, value) in own {
        if !headers.iter().any(|(other, _)| *other == name) {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
    }
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    stream
        .write_all(format!("{text}\r\n{body}").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        !answer.contains(TOKEN),
        "the token is in an answer: {answer}"
    );
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Said {
        code: code.unwrap_or_else(|| panic!("no answer: {answer:?}")),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// A server that runs.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    process: Child,
    stderr: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

/// How a server ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

impl Server {
    /// Starts one on loopback that knows the token.
    pub(crate) fn start(bed: &TestBed, flags: &str) -> Self {
        Self::start_with(
            bed,
            "127.0.0.1:0",
            &format!("--token-env NANNA_TOKEN {flags}"),
        )
    }

    /// Starts one.
    pub(crate) fn start_with(bed: &TestBed, listen: &str, flags: &str) -> Self {
        let mut process = bed
            .command()
            .args(["-vv", "serve", "--listen", listen])
            .args(flags.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let (into, from) = (Arc::clone(&stderr), process.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                into.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let url = line
            .trim()
            .strip_prefix("http://")
            .and_then(|rest| rest.strip_suffix('/'));
        let Some(url) = url else {
            panic!("it said {line:?}: {}", stderr.lock().unwrap());
        };
        let mut address: SocketAddr = url.parse().unwrap();
        if address.ip().is_unspecified() {
            address.set_ip("127.0.0.1".parse().unwrap());
        }
        Self {
            address,
            process,
            stderr,
            reader: Some(reader),
        }
    }

    /// Asks.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Said {
        ask(self.address, method, path, headers, body)
    }

    /// Asks for something to read.
    pub(crate) fn get(&self, path: &str) -> Said {
        self.ask("GET", path, &[], "")
    }

    /// Asks for an apply, with the token.
    pub(crate) fn apply(&self, body: &str) -> Said {
        let headers = [BEARER, ("content-type", "application/json; charset=utf-8")];
        self.ask("POST", "/api/v1/apply", &headers, body)
    }

    /// Waits until an apply is at work.
    pub(crate) fn wait_until_applying(&self) {
        for _ in 0..400 {
            if self.get("/api/v1/apply").ok().json()["applying"] == true {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("no apply begins");
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.process.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([&format!("-{name}"), &process])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end; the token is in nothing that it said.
    pub(crate) fn wait(mut self) -> Ended {
        let mut ended = None;
        for _ in 0..1200 {
            ended = self.process.try_wait().unwrap();
            if ended.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        let code = ended.expect("the server does not end").code();
        self.reader.take().unwrap().join().unwrap();
        let stderr = self.stderr.lock().unwrap().clone();
        assert!(!stderr.contains(TOKEN), "the token is in the log: {stderr}");
        Ended { code, stderr }
    }

    /// Ends it, and asserts how.
    #[track_caller]
    pub(crate) fn end(self, code: i32) {
        self.signal("TERM");
        let ended = self.wait();
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
