//! `serve` as a client meets it: a real server with a real folder cache, asked over a socket.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "serve/client.rs"]
mod client;
#[path = "serve/described.rs"]
mod described;
mod support;
#[path = "browser/week.rs"]
#[allow(dead_code, reason = "the tests of pages use all of it")]
mod week;

use std::time::{Duration, Instant};

use client::{BEARER, Said, Server, TOKEN, bed};
use serde_json::{Value, json};

#[test]
fn what_can_be_read_is_what_the_commands_say() {
    let bed = bed();
    let server = Server::start(&bed, "--fresh 0s");
    let masked = |path: &str| -> Value {
        let said = server.get(path).ok().body;
        serde_json::from_str(&bed.mask(&said)).unwrap()
    };
    let (mut status, mut plan) = (masked("/api/v1/status"), masked("/api/v1/plan"));
    let run = |line: &str| -> Value {
        let said = bed.run(line.split_whitespace()).success();
        serde_json::from_str(&said.stdout).unwrap()
    };
    let (mut same_status, mut same_plan) =
        (run("status --format json"), run("reconcile --format json"));
    for each in [&mut status, &mut plan, &mut same_status, &mut same_plan] {
        each["now"] = Value::Null;
    }
    assert_eq!(status, same_status);
    assert_eq!(plan["steps"], same_plan["steps"]);
    assert_eq!(plan["summary"], same_plan["summary"]);
    assert!(
        plan["summary"]["push_paths"].as_u64().unwrap() > 0,
        "{plan}"
    );

    let page = server.get("/").ok();
    assert!(
        page.head.contains("content-type: text/html") && page.head.contains("default-src 'none'")
    );
    assert!(
        page.body.contains("models/*") && page.body.contains("<h1>shop"),
        "{}",
        page.body
    );
    let metrics = server.get("/metrics").ok();
    assert!(metrics.head.contains("version=0.0.4"), "{}", metrics.head);
    assert!(
        metrics
            .body
            .contains("nanna_cache_seen{cache=\"dev\",kind=\"file\",tier=\"3\"} 1\n"),
        "{}",
        metrics.body
    );
    described::judge_metrics(&metrics.body);
    let head = server.ask("HEAD", "/api/v1/status", &[], "");
    assert_eq!((head.code, head.body.as_str()), (200, ""));
    for path in [
        "/x",
        "/api/v1",
        "/api/v1/status/",
        "/../etc/passwd",
        "//",
        "/api/v1/apply/x",
    ] {
        assert_eq!(server.get(path).code, 404, "{path}");
    }
    assert_eq!(
        server.ask("POST", "/api/v1/status", &[BEARER], "").code,
        405
    );
    assert_eq!(server.ask("BREW", "/", &[BEARER], "").code, 405);
    assert!(
        !bed.at("out/cache/nix-cache-info").exists(),
        "reading changed something"
    );
    server.end(0);
}

#[test]
fn pages_of_others_and_names_of_others_learn_nothing() {
    let bed = bed();
    let server = Server::start(&bed, "");
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        for (method, path) in [
            ("GET", "/api/v1/plan"),
            ("GET", "/"),
            ("POST", "/api/v1/apply"),
        ] {
            let said = server.ask(method, path, &[(name, value), BEARER], "");
            assert_eq!(said.code, 403, "{method} {path} {name}: {value}");
            assert!(!said.body.contains("shop"), "{}", said.body);
            assert!(
                !said.head.to_lowercase().contains("access-control"),
                "{}",
                said.head
            );
        }
    }
    let preflight = server.ask(
        "OPTIONS",
        "/api/v1/apply",
        &[("origin", "http://evil.example")],
        "",
    );
    assert_eq!(preflight.code, 403);
    assert!(!bed.at("out/cache/nix-cache-info").exists());
    server.end(0);
}

