//! Upstreams over a real loopback server, with the faults that servers have.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests, too"
)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use camino::Utf8PathBuf;
use nanna_cache::nix::store_path::{HashPart, StoreDir};
use nanna_cache::provider::upstream::{Settings, observe, priorities};
use nanna_cache::sys::http::Options;

/// How the server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Fine,
    /// The first two requests of a path get 503.
    Shaky,
    Broken,
    Forbidden,
    Slow,
    OtherStore,
    NoInfo,
    /// 200 for everything, with a web page.
    Portal,
    /// 429 with Retry-After once for each path.
    Busy,
}

#[derive(Clone)]
struct Server {
    mood: Mood,
    requests: Arc<AtomicUsize>,
    at_once: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
    seen: Arc<std::sync::Mutex<std::collections::HashMap<String, usize>>>,
}

async fn answer(State(server): State<Server>, Path(name): Path<String>) -> Response {
    server.requests.fetch_add(1, Ordering::SeqCst);
    if name == "nix-cache-info" {
        return match server.mood {
            Mood::NoInfo => StatusCode::NOT_FOUND.into_response(),
            Mood::OtherStore => "StoreDir: /other/store\n".into_response(),
            _ => "StoreDir: /nix/store\nPriority: 37\n".into_response(),
        };
    }
    let now = server.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    server.most_at_once.fetch_max(now, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(5)).await;
    server.at_once.fetch_sub(1, Ordering::SeqCst);
    let times = {
        let mut seen = server.seen.lock().unwrap();
        let times = seen.entry(name.clone()).or_default();
        *times += 1;
        *times
    };
    match server.mood {
        Mood::Shaky if times < 3 => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mood::Broken => return StatusCode::BAD_GATEWAY.into_response(),
        Mood::Forbidden => return StatusCode::FORBIDDEN.into_response(),
        Mood::Slow => tokio::time::sleep(Duration::from_hours(1)).await,
        Mood::Portal => return "<html>please log in</html>".into_response(),
        Mood::Busy if times < 2 => {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", "1".parse().unwrap());
            return (StatusCode::TOO_MANY_REQUESTS, headers).into_response();
        }
        _ => {}
    }
    let hash = name.trim_end_matches(".narinfo");
    // Half of all paths are there.
    if hash.ends_with('0') {
        format!("StorePath: /nix/store/{hash}-x\nURL: nar/x\n").into_response()
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

impl Server {
    fn start(mood: Mood) -> (Self, String) {
        let server = Self {
            mood,
            requests: Arc::default(),
            at_once: Arc::default(),
            most_at_once: Arc::default(),
            seen: Arc::default(),
        };
        let (sender, receiver) = std::sync::mpsc::channel::<SocketAddr>();
        let app = axum::Router::new().route("/cache/{name}", axum::routing::get(answer));
        let app = app.with_state(server.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        let url = format!("http://{}/cache", receiver.recv().unwrap());
        (server, url)
    }
}

/// Paths whose hash parts end in 0 and in 1, turn by turn.
fn paths(count: usize) -> BTreeSet<HashPart> {
    (0..count)
        .map(|number| {
            format!("{:031}{}", number / 2, number % 2)
                .parse::<HashPart>()
                .unwrap()
        })
        .collect()
}

fn settings() -> Settings {
    Settings::new(Options::default(), StoreDir::default(), None, 1_000_000)
}

fn ask(
    url: &str,
    wanted: &BTreeSet<HashPart>,
    settings: &Settings,
) -> nanna_cache::plan::observed::Upstream {
    observe(url, wanted, &BTreeSet::new(), settings, &|| false)
}

#[test]
fn many_at_once_each_rightly() {
    let (server, url) = Server::start(Mood::Fine);
    let wanted = paths(400);
    let known: BTreeSet<HashPart> = wanted.iter().take(100).copied().collect();
    let found = observe(&format!("{url}/"), &wanted, &known, &settings(), &|| false);
    let ends = |hash: &HashPart| hash.to_string().ends_with('0');
    let there: BTreeSet<HashPart> = wanted
        .iter()
        .filter(|hash| known.contains(hash) || ends(hash))
        .copied()
        .collect();
    assert_eq!(found.has, there);
    assert!(
        found.unanswered.is_empty() && found.why.is_none(),
        "{:?}",
        found.why
    );
    // What was known is not asked for; one question is for the cache info.
    assert_eq!(server.requests.load(Ordering::SeqCst), 301);
    let most = server.most_at_once.load(Ordering::SeqCst);
    assert!((8..=48).contains(&most), "{most} at once");
}

#[test]
fn answers_are_remembered_for_their_time() {
    let (server, url) = Server::start(Mood::Fine);
    let folder = tempfile::tempdir().unwrap();
    let memory = Utf8PathBuf::from_path_buf(folder.path().join("deep/upstream.sqlite")).unwrap();
    let mut settings = settings();
    settings.memory = Some(memory.clone());
    let wanted = paths(10);
    let first = ask(&url, &wanted, &settings);
    let asked = || server.requests.swap(0, Ordering::SeqCst);
    assert_eq!(asked(), 11);
    assert_eq!(ask(&url, &wanted, &settings), first);
    assert_eq!(asked(), 0);
    settings.now += 3601;
    assert_eq!(ask(&url, &wanted, &settings), first);
    assert_eq!(asked(), 6, "what was absent is asked again after an hour");
    settings.now += 31 * 24 * 3600;
    assert_eq!(ask(&url, &wanted, &settings), first);
    assert_eq!(asked(), 11, "everything is asked again after a month");
    settings.now -= 100 * 24 * 3600;
    assert_eq!(ask(&url, &wanted, &settings), first);
    assert_eq!(asked(), 11, "answers from the future are not believed");
    settings.refresh = true;
    assert_eq!(ask(&url, &wanted, &settings), first);
    assert_eq!(asked(), 11);
    settings.refresh = false;
    std::fs::write(&memory, "rubbish".repeat(2000)).unwrap();
    assert_eq!(ask(&url, &wanted, &settings), first);
    assert_eq!(asked(), 11, "a damaged memory is made again");
    assert_eq!(ask(&url, &wanted, &settings), first);
    assert_eq!(asked(), 0);
}

#[test]
fn a_shaky_server_is_asked_again() {
    for mood in [Mood::Shaky, Mood::Busy] {
        let (_server, url) = Server::start(mood);
        let wanted = paths(6);
        let found = ask(&url, &wanted, &settings());
        assert_eq!(
            (found.has.len(), found.unanswered.len()),
            (3, 0),
            "{mood:?} {:?}",
            found.why
        );
    }
}

#[test]
fn what_is_no_answer_is_never_absent() {
    for (mood, words) in [
        (Mood::Broken, "HTTP 502"),
        (Mood::Forbidden, "refuses access (HTTP 403)"),
        (
            Mood::OtherStore,
            "of the store /other/store, not of /nix/store",
        ),
        (Mood::NoInfo, "no nix-cache-info"),
        (Mood::Portal, "is none"),
    ] {
        let (_server, url) = Server::start(mood);
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings();
        settings.memory = Utf8PathBuf::from_path_buf(folder.path().join("m.sqlite")).ok();
        let wanted = paths(200);
        let started = Instant::now();
        for _ in 0..2 {
            let found = ask(&url, &wanted, &settings);
            assert!(found.has.is_empty(), "{mood:?}");
            assert_eq!(found.unanswered, wanted, "{mood:?}");
            let why = found.why.unwrap().0;
            assert!(why.contains(words), "{mood:?}: {why}");
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{mood:?}: {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn a_broken_server_is_not_asked_a_thousand_times() {
    let (server, url) = Server::start(Mood::Broken);
    drop(ask(&url, &paths(2_000), &settings()));
    let requests = server.requests.load(Ordering::SeqCst);
    assert!(requests < 400, "{requests} requests");
}

#[test]
fn nobody_there_is_found_out_fast() {
    // A port that was free a moment ago, and one that takes connections and says nothing.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [free, silent.local_addr().unwrap()] {
        let started = Instant::now();
        let found = ask(&format!("http://{address}"), &paths(50), &settings());
        assert_eq!(found.unanswered.len(), 50);
        let why = found.why.unwrap().0;
        assert!(
            started.elapsed() < Duration::from_secs(8),
            "{:?} {why}",
            started.elapsed()
        );
    }
}

#[test]
fn a_slow_server_can_be_left() {
    let (_server, url) = Server::start(Mood::Slow);
    let stop = Arc::new(AtomicBool::new(false));
    let later = Arc::clone(&stop);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        later.store(true, Ordering::SeqCst);
    });
    let started = Instant::now();
    let found = observe(&url, &paths(50), &BTreeSet::new(), &settings(), &|| {
        stop.load(Ordering::SeqCst)
    });
    assert_eq!(found.why.unwrap().0, "stopped");
    assert_eq!(found.unanswered.len(), 50);
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn folders_are_upstreams_too() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let wanted = paths(4);
    let found = ask(&url, &wanted, &settings());
    assert_eq!(found.unanswered, wanted);
    std::fs::write(
        folder.path().join("nix-cache-info"),
        "StoreDir: /nix/store\n",
    )
    .unwrap();
    let one = wanted.first().unwrap();
    std::fs::write(folder.path().join(format!("{one}.narinfo")), "x").unwrap();
    let found = ask(&format!("{url}?priority=3"), &wanted, &settings());
    assert_eq!(found.has, BTreeSet::from([*one]));
    assert!(found.unanswered.is_empty());
    let before = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(before, 2, "looking wrote something");
}

#[test]
fn priorities_are_those_that_nix_takes() {
    let (_server, url) = Server::start(Mood::Fine);
    let (_other, silent) = Server::start(Mood::NoInfo);
    let (_third, plain) = Server::start(Mood::OtherStore);
    let stated = format!("{url}?priority=5");
    let found = priorities(
        &[url.clone(), stated.clone(), silent.clone(), plain.clone()],
        &Options::default(),
    );
    assert_eq!(found[&url], Some(37));
    assert_eq!(found[&stated], Some(5));
    assert_eq!(found[&silent], None);
    assert_eq!(found[&plain], Some(0));
}
