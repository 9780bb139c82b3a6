use super::*;
use crate::plan::make::plan;
use crate::plan::testing::{desired, world};
use crate::render::style::Palette;

const CONFIG: &str = "caches:
  dev: { type: file, tier: 3, path: /cache/dev, nix-priority: 30, max-size: 1 KiB }
  team: { type: file, tier: 1, path: /cache/team, nix-priority: 31 }
artifacts:
  gold: { priority: 100, retention: 100d, outputs: ['.#a', '.#a-very-long-name-of-an-output-that-nobody-would-give-to-anything'] }
  dust: { priority: 10, retention: 10d, default: true }";

fn shown() -> (Status, String) {
    let world = world()
        .with_store(&["a 10 lib", "lib 5"])
        .with_cached(1, &["a 100 lib", "lib 200"])
        .with_output(".#a", &["a"])
        .hide("team");
    let desired = desired(CONFIG);
    let observed = world.observe(&desired);
    let plan = plan(&desired, &observed, "digest");
    let status = crate::insight::status::status(&desired, &observed, &plan);
    let text = text(&status, Layout::new(Some(100), Palette::PLAIN));
    (status, text)
}

#[test]
fn one_screen_says_how_things_stand() {
    insta::assert_snapshot!(shown().1);
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for line in shown().1.lines() {
        assert!(width(line) <= 100, "{line}");
    }
}

#[test]
fn json_reads_back() {
    let (status, _) = shown();
    let again: Status = serde_json::from_str(&json(&status)).unwrap();
    assert_eq!(again, status);
}

#[test]
fn the_last_runs_are_told_in_a_line_each() {
    use crate::insight::measure::{Point, Rate};
    use crate::plan::time::Time;

    let (mut status, _) = shown();
    let point = |ago: i64, paths, push_millis| Point {
        start: Time(status.now.0 - ago),
        what: "nix build .#app".to_owned(),
        commit: None,
        millis: Some(61_000),
        paths,
        push_millis,
        sizes: std::collections::BTreeMap::new(),
    };
    let rate = Rate {
        hit: 9,
        all: 10,
        unknown: 0,
    };
    status.runs = vec![
        point(7_200, Some(rate), None),
        point(200_000, None, Some(2_000)),
    ];
    let text = text(&status, Layout::new(Some(100), Palette::PLAIN));
    let lines: Vec<&str> = text
        .lines()
        .skip_while(|line| *line != "last runs")
        .collect();
    assert_eq!(
        lines[1..3],
        [
            "  2 hours    ago  nix build .#app: 90% of 10 paths from caches, took 1 min 01 s",
            "  2 days     ago  nix build .#app: pushed in 2.00 s, took 1 min 01 s"
        ]
    );
    let again: Status = serde_json::from_str(&json(&status)).unwrap();
    assert_eq!(again, status);
}
