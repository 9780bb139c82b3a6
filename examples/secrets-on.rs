//! Counts what the gate before push would find in folders, and how fast it looks: for its false alarms.
//!
//! `cargo run --release --example secrets-on -- /usr` prints one line for each finding (with `--each`), then the sums.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nanna_cache::insight::secrets::Scanner;

#[derive(Default)]
struct Sums {
    files: u64,
    bytes: u64,
    took: Duration,
    rules: BTreeMap<&'static str, u64>,
}

fn main() {
    let (flags, folders): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let mut sums = Sums::default();
    for folder in &folders {
        walk(Path::new(folder), &mut sums, !flags.is_empty());
    }
    let found: u64 = sums.rules.values().sum();
    let bytes = u32::try_from(sums.bytes >> 20).unwrap_or(u32::MAX);
    println!(
        "{found} findings in {} files of {bytes} MiB, looked through at {:.0} MiB/s",
        sums.files,
        f64::from(bytes) / sums.took.as_secs_f64()
    );
    for (rule, count) in &sums.rules {
        println!("{count:6} {rule}");
    }
}

fn walk(at: &Path, sums: &mut Sums, each: bool) {
    let Ok(facts) = at.symlink_metadata() else {
        return;
    };
    if facts.is_dir() {
        let entries = std::fs::read_dir(at).into_iter().flatten().flatten();
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        entries.sort();
        for entry in entries {
            walk(&entry, sums, each);
        }
    } else if facts.is_file() {
        file(at, facts.len(), sums, each);
    }
}

fn file(at: &Path, size: u64, sums: &mut Sums, each: bool) {
    let Ok(mut file) = std::fs::File::open(at) else {
        return;
    };
    let mut scanner = Scanner::default();
    scanner.begin(size);
    let mut buffer = vec![0; 256 << 10];
    while let Ok(read @ 1..) = file.read(&mut buffer) {
        let began = Instant::now();
        scanner.content(buffer.get(..read).unwrap_or_default());
        sums.took += began.elapsed();
        sums.bytes += read as u64;
    }
    let began = Instant::now();
    let found = scanner.end();
    sums.took += began.elapsed();
    sums.files += 1;
    for one in found {
        *sums.rules.entry(one.rule.name()).or_default() += 1;
        if each {
            println!("{}:{} {} {}", at.display(), one.offset, one.rule, one.shown);
        }
    }
}
