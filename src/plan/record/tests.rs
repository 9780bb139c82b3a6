//! What this version may act on, and where records stand.

use super::*;
use crate::plan::testing::{class, hash};

#[test]
fn newer_records_are_refused() {
    let head = |schema, requires: &[&str]| Head {
        schema,
        requires: requires.iter().map(ToString::to_string).collect(),
        writer: "x".to_owned(),
    };
    assert_eq!(Head::ours().check(), Ok(()));
    assert_eq!(head(0, &[]).check(), Ok(()));
    assert_eq!(head(2, &["a"]).check(), Err(Requirement::Schema(2)));
    let meaning = Requirement::Meaning("a".to_owned());
    assert_eq!(head(1, &["a", "b"]).check(), Err(meaning));
}

#[test]
fn keys_of_records() {
    let hash = hash("a");
    assert_eq!(
        Root::key(&class("gold"), hash),
        format!("nanna-cache/v1/roots/gold/{hash}.json")
    );
    assert_eq!(
        PinRecord::key(&PinName::new("v1"), hash),
        format!("nanna-cache/v1/pins/v1/{hash}.json")
    );
}
