//! The network that `versus-nix` measures on: a link with a delay, a plain HTTP server, a filler of buckets.
//! Built by the driver with `rustc -O`; needs nothing but the standard library.
//!
//! `wire link PORT MILLISECONDS`: gives every connection to it on to PORT; what is sent either way arrives so
//! much later, and setting a connection up takes a round trip. The bandwidth is not limited, and connections
//! do not wait for one another. Prints the port it listens on; on each line that it reads, how many requests
//! came since the last line, by method.
//! `wire serve DIR`: an HTTP server of the files in DIR that takes PUT. Prints its port.
//! `wire fill PORT BUCKET DIR CONNECTIONS`: puts every file below DIR into a bucket that takes
//! unsigned requests.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Bytes that are given on at once.
const PIECE: usize = 64 << 10;
/// So many pieces of one connection may be on their way.
const PIECES: usize = 256;

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

/// What a piece from a client begins, if it begins a request. (A request begins a piece, for a client sends
/// none before the last is answered.)
fn request(piece: &[u8]) -> Option<String> {
    let line = piece.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line.get(..line.len().min(4096))?).ok()?;
    let (method, rest) = line.split_once(' ')?;
    let known = ["GET", "HEAD", "PUT", "POST", "DELETE"].contains(&method);
    if !known || !rest.starts_with('/') {
        return None;
    }
    let lists = rest.contains("?list-type=") || rest.contains("&list-type=");
    Some(if lists { "LIST".to_owned() } else { method.to_owned() })
}

/// Gives on what comes from one side, later.
fn pump(mut from: TcpStream, mut to: TcpStream, delay: Duration, first: Duration, counts: Option<Counts>) {
    let (send, receive) = sync_channel::<(Instant, Vec<u8>)>(PIECES);
    let writer = thread::spawn(move || {
        for (at, piece) in receive {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; PIECE];
    let begun = Instant::now();
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let piece = &buffer[..len];
        if let (Some(counts), Some(what)) = (&counts, request(piece)) {
            *counts.lock().unwrap().entry(what).or_default() += 1;
        }
        // What was sent while the connection would still have been set up.
        let at = Instant::now().max(begun + first) + delay;
        if send.send((at, piece.to_vec())).is_err() {
            break;
        }
    }
    drop(send);
    let _ = writer.join();
}

fn link(port: u16, delay: Duration) -> Fallible<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    let counts = Counts::default();
    let told = Arc::clone(&counts);
    thread::spawn(move || {
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            let counts = std::mem::take(&mut *told.lock().unwrap());
            let words: Vec<String> = counts.iter().map(|(what, count)| format!("{what}={count}")).collect();
            println!("{}", words.join(" "));
        }
        // Whoever started it is gone.
        std::process::exit(0);
    });
    for client in listener.incoming() {
        let (client, server) = (client?, TcpStream::connect(("127.0.0.1", port))?);
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, from_server) = (client.try_clone()?, server.try_clone()?);
        let counts = Arc::clone(&counts);
        thread::spawn(move || pump(from_client, server, delay, delay * 2, Some(counts)));
        thread::spawn(move || pump(from_server, client, delay, Duration::ZERO, None));
    }
    Ok(())
}

/// The head of a request or an answer: its first line, and its headers in small letters.
fn head(stream: &mut impl BufRead) -> Fallible<Option<(String, BTreeMap<String, String>)>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let first = line.trim_end().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            return Ok(Some((first, headers)));
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
}

/// Copies a body into a file.
fn body(stream: &mut impl BufRead, headers: &BTreeMap<String, String>, file: &mut impl Write) -> Fallible<()> {
    let mut whole = |stream: &mut dyn Read, len: u64| -> Fallible<()> {
        match std::io::copy(&mut stream.take(len), file)? == len {
            true => Ok(()),
            false => Err("a body broke off".into()),
        }
    };
    if !headers.get("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        let len = headers.get("content-length").map_or(Ok(0), |len| len.parse())?;
        return whole(stream, len);
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let len = u64::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16)?;
        whole(stream, len)?;
        stream.read_line(&mut String::new())?;
        if len == 0 {
            return Ok(());
        }
    }
}

fn answer(stream: &mut TcpStream, status: &str, len: u64) -> Fallible<()> {
    Ok(write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {len}\r\n\r\n").and_then(|()| stream.flush())?)
}

fn talk(mut stream: TcpStream, dir: &Path) -> Fallible<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(PIECE, stream.try_clone()?);
    while let Some((line, headers)) = head(&mut reader)? {
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = dir.join(target.split('?').next().unwrap_or_default().trim_start_matches('/'));
        if headers.get("expect").is_some_and(|it| it.eq_ignore_ascii_case("100-continue")) {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        match method {
            _ if target.contains("..") => answer(&mut stream, "400 Bad Request", 0)?,
            "PUT" => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                let temporary = dir.join(format!(".put-{number}"));
                body(&mut reader, &headers, &mut File::create(&temporary)?)?;
                fs::rename(&temporary, &path)?;
                answer(&mut stream, "201 Created", 0)?;
            }
            "GET" | "HEAD" => match File::open(&path).and_then(|file| Ok((file.metadata()?, file))) {
                Ok((meta, mut file)) if meta.is_file() => {
                    answer(&mut stream, "200 OK", meta.len())?;
                    if method == "GET" {
                        std::io::copy(&mut file, &mut stream)?;
                    }
                }
                _ => answer(&mut stream, "404 Not Found", 0)?,
            },
            _ => answer(&mut stream, "405 Method Not Allowed", 0)?,
        }
    }
    Ok(())
}

fn serve(dir: PathBuf) -> Fallible<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    let dir = Arc::new(dir);
    for stream in listener.incoming() {
        let (stream, dir) = (stream?, Arc::clone(&dir));
        thread::spawn(move || {
            if let Err(error) = talk(stream, &dir) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) -> Fallible<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn fill(port: u16, bucket: &str, dir: &Path, connections: usize) -> Fallible<usize> {
    let mut found = Vec::new();
    files(dir, &mut found)?;
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let work = || -> Fallible<()> {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            let mut reader = BufReader::new(stream.try_clone()?);
            while let Some(path) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (bytes, key) = (fs::read(path)?, path.strip_prefix(dir)?.display().to_string());
                let mut request = format!(
                    "PUT /{bucket}/{key} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {}\r\n\r\n",
                    bytes.len()
                )
                .into_bytes();
                request.extend(bytes);
                stream.write_all(&request)?;
                let (line, headers) = head(&mut reader)?.ok_or("no answer")?;
                body(&mut reader, &headers, &mut std::io::sink())?;
                if !line.contains(" 200") {
                    return Err(format!("{key}: {line}").into());
                }
            }
            Ok(())
        };
        let tasks: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
        tasks.into_iter().try_for_each(|task| task.join().map_err(|_| "a thread died")?)
    })?;
    Ok(found.len())
}

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["link", port, delay] => link(port.parse()?, Duration::from_millis(delay.parse()?)),
        ["serve", dir] => serve(dir.into()),
        ["fill", port, bucket, dir, connections] => {
            println!("{}", fill(port.parse()?, bucket, Path::new(dir), connections.parse()?)?);
            Ok(())
        }
        _ => Err("usage: wire link PORT MILLISECONDS | serve DIR | fill PORT BUCKET DIR CONNECTIONS".into()),
    }
}
