use super::*;
use crate::plan::testing::{desired, world};

#[test]
fn nothing_foreign_becomes_a_command() {
    let because = Because {
        line: Some(3),
        ..Because::default()
    };
    let text = annotation(
        "error",
        "a,b:c%",
        &because,
        "x::y,z",
        "one\n::add-mask::two\r%",
    );
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.starts_with("::error file=a%2Cb%3Ac%25,line=3,title=x%3A%3Ay%2Cz::"),
        "{text}"
    );
}

#[test]
fn no_more_than_ten_of_each_level() {
    let outputs: Vec<String> = (0..30).map(|number| format!("'.#o{number}'")).collect();
    let outputs = outputs.join(", ");
    let sections = format!(
        "artifacts: {{ all: {{ priority: 1, retention: 9d, default: true, outputs: [{outputs}] }} }}"
    );
    let plan = world().plan(&desired(&sections));
    assert!(plan.unknowns.len() >= 30, "{}", plan.unknowns.len());
    let text = annotations(&plan, "cache.yaml");
    assert_eq!(text.lines().count(), MOST, "{text}");
}

#[test]
fn a_mark_cannot_end_its_own_remark() {
    assert_eq!(
        mark("a-->b", "x y/cache.yaml"),
        "<!-- nanna-cache plan of a-b in xy/cache.yaml -->"
    );
}
