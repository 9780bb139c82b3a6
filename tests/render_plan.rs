//! Golden plans: `tests/fixtures/plan/NAME/plan.json` drawn as text and as Markdown.
//!
//! A new scenario is a new folder. `ACCEPT=1 cargo test --test render_plan` writes the expected
//! files; look at the difference before committing it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files fails"
)]

use std::fs;
use std::path::{Path, PathBuf};

use nanna_cache::plan::plan::Plan;
use nanna_cache::plan::step::Scope;
use nanna_cache::plan::summary::Summary;
use nanna_cache::render::style::Palette;
use nanna_cache::render::text::Layout;
use nanna_cache::render::view::{Detail, Options, PlanView};
use nanna_cache::render::{json, markdown, text};

fn scenarios() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plan");
    let mut folders: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("plan.json").is_file())
        .collect();
    folders.sort();
    assert!(folders.len() >= 7, "the scenarios have gone");
    folders
}

fn load(folder: &Path) -> Plan {
    let text = fs::read_to_string(folder.join("plan.json")).unwrap();
    json::read(&text).unwrap_or_else(|error| panic!("{}: failed to {error}", folder.display()))
}

fn view(folder: &Path, plan: &Plan, detail: Detail) -> PlanView {
    let shared = folder.file_name().unwrap() == "pull-request";
    let scope = shared.then_some(Scope::Shared);
    PlanView::new(
        plan,
        Options {
            detail,
            scope,
            applying: false,
        },
    )
}

fn compare(file: &Path, found: &str) -> Result<(), String> {
    if std::env::var_os("ACCEPT").is_some() {
        fs::write(file, found).unwrap();
        return Ok(());
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    if expected == found {
        return Ok(());
    }
    let diff = similar::TextDiff::from_lines(expected.as_str(), found)
        .unified_diff()
        .to_string();
    Err(format!("{}:\n{diff}", file.display()))
}

#[test]
fn plans_read_as_expected() {
    let mut wrong = Vec::new();
    for folder in scenarios() {
        let plan = load(&folder);
        for (name, detail) in [
            ("concise", Detail::Concise),
            ("default", Detail::Default),
            ("full", Detail::Full),
        ] {
            let view = view(&folder, &plan, detail);
            let drawn = text::plan(&view, Layout::new(None, Palette::PLAIN));
            wrong.extend(compare(&folder.join(format!("expected.{name}.txt")), &drawn).err());
        }
        let view = view(&folder, &plan, Detail::Default);
        wrong.extend(compare(&folder.join("expected.md"), &markdown::plan(&view)).err());
    }
    assert!(
        wrong.is_empty(),
        "set ACCEPT=1 to accept\n{}",
        wrong.join("\n")
    );
}

#[test]
fn whatever_the_width_lines_fit_and_the_sum_is_last() {
    for folder in scenarios() {
        let plan = load(&folder);
        for width in [0, 80, 100, 133, 160, 5000] {
            for detail in [Detail::Concise, Detail::Default] {
                let view = view(&folder, &plan, detail);
                let layout = Layout::new(Some(width), Palette::PLAIN);
                let drawn = text::plan(&view, layout);
                for line in drawn.lines() {
                    // Lines to copy are whole, however long.
                    let is_copied = line.starts_with("┃         ");
                    let columns = nanna_cache::render::layout::width(line);
                    assert!(
                        columns <= layout.width() || is_copied,
                        "{} columns instead of {}: {line}",
                        columns,
                        layout.width()
                    );
                }
                let last = drawn
                    .trim_end()
                    .rsplit("\n\n")
                    .next()
                    .unwrap()
                    .replace('\n', " ");
                assert!(
                    last.ends_with(&view.sum),
                    "{last:?} does not end with {:?}",
                    view.sum
                );
            }
        }
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    for folder in scenarios() {
        let plan = load(&folder);
        let shown = view(&folder, &plan, Detail::Full);
        let bare = text::plan(&shown, Layout::new(Some(120), Palette::PLAIN));
        let coloured = text::plan(&shown, Layout::new(Some(120), Palette::COLOUR));
        assert_ne!(bare, coloured);
        let stripped = anstream::adapter::strip_str(&coloured).to_string();
        let ends_trimmed = |text: &str| {
            text.lines()
                .map(str::trim_end)
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_eq!(
            ends_trimmed(&stripped),
            ends_trimmed(&bare),
            "{}",
            folder.display()
        );
    }
}

#[test]
fn no_control_character_is_ever_printed() {
    for folder in scenarios() {
        let plan = load(&folder);
        for detail in [Detail::Concise, Detail::Default, Detail::Full] {
            let view = view(&folder, &plan, detail);
            let drawn =
                text::plan(&view, Layout::new(None, Palette::PLAIN)) + &markdown::plan(&view);
            let hidden = |c: &char| {
                c.is_control() && *c != '\n'
                    || ('\u{202a}'..='\u{202e}').contains(c)
                    || ('\u{2066}'..='\u{2069}').contains(c)
            };
            assert_eq!(drawn.chars().find(hidden), None, "{}", folder.display());
        }
    }
}

#[test]
fn parts_add_up_to_totals() {
    for folder in scenarios() {
        let plan = load(&folder);
        let sum = Summary::of(&plan);
        let effect: u64 = plan
            .steps
            .iter()
            .filter(|step| step.phase.word() == "prune")
            .map(|step| step.effect.bytes)
            .sum();
        assert_eq!(sum.delete_bytes, effect, "{}", folder.display());
    }
}

#[test]
fn renewals_are_no_changes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plan/renewals");
    let mut plan = load(&folder);
    assert!(Summary::of(&plan).is_empty());
    let nanna_cache::plan::step::Op::Push { roots, .. } = &mut plan.steps[0].op else {
        panic!()
    };
    roots[0].new = true;
    assert_eq!(Summary::of(&plan).changes, 1);
    assert_eq!(Summary::of(&plan).roots_new, 1);
}

#[test]
fn a_plan_too_long_for_a_comment_is_folded_until_it_fits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plan/rich");
    let mut plan = load(&folder);
    let step = plan.steps.last().unwrap().clone();
    for number in 0..400 {
        let mut more = step.clone();
        more.because.rule = format!("rule {number}");
        plan.steps.push(more);
    }
    for detail in [Detail::Concise, Detail::Default, Detail::Full] {
        let view = PlanView::new(
            &plan,
            Options {
                detail,
                ..Options::default()
            },
        );
        let text = markdown::plan(&view);
        assert!(text.chars().count() < 65_536);
        assert!(
            text.contains(&markdown::escape(&view.sum)),
            "the sum is always there"
        );
    }
}
