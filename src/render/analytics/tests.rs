use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::insight::measure::properties::{any_runs, report_of};

#[test]
fn shares_are_rounded_down() {
    assert_eq!(percent(9_999), "99.9 %");
    assert_eq!(percent(10_000), "100 %");
    assert_eq!(percent(-250), "-2.5 %");
    assert_eq!(share(&Rate::default()), "not known");
}

#[test]
fn a_sparkline_has_a_bar_for_each_run() {
    let point = |hit| Point {
        start: Time(0),
        what: String::new(),
        commit: None,
        millis: None,
        paths: Some(Rate {
            hit,
            all: 10,
            unknown: 0,
        }),
        push_millis: None,
        sizes: BTreeMap::new(),
    };
    let series: Vec<Point> = [0, 5, 10].into_iter().map(point).collect();
    assert_eq!(sparks(&series), "▁▄█");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever somebody wrote into records, figures can be shown, and no line is a command to a terminal.
    #[test]
    fn any_records_can_be_shown(runs in any_runs()) {
        let report = report_of(&runs, &BTreeMap::new());
        let text = text(&report, Layout::new(Some(80), Palette::PLAIN));
        prop_assert!(text.lines().all(|line| line == line.trim_end()));
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        let markdown = markdown(&report);
        prop_assert!(markdown.starts_with("## p"));
        let json: serde_json::Value = serde_json::from_str(&json(&report)).unwrap();
        prop_assert_eq!(&json["format"], 1);
    }
}
