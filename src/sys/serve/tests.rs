use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::*;

const SHORT: Limits = Limits {
    clients: 3,
    patience: Duration::from_millis(400),
    ..Limits::STANDARD
};

/// A server that says what it was asked; `/slow` takes half a second.
struct Running {
    address: SocketAddr,
    stop: Stop,
    done: std::thread::JoinHandle<Result<(), ServeError>>,
    most: Arc<AtomicUsize>,
}

fn run(limits: Limits) -> Running {
    let door = Door::open("127.0.0.1:0".parse().unwrap()).unwrap();
    let (address, stop) = (door.address(), Stop::default());
    let (most, now) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let (told, highest) = (stop.clone(), Arc::clone(&most));
    let done = std::thread::spawn(move || {
        serve(door, limits, &told, move |asked| {
            highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            if asked.path == "/slow" {
                std::thread::sleep(Duration::from_millis(500));
            }
            assert_ne!(asked.path, "/panic", "on purpose");
            let body = match asked.path.as_str() {
                "/large" => "x".repeat(32 << 20),
                _ => format!(
                    "{} {} {:?} {}",
                    asked.method,
                    asked.path,
                    asked.query,
                    asked.body.len()
                ),
            };
            now.fetch_sub(1, Ordering::SeqCst);
            Answer {
                status: 200,
                media: "text/plain",
                body,
                headers: vec![("x-one", "1".to_owned())],
            }
        })
    });
    Running {
        address,
        stop,
        done,
        most,
    }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    fn send(&self, text: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may answer and close before it has read all of it.
        let _ = stream.write_all(text);
        read(stream)
    }

    fn end(self) {
        self.stop.stop();
        self.done.join().unwrap().unwrap();
        assert!(TcpStream::connect(self.address).is_err());
    }
}

fn read(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    let mut part = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut part) {
        all.extend_from_slice(&part[..read]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn code(answer: &str) -> u16 {
    let word = answer.split(' ').nth(1).unwrap_or_default();
    word.parse().unwrap_or(0)
}

#[test]
fn what_is_asked_is_answered_once_for_each_client() {
    let server = run(Limits::STANDARD);
    let said = server.send(b"POST /a?b=c HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc");
    assert!(said.ends_with("\r\n\r\nPOST /a Some(\"b=c\") 3"), "{said}");
    assert!(
        said.contains("x-one: 1\r\n") && said.contains("connection: close"),
        "{said}"
    );
    let head = server.send(b"HEAD /a HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(
        head.contains("content-length: 14") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let two = b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\n";
    let said = server.send(two);
    assert_eq!(said.matches("HTTP/1.1 200").count(), 1, "{said}");
    assert_eq!(
        code(&server.send(b"GET /panic HTTP/1.1\r\nhost: x\r\n\r\n")),
        500
    );
    assert_eq!(
        code(&server.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")),
        200
    );
    server.end();
}

#[test]
fn what_is_too_much_or_no_http_is_refused() {
    let server = run(Limits::STANDARD);
    let long = format!(
        "GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n",
        "a".repeat(20_000)
    );
    assert_eq!(code(&server.send(long.as_bytes())), 431);
    let many: String = "h: 1\r\n".repeat(100);
    assert_eq!(
        code(&server.send(format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes())),
        431
    );
    let path = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
    assert!([414, 431].contains(&code(&server.send(path.as_bytes()))));
    let body = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 70000\r\n\r\n{}",
        "a".repeat(70_000)
    );
    assert_eq!(code(&server.send(body.as_bytes())), 413);
    let mut chunks = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..9 {
        chunks.extend(format!("2000\r\n{}\r\n", "a".repeat(8192)).bytes());
    }
    assert_eq!(code(&server.send(&chunks)), 413);
    for wrong in [
        &b"hello\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let said = code(&server.send(wrong));
        assert!(said == 0 || (400..600).contains(&said), "{said} {wrong:?}");
    }
    assert_eq!(
        code(&server.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")),
        200
    );
    server.end();
}

#[test]
fn whoever_is_slow_is_not_waited_for() {
    let server = run(SHORT);
    let begun = Instant::now();
    // All places are taken by clients that say nothing, a little again and again, or half of a body.
    let silent = server.connect();
    let mut half = server.connect();
    half.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc")
        .unwrap();
    let mut drip = server.connect();
    let address = server.address;
    let dripping = std::thread::spawn(move || {
        drip.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        for _ in 0..100 {
            if drip.write_all(b"a: b\r\n").is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "it was let drip");
        address
    });
    assert_eq!(
        code(&server.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")),
        200
    );
    assert_eq!(code(&read(half)), 408);
    assert!(![200].contains(&code(&read(silent))));
    dripping.join().unwrap();
    // One that does not read what it asked for.
    let mut deaf = server.connect();
    deaf.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(read(deaf).len() < 32 << 20);
    server.end();
}

#[test]
fn no_more_than_so_many_at_a_time_and_all_are_answered_before_the_end() {
    let server = run(SHORT);
    let ask = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
    let asked: Vec<TcpStream> = (0..5)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(ask).unwrap();
            stream
        })
        .collect();
    let codes: Vec<u16> = asked
        .into_iter()
        .map(|stream| code(&read(stream)))
        .collect();
    assert_eq!(codes, [200; 5]);
    assert!(server.most.load(Ordering::SeqCst) <= 3);
    // Whoever was heard is answered, whoever has not asked yet is not waited for.
    let (mut heard, silent) = (server.connect(), server.connect());
    heard.write_all(ask).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    let reading = std::thread::spawn(move || read(heard));
    server.end();
    assert_eq!(code(&reading.join().unwrap()), 200);
    assert_eq!(read(silent), "");
}

#[test]
fn a_taken_address_is_named() {
    let door = Door::open("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = Door::open(door.address()).unwrap_err().to_string();
    assert_eq!(error, format!("listen on `{}`", door.address()));
}
