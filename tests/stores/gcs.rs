//! A small server that speaks the part of Google Cloud Storage's XML interface that `object_store` uses.
//!
//! It is not Google Cloud Storage: nothing that can be had runs that interface here, so this is made from what
//! its documentation says. Everything is in memory. Anybody may read, who sends a bearer token may write, also
//! an empty one. Conditions go by generations, parts have to be 5 MiB long (the last apart), and an object that
//! is written gets a new generation also when its bytes are the same.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use md5::{Digest as _, Md5};

/// Shorter parts are refused, the last apart.
const SHORTEST_PART: usize = 5 << 20;

/// Keys of a page.
const PAGE: usize = 1000;

#[derive(Clone)]
struct Object {
    bytes: Arc<Vec<u8>>,
    etag: String,
    generation: u64,
    modified: Timestamp,
}

#[derive(Default)]
struct World {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    generation: u64,
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// Starts one with the bucket `cache`, which ends with the process; its port.
pub fn start() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let world = Arc::new(Mutex::new(World::default()));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let world = Arc::clone(&world);
            std::thread::spawn(move || {
                let _ = serve(&stream, &world);
            });
        }
    });
    port
}

fn serve(stream: &TcpStream, world: &Mutex<World>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read(&mut reader)? {
        let answer = world.lock().unwrap().answer(&request);
        send(&mut stream.try_clone()?, &request, &answer)?;
        if request
            .headers
            .get("connection")
            .is_some_and(|how| how == "close")
        {
            break;
        }
    }
    Ok(())
}

fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = first.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let url = url::Url::parse(&format!("http://storage{target}")).unwrap();
    Ok(Some(Request {
        method,
        path: without_percents(url.path()),
        query: url.query_pairs().into_owned().collect(),
        headers,
        body,
    }))
}

