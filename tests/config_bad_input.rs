//! Whatever the bytes of a cache.yaml are: a clear answer, soon, and all problems at once.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    clippy::unwrap_used,
    reason = "plain to read, and speed does not matter"
)]

use std::time::{Duration, Instant};

use nanna_cache::config::problem::{Problems, Severity};
use nanna_cache::config::{read, schema};
use proptest::prelude::*;

const KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
const GOOD: &str = include_str!("fixtures/valid/everything.yaml");

fn codes(bytes: &[u8]) -> Vec<String> {
    let begun = Instant::now();
    let problems = match read("cache.yaml", bytes) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    // Unoptimised and on a busy machine; what this is about would take minutes or all memory.
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "took {:?}",
        begun.elapsed()
    );
    sound(&problems);
    let code = |problem: &nanna_cache::config::problem::Problem| problem.code.name().to_owned();
    problems.iter().map(code).collect()
}

/// What holds for problems of any input: places are inside the text, at whole characters.
fn sound(problems: &Problems) {
    for problem in problems.iter() {
        assert!(
            !problem.message.is_empty()
                && problem.help.as_ref().is_none_or(|help| !help.is_empty())
        );
        for label in &problem.labels {
            let range = label.span.start..label.span.end();
            assert!(problems.source().get(range).is_some(), "{problem:?}");
        }
    }
    for located in problems.located() {
        let lines = u32::try_from(problems.source().lines().count()).unwrap() + 1;
        assert!(
            located
                .labels
                .iter()
                .all(|label| label.start.line <= lines && label.start <= label.end)
        );
    }
}

#[test]
fn nothing_at_all() {
    for bytes in [
        &b""[..],
        b"\n\n",
        b"# words\n",
        b"---\n",
        b"\xef\xbb\xbf",
        b"   \r\n",
        b"null\n",
    ] {
        assert_eq!(codes(bytes), ["empty"], "{bytes:?}");
    }
}

#[test]
fn other_kinds_of_file() {
    assert_eq!(codes(b"\x7fELF\x02\x01\x01\0\0\0"), ["not-text"]);
    assert_eq!(codes(b"\xff\xfev\0e\0r\0"), ["not-text"], "UTF-16");
    assert_eq!(codes(b"project: caf\xe9\n"), ["not-text"], "Latin-1");
    assert_eq!(codes(b"<html></html>"), ["wrong-type"]);
    assert_eq!(codes(b"- 1\n- 2\n"), ["wrong-type"]);
    assert_eq!(codes(b"just a text"), ["wrong-type"]);
}

#[test]
fn a_hundred_megabytes() {
    let line = b"# nothing that matters\n";
    let bytes: Vec<u8> = line
        .iter()
        .copied()
        .cycle()
        .take(100 * 1024 * 1024)
        .collect();
    assert_eq!(codes(&bytes), ["too-large"]);
}

#[test]
fn thousands_of_classes_and_as_many_problems() {
    let mut text = String::from(
        "version: 1\nproject: demo\ncaches: { dev: { type: file, path: a, signing-key: { env: K } } }\nartifacts:\n",
    );
    for at in 0..2_000 {
        text += &format!("  c{at}: {{ priority: 1, match: ['('] }}\n");
    }
    let found = codes(text.as_bytes());
    assert_eq!(
        found.iter().filter(|code| *code == "invalid-regex").count(),
        2_000
    );
    text += "systems:\n";
    text += &"  - x86_64-linux\n".repeat(20_000);
    assert_eq!(codes(text.as_bytes()), ["too-complex"]);
}

#[test]
fn nearly_too_large_is_still_read() {
    let comment = format!("# {}\n", "nothing that matters ".repeat(40)).repeat(4_500);
    assert!(comment.len() > 3_500_000);
    assert!(read("cache.yaml", format!("{comment}{GOOD}").as_bytes()).is_ok());
}

#[test]
fn alias_bombs_and_deep_nesting() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for at in 1..40 {
        bomb += &format!(
            "a{at}: &a{at} [{}]\n",
            vec![format!("*a{}", at - 1); 9].join(", ")
        );
    }
    assert_eq!(codes(bomb.as_bytes()), ["too-complex"]);
    let flow = format!("caches: {}{}", "[".repeat(200_000), "]".repeat(200_000));
    let block: String = (0..1_000)
        .map(|at| format!("{}a:\n", " ".repeat(at)))
        .collect();
    let maps = format!("a: {}1{}", "{a: ".repeat(50_000), "}".repeat(50_000));
    for text in [flow, block, maps, "- ".repeat(50_000)] {
        let found = codes(text.as_bytes());
        assert!(found == ["too-complex"] || found == ["syntax"], "{found:?}");
    }
    let recursive = codes(b"a: &a [*a]\n");
    assert!(
        recursive == ["syntax"] || recursive == ["too-complex"],
        "{recursive:?}"
    );
}

#[test]
fn tabs() {
    assert_eq!(codes(b"version: 1\ncaches:\n\tdev: 1\n"), ["tab"]);
}

#[test]
fn marks_and_line_ends_change_nothing() {
    let plain = read("cache.yaml", GOOD.as_bytes()).unwrap().0;
    let marked = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    let (config, warnings) = read("cache.yaml", marked.as_bytes()).unwrap();
    assert!(warnings.is_empty());
    assert_eq!(
        format!("{:?}", config.classes),
        format!("{:?}", plain.classes)
    );
    let place =
        |config: &nanna_cache::config::model::Config| config.places.nearest("/pins/v3/paths-from");
    assert_eq!(
        place(&config),
        place(&plain),
        "lines and columns are those that an editor shows"
    );
}