#[test]
fn an_apply_needs_the_token_and_does_what_the_plan_says() {
    let bed = bed();
    let server = Server::start(&bed, "--fresh 1h");
    assert_eq!(
        server.get("/api/v1/apply").ok().json(),
        json!({ "format": 1, "applying": false })
    );
    for (headers, code) in [
        (&[][..], 401),
        (
            &[("authorization", "Bearer plantedTokenOfThisServer012345678")][..],
            401,
        ),
        (
            &[("authorization", "Basic plantedTokenOfThisServer0123456789")][..],
            401,
        ),
        (&[BEARER, BEARER][..], 401),
    ] {
        let said = server.ask("POST", "/api/v1/apply", headers, "");
        assert_eq!(said.code, code, "{headers:?}");
        assert!(
            said.head.contains("www-authenticate: Bearer"),
            "{}",
            said.head
        );
    }
    let before = server.get("/api/v1/status").ok().json();
    assert!(before["pending"]["changes"].as_u64().unwrap() > 0);

    // Set-up is left out: the guards refuse it, as they would the command.
    let refused = server.apply(r#"{"only": ["push"]}"#);
    assert_eq!(refused.code, 422, "{}", refused.body);
    assert_eq!(refused.json()["refusals"][0]["code"], "setup-first");
    for (body, code) in [
        ("{", 400),
        ("[]", 400),
        (r#"{"allow": "share=100%"}"#, 400),
        (r#"{"only": ["pusch"]}"#, 400),
        (r#"{"only": ["push/elsewhere"]}"#, 400),
        (r#"{"caches": ["elsewhere"]}"#, 400),
    ] {
        let said = server.apply(body);
        assert_eq!(said.code, code, "{body}: {}", said.body);
        assert!(said.head.contains("application/problem+json"));
    }
    let form = server.ask(
        "POST",
        "/api/v1/apply",
        &[BEARER, ("content-type", "text/plain")],
        "{}",
    );
    assert_eq!(form.code, 415);
    assert!(!bed.at("out/cache/nix-cache-info").exists());

    let done = server.apply("{}").ok().json();
    assert_eq!(
        (&done["exit"], &done["report"]["remaining"]["confirm"]),
        (&json!(0), &json!("converged")),
        "{done:#}"
    );
    assert!(bed.at("out/cache/nix-cache-info").exists());
    // The last look was made before: it is forgotten, however fresh.
    let after = server.get("/api/v1/status").ok().json();
    assert_eq!(after["pending"]["changes"], 0, "{after:#}");
    let again = server
        .ask("POST", "/api/v1/apply", &[BEARER], "")
        .ok()
        .json();
    assert!(again["planned"]["changes"] == 0, "{again:#}");
    let state = server.get("/api/v1/apply").ok().json();
    assert_eq!(
        (&state["applying"], &state["last"]),
        (&json!(false), &again)
    );
    let _ = bed.run(["reconcile", "--detailed-exitcode"]).success();
    server.end(0);
}

#[test]
fn without_a_token_nothing_is_applied_and_afar_nothing_is_read() {
    let bed = bed();
    let server = Server::start_with(&bed, "127.0.0.1:0", "");
    let said = server.apply("{}");
    assert_eq!(said.code, 403);
    assert!(said.body.contains("--token-env"), "{}", said.body);
    assert_eq!(server.get("/api/v1/status").code, 200);
    server.end(0);

    let said = bed.run(["serve", "--listen", "0.0.0.0:0"]).fails(64);
    assert!(said.stderr.contains("--token-env"), "{said}");
    let said = bed
        .run(["serve", "--listen", "0.0.0.0:0", "--token-env", "EMPTY"])
        .fails(1);
    assert!(said.stderr.contains("`EMPTY`: there is none"), "{said}");

    bed.write("token", format!("{TOKEN}\n"));
    let server = Server::start_with(
        &bed,
        "0.0.0.0:0",
        "--token-file token --host caches.example",
    );
    for path in [
        "/",
        "/metrics",
        "/api/v1/status",
        "/api/v1/plan",
        "/api/v1/apply",
        "/openapi.json",
        "/x",
    ] {
        assert_eq!(server.get(path).code, 401, "{path}");
    }
    let named = |host| {
        server
            .ask("GET", "/api/v1/status", &[BEARER, ("host", host)], "")
            .code
    };
    assert_eq!(
        (named("caches.example"), named("other.example")),
        (200, 403)
    );
    server.end(0);
}

#[test]
fn one_apply_at_a_time() {
    let bed = bed();
    let server = Server::start(&bed, "");
    let hold = bed.write("hold", "");
    let address = server.address;
    let first =
        std::thread::spawn(move || client::ask(address, "POST", "/api/v1/apply", &[BEARER], ""));
    server.wait_until_applying();
    for _ in 0..3 {
        let said = server.apply("{}");
        assert_eq!(said.code, 409, "{}", said.body);
    }
    std::fs::remove_file(hold).unwrap();
    assert_eq!(first.join().unwrap().code, 200);
    let both: Vec<Said> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(|| server.apply("{}"))).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(both.iter().any(|said| said.code == 200));
    assert!(both.iter().all(|said| [200, 409].contains(&said.code)));
    server.end(0);
}

#[test]
fn many_who_read_at_once_share_one_look() {
    let bed = bed();
    let server = Server::start(&bed, "--fresh 1h");
    let count = bed.at("looks");
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| server.get("/api/v1/status").ok());
        }
    });
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n");
    server.end(0);
}

