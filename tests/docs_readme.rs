//! The outputs that the README shows are those of the program: it is run in the situation that the README
//! describes, and compared. `ACCEPT=1 cargo test --test docs_readme` writes them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use nanna_cache::exit::Exit;
use support::bed::TestBed;
use support::real_nix::RealNix;

const DAY: u64 = 86_400;
const UPSTREAM: &str = "https://cache.nixos.org";

fn readme() -> String {
    std::fs::read_to_string(support::fixture("README.md")).unwrap()
}

/// The block of text after the comment that names it, and its place in the README.
fn block<'a>(readme: &'a str, name: &str) -> (usize, &'a str) {
    let mark =
        format!("<!-- {name}: written by ACCEPT=1 cargo test --test docs_readme -->\n\n```text\n");
    let start = readme.find(&mark).expect("the README has the block") + mark.len();
    let end = start + readme[start..].find("```").unwrap();
    (start, &readme[start..end])
}

/// Compares a block with what the program printed, or writes it.
fn compare(name: &str, printed: &str) {
    let text = readme();
    let (start, shown) = block(&text, name);
    if shown == printed {
        return;
    }
    assert!(
        std::env::var_os("ACCEPT").is_some(),
        "the README shows something else as `{name}` than the program prints:\n{printed}"
    );
    let whole = format!(
        "{}{printed}{}",
        &text[..start],
        &text[start + shown.len()..]
    );
    std::fs::write(support::fixture("README.md"), whole).unwrap();
}

/// The output with names of a person's own, and with times as on an idle machine.
fn tidy(text: &str, work: &str) -> String {
    let text = text
        .replace("[HOME]", "~")
        .replace("[WORK]", work)
        .replace("[ROOT]/nix/store", "/nix/store");
    let seconds = regex::Regex::new(r"\b[0-9]\.[0-9]{2} s\b").unwrap();
    seconds.replace_all(&text, "0.01 s").into_owned()
}

/// Makes everything in a cache look as old as that.
fn age(folder: &Path, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(days * DAY + 3600);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            age(&path, days);
        } else {
            let file = std::fs::File::options().append(true).open(&path).unwrap();
            file.set_modified(then).unwrap();
        }
    }
    // Who only plans believes what it knows of a folder in which no name changed.
    let passing = folder.join("passing");
    std::fs::write(&passing, "").unwrap();
    std::fs::remove_file(&passing).unwrap();
}

/// A model of so many bytes that look like weights.
fn model(bed: &TestBed, name: &str, lines: u32) {
    let lines = (0..lines).map(|line| format!("{:08x}\n", line.wrapping_mul(0x9e37_79b9)));
    let weights = lines.collect::<Vec<String>>().concat();
    bed.write(format!("models/{name}/weights.txt"), weights);
}

