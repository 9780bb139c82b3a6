//! The fixture is modelled on a repository that keeps one block equal by hand, eight times over two files.

use super::declared::Cachix;
use super::*;

const CI: &str = include_str!("../../../tests/fixtures/workflows/today/.github/workflows/ci.yml");
const WARMING: &str =
    include_str!("../../../tests/fixtures/workflows/today/.github/workflows/cache-warming.yml");
const CORRECTED: &str =
    include_str!("../../../tests/fixtures/workflows/corrected/.github/workflows/ci.yml");

fn declared() -> Declared {
    Declared {
        caches: vec![Cachix {
            name: "nanna-coder".to_owned(),
            token: Some("CACHIX_AUTH_TOKEN".to_owned()),
            signing_key: None,
        }],
        exclude: vec!["-source$".to_owned(), r"nixpkgs\.tar\.gz$".to_owned()],
    }
}

fn file(name: &str, text: &str) -> File {
    File {
        name: name.to_owned(),
        content: Ok(text.as_bytes().to_vec()),
    }
}

fn today() -> Vec<File> {
    vec![file("warming.yml", WARMING), file("ci.yml", CI)]
}

/// The findings in a workflow with one step.
fn of(events: &str, step: &str) -> Vec<Finding> {
    let text = format!("on: {events}\njobs:\n  a:\n    steps:\n{step}");
    findings(&declared(), &[file("one.yml", &text)])
}

fn codes(found: &[Finding]) -> Vec<Code> {
    found.iter().map(|finding| finding.code).collect()
}

/// A step of cachix-action.
fn cachix(version: &str, inputs: &str) -> String {
    format!("      - uses: cachix/cachix-action@{version}\n        with:\n{inputs}")
}

fn places(found: &[Finding], code: Code) -> Vec<(&str, u32)> {
    let found = found.iter().filter(|finding| finding.code == code);
    found
        .map(|finding| (finding.file.as_str(), finding.line))
        .collect()
}

#[test]
fn every_fault_of_today_is_found_at_its_line() {
    let found = findings(&declared(), &today());
    let at = |code| places(&found, code);
    let (ci, warming) = ("ci.yml", "warming.yml");
    assert_eq!(at(Code::ForkPush), [(ci, 29), (ci, 58), (ci, 83)]);
    assert_eq!(
        at(Code::SecretName),
        [
            (ci, 15),
            (ci, 32),
            (ci, 44),
            (ci, 61),
            (ci, 73),
            (ci, 86),
            (warming, 15),
            (warming, 26)
        ]
    );
    assert_eq!(at(Code::InputUnknown), [(warming, 28)]);
    assert_eq!(at(Code::ConfLost), [(ci, 20)]);
    assert_eq!(at(Code::ConfOverrides), [(ci, 50)]);
    assert_eq!(at(Code::CommandUnknown), [(warming, 30), (warming, 31)]);
    assert_eq!(at(Code::BlocksDiffer), [(warming, 23)]);
    assert_eq!(at(Code::BlocksRepeat).len(), 1);
    for code in [Code::ActionOld, Code::ActionFloating, Code::FilterDefect] {
        assert_eq!(at(code).len(), 8, "{code}");
    }
    assert_eq!(at(Code::FilterDiffers), [], "both say the same");
}

#[test]
fn a_corrected_copy_has_no_findings() {
    assert_eq!(findings(&declared(), &[file("ci.yml", CORRECTED)]), []);
}

#[test]
fn mending_touches_no_other_line_and_is_done_once() {
    for newline in ["\n", "\r\n"] {
        for mark in ["", "\u{feff}"] {
            let before = format!("{mark}{}", CI.replace('\n', newline));
            let found = findings(&declared(), &[file("ci.yml", &before)]);
            let after = mended("ci.yml", &before, &found);
            let again = findings(&declared(), &[file("ci.yml", &after)]);
            assert_eq!(mended("ci.yml", &after, &again), after, "a second time");
            for code in [Code::ForkPush, Code::SecretName, Code::ActionOld] {
                assert!(!places(&found, code).is_empty(), "{code}");
                assert_eq!(places(&again, code), [], "{code}");
            }
            let touched: Vec<u32> = found
                .iter()
                .filter(|finding| finding.edit.as_ref().is_some_and(|edit| edit.len > 0))
                .map(|finding| finding.line)
                .collect();
            let mut new = after.split_inclusive('\n').peekable();
            for (at, line) in (1..).zip(before.split_inclusive('\n')) {
                if new
                    .peek()
                    .is_some_and(|new| new.contains("skipPush") && *new != line)
                {
                    let added = new.next().expect("peeked");
                    assert!(added.ends_with(newline), "{added:?}");
                }
                let now = new.next().expect("no line goes");
                assert!(
                    now == line || touched.contains(&at),
                    "{at}: {line:?} → {now:?}"
                );
            }
            assert_eq!(new.next(), None);
        }
    }
}