#[test]
fn the_end_waits_for_what_was_begun_and_for_nobody_who_asked_nothing() {
    let bed = bed();
    let server = Server::start(&bed, "");
    let hold = bed.write("hold", "");
    let address = server.address;
    let silent = std::net::TcpStream::connect(address).unwrap();
    let first =
        std::thread::spawn(move || client::ask(address, "POST", "/api/v1/apply", &[BEARER], ""));
    server.wait_until_applying();
    server.signal("TERM");
    let begun = Instant::now();
    // It is told to stop; what it was cut short in is told to whoever asked.
    let said = first.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(said.code, 500, "{}", said.body);
    drop((silent, hold));
    let ended = server.wait();
    assert!(ended.code != Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("Stopping after the current objects"),
        "{ended:?}"
    );
    // The next run finds nothing broken, and finishes.
    std::fs::remove_file(bed.at("hold")).unwrap();
    let _ = bed.run(["reconcile", "--apply", "--yes"]).success();
}

#[test]
fn a_file_that_is_broken_meanwhile_is_said_and_mended_again() {
    let bed = bed();
    let server = Server::start(&bed, "--fresh 0s");
    let good = bed.read("cache.yaml");
    bed.write("cache.yaml", good.replace("priority: 80", "priority: high"));
    let said = server.get("/api/v1/status");
    assert_eq!(
        (said.code, &said.json()["title"]),
        (500, &json!("cache.yaml is invalid"))
    );
    assert_eq!(server.apply("").code, 500);
    bed.write("cache.yaml", &good);
    let _ = server.get("/api/v1/status").ok();
    let taken = format!("127.0.0.1:{}", server.address.port());
    let said = bed.run(["serve", "--listen", &taken]).fails(1);
    assert!(said.stderr.contains(&taken), "{said}");
    server.end(0);
    bed.write("cache.yaml", "version: 1\n");
    let _ = bed.run(["serve", "--listen", "127.0.0.1:0"]).fails(3);
}

#[test]
fn what_runs_measured_is_on_the_page_in_figures_and_as_json() {
    let bed = bed();
    let config = week::CONFIG.replace("/srv", bed.at("srv").to_str().unwrap());
    bed.write("cache.yaml", config + "setup: { nix-conf: none }\n");
    bed.write("runs.jsonl", week::records());
    let _ = bed.run(["analytics", "ingest", "runs.jsonl"]).success();
    let server = Server::start(&bed, "");
    let report = server.get("/api/v1/report").ok().json();
    assert_eq!(
        (&report["runs"], &report["applies"]),
        (&json!(60), &json!(20))
    );
    let metrics = server.get("/metrics").ok().body;
    described::judge_metrics(&metrics);
    let hits = &report["hits"]["paths"];
    let share = hits["hit"].as_f64().unwrap() / hits["all"].as_f64().unwrap();
    for line in [
        format!("nanna_cache_hit_ratio{{measure=\"paths\"}} {share}\n"),
        "nanna_cache_records{kind=\"run\"} 60\n".to_owned(),
        "nanna_cache_target{target=\"push-time\",unit=\"seconds\"} 300\n".to_owned(),
        "nanna_cache_target_met{target=\"hit-rate\"} 1\n".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    let page = server.get("/").ok().body;
    for id in [
        "targets", "hits", "parts", "time", "size", "classes", "push", "cost", "storage", "caches",
        "pending",
    ] {
        assert!(page.contains(&format!("<h2 id=\"{id}\">")), "{id}");
    }
    let file = bed
        .run(["analytics", "--format", "prometheus"])
        .success()
        .stdout;
    described::judge_metrics(&file);
    assert!(metrics.contains(file.lines().nth(1).unwrap()), "{file}");
    server.end(0);
}
