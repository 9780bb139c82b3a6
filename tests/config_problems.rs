//! Every problem code has a sample, a golden rendering and a paragraph in the docs.
//!
//! A sample's first line says its code and the line where it is: `# CODE at line N` (0: no place).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use miette::{GraphicalReportHandler, GraphicalTheme};
use nanna_cache::config::code::Code;
use nanna_cache::config::problem::{Problems, Severity};
use nanna_cache::config::read;

struct Sample {
    stem: String,
    code: String,
    line: u32,
    bytes: Vec<u8>,
}

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    files
}

fn samples() -> Vec<Sample> {
    let read = |path: &PathBuf| {
        let mut bytes = fs::read(path).unwrap();
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap();
        let first = String::from_utf8(first.to_vec()).unwrap();
        let words: Vec<&str> = first.split([' ', ',']).collect();
        let ["#", code, "at", "line", line, rest @ ..] = words.as_slice() else {
            panic!(
                "{}: the first line must be `# CODE at line N`",
                path.display()
            );
        };
        if let ["", "repeated", "up", "to", size, "bytes"] = rest {
            let whole = bytes.clone();
            while bytes.len() < size.parse().unwrap() {
                bytes.extend_from_slice(&whole);
            }
        }
        Sample {
            stem: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            code: (*code).to_owned(),
            line: line.parse().unwrap(),
            bytes,
        }
    };
    fixtures("invalid").iter().map(read).collect()
}

fn problems(sample: &Sample) -> Problems {
    let name = format!("{}.yaml", sample.stem);
    match read(&name, &sample.bytes) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    }
}

fn draw(problems: &Problems) -> String {
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(80)
        .with_links(false)
        .render_report(&mut text, problems)
        .unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

#[test]
fn samples_have_their_problem_at_its_place() {
    let mut wrong = Vec::new();
    for sample in samples() {
        let problems = problems(&sample);
        let found: Vec<(String, u32)> = problems
            .located()
            .into_iter()
            .map(|problem| {
                (
                    problem.code,
                    problem.labels.first().map_or(0, |label| label.start.line),
                )
            })
            .collect();
        let expected = vec![(format!("nanna::config::{}", sample.code), sample.line)];
        if found != expected {
            wrong.push(format!(
                "{}: expected {expected:?}, found {found:?}",
                sample.stem
            ));
        }
        assert!(
            sample.stem.starts_with(&sample.code),
            "{} is named after another code",
            sample.stem
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_make_a_file_unusable_and_warnings_do_not() {
    for sample in samples() {
        let code = *Code::ALL
            .iter()
            .find(|code| code.name() == sample.code)
            .unwrap();
        let usable = read("x", &sample.bytes).is_ok();
        assert_eq!(
            usable,
            code.severity() == Severity::Warning,
            "{}",
            sample.stem
        );
    }
}

#[test]
fn golden_renderings() {
    for sample in samples() {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("fixtures/invalid/golden");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(sample.stem.clone(), draw(&problems(&sample))));
    }
}

#[test]
fn every_code_has_sample_golden_and_paragraph() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_to_string(root.join("docs/problems.md")).unwrap();
    let samples = samples();
    let with: BTreeSet<&str> = samples.iter().map(|sample| sample.code.as_str()).collect();
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(with, all, "codes with a sample, and all codes");
    for sample in &samples {
        let golden = root.join(format!(
            "tests/fixtures/invalid/golden/{}.snap",
            sample.stem
        ));
        assert!(golden.exists(), "{} has no golden rendering", sample.stem);
    }
    let headings: Vec<&str> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'))
        .collect();
    let expected: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(
        headings, expected,
        "the headings of docs/problems.md are the codes in their order"
    );
    for section in docs.split("\n## `").skip(1) {
        let name = section.split('`').next().unwrap();
        let prose: String = section
            .lines()
            .skip(1)
            .take_while(|line| !line.starts_with("```"))
            .collect();
        assert!(prose.len() > 60, "`{name}` has no paragraph");
        let links = format!("tests/fixtures/invalid/{name}.yaml");
        assert!(
            section.contains(&links),
            "`{name}` does not name its sample"
        );
        if let Some((_, block)) = section.split_once("```yaml\n") {
            let sample = fs::read_to_string(root.join(links)).unwrap();
            let body = sample.split_once('\n').unwrap().1;
            assert_eq!(
                block.split("```").next().unwrap(),
                body,
                "the sample of `{name}` in the docs"
            );
        } else {
            assert!(
                ["too-large", "not-text", "empty"].contains(&name),
                "`{name}` shows no sample"
            );
        }
    }
}

#[test]
fn golden_files_without_sample_are_gone() {
    let stems: BTreeSet<String> = samples().into_iter().map(|sample| sample.stem).collect();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/invalid/golden");
    for entry in fs::read_dir(golden).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stem = name
            .strip_suffix(".snap")
            .unwrap_or_else(|| panic!("{name} is no accepted snapshot"));
        assert!(stems.contains(stem), "{name} has no sample");
    }
}

#[test]
fn list_of_codes() {
    let list: Vec<String> = Code::ALL
        .iter()
        .map(|code| format!("{code} {:?}", code.severity()))
        .collect();
    insta::assert_snapshot!("codes", list.join("\n"));
}

#[test]
fn no_secret_is_ever_shown() {
    for sample in samples().iter().filter(|sample| sample.code == "secret") {
        let problems = problems(sample);
        let shown = format!(
            "{}{}{:?}",
            draw(&problems),
            serde_json::to_string(&problems.located()).unwrap(),
            problems
        );
        for secret in ["hunter2", "a1B2a1B2", "Ab0+/Ab0"] {
            assert!(!shown.contains(secret), "{}: {shown}", sample.stem);
        }
        assert!(problems.source().contains("*******"), "{}", sample.stem);
    }
}
