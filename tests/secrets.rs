//! One test for every kind of secret that travels: a token of a service, the credentials of a storage, and, with
//! them, a signing key. Each is planted, and everything that is said, written, stored or shown in the list of
//! processes is searched for it, in all its encodings. (`crash_secret.rs` does more for signing keys.)
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod bucket_world;
#[path = "fake/cachix/mod.rs"]
mod cachix;
mod e2e_world;
mod stores;
mod support;
#[path = "e2e_cachix/team.rs"]
mod team;

use std::sync::atomic::{AtomicBool, Ordering};

use bucket_world::{Shop, planted};
use e2e_world::World;
use stores::{SECRET_KEY, Server};
use support::planted::Planted;
use team::{TOKEN, Team};

const LINES: [&str; 10] = [
    "-vv validate",
    "validate --format github",
    "-vv reconcile --full",
    "reconcile --format json --out plan.json",
    "reconcile --format markdown",
    "-vv reconcile --apply",
    "-vv reconcile --apply --format json",
    "-vv reconcile --from plan.json",
    "-vv prune --apply",
    "-vv reconcile --refresh --strict",
];

/// Looks at the arguments of every process until it is told to stop; how often it saw ours.
fn watch(planted: &Planted, stop: &AtomicBool) -> usize {
    let mut seen = 0;
    while !stop.load(Ordering::SeqCst) {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            if let Ok(line) = std::fs::read(entry.path().join("cmdline")) {
                let is_ours = line.windows(11).any(|part| part == b"nanna-cache");
                // Whoever started a test may have named the secret; our own program must not.
                if is_ours {
                    seen += 1;
                    assert_eq!(planted.found(&line), [""; 0], "a command line");
                }
            }
        }
    }
    seen
}

/// Runs everything; nothing of what is said holds it.
fn nothing_is_said(world: &World, planted: &Planted) {
    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(planted, &stop));
        for line in LINES {
            let said = world.run(line);
            let found = planted.found(said.to_string().as_bytes());
            stop.store(!found.is_empty(), Ordering::SeqCst);
            assert_eq!(found, [""; 0], "{line}: {said}");
            assert!(!said.stderr.contains("panicked"), "{line}: {said}");
        }
        stop.store(true, Ordering::SeqCst);
        watcher.join().unwrap()
    });
    assert!(seen > 0, "no process was seen at work");
    let written = world.bed.home().join(".local/state/nanna-cache/journal");
    assert!(written.exists(), "there is a journal to be searched");
}

/// In a job of GitHub each secret is handed to the runner once, before anything else is said, and nowhere else.
fn masked_for_github(world: &mut World, secrets: &[&str]) {
    let file = world.bed.write("github-env", "");
    world
        .bed
        .set("GITHUB_ACTIONS", "true")
        .set("GITHUB_ENV", &file);
    let planted = Planted::of(secrets.iter().copied());
    for line in ["reconcile --format json", "-vv reconcile --apply"] {
        let said = world.run(line);
        assert_eq!(planted.found(said.stdout.as_bytes()), [""; 0], "{said}");
        let (masks, rest): (Vec<&str>, Vec<&str>) = said
            .stderr
            .lines()
            .partition(|line| line.starts_with("::add-mask::"));
        for secret in secrets {
            let mask = format!("::add-mask::{}", secret.replace('%', "%25"));
            let count = masks.iter().filter(|line| **line == mask).count();
            assert_eq!(count, 1, "{line}: once, and whole: {}", masks.len());
        }
        assert_eq!(planted.found(rest.join("\n").as_bytes()), [""; 0], "{line}");
    }
    // What goes into a file stays there: nothing would take the mask away.
    let line = format!(
        "exec {} reconcile 2>said",
        env!("CARGO_BIN_EXE_nanna-cache")
    );
    let mut shell = world.bed.program("sh");
    let said = world.bed.finish(shell.args(["-c", &line])).success();
    assert_eq!(planted.found(said.stdout.as_bytes()), [""; 0]);
    assert_eq!(planted.found_below(&world.bed.work().join("said")), [""; 0]);
    assert_eq!(planted.found(world.bed.read("said").as_bytes()), [""; 0]);
    world.bed.unset("GITHUB_ACTIONS").unset("GITHUB_ENV");
}