#[test]
fn names_filters_and_pulls_are_compared() {
    let step = cachix(
        "v17",
        "          name: other\n          extraPullNames: nanna-coder, foreign\n          \
         authToken: ${{ secrets.X }}\n          pushFilter: '-src$'\n",
    );
    let found = of("push", &step);
    assert_eq!(
        codes(&found),
        [
            Code::CacheName,
            Code::PullNames,
            Code::FilterDiffers,
            Code::FilterDefect
        ]
    );
    let after = mended("one.yml", "", &found);
    assert_eq!(after, "", "places that are not there are left alone");
    let text = format!("on: push\njobs:\n  a:\n    steps:\n{step}");
    let after = mended("one.yml", &text, &found);
    assert!(after.contains("name: nanna-coder\n"), "{after}");
    assert!(
        after.contains("pushFilter: '(-source$|nixpkgs\\.tar\\.gz$)'\n"),
        "{after}"
    );
}

#[test]
fn who_reaches_a_push_is_told_by_event_condition_and_input() {
    let inputs = "          name: nanna-coder\n          authToken: ${{ secrets.CACHIX_AUTH_TOKEN }}\n          \
                  pushFilter: '(nixpkgs\\.tar\\.gz$|-source$)'\n";
    let step = cachix("v13", inputs);
    let forks = |events: &str, step: &str| places(&of(events, step), Code::ForkPush).len();
    assert_eq!(forks("push", &step), 0);
    for events in [
        "pull_request",
        "[push, pull_request]",
        "{ pull_request_target: }",
    ] {
        assert_eq!(forks(events, &step), 1, "{events}");
    }
    let guarded = format!("{step}        if: github.event_name == 'push'\n");
    assert_eq!(forks("pull_request", &guarded), 0);
    for (skip, expected) in [
        ("true", 0),
        ("'true'", 0),
        ("false", 1),
        ("${{ inputs.x }}", 0),
    ] {
        let step = format!("{step}          skipPush: {skip}\n");
        assert_eq!(forks("pull_request", &step), expected, "{skip}");
    }
}

#[test]
fn a_plain_secret_is_found_and_never_repeated() {
    let step = cachix(
        "v17",
        "          name: nanna-coder\n          authToken: hunter2\n          skipPush: true\n",
    );
    let found = of("push", &step);
    assert_eq!(codes(&found), [Code::SecretPlain]);
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn the_version_of_a_hash_is_that_of_its_comment() {
    let hash = "0fc020193b5a1fa3ac4575aa3a7d3aa6a35435ad";
    let inputs =
        "          name: nanna-coder\n          skipPush: true\n          useDaemon: true\n";
    let unknown =
        |version: &str| places(&of("push", &cachix(version, inputs)), Code::InputUnknown).len();
    assert_eq!(unknown(&format!("{hash} # v12")), 1);
    assert_eq!(unknown(&format!("{hash} # v17")), 0);
    assert_eq!(unknown(hash), 0, "what it knows is not known");
}

#[test]
fn what_is_no_workflow_is_told_in_words() {
    let bad: [&[u8]; 8] = [
        b"",
        b"- a",
        b"a: [",
        b"a:\n\tb: 1",
        b"\xff\xfe",
        b"a: *b",
        b"a: 1\n---\nb: 2",
        b"x",
    ];
    for bytes in bad {
        let mut one = file("bad.yml", "");
        one.content = Ok(bytes.to_vec());
        let found = findings(&declared(), &[one, file("ci.yml", CI)]);
        assert_eq!(places(&found, Code::Unreadable).len(), 1, "{bytes:?}");
        assert!(found.len() > 1, "the other file is judged all the same");
    }
}

#[test]
fn odd_shapes_give_no_panic() {
    for text in [
        "jobs: 1",
        "jobs: { a: [] }",
        "jobs: { a: { steps: {} } }",
        "jobs: { a: { steps: [1, null, {}] } }",
        "jobs: { a: { steps: [{ uses: 'cachix/cachix-action@' , with: [] }] } }",
        "on: pull_request\njobs: { a: { steps: [{ uses: cachix/cachix-action@v15, with: { authToken: '${{ secrets.' } }] } }",
        "x: &b { name: q, authToken: '${{ secrets.A }}' }\non: pull_request\njobs: { a: { steps: [{ uses: cachix/cachix-action@v17, with: *b }] } }",
    ] {
        let found = findings(&declared(), &[file("odd.yml", text)]);
        let after = mended("odd.yml", text, &found);
        assert!(
            crate::text::yaml::Document::parse(after.as_bytes()).is_ok(),
            "{after}"
        );
    }
    // Every beginning of a workflow, as an editor might save it.
    for end in (0..CI.len())
        .filter(|end| CI.is_char_boundary(*end))
        .step_by(37)
    {
        let text = &CI[..end];
        let _ = mended("x", text, &findings(&declared(), &[file("x", text)]));
    }
}

#[test]
fn every_code_is_documented() {
    let docs = include_str!("../../../docs/workflows.md");
    for code in Code::ALL {
        let heading = format!("\n### {code}\n");
        assert_eq!(docs.matches(&heading).count(), 1, "{code}");
    }
    assert_eq!(docs.matches("\n### ").count(), Code::ALL.len());
}