/// Takes the percent signs out of a path.
fn without_percents(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' && after.len() >= 2 {
            let hex = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn send(stream: &mut TcpStream, request: &Request, answer: &Answer) -> io::Result<()> {
    let date = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
    let mut head = format!("HTTP/1.1 {} Such\r\nDate: {date}\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if answer.status != 204 {
        head.extend(["Content-Length: ", &answer.body.len().to_string(), "\r\n"]);
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    if request.method != "HEAD" {
        bytes.extend_from_slice(&answer.body);
    }
    stream.write_all(&bytes)
}

fn xml(status: u16, text: &str) -> Answer {
    Answer {
        status,
        headers: vec![("Content-Type", "application/xml; charset=UTF-8".into())],
        body: format!("<?xml version='1.0' encoding='UTF-8'?>{text}").into_bytes(),
    }
}

fn refusal(status: u16, code: &str) -> Answer {
    xml(
        status,
        &format!("<Error><Code>{code}</Code><Message>Refused.</Message></Error>"),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn tag(bytes: &[u8]) -> String {
    format!(
        "\"{}\"",
        data_encoding::HEXLOWER.encode(&Md5::digest(bytes))
    )
}

impl World {
    fn answer(&mut self, request: &Request) -> Answer {
        let mut parts = request.path.trim_start_matches('/').splitn(2, '/');
        if parts.next() != Some("cache") {
            return refusal(404, "NoSuchBucket");
        }
        let key = parts.next().unwrap_or_default().to_owned();
        let has = |name: &str| request.query.contains_key(name);
        let writes = !matches!(&*request.method, "GET" | "HEAD");
        // The client sends none where it ends an upload and its bearer is empty, as that of the tests is. Who
        // knows the name of an upload has begun it.
        let ends = has("uploadId") && &*request.method != "PUT";
        if writes && !ends && !request.headers.contains_key("authorization") {
            return refusal(401, "AuthenticationRequired");
        }
        match &*request.method {
            "GET" if key.is_empty() && has("list-type") => self.list(request),
            "GET" | "HEAD" => self.get(request, &key),
            "PUT" if has("partNumber") => self.part(request),
            "PUT" => self.put(request, key),
            "POST" if has("uploads") => self.begin(&key),
            "POST" if has("uploadId") => self.complete(request, key),
            "DELETE" if has("uploadId") => match self.uploads.remove(&request.query["uploadId"]) {
                Some(_) => Answer {
                    status: 204,
                    headers: Vec::new(),
                    body: Vec::new(),
                },
                None => refusal(404, "NoSuchUpload"),
            },
            "DELETE" => match self.objects.remove(&key) {
                Some(_) => Answer {
                    status: 204,
                    headers: Vec::new(),
                    body: Vec::new(),
                },
                None => refusal(404, "NoSuchKey"),
            },
            _ => refusal(405, "MethodNotAllowed"),
        }
    }

    /// Why the condition of a request does not hold.
    fn unmet(&self, request: &Request, key: &str) -> Option<Answer> {
        let wanted = request.headers.get("x-goog-if-generation-match")?;
        let is = self.objects.get(key).map_or(0, |object| object.generation);
        (*wanted != is.to_string()).then(|| refusal(412, "PreconditionFailed"))
    }

    fn keep(
        &mut self,
        key: String,
        bytes: Arc<Vec<u8>>,
        etag: String,
    ) -> Vec<(&'static str, String)> {
        self.generation += 1;
        let headers = vec![
            ("ETag", etag.clone()),
            ("x-goog-generation", self.generation.to_string()),
            ("x-goog-metageneration", "1".to_owned()),
        ];
        let (generation, modified) = (self.generation, Timestamp::now());
        self.objects.insert(
            key,
            Object {
                bytes,
                etag,
                generation,
                modified,
            },
        );
        headers
    }

    fn put(&mut self, request: &Request, key: String) -> Answer {
        if let Some(refusal) = self.unmet(request, &key) {
            return refusal;
        }
        let Some(source) = request.headers.get("x-goog-copy-source") else {
            let etag = tag(&request.body);
            let headers = self.keep(key, Arc::new(request.body.clone()), etag);
            return Answer {
                status: 200,
                headers,
                body: Vec::new(),
            };
        };
        let source = without_percents(source);
        let Some(object) = source
            .strip_prefix("cache/")
            .and_then(|from| self.objects.get(from))
        else {
            return refusal(404, "NoSuchKey");
        };
        let object = object.clone();
        let answer = format!(
            "<CopyObjectResult><ETag>{}</ETag></CopyObjectResult>",
            object.etag
        );
        let headers = self.keep(key, object.bytes, object.etag);
        Answer {
            headers,
            ..xml(200, &answer)
        }
    }

    fn get(&self, request: &Request, key: &str) -> Answer {
        let Some(object) = self.objects.get(key) else {
            return refusal(404, "NoSuchKey");
        };
        let is_it = |value: &String| value == "*" || *value == object.etag;
        if request
            .headers
            .get("if-match")
            .is_some_and(|value| !is_it(value))
        {
            return refusal(412, "PreconditionFailed");
        }
        let mut headers = vec![
            ("ETag", object.etag.clone()),
            ("x-goog-generation", object.generation.to_string()),
            (
                "Last-Modified",
                object
                    .modified
                    .strftime("%a, %d %b %Y %H:%M:%S GMT")
                    .to_string(),
            ),
            ("Content-Type", "application/octet-stream".to_owned()),
        ];
        if request.headers.get("if-none-match").is_some_and(is_it) {
            return Answer {
                status: 304,
                headers,
                body: Vec::new(),
            };
        }
        let (size, bytes) = (object.bytes.len(), &object.bytes);
        let range = request
            .headers
            .get("range")
            .and_then(|range| range.strip_prefix("bytes="));
        let Some((from, to)) = range.and_then(|range| range.split_once('-')) else {
            return Answer {
                status: 200,
                headers,
                body: bytes.to_vec(),
            };
        };
        let end = to.parse::<usize>().map_or(size, |last| size.min(last + 1));
        let (start, end) = match from.parse::<usize>() {
            Ok(start) => (start, end),
            // The last so many bytes.
            Err(_) => (size.saturating_sub(to.parse().unwrap_or(0)), size),
        };
        if start >= end {
            return refusal(416, "InvalidRange");
        }
        headers.push(("Content-Range", format!("bytes {start}-{}/{size}", end - 1)));
        Answer {
            status: 206,
            headers,
            body: bytes[start..end].to_vec(),
        }
    }

    fn begin(&mut self, key: &str) -> Answer {
        self.generation += 1;
        let id = format!("upload-{}", self.generation);
        self.uploads.insert(id.clone(), BTreeMap::new());
        xml(
            200,
            &format!(
                "<InitiateMultipartUploadResult><Bucket>cache</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
                 </InitiateMultipartUploadResult>",
                escaped(key)
            ),
        )
    }

    fn part(&mut self, request: &Request) -> Answer {
        let id = request.query.get("uploadId").cloned().unwrap_or_default();
        let number = request.query["partNumber"].parse().unwrap_or(0);
        let Some(upload) = self.uploads.get_mut(&id) else {
            return refusal(404, "NoSuchUpload");
        };
        if !(1..=10_000).contains(&number) {
            return refusal(400, "InvalidArgument");
        }
        let headers = vec![("ETag", tag(&request.body))];
        upload.insert(number, request.body.clone());
        Answer {
            status: 200,
            headers,
            body: Vec::new(),
        }
    }

    fn complete(&mut self, request: &Request, key: String) -> Answer {
        let id = &request.query["uploadId"];
        let Some(upload) = self.uploads.get(id) else {
            return refusal(404, "NoSuchUpload");
        };
        let text = String::from_utf8_lossy(&request.body).replace("&quot;", "\"");
        let element = |part: &str, name: &str| -> String {
            let (_, rest) = part.split_once(&format!("<{name}>")).unwrap_or_default();
            rest.split('<').next().unwrap_or_default().to_owned()
        };
        let mut bytes = Vec::new();
        let named: Vec<&str> = text.split("<Part>").skip(1).collect();
        for (at, part) in named.iter().enumerate() {
            let number = element(part, "PartNumber").parse().unwrap_or(0);
            let there = upload
                .get(&number)
                .filter(|there| tag(there) == element(part, "ETag"));
            let Some(there) = there else {
                return refusal(400, "InvalidPart");
            };
            if there.len() < SHORTEST_PART && at + 1 < named.len() {
                return refusal(400, "EntityTooSmall");
            }
            bytes.extend_from_slice(there);
        }
        if named.is_empty() {
            return refusal(400, "MalformedCompleteMultipartUploadRequest");
        }
        self.uploads.remove(id);
        // As there: a tag that is not the hash of the whole.
        let etag = format!("\"{}-{}\"", tag(&bytes).trim_matches('"'), named.len());
        let answer = format!(
            "<CompleteMultipartUploadResult><Bucket>cache</Bucket><Key>{}</Key><ETag>{etag}</ETag>\
             </CompleteMultipartUploadResult>",
            escaped(&key)
        );
        let headers = self.keep(key, Arc::new(bytes), etag);
        Answer {
            headers,
            ..xml(200, &answer)
        }
    }

    fn list(&self, request: &Request) -> Answer {
        let given = |name: &str| request.query.get(name).map_or("", String::as_str);
        let (prefix, delimiter) = (given("prefix"), given("delimiter"));
        let after = [given("continuation-token"), given("start-after")];
        let after = after.iter().max().copied().unwrap_or_default();
        let most = given("max-keys").parse().unwrap_or(PAGE).min(PAGE);
        let (mut text, mut last, mut count, mut more) = (String::new(), String::new(), 0, false);
        for (key, object) in &self.objects {
            let Some(rest) = key.strip_prefix(prefix) else {
                continue;
            };
            let folder = (!delimiter.is_empty())
                .then(|| rest.split_once(delimiter))
                .flatten()
                .map(|(name, _)| format!("{prefix}{name}{delimiter}"));
            let name = folder.as_ref().unwrap_or(key);
            if name.as_str() <= after || *name == last {
                continue;
            }
            if count == most {
                more = true;
                break;
            }
            count += 1;
            last.clone_from(name);
            let shown = match &folder {
                Some(folder) => format!(
                    "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                    escaped(folder)
                ),
                None => format!(
                    "<Contents><Key>{}</Key><Generation>{}</Generation><MetaGeneration>1</MetaGeneration>\
                     <LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                    escaped(key),
                    object.generation,
                    object.modified.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"),
                    object.etag,
                    object.bytes.len()
                ),
            };
            text.push_str(&shown);
        }
        let next = if more {
            format!(
                "<NextContinuationToken>{}</NextContinuationToken>",
                escaped(&last)
            )
        } else {
            String::new()
        };
        xml(
            200,
            &format!(
                "<ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'><Name>cache</Name><Prefix>{}</Prefix>\
                 <IsTruncated>{more}</IsTruncated>{next}{text}</ListBucketResult>",
                escaped(prefix)
            ),
        )
    }
}