#[test]
fn the_search_finds_what_is_planted() {
    let planted = Planted::of([TOKEN]);
    let base64 = |text: String| data_encoding::BASE64.encode(text.as_bytes());
    for text in [
        format!("a {TOKEN} b"),
        base64(TOKEN.to_owned()),
        base64(format!("u:{TOKEN}")),
        base64(format!("cachix:{TOKEN}\n")),
        data_encoding::HEXUPPER.encode(TOKEN.as_bytes()),
        TOKEN
            .replace('/', "%2F")
            .replace('+', "%2B")
            .replace('%', "%25"),
        TOKEN.replace('/', "\\/"),
    ] {
        let encoded = text.contains("%252F");
        assert!(
            encoded || !planted.found(text.as_bytes()).is_empty(),
            "{text}"
        );
    }
    assert!(planted.found(b"planted-token, but not that one").is_empty());
}

#[test]
fn a_token_of_a_service_shows_nowhere() {
    let Some(mut team) = Team::new(|cache| cache) else {
        return;
    };
    team.declare("", "pins: { release: { output: '.#app' } }\n");
    nothing_is_said(&team.world, &Planted::of([TOKEN]));
    team.assert_no_token();
    masked_for_github(&mut team.world, &[TOKEN]);
    team.assert_no_token();
    // By the other ways in which it can be given; the file and the command are the user's own.
    for (reference, file) in [
        ("{ file: token }", "token"),
        ("{ command: [cat, token] }", "token"),
    ] {
        team.world.bed.unset("CACHIX_AUTH_TOKEN");
        let path = team.world.bed.write(file, TOKEN);
        team.declare(&format!("token: {reference}"), "");
        nothing_is_said(&team.world, &Planted::of([TOKEN]));
        masked_for_github(&mut team.world, &[TOKEN]);
        std::fs::remove_file(path).unwrap();
        team.assert_no_token();
    }
}

/// The secret part of the signing key that setup made.
fn signing_key(shop: &Shop) -> String {
    let text = shop.world.bed.read("keys/team.sec");
    text.trim().split_once(':').unwrap().1.to_owned()
}

fn of_a_storage(mut shop: Shop, secret: &str) {
    nothing_is_said(&shop.world, &planted());
    shop.assert_no_secret();
    let key = signing_key(&shop);
    masked_for_github(&mut shop.world, &[secret, &key]);
    shop.assert_no_secret();
    let copy = tempfile::tempdir().unwrap();
    shop.copy_to(copy.path());
    assert_eq!(Planted::of([&*key]).found_below(copy.path()), [""; 0]);
    std::fs::remove_file(shop.world.bed.work().join("keys/team.sec")).unwrap();
    assert_eq!(
        Planted::of([&*key]).found_below(shop.world.bed.root()),
        [""; 0]
    );
}

#[test]
fn the_credentials_of_s3_and_a_signing_key_show_nowhere() {
    if let Some(shop) = Shop::with("", 4) {
        of_a_storage(shop, SECRET_KEY);
    }
}

#[test]
fn the_key_of_an_azure_account_shows_nowhere() {
    let shop = Server::azurite().and_then(|server| Shop::at(server, "", 4));
    if let Some(shop) = shop {
        of_a_storage(shop, stores::AZURITE_KEY);
    }
}

#[test]
fn a_service_account_of_gcs_shows_nowhere() {
    if let Some(shop) = Shop::at(Server::gcs(), "", 4) {
        let line = stores::SERVICE_ACCOUNT.lines().last().unwrap();
        of_a_storage(shop, line);
    }
}
