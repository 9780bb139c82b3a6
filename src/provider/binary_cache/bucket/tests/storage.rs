//! A storage in this process that speaks S3, as far as a cache needs, and misbehaves as a test says.
//!
//! One request for each connection. Signatures are not looked at.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && format!("{}?{}", self.path, self.query).contains(part)
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let pairs = url::form_urlencoded::parse(self.query.as_bytes());
        let mut found = pairs.filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.into_owned())
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a rule gives")]
pub(super) fn say(status: u16, code: &str) -> Option<Answer> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    Some(Answer {
        status,
        headers: Vec::new(),
        body: body.into_bytes(),
    })
}

/// How listings are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pages {
    pub(super) size: usize,
    /// Whether the answer says that there is more.
    pub(super) says: bool,
    /// Whether it says how to go on.
    pub(super) token: bool,
    /// Whether `start-after` is understood.
    pub(super) start_after: bool,
}

type Rule = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

struct Shared {
    /// Bytes, and when they were written.
    objects: Mutex<BTreeMap<String, (Vec<u8>, i64)>>,
    uploads: Mutex<BTreeMap<String, BTreeMap<u32, Vec<u8>>>>,
    rule: Mutex<Arc<Rule>>,
    pages: Mutex<Pages>,
    seen: Mutex<Vec<String>>,
    /// Bytes of bodies that are read in a second, of all requests together; 0: as fast as it goes.
    speed: AtomicU64,
    road: Mutex<()>,
}

pub(super) struct Storage {
    pub(super) port: u16,
    shared: Arc<Shared>,
}

