use proptest::prelude::*;

use super::*;

const FAILED: &str = include_str!("../../../tests/fixtures/logs/failed-2.8.log");
const FETCHED: &str = include_str!("../../../tests/fixtures/logs/fetched-2.8.log");
const MIXED: &str = include_str!("../../../tests/fixtures/logs/mixed-2.34.log");

/// The facts of a log whose lines came one millisecond after another.
fn facts(log: &str) -> Facts {
    let mut reader = Log::default();
    for (at, line) in (0..).zip(log.lines()) {
        reader.take(at, line);
    }
    reader.end()
}

fn names(facts: &Facts) -> Vec<(&str, bool)> {
    facts
        .builds
        .iter()
        .map(|build| (build.drv.split_once('-').unwrap().1, build.failed))
        .collect()
}

#[test]
fn a_failed_build_is_told_from_what_hangs_on_it() {
    let facts = facts(FAILED);
    assert_eq!(names(&facts), [("bad.drv", true)]);
    assert_eq!(facts.builds[0].tail, ["building bad", "oops"]);
    assert!(facts.builds[0].ended > Some(facts.builds[0].began));
    assert_eq!(facts.substitutions, []);
}

#[test]
fn what_is_fetched_has_its_bytes_without_parents_and_questions_are_none() {
    let facts = facts(FETCHED);
    assert_eq!(names(&facts), [("m.drv", false)]);
    let [fetched] = &facts.substitutions[..] else {
        panic!("{facts:?}")
    };
    assert_eq!(
        fetched.path,
        "/nix/store/lidf9451xpfnrx3xjhki38v4gbbgamhw-top"
    );
    assert_eq!(fetched.url, "http://cache.example");
    assert_eq!(
        (fetched.download, fetched.nar, fetched.failed),
        (Some(124), None, false)
    );
    assert!(fetched.ended.is_some());
    assert_eq!(facts.fetches, []);
}

#[test]
fn a_current_nix_tells_the_bytes_of_the_nar_too() {
    let facts = facts(MIXED);
    let [fetched] = &facts.substitutions[..] else {
        panic!("{facts:?}")
    };
    assert_eq!(
        (fetched.download, fetched.nar, fetched.failed),
        (Some(124), Some(120), false)
    );
    assert_eq!(
        names(&facts),
        [
            ("m.drv", false),
            ("a.drv", false),
            ("c.drv", false),
            ("bad.drv", true)
        ]
    );
    assert_eq!(facts.fetches, []);
    assert_eq!(facts.expected.1, 1);
}

#[test]
fn downloads_at_once_without_parents_are_nobodys() {
    let start = |id: u32, kind: u32, fields: &str| {
        format!("@nix {{\"action\":\"start\",\"fields\":[{fields}],\"id\":{id},\"type\":{kind}}}")
    };
    let copy = |id: u32, path: &str| {
        let at = format!("\"/nix/store/{path}\",\"http://c\"");
        [
            start(id, 108, &at),
            start(id + 1, 100, &format!("{at},\"local\"")),
        ]
        .join("\n")
    };
    let log = [
        copy(1, "a"),
        copy(11, "b"),
        start(3, 101, "\"http://c/nar/1\""),
        "@nix {\"action\":\"result\",\"fields\":[7,7,0,0],\"id\":3,\"type\":105}".to_owned(),
        copy(21, "c"),
        start(23, 101, "\"http://c/nar/3\""),
        "@nix {\"action\":\"result\",\"fields\":[9,9,0,0],\"id\":23,\"type\":105}".to_owned(),
        start(30, 101, "\"http://elsewhere/source.tar.gz\""),
        "@nix {\"action\":\"stop\",\"id\":30}".to_owned(),
    ]
    .join("\n");
    let facts = facts(&log);
    let downloads: Vec<_> = facts.substitutions.iter().map(|it| it.download).collect();
    assert_eq!(downloads, [None, None, Some(9)]);
    assert_eq!(facts.fetches.len(), 1);
    assert_eq!(facts.fetches[0].url, "http://elsewhere/source.tar.gz");
    assert!(facts.fetches[0].ended.is_some());
}

#[test]
fn who_fetches_or_names_a_path_again_says_that_it_failed() {
    let from = |id: u32, cache: &str| {
        format!(
            "@nix {{\"action\":\"start\",\"fields\":[\"/nix/store/a\",\"{cache}\"],\"id\":{id},\"type\":108}}\n\
             @nix {{\"action\":\"stop\",\"id\":{id}}}"
        )
    };
    let facts = facts(&[from(1, "http://one"), from(2, "http://two")].join("\n"));
    let failed: Vec<_> = facts.substitutions.iter().map(|it| it.failed).collect();
    assert_eq!(failed, [true, false]);
    let error = "@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error: file '/nix/store/a' has no substituter\"}";
    let log = [from(1, "http://one"), error.to_owned()].join("\n");
    assert!(self::facts(&log).substitutions[0].failed);
}

#[test]
fn lines_that_are_no_events_are_for_people() {
    let mut log = Log::default();
    assert_eq!(log.take(0, "hello"), Some(Said::Plain("hello".into())));
    let broken = "@nix {\"action\":\"sta";
    assert_eq!(log.take(0, broken), Some(Said::Plain(broken.into())));
    let message =
        "@nix {\"action\":\"msg\",\"level\":1,\"msg\":\"\\u001b[35;1mwarning:\\u001b[0m x\"}";
    let Some(Said::Message(1, text)) = log.take(0, message) else {
        panic!("no message")
    };
    assert_eq!(without_colours(&text), "warning: x");
}

proptest! {
    /// Whatever is cut, damaged or put in between: the other lines still tell what they told.
    #[test]
    fn damage_loses_only_the_line_that_it_hits(
        at in 0usize..200, cut in 0usize..200, junk in "[ -~]{0,40}"
    ) {
        let mut lines: Vec<String> = MIXED.lines().map(str::to_owned).collect();
        let at = at % lines.len();
        let hit = lines[at].clone();
        let cut = cut.min(hit.len());
        let cut = (0..=cut).rev().find(|cut| hit.is_char_boundary(*cut)).unwrap_or(0);
        lines[at].truncate(cut);
        lines.insert(at, junk);
        let whole = facts(MIXED);
        let left = facts(&lines.join("\n"));
        prop_assert!(left.builds.len() + 1 >= whole.builds.len());
        prop_assert!(left.substitutions.len() + 1 >= whole.substitutions.len());
    }

    #[test]
    fn nothing_makes_it_fail(lines in prop::collection::vec("(@nix )?\\PC{0,60}", 0..20)) {
        let read = facts(&lines.join("\n"));
        prop_assert!(read.builds.len() <= lines.len());
    }
}
