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
