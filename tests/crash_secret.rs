//! A signing key is planted, and everything that the tool ever says or writes is searched for it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::format_collect,
    reason = "a test"
)]

mod crash_support;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crash_support::{Running, Site, copy};

/// The forms in which a secret could show.
struct Needles(Vec<(&'static str, Vec<u8>)>);

impl Needles {
    /// Of the text of a key file, `name:base64`: seed and public key, 32 bytes each.
    fn of(text: &str) -> Self {
        let base64 = text.trim().split_once(':').unwrap().1.to_owned();
        let bytes = decode(&base64);
        assert_eq!(bytes.len(), 64);
        let seed = bytes[..32].to_vec();
        let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        // The first 40 letters are of the seed alone, in whatever is encoded after it.
        let start = base64.as_bytes()[..40].to_vec();
        let url = base64[..40].replace('+', "-").replace('/', "_");
        Self(vec![
            ("plain", seed.clone()),
            ("reversed", seed.iter().rev().copied().collect()),
            ("base64", start),
            ("base64 for URLs", url.into_bytes()),
            ("HEX", hex.to_uppercase().into_bytes()),
            ("hex", hex.into_bytes()),
            (
                "a list of numbers",
                format!("{}, {}, {}, {}", seed[0], seed[1], seed[2], seed[3]).into_bytes(),
            ),
        ])
    }

    #[track_caller]
    fn assert_absent(&self, what: &str, bytes: &[u8]) {
        for (form, needle) in &self.0 {
            let found = bytes.windows(needle.len()).any(|part| part == needle);
            assert!(!found, "{what} holds the secret key ({form})");
        }
    }

    /// Whether it is there, for a test of this test.
    fn found(&self, bytes: &[u8]) -> bool {
        self.0
            .iter()
            .any(|(_, needle)| bytes.windows(needle.len()).any(|part| part == needle))
    }
}

fn decode(base64: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let bits: Vec<u8> = base64
        .bytes()
        .filter(|letter| *letter != b'=')
        .map(value)
        .collect();
    let mut bytes = Vec::new();
    for four in bits.chunks(4) {
        let all = four
            .iter()
            .fold(0_u32, |sum, six| sum << 6 | u32::from(*six))
            << (6 * (4 - four.len()));
        bytes.extend(all.to_be_bytes()[1..four.len()].iter().copied());
    }
    bytes
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// Looks at the arguments of every process until it is told to stop.
fn watch_arguments(needles: &Needles, stop: &AtomicBool) -> usize {
    let mut seen = 0;
    while !stop.load(Ordering::SeqCst) {
        for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            if let Ok(line) = std::fs::read(entry.path().join("cmdline")) {
                seen += usize::from(line.windows(11).any(|part| part == b"nanna-cache"));
                needles.assert_absent("a command line", &line);
            }
        }
    }
    seen
}

/// Says that it is over, also to who waits while this test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_signing_key_shows_nowhere() {
    let Some(mut site) = Site::new(12) else {
        return;
    };
    let key = site.bed.at("keys/local.sec");
    let text = std::fs::read_to_string(&key).unwrap();
    let needles = Needles::of(&text);
    assert!(needles.found(text.as_bytes()), "the search itself works");
    let name = text.split_once(':').unwrap().0.to_owned();

    let top = site.population.top.clone();
    let plan = site.bed.at("plan.json").to_str().unwrap().to_owned();
    // The same key by every way in which it can be given, and in ways that fail.
    let file = site.bed.read("cache.yaml");
    let given = "{ file: keys/local.sec, generate: true }";
    assert!(file.contains(given));
    let secret = text.trim().to_owned();
    let broken = format!("{name}:{}", &secret.split_once(':').unwrap().1[..60]);
    site.bed.write("keys/broken.sec", &broken);
    site.bed
        .set("SIGNING_KEY", &secret)
        .set("BROKEN_KEY", &broken);
    let variants = [
        file.clone(),
        file.replace(given, "{ env: SIGNING_KEY }"),
        file.replace(given, "{ command: [cat, keys/local.sec] }"),
        file.replace(given, "{ file: keys/broken.sec }"),
        file.replace(given, "{ env: BROKEN_KEY }"),
        file.replace(
            given,
            "{ command: [sh, -c, 'cat keys/local.sec >&2; exit 3'] }",
        ),
        // Pasted where no secret belongs.
        file.replace(given, &format!("'{secret}'")),
        file.replace(given, &format!("{{ file: '{secret}' }}")),
        file.replace(given, &format!("{{ env: '{secret}' }}")),
        file.replace("project: site", &format!("project: '{secret}'")),
        file.replace("flake: ./flake", &format!("'{secret}': 1")),
        format!("{file}pins: {{ '{secret}': {{ output: '{secret}' }} }}\n"),
        file.replace(
            "    signing-key",
            &format!("    public-keys: ['{secret}']\n    signing-key"),
        ),
        format!("{file}: : '{secret}\n"),
    ];
    let runs: Vec<Vec<&str>> = vec![
        vec!["-vv", "validate"],
        vec!["validate", "--format", "json"],
        vec!["validate", "--format", "github"],
        vec!["-vv", "reconcile", "--full", "--path-is-no-flag"],
        vec!["-vv", "push", "--full", "--path", &top, "--out", &plan],
        vec!["reconcile", "--format", "json"],
        vec!["reconcile", "--format", "markdown"],
        vec!["-vv", "push", "--apply", "--path", &top],
        vec!["push", "--apply", "--path", &top, "--format", "json"],
        vec!["-vv", "explain", &top],
        vec!["-vv", "prune", "--apply"],
    ];
    let made = site.copies();
    copy(&site.cache(), &made);
    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch_arguments(&needles, &stop));
        let over = Over(&stop);
        for (number, text) in variants.iter().enumerate() {
            site.bed.write("cache.yaml", text);
            for run in &runs {
                let ended = Running::start(&mut site.command(run.iter().copied())).end();
                let what = format!("variant {number}, {run:?}");
                needles.assert_absent(&format!("{what}: stdout"), ended.stdout.as_bytes());
                needles.assert_absent(&format!("{what}: stderr"), ended.stderr.as_bytes());
                assert!(!ended.stderr.contains("panicked"), "{what}: {ended:#?}");
            }
            // Each of the first three signs; nothing of that was to be in vain.
            if number < 3 {
                site.checker().root(&top).assert_whole(&site.cache());
                let empty = site.cache().with_file_name("empty");
                copy(&made, &empty);
                site.replace_cache(&empty);
            }
        }
        drop(over);
        watcher.join().unwrap()
    });
    assert!(seen > 0, "no process was seen at work");

    // Everything that was written, less what this test wrote.
    let mut written = Vec::new();
    files(site.bed.root(), &mut written);
    if site.cache().exists() {
        files(&site.cache(), &mut written);
    }
    let ours = [
        key,
        site.bed.at("keys/broken.sec"),
        site.bed.at("cache.yaml"),
    ];
    written.retain(|path| !ours.contains(path));
    assert!(
        written.iter().any(|path| path.ends_with("site.jsonl")),
        "{written:?}"
    );
    assert!(
        written.iter().any(|path| path.ends_with("plan.json")),
        "{written:?}"
    );
    for path in &written {
        needles.assert_absent(&path.display().to_string(), &std::fs::read(path).unwrap());
    }
    // Nobody else may read the key that was made.
    let mode = Command::new("stat")
        .args(["-c", "%a"])
        .arg(&ours[0])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(mode.stdout).unwrap(), "600\n");
}
