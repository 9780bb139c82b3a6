//! What the documents of the repository promise of it: commands and flags that exist, links that lead
//! somewhere, examples that are valid, and nothing in any file that only one machine has.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use support::bed::TestBed;
use support::real_nix::RealNix;

/// Every file that belongs to the repository, relative to its root.
fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(support::repository())
        .output();
    let listed: Vec<PathBuf> = match output {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout)
            .unwrap()
            .split_terminator('\0')
            .map(PathBuf::from)
            .collect(),
        // An archive without its history.
        _ => below(Path::new("")),
    };
    assert!(
        listed.len() > 100,
        "the files of the repository: {}",
        listed.len()
    );
    listed
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(support::repository().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if !["target", ".git", "out"].contains(&entry.file_name().to_str().unwrap()) {
                found.extend(below(&path));
            }
        } else {
            found.push(path);
        }
    }
    found
}

fn documents() -> Vec<(PathBuf, String)> {
    let is_document = |file: &PathBuf| file.extension().is_some_and(|end| end == "md");
    let fixture = |file: &PathBuf| file.starts_with("tests");
    files()
        .into_iter()
        .filter(|file| is_document(file) && !fixture(file))
        .filter_map(|file| {
            let text = std::fs::read_to_string(support::fixture(file.to_str()?)).ok()?;
            Some((file, text))
        })
        .collect()
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_matches(['#', ' ']).to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut seen = 0;
    let mut dead = Vec::new();
    for (file, text) in documents() {
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let to = if path.is_empty() {
                support::repository().join(&file)
            } else {
                support::repository()
                    .join(&file)
                    .parent()
                    .unwrap()
                    .join(path)
            };
            let Ok(there) = to.canonicalize() else {
                dead.push(format!("{}: {target}", file.display()));
                continue;
            };
            if !fragment.is_empty() {
                let headings = std::fs::read_to_string(there).unwrap();
                let known = headings
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(anchor);
                if !known.into_iter().any(|known| known == fragment) {
                    dead.push(format!("{}: {target}", file.display()));
                }
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    assert!(seen > 10, "{seen}");
}

#[test]
fn files_that_are_named_exist() {
    let name =
        Regex::new(r"`((?:src|tests|docs|examples|schema|fuzz|\.ci)/[A-Za-z0-9_./-]+)`").unwrap();
    let mut seen = 0;
    let mut missing = Vec::new();
    for (file, text) in documents() {
        for found in name.captures_iter(&text) {
            seen += 1;
            let made = found[1].contains("/out");
            if !made && !support::repository().join(&found[1]).exists() {
                missing.push(format!("{}: {}", file.display(), &found[1]));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(seen > 5, "{seen}");
}

/// Words of the documents' command lines, one list for each `nanna-cache …` in a block or in back-ticks.
fn command_lines(text: &str) -> Vec<Vec<String>> {
    let line = Regex::new(r"(?m)(?:^\$ |&& |`|\| )nanna-cache ([^`\n&|]+)").unwrap();
    line.captures_iter(text)
        .map(|found| found[1].split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn commands_and_flags_that_are_named_exist() {
    let bed = TestBed::new();
    let help = bed.run(["--help"]).success().stdout;
    let commands: BTreeSet<String> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    assert!(commands.len() > 10, "{commands:?}");

    let mut seen = 0;
    for (file, text) in documents() {
        for words in command_lines(&text) {
            let Some(command) = words.iter().find(|word| !word.starts_with('-')) else {
                continue;
            };
            let place = format!("{}: nanna-cache {}", file.display(), words.join(" "));
            assert!(commands.contains(command), "{place}");
            let help = bed.run([command, "--help"]).success().stdout;
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap();
                assert!(help.contains(flag), "{place}: there is no {flag}");
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "{seen}");

    let readme = std::fs::read_to_string(support::fixture("README.md")).unwrap();
    let table = readme.split("## Commands").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let listed: BTreeSet<String> = table
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned()))
        .collect();
    assert_eq!(listed, commands, "the README's table of commands");
}

#[test]
fn nothing_here_is_of_one_machine() {
    // Put together here, so that this file does not hold them itself.
    let machine = [
        ["/ro", "ot/"].concat(),
        ["/wo", "rk/"].concat(),
        ["/home/", "user"].concat(),
        ["/Us", "ers/"].concat(),
    ];
    let patterns: Vec<Regex> = machine
        .iter()
        // As a path of its own, not as a part of one such as `target/sid-root/`.
        .map(|path| {
            Regex::new(&format!(
                r"(^|[^A-Za-z0-9_.\-\]\}}$/~*]){}",
                regex::escape(path)
            ))
            .unwrap()
        })
        .collect();
    let mut broken = Vec::new();
    for file in files() {
        let Ok(text) = std::fs::read_to_string(support::fixture(file.to_str().unwrap())) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if patterns.iter().any(|pattern| pattern.is_match(line)) {
                broken.push(format!("{}:{}: {line}", file.display(), number + 1));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The examples of the repository, copied where nobody else writes.
fn examples(bed: &TestBed) {
    let copied = Command::new("cp")
        .arg("-r")
        .arg(support::fixture("examples"))
        .arg(support::fixture("cache.yaml"))
        .arg(bed.work())
        .status()
        .unwrap();
    assert!(copied.success());
    // What the quick start of this clone made.
    let out = bed.at("examples/quickstart/out");
    if out.exists() {
        std::fs::remove_dir_all(out).unwrap();
    }
}

const FILES: [&str; 3] = [
    "cache.yaml",
    "examples/quickstart/cache.yaml",
    "examples/nanna-coder/cache.yaml",
];

#[test]
fn examples_are_valid_and_plan_without_nix() {
    let mut bed = TestBed::new();
    bed.without_nix();
    examples(&bed);
    for file in FILES {
        let _ = bed
            .run(["validate", "--strict", "--config", file])
            .success();
        let plan = bed.run(["reconcile", "--config", file]).success();
        assert!(plan.stdout.contains("Nothing has been changed."), "{plan}");
        if file.contains("quickstart") {
            assert!(!plan.stdout.contains("unknown"), "{plan}");
        } else {
            assert!(
                plan.stdout.contains("there is no Nix here to evaluate it"),
                "{plan}"
            );
        }
    }
    // What needs no Nix is planned all the same.
    let plan = bed.run(["reconcile", "--config", FILES[2]]).success();
    assert!(plan.stdout.contains("model-cache"), "{plan}");
}

#[test]
fn the_strategy_plans_with_nix_and_without_a_network() {
    for nix in RealNix::all() {
        let mut bed = TestBed::new();
        nix.equip(&mut bed);
        // Nobody is asked: what a proxy on a closed port answers is the same everywhere.
        bed.set("https_proxy", "http://127.0.0.1:9");
        let project = nix.scratch().join("project");
        let copied = Command::new("cp")
            .arg("-r")
            .arg(support::fixture("examples/nanna-coder"))
            .arg(&project)
            .status()
            .unwrap();
        assert!(copied.success());
        let file = project.join("cache.yaml");
        let file = file.to_str().unwrap();
        let plan = bed.run(["reconcile", "--config", file]).success();
        for words in [
            "> .#testContainer",
            "> .#nanna-coder",
            "known only after the build of .#testContainer",
            "max-jobs = 4",
            "model-cache",
            "pin release",
        ] {
            assert!(
                plan.stdout.contains(words),
                "Nix {}: {words}: {plan}",
                nix.version()
            );
        }
        assert!(!plan.stdout.contains("evaluate `"), "{plan}");
    }
}

#[test]
fn the_table_of_layers_is_the_one_that_is_held() {
    let rules = std::fs::read_to_string(support::fixture("tests/architecture/rules.rs")).unwrap();
    let table = rules.split("const LAYERS").nth(1).unwrap();
    let table = table.split("];").next().unwrap();
    let row = Regex::new(r#"\(\s*"(\w+)",\s*"([a-z ]*)",?\s*\)"#).unwrap();
    let unbuilt = |layer: &&str| !support::repository().join("src").join(layer).exists();
    let text = std::fs::read_to_string(support::fixture("ARCHITECTURE.md")).unwrap();
    let mut seen = 0;
    for found in row.captures_iter(table) {
        let layer = &found[1];
        if ["main", "lib", "insight", "ledger"].contains(&layer) {
            continue;
        }
        let allowed: Vec<&str> = found[2]
            .split_whitespace()
            .filter(|layer| !["insight", "ledger"].contains(layer) || !unbuilt(layer))
            .collect();
        let line = format!("| `{layer}` | {} |", allowed.join(" ")).replace("|  |", "| |");
        assert!(text.contains(&line), "ARCHITECTURE.md lacks: {line}");
        seen += 1;
    }
    assert_eq!(seen, 11);
}

#[test]
fn every_refusal_of_a_plan_is_in_its_document() {
    let said = Regex::new(
        r#"(?:code: |refuse\(\s*|const [A-Z_]+: &str = )"((?:adopt|prune|push|repair|setup)-[a-z-]+)""#,
    )
    .unwrap();
    let mut codes = std::collections::BTreeSet::new();
    for path in below(&support::repository().join("src/plan")) {
        let is_test =
            path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests");
        if is_test || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        codes.extend(said.captures_iter(text).map(|found| found[1].to_owned()));
    }
    assert!(codes.len() > 10, "{codes:?}");
    let document = std::fs::read_to_string(support::fixture("docs/refusals.md")).unwrap();
    let row = Regex::new(r"(?m)^\| `([a-z-]+)` \|").unwrap();
    let rows: Vec<String> = row
        .captures_iter(&document)
        .map(|found| found[1].to_owned())
        .collect();
    assert_eq!(
        rows,
        codes.into_iter().collect::<Vec<_>>(),
        "docs/refusals.md has each code once, sorted"
    );
}