impl Storage {
    pub(super) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pass: Arc<Rule> = Arc::new(|_| None);
        let shared = Arc::new(Shared {
            objects: Mutex::default(),
            uploads: Mutex::default(),
            rule: Mutex::new(pass),
            pages: Mutex::new(Pages {
                size: 1000,
                says: true,
                token: true,
                start_after: true,
            }),
            seen: Mutex::default(),
            speed: AtomicU64::new(0),
            road: Mutex::default(),
        });
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&ours);
                std::thread::spawn(move || drop(shared.serve(&stream)));
            }
        });
        Self { port, shared }
    }

    /// What the rule answers is not done.
    pub(super) fn rule(&self, rule: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) {
        *self.shared.rule.lock().unwrap() = Arc::new(rule);
    }

    pub(super) fn pages(&self, pages: Pages) {
        *self.shared.pages.lock().unwrap() = pages;
    }

    pub(super) fn speed(&self, bytes_in_a_second: u64) {
        self.shared.speed.store(bytes_in_a_second, Ordering::SeqCst);
    }

    pub(super) fn put(&self, key: &str, bytes: &[u8], age: i64) {
        let time = Timestamp::now().as_second() - age;
        let mut objects = self.shared.objects.lock().unwrap();
        objects.insert(key.to_owned(), (bytes.to_vec(), time));
    }

    /// How old an object is, in seconds; `None`: it is not there.
    pub(super) fn age(&self, key: &str) -> Option<i64> {
        let objects = self.shared.objects.lock().unwrap();
        let found = objects.get(key);
        found.map(|(_, time)| Timestamp::now().as_second() - time)
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        let objects = self.shared.objects.lock().unwrap();
        let found = objects.get(key);
        found.map(|(bytes, _)| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The requests so far that hold `part`, as method and target.
    pub(super) fn seen(&self, part: &str) -> Vec<String> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter()
            .filter(|one| one.contains(part))
            .cloned()
            .collect()
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let mut words = first.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default();
        let seen = format!("{method} {target}");
        self.seen.lock().unwrap().push(seen);
        let length = headers.get("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        for chunk in body.chunks_mut(256 << 10) {
            let speed = self.speed.load(Ordering::SeqCst);
            if speed > 0 {
                let _one_after_another = self.road.lock().unwrap();
                let time = chunk.len() as f64 / speed as f64;
                std::thread::sleep(Duration::from_secs_f64(time));
            }
            reader.read_exact(chunk)?;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body,
        };
        let rule = Arc::clone(&self.rule.lock().unwrap());
        let answer = rule(&request).unwrap_or_else(|| self.done(&request));
        let mut stream = stream.try_clone()?;
        let mut head = format!("HTTP/1.1 {} Such\r\nConnection: close\r\n", answer.status);
        for (name, value) in &answer.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let says_length = answer.headers.iter().any(|one| one.0 == "Content-Length");
        if answer.status != 204 && !says_length {
            head.extend(["Content-Length: ", &answer.body.len().to_string(), "\r\n"]);
        }
        head.extend(["Date: ", &date(Timestamp::now().as_second()), "\r\n\r\n"]);
        stream.write_all(head.as_bytes())?;
        if request.method != "HEAD" {
            stream.write_all(&answer.body)?;
        }
        stream.flush()
    }

    fn done(&self, request: &Request) -> Answer {
        let key = request.path.trim_start_matches("/cache");
        let key = key.trim_start_matches('/').to_owned();
        let now = Timestamp::now().as_second();
        let mut objects = self.objects.lock().unwrap();
        let mut uploads = self.uploads.lock().unwrap();
        let upload = request.parameter("uploadId");
        match (request.method.as_str(), upload) {
            ("GET", None) if key.is_empty() => self.list(request, &objects),
            ("GET" | "HEAD", None) => {
                let Some((bytes, time)) = objects.get(&key) else {
                    return say(404, "NoSuchKey").unwrap();
                };
                ok(
                    &[
                        ("ETag", tag(bytes)),
                        ("Last-Modified", date(*time)),
                        ("Content-Length", bytes.len().to_string()),
                    ],
                    bytes.clone(),
                )
            }
            ("PUT", Some(upload)) => {
                let number = request.parameter("partNumber").unwrap().parse().unwrap();
                let parts = uploads.entry(upload).or_default();
                parts.insert(number, request.body.clone());
                ok(&[("ETag", tag(&request.body))], Vec::new())
            }
            ("PUT", None) => {
                if let Some(from) = request.headers.get("x-amz-copy-source") {
                    let from = from.trim_start_matches('/').trim_start_matches("cache/");
                    let replaces = request.headers.get("x-amz-metadata-directive");
                    // As AWS does it.
                    if from == key && replaces.is_none_or(|what| what != "REPLACE") {
                        return say(400, "InvalidRequest").unwrap();
                    }
                    let bytes = objects[from].0.clone();
                    objects.insert(key, (bytes, now));
                    let body = "<CopyObjectResult><ETag>\"x\"</ETag></CopyObjectResult>";
                    return ok(&[], body.into());
                }
                if request.headers.contains_key("if-none-match") && objects.contains_key(&key) {
                    return say(412, "PreconditionFailed").unwrap();
                }
                objects.insert(key, (request.body.clone(), now));
                ok(&[("ETag", tag(&request.body))], Vec::new())
            }
            ("POST", None) if request.query.starts_with("uploads") => {
                let id = format!("u{}", uploads.len());
                uploads.insert(id.clone(), BTreeMap::new());
                let body = format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                ok(&[], body.into())
            }
            ("POST", Some(upload)) => {
                let Some(parts) = uploads.remove(&upload) else {
                    return say(404, "NoSuchUpload").unwrap();
                };
                objects.insert(key, (parts.into_values().flatten().collect(), now));
                let body = "<CompleteMultipartUploadResult><ETag>\"m-1\"</ETag></CompleteMultipartUploadResult>";
                ok(&[], body.into())
            }
            ("POST", None) => {
                let text = String::from_utf8_lossy(&request.body).into_owned();
                for piece in text.split("<Key>").skip(1) {
                    objects.remove(piece.split('<').next().unwrap());
                }
                ok(&[], "<DeleteResult></DeleteResult>".into())
            }
            ("DELETE", upload) => {
                match upload {
                    Some(upload) => drop(uploads.remove(&upload)),
                    None => drop(objects.remove(&key)),
                }
                Answer {
                    status: 204,
                    ..Answer::default()
                }
            }
            _ => say(400, "What").unwrap(),
        }
    }

    fn list(&self, request: &Request, objects: &BTreeMap<String, (Vec<u8>, i64)>) -> Answer {
        let pages = *self.pages.lock().unwrap();
        let prefix = request.parameter("prefix").unwrap_or_default();
        let token = request.parameter("continuation-token");
        let after = request.parameter("start-after");
        let after = token.or_else(|| after.filter(|_| pages.start_after));
        let after = after.unwrap_or_default();
        let is_flat = request.parameter("delimiter").is_some();
        let mut found: Vec<&String> = objects
            .keys()
            .filter(|key| key.starts_with(&prefix) && **key > after)
            .filter(|key| !is_flat || !key[prefix.len()..].contains('/'))
            .collect();
        let more = found.len() > pages.size;
        found.truncate(pages.size);
        let mut body = "<?xml version=\"1.0\"?><ListBucketResult>".to_owned();
        body += &format!("<IsTruncated>{}</IsTruncated>", more && pages.says);
        if let Some(last) = found.last().filter(|_| more && pages.token) {
            body += &format!("<NextContinuationToken>{last}</NextContinuationToken>");
        }
        for key in found {
            let (bytes, time) = &objects[key];
            let time = Timestamp::from_second(*time).unwrap();
            body += &format!(
                "<Contents><Key>{key}</Key><Size>{}</Size><LastModified>{time}</LastModified><ETag>{}</ETag></Contents>",
                bytes.len(),
                tag(bytes)
            );
        }
        body += "</ListBucketResult>";
        ok(&[], body.into_bytes())
    }
}

fn ok(headers: &[(&'static str, String)], body: Vec<u8>) -> Answer {
    Answer {
        status: 200,
        headers: headers.to_vec(),
        body,
    }
}

fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", crate::nix::hash::Sha256::of(bytes).to_nix32())
}

fn date(time: i64) -> String {
    let time = Timestamp::from_second(time).unwrap();
    jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .unwrap()
}
