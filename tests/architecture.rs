//! Holds `src/` to the layers of `ARCHITECTURE.md`: who may use whom, which outside names stay in
//! which room, and no circles of imports.
//!
//! It reads tokens, not types: comments, strings and the unit tests inside a file do not count.

#[path = "architecture/circles.rs"]
mod circles;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/tests.rs"]
mod tests;
#[path = "architecture/tokens.rs"]
mod tokens;

use std::path::Path;

use source::Source;

#[test]
fn the_layers_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = Source::read_tree(&root.join("src"));
    assert!(sources.len() > 5, "src/ was not found");
    let mut broken = rules::check(&sources);
    broken.extend(circles::check(&sources));
    assert!(
        broken.is_empty(),
        "{} rules broken:\n{}",
        broken.len(),
        broken.join("\n")
    );
}
