//! Which steps write a file.

use super::*;
use crate::plan::testing::cache;

#[test]
fn a_file_that_is_written_or_edited_is_named_with_its_texts() {
    let (path, before, after) = ("/f".to_owned(), Some("old".to_owned()), "new".to_owned());
    let write = Op::WriteFile {
        path: path.clone(),
        before: before.clone(),
        after: after.clone(),
    };
    let edit = Op::EditFile {
        path,
        before,
        after,
    };
    for op in [write, edit] {
        assert_eq!(op.file(), Some(("/f", Some("old"), "new")));
    }
    let sweep = Op::Sweep {
        cache: cache("dev"),
        objects: Vec::new(),
    };
    assert_eq!(sweep.file(), None);
}
