//! A proxy before a storage that misbehaves as a test says, and that can make what lies there old.
//!
//! One request for each connection; the `Host` header goes on unchanged, for it is signed.
#![allow(
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "only tests use it, each a part of it"
)]

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How much older than it is the proxy makes an object.
const OLD: i64 = 200 * 86_400;

/// A request as a rule sees it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path with query.
    pub target: String,
    pub body: usize,
}

impl Request {
    pub fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.target.contains(part)
    }
}

/// An answer of the storage.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What happens to a request.
pub enum Fault {
    /// Nothing.
    Pass,
    /// It is answered at once, and does not come to the storage.
    Say(u16, Vec<(&'static str, String)>, String),
    /// It is cut before the storage sees it.
    Reset,
    /// It is cut after so many bytes of its body, and the storage never sees it.
    Break(usize),
    /// The storage does it, but the answer is lost.
    Lost,
    /// The answer is cut after so many bytes of its body.
    Cut(usize),
    /// The answer begins, and then nothing comes for so long.
    Stall(Duration),
    /// The body of the answer comes byte by byte, with so long between two.
    Drip(Duration),
    /// The answer is changed.
    Change(fn(&mut Answer)),
}

type Rule = dyn Fn(&Request, usize) -> Fault + Send + Sync;

struct Shared {
    upstream: u16,
    rule: Mutex<Arc<Rule>>,
    /// Requests that the rule was asked about since it was set.
    asked: AtomicUsize,
    /// What was written before this time is old.
    old_before: AtomicI64,
}

/// A proxy; it ends with the process of the test.
#[derive(Clone)]
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    pub fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pass: Arc<Rule> = Arc::new(|_, _| Fault::Pass);
        let shared = Arc::new(Shared {
            upstream,
            rule: Mutex::new(pass),
            asked: AtomicUsize::new(0),
            old_before: AtomicI64::new(i64::MIN),
        });
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&ours);
                std::thread::spawn(move || {
                    let _ = shared.serve(&stream);
                });
            }
        });
        Self { port, shared }
    }

    /// From now on requests go by this rule; it is told how many it saw before.
    pub fn rule(&self, rule: impl Fn(&Request, usize) -> Fault + Send + Sync + 'static) {
        *self.shared.rule.lock().unwrap() = Arc::new(rule);
        self.shared.asked.store(0, Ordering::SeqCst);
    }

    /// From now on nothing happens to requests.
    pub fn pass(&self) {
        self.rule(|_, _| Fault::Pass);
    }

    /// How many requests came since the rule was set.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Everything that is there now is 200 days older than it is.
    pub fn age(&self) {
        // Times have seconds: what is written from now on has to have another one.
        let now = jiff::Timestamp::now().as_second();
        self.shared.old_before.store(now + 1, Ordering::SeqCst);
        while jiff::Timestamp::now().as_second() <= now + 1 {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut head = Vec::new();
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let lowered = line.to_ascii_lowercase();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = lowered.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if lowered.starts_with("expect:") {
                stream
                    .try_clone()?
                    .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            } else if !lowered.starts_with("connection:") {
                head.extend_from_slice(line.as_bytes());
            }
        }
        let mut words = first.split(' ');
        let request = Request {
            method: words.next().unwrap_or_default().to_owned(),
            target: words.next().unwrap_or_default().to_owned(),
            body: length,
        };
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let rule = Arc::clone(&self.rule.lock().unwrap());
        let fault = rule(&request, number);
        if let Fault::Break(bytes) = fault {
            reader.read_exact(&mut vec![0; bytes.min(length)])?;
            return Ok(());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        match &fault {
            Fault::Reset => return Ok(()),
            Fault::Say(status, headers, text) => {
                let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), v.clone()));
                let answer = Answer {
                    status: *status,
                    headers: headers.collect(),
                    body: text.clone().into_bytes(),
                };
                return send(stream, &request, &answer, usize::MAX);
            }
            _ => {}
        }
        let mut upstream = TcpStream::connect(("127.0.0.1", self.upstream))?;
        upstream.write_all(first.as_bytes())?;
        upstream.write_all(&head)?;
        upstream.write_all(b"Connection: close\r\n\r\n")?;
        upstream.write_all(&body)?;
        let mut raw = Vec::new();
        upstream.read_to_end(&mut raw)?;
        let Some(mut answer) = parse(&raw) else {
            return Ok(());
        };
        self.make_old(&mut answer);
        match fault {
            Fault::Lost => Ok(()),
            Fault::Cut(bytes) => send(stream, &request, &answer, bytes),
            Fault::Stall(time) => {
                let mut stream = stream.try_clone()?;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le")?;
                std::thread::sleep(time);
                Ok(())
            }
            Fault::Drip(pause) => drip(stream, &answer, pause),
            Fault::Change(change) => {
                change(&mut answer);
                send(stream, &request, &answer, usize::MAX)
            }
            _ => send(stream, &request, &answer, usize::MAX),
        }
    }

    fn make_old(&self, answer: &mut Answer) {
        let before = self.old_before.load(Ordering::SeqCst);
        for (name, value) in &mut answer.headers {
            if name.eq_ignore_ascii_case("last-modified") {
                let time = jiff::fmt::rfc2822::parse(value).unwrap().timestamp();
                if time.as_second() < before {
                    let old = jiff::Timestamp::from_second(time.as_second() - OLD).unwrap();
                    *value = old.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                }
            }
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if text.contains("<Last-Modified>") {
            answer.body = old_times(&text, "Last-Modified", |time| {
                let parsed = jiff::fmt::rfc2822::parse(time).unwrap().timestamp();
                old(parsed, before).map(|old| old.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
            });
            return;
        }
        if !text.contains("<LastModified>") {
            return;
        }
        answer.body = old_times(&text, "LastModified", |time| {
            let old = old(time.parse().unwrap(), before)?;
            Some(old.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string())
        });
    }
}

/// What is shown of the time of an object; `None`: what it is.
fn old(time: jiff::Timestamp, before: i64) -> Option<jiff::Timestamp> {
    let is_old = time.as_second() < before;
    is_old.then(|| jiff::Timestamp::from_second(time.as_second() - OLD).unwrap())
}

/// Changes each time in a listing.
fn old_times(text: &str, element: &str, change: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let (opens, closes) = (format!("<{element}>"), format!("</{element}>"));
    let mut changed = String::new();
    for (at, part) in text.split(&opens).enumerate() {
        if at == 0 {
            changed.push_str(part);
            continue;
        }
        let (time, rest) = part.split_once(&closes).unwrap();
        let shown = change(time).unwrap_or_else(|| time.to_owned());
        changed.extend([opens.as_str(), shown.as_str(), closes.as_str(), rest]);
    }
    changed.into_bytes()
}

fn drip(stream: &TcpStream, answer: &Answer, pause: Duration) -> io::Result<()> {
    let mut stream = stream.try_clone()?;
    let length = answer.body.len();
    stream.write_all(
        format!(
            "HTTP/1.1 {} Such\r\nContent-Length: {length}\r\n",
            answer.status
        )
        .as_bytes(),
    )?;
    for (name, value) in &answer.headers {
        if ["etag", "last-modified", "content-type"].contains(&&*name.to_ascii_lowercase()) {
            stream.write_all(format!("{name}: {value}\r\n").as_bytes())?;
        }
    }
    stream.write_all(b"\r\n")?;
    for byte in &answer.body {
        stream.write_all(&[*byte])?;
        stream.flush()?;
        std::thread::sleep(pause);
    }
    Ok(())
}

fn parse(raw: &[u8]) -> Option<Answer> {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    if status == 100 {
        return parse(&raw[end + 4..]);
    }
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut body = raw[end + 4..].to_vec();
    let chunked = |(name, value): &(String, String)| {
        name.eq_ignore_ascii_case("transfer-encoding") && value.contains("chunked")
    };
    if headers.iter().any(chunked) {
        body = unchunked(&body)?;
    }
    Some(Answer {
        status,
        headers,
        body,
    })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.trim().to_owned();
        let size = usize::from_str_radix(size.split(';').next()?, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

fn send(stream: &TcpStream, request: &Request, answer: &Answer, most: usize) -> io::Result<()> {
    let mut stream = stream.try_clone()?;
    let mut head = format!("HTTP/1.1 {} Such\r\n", answer.status);
    let mut length = answer.body.len().to_string();
    for (name, value) in &answer.headers {
        match name.to_ascii_lowercase().as_str() {
            // An answer without a body says how long it would be.
            "content-length" if request.method == "HEAD" => length.clone_from(value),
            "transfer-encoding" | "connection" | "content-length" => {}
            _ => head.extend([name, ": ", value, "\r\n"]),
        }
    }
    if answer.status != 204 && answer.status != 304 {
        head.extend(["Content-Length: ", &length, "\r\n"]);
    }
    head.push_str("Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&answer.body[..answer.body.len().min(most)])?;
    }
    stream.flush()
}