#[test]
fn all_problems_at_once() {
    let text = format!(
        "version: 1\nproject: ''\nflak: .\ncaches:\n  dev: {{ type: file, path: a, max-size: 3 }}\n  up: {{ type: upstream, url: 'http://x.org', public-keys: [{KEY}, nonsense], max-size: 1 GiB }}\n  up: 7\n\
         artifacts:\n  one: {{ priority: high, match: ['('] }}\n  two: {{ priority: 1, retention: soon, match: ['('], default: true }}\n\
         push: {{ to: {{ dev: [one, three], up: all }} }}\nprune: {{ grace: 1m, limits: {{ share: 120% }} }}\noptimize: {{ nix-settings: {{ max-jobs: 3 }} }}\n"
    );
    let mut found = codes(text.as_bytes());
    found.sort();
    let expected = [
        "duplicate-key",
        "grace-too-short",
        "insecure-url",
        "invalid-duration",
        "invalid-name",
        "invalid-public-key",
        "invalid-regex",
        "invalid-share",
        "managed-nix-setting",
        "foreign-key",
        "read-only-target",
        "unknown-key",
        "unknown-name",
        "wrong-type",
        "wrong-type",
    ];
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    // The class `one` is of wrong shape: its own pattern is not looked at, but it is known by name.
    // The upstream is too, for its `max-size`; what is said of the rest of it still is.
    let missing: Vec<_> = expected
        .iter()
        .filter(|code| !found.iter().any(|found| found == **code))
        .collect();
    assert!(missing.is_empty(), "missing {missing:?} in {found:?}");
    assert!(
        !found.contains(&"missing-default".to_owned())
            && !found.contains(&"nowhere-to-push".to_owned())
    );
}

#[test]
fn a_problem_of_shape_brings_no_false_ones() {
    // `dev` has no path: it is still a cache by name, and something to push to.
    let text = "version: 1\nproject: p\ncaches: { dev: { type: file } }\nartifacts: { a: { priority: 1, default: true } }\npush: { to: { dev: all } }\n";
    assert_eq!(codes(text.as_bytes()), ["missing-key"]);
    // The only class is of wrong shape: it may be the default.
    let text = "version: 1\nproject: p\ncaches: { dev: { type: file, path: x, signing-key: { env: K } } }\nartifacts: { a: { default: true } }\n";
    assert_eq!(codes(text.as_bytes()), ["missing-key"]);
    let text = "version: 1\n";
    assert_eq!(
        codes(text.as_bytes()),
        ["missing-key", "missing-key", "missing-key"]
    );
}

#[test]
fn places_are_told_as_lines_and_columns() {
    let text = "version: 1\nproject: 'é ü'\ncaches: { dev: { type: file, path: x, signing-key: { env: K } } }\nartifacts: { a: { priority: 1, default: true } }\n";
    let problems = read("dir/cache.yaml", text.as_bytes()).unwrap_err();
    let json = serde_json::to_value(problems.located()).unwrap();
    let expected = serde_json::json!([{
        "code": "nanna::config::invalid-name", "severity": "error", "file": "dir/cache.yaml",
        "message": "`é ü` cannot be the name of the project",
        "help": "a name starts with a letter or digit and goes on with letters, digits, `.`, `_` and `-`, at most 100 in all",
        "labels": [{ "start": { "line": 2, "column": 10 }, "end": { "line": 2, "column": 15 }, "text": "" }]
    }]);
    assert_eq!(json, expected);
    assert_eq!(problems.to_string(), "`dir/cache.yaml` has 1 problem");
}

/// A line of a valid file, changed.
fn mutation() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "", "null", "[]", "{}", "7", "-1", "true", "x y", "*a", "'", "~", "none", "all", "20 GiB",
        "é", "[[", "!x y", "|", "? a", "file",
    ]);
    (0..GOOD.lines().count(), 0..GOOD.len(), words, 0..4).prop_map(|(line, at, word, how)| {
        let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
        let chosen = lines[line].clone();
        match how {
            0 => {
                lines.remove(line);
            }
            1 => {
                let key = chosen.split(':').next().unwrap_or_default().to_owned();
                lines[line] = format!("{key}: {word}");
            }
            2 => lines.insert(line, chosen),
            _ => {
                let cut: String = chosen.chars().take(at % (chosen.len() + 1)).collect();
                lines[line] = cut + word;
            }
        }
        lines.join("\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gets_an_answer(text in r"(?s)([a-z-]{0,9}:? ?[\[{'&*\n\t -]{0,3}.?){0,40}") {
        codes(text.as_bytes());
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        codes(&bytes);
    }

    /// The schema and the reader agree: what an editor calls wrong is refused, and with a reason.
    #[test]
    fn what_the_schema_refuses_is_refused(text in mutation()) {
        let found = read("cache.yaml", text.as_bytes());
        let Ok(document) = nanna_cache::text::yaml::Document::parse(text.as_bytes()) else {
            prop_assert!(found.is_err());
            return Ok(());
        };
        let validator = jsonschema::draft202012::new(&schema::schema()).unwrap();
        let fits = validator.is_valid(&document.root.to_json());
        match found {
            Ok((_, warnings)) => {
                prop_assert!(fits, "the schema refuses what is read");
                prop_assert!(warnings.iter().all(|problem| problem.severity == Severity::Warning));
            }
            Err(problems) => {
                sound(&problems);
                prop_assert!(problems.has_errors());
                let vague = problems.iter().any(|problem| problem.message.contains("cannot be read"));
                prop_assert!(!vague, "the types refuse what the schema lets pass: {:?}", problems.located());
            }
        }
    }
}