/// A cache over HTTP on this machine that has one path.
fn upstream(has: String) -> String {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    let hash = has.rsplit('/').next().unwrap()[..32].to_owned();
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let (status, body) = if request.contains("/nix-cache-info ") {
                (
                    "200 OK",
                    "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n".to_owned(),
                )
            } else if request.contains(&hash) {
                ("200 OK", format!("StorePath: {has}\n"))
            } else {
                ("404 Not Found", String::new())
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            // Who asked may have gone.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

/// The same `cache.yaml`, line by line, with that upstream instead of the one on the network.
fn near(cache: &str, url: &str) -> String {
    let mut lines: Vec<String> = cache.lines().map(str::to_owned).collect();
    let at = lines.iter().position(|line| line == "  nixos:").unwrap();
    assert!(lines[at + 2].ends_with(UPSTREAM) && lines[at + 3].contains("public-keys"));
    let keys = lines[at + 3].trim().to_owned();
    lines[at] = format!("  nixos: {{ type: upstream, url: '{url}', insecure: true, {keys} }}");
    for line in &mut lines[at + 1..at + 4] {
        line.clear();
    }
    lines.join("\n") + "\n"
}

/// Builds outputs of the flake as a person would.
fn build(bed: &TestBed, outputs: &[&str]) {
    let names = outputs.iter().map(|output| format!("path:.#{output}"));
    let _ = bed
        .finish(bed.program("nix").args(["build", "--no-link"]).args(names))
        .success();
}

#[test]
fn the_plan_is_a_real_one() {
    let Some(nix) = RealNix::old() else { return };
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        support::skip_always("the plan in the README is of x86_64-linux");
        return;
    }
    let mut bed = TestBed::new();
    nix.equip(&mut bed);
    let text = readme();
    let cache = text
        .split("```yaml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let flake =
        std::fs::read_to_string(support::fixture("examples/nanna-coder/flake.nix")).unwrap();

    bed.write("flake.nix", &flake);
    build(&bed, &["testContainer"]);
    let openssl = nix
        .paths()
        .into_iter()
        .find(|path| path.path.contains("-openssl-"))
        .expect("the example has an openssl");
    let cache = near(cache, &upstream(openssl.path));

    // What was pushed long ago.
    bed.write("cache.yaml", cache.replace("max-jobs: 4", "max-jobs: 2"));
    model(&bed, "qwen3", 300_000);
    let _ = bed.run(["reconcile", "--apply"]).success();
    age(&bed.home().join(".cache/nanna-coder/binary-cache"), 100);

    // What has changed since.
    bed.write("cache.yaml", cache);
    bed.write(
        "flake.nix",
        flake.replace("version = \"0.1.0\"", "version = \"0.2.0\""),
    );
    model(&bed, "gemma", 500_000);
    build(&bed, &["nanna-coder"]);

    let plan = bed.run(["reconcile"]).success();
    compare("plan", &tidy(&plan.stdout, "."));
    let again = bed.run(["reconcile", "--detailed-exitcode"]).fails(2);
    assert_eq!(plan.stdout, again.stdout, "planning changes nothing");
    let _ = bed.run(["reconcile", "--apply"]).success();
    let rest = bed.run(["reconcile", "--detailed-exitcode"]).success();
    assert!(rest.stdout.contains("No changes."), "{rest}");
}

#[test]
fn the_first_five_minutes_are_real() {
    let mut bed = TestBed::new();
    bed.without_nix();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(support::fixture("examples"))
        .arg(bed.work())
        .status()
        .unwrap();
    assert!(copied.success());
    let out = bed.at("examples/quickstart/out");
    if out.exists() {
        std::fs::remove_dir_all(&out).unwrap();
    }
    let arguments = [
        "reconcile",
        "--apply",
        "--config",
        "examples/quickstart/cache.yaml",
    ];
    assert!(readme().contains(&format!("cargo run --release -- {}\n", arguments.join(" "))));
    let place = "/home/you/nanna-cache";
    let first = bed.run(arguments).success();
    compare("first", &tidy(&first.stdout, place));
    let second = bed.run(arguments).success();
    compare("second", &tidy(&second.stdout, place));
    assert!(second.stdout.contains("No changes."));
    let _ = bed
        .run([
            "reconcile",
            "--detailed-exitcode",
            "--config",
            "examples/quickstart/cache.yaml",
        ])
        .success();
    let beside: Vec<_> = std::fs::read_dir(bed.at("examples/quickstart"))
        .unwrap()
        .collect();
    assert_eq!(beside.len(), 3, "cache.yaml, models and out: {beside:?}");
}

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let mut codes = Exit::ALL;
    codes.sort_by_key(|exit| exit.code());
    let row = |exit: Exit| format!("| {} | {} |\n", exit.code(), exit.meaning());
    let rows = codes.map(row).concat();
    let table = format!("| code | meaning |\n|---|---|\n{rows}\n");
    let order: Vec<String> = Exit::ALL
        .iter()
        .filter(|exit| **exit != Exit::Done)
        .map(|exit| exit.code().to_string())
        .collect();
    let text = readme();
    assert!(
        text.contains(&table),
        "the README lacks this table:\n{table}"
    );
    let order = format!("the first of {} wins", order.join(", "));
    assert!(text.contains(&order), "the README does not say: {order}");
}

/// What the README says of CI: a job is refused a key of its own, and tuned all the same.
#[test]
fn a_job_without_the_key_is_tuned_and_does_not_push() {
    let mut bed = TestBed::new();
    bed.without_nix();
    bed.write("models/a/weights", "w0 0.5");
    bed.write("environment", "");
    bed.set("CI", "true").set("GITHUB_ACTIONS", "true");
    let environment = bed.at("environment");
    bed.set("GITHUB_ENV", environment);
    bed.write(
        "cache.yaml",
        "version: 1
project: sample
caches:
  local: { type: file, path: out/cache, signing-key: { file: out/key.sec, generate: true } }
artifacts:
  models: { priority: 1, directories: ['models/*'], default: true }
optimize: { max-jobs: 4 }
",
    );
    let push = bed.run(["push", "--apply"]).fails(4);
    assert!(push.stdout.contains("setup-key-missing"), "{push}");
    let _ = bed.run(["optimize", "--apply"]).success();
    assert!(bed.read("environment").contains("max-jobs = 4"));
    let _ = bed.run(["setup", "--apply"]).success();
    assert!(!bed.at("out/key.sec").exists());
}
