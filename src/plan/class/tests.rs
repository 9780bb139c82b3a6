//! The first class that names or matches a path has it.

use super::*;
use crate::plan::testing::{class, desired, hash};

#[test]
fn the_first_that_names_or_matches() {
    let desired = desired(
        "artifacts:
  one: { priority: 1, retention: 10d, match: ['-a', '-b'] }
  two: { priority: 2, retention: 20d, match: ['-b', '-c'] }
  rest: { priority: 3, retention: 30d, default: true }
",
    );
    let mut classifier = Classifier::new(&desired.config);
    classifier.name(hash("n-c"), &class("two"));
    classifier.name(hash("n-b"), &class("two"));
    classifier.name(hash("n"), &class("rest"));
    classifier.name(hash("n"), &class("two"));
    classifier.name(hash("n"), &class("rest"));
    classifier.name(hash("x"), &class("nowhere"));
    let why = |name: &str| classifier.explain(hash(name), name);
    let pattern = |text: &str| ClassRule::Pattern(text.to_owned());
    assert_eq!(why("x-b"), (0, pattern("-b")));
    assert_eq!(why("x-b-a"), (0, pattern("-a")));
    assert_eq!(why("x-c"), (1, pattern("-c")));
    assert_eq!(why("x"), (2, ClassRule::Default));
    assert_eq!(why("n"), (1, ClassRule::Named));
    assert_eq!(why("n-b"), (0, pattern("-b")), "an earlier class matches");
    assert_eq!(why("n-c"), (1, ClassRule::Named), "its own class matches");
    assert_eq!(classifier.id_of("rest"), Some(2));
    assert_eq!(classifier.id_of("nowhere"), None);
    assert_eq!(classifier.id(&class("two")), Some(1));
    assert_eq!(classifier.retention(1), Span(20 * 86_400));
    assert_eq!(classifier.priority(2), 3);
    assert_eq!(classifier.class(hash("x-c"), "x-c"), 1);
}
