use super::*;
use std::process::{Command, Stdio};

#[test]
fn urls_and_proxies() {
    assert!(parse("https://user:pass@host/x").is_ok());
    for url in ["ftp://host", "host", "", "file:///x"] {
        assert!(parse(url).is_err(), "{url}");
    }
    let hidden = parse("ftp://me:hush@host/").unwrap_err().to_string();
    assert!(!hidden.contains("hush"), "{hidden}");
    let host = Host::made_up([
        ("HTTP_PROXY", "http://no"),
        ("https_proxy", "http://p:1"),
        ("NO_PROXY", "x"),
    ]);
    let proxies = Proxies::of(&host);
    assert_eq!(proxies.http, None);
    assert_eq!(proxies.https.as_deref(), Some("http://p:1"));
    assert_eq!(proxies.direct.as_deref(), Some("x"));
}

#[test]
fn waits_as_long_as_it_is_told() {
    let mut headers = HeaderMap::new();
    assert_eq!(retry_after(&headers), None);
    headers.insert(RETRY_AFTER, "7".parse().unwrap());
    assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
    headers.insert(
        RETRY_AFTER,
        "Wed, 21 Oct 2015 07:28:00 GMT".parse().unwrap(),
    );
    assert_eq!(retry_after(&headers), None);
}

/// A TLS server with a certificate that nobody knows; `None` where there is no `openssl`.
fn tls_server(folder: &std::path::Path) -> Option<(std::process::Child, u16, String)> {
    let config = "[req]\ndistinguished_name = name\n[name]\n[root]\nbasicConstraints = critical,CA:TRUE\n\
        [leaf]\nbasicConstraints = critical,CA:FALSE\nsubjectAltName = DNS:localhost\n";
    std::fs::write(folder.join("config"), config).unwrap();
    let make = |arguments: &str| {
        let made = Command::new("openssl")
            .current_dir(folder)
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ])
            .args(["-nodes", "-days", "2", "-config", "config"])
            .args(arguments.split(' '))
            .output();
        made.is_ok_and(|made| made.status.success())
    };
    let done = make("-subj /CN=root -extensions root -keyout root.key -out root.pem")
        && make(
            "-subj /CN=localhost -extensions leaf -CA root.pem -CAkey root.key -keyout key.pem -out cert.pem",
        );
    if !done {
        eprintln!("SKIPPED: no `openssl` 3 on this machine");
        return None;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-www",
            "-accept",
            &port.to_string(),
            "-cert",
        ])
        .arg(folder.join("cert.pem"))
        .arg("-key")
        .arg(folder.join("key.pem"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Some((
        server,
        port,
        folder.join("root.pem").to_str().unwrap().to_owned(),
    ))
}

#[test]
fn certificates_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut server, port, certificate)) = tls_server(folder.path()) else {
        return;
    };
    let ask = |name: &str, certificates: Option<String>| {
        let http = Http::new(&Options {
            certificates,
            ..Options::default()
        })
        .unwrap();
        let url = format!("https://{name}:{port}/");
        block_on(async { http.get(&url, 1 << 20).await }).unwrap()
    };
    let stranger = ask("localhost", None);
    let known = ask("localhost", Some(certificate.clone()));
    let other_name = ask("127.0.0.1", Some(certificate));
    server.kill().unwrap();
    server.wait().unwrap();
    let stranger = stranger.unwrap_err().brief();
    assert!(stranger.contains("certificate"), "{stranger}");
    assert_eq!(known.unwrap().status, 200);
    let other_name = other_name.unwrap_err().brief();
    assert!(other_name.contains("certificate"), "{other_name}");
    assert!(
        Http::new(&Options {
            certificates: Some("/no/such".to_owned()),
            ..Options::default()
        })
        .is_err()
    );
}

#[test]
fn what_is_no_url_is_shown_without_password_and_signature() {
    for text in [
        "//storage/part?X-Amz-Signature=planted",
        "ftp://user:planted@storage/part?sig=planted#planted",
    ] {
        let told = parse(text).unwrap_err().to_string();
        assert!(told.contains("storage/part"), "{told}");
        assert!(!told.contains("planted"), "{told}");
    }
}
