//! A list of rows says what a list of paths would say.

use super::*;
use crate::plan::testing::{ago, path};

fn three() -> Vec<PathToDrop> {
    let drop = |word: &str, bytes, reason| PathToDrop {
        path: path(word),
        bytes,
        reason,
    };
    vec![
        drop("b", 7, DropReason::NeedEnded(ago(3))),
        drop("a", 0, DropReason::Unreached),
        drop("c", 9, DropReason::OverMaxSize),
    ]
}

#[test]
fn it_is_written_and_read_as_a_plain_list() {
    let packed: PathsToDrop = three().into_iter().collect();
    assert_eq!((packed.len(), packed.is_empty()), (3, false));
    assert!(PathsToDrop::default().is_empty());
    assert_eq!(packed.iter().collect::<Vec<_>>(), three());
    let text = serde_json::to_string(&packed).unwrap();
    assert_eq!(text, serde_json::to_string(&three()).unwrap());
    assert_eq!(
        serde_json::from_str::<PathsToDrop>(&text).unwrap(),
        packed,
        "read again"
    );
    assert_eq!(format!("{packed:?}"), format!("{:?}", three()));
}

#[test]
fn two_lists_are_equal_by_what_they_say_and_not_by_their_tables() {
    let packed: PathsToDrop = three().into_iter().collect();
    let mut table = Paths::builder(0);
    for word in ["x", "c", "a", "b"] {
        table.push(path(word).hash(), word, 1);
    }
    let table = Arc::new(table.index());
    let with = |order: &[&str]| {
        let mut drops = PathsToDrop::of(&table, 3);
        for word in order {
            let known = three().into_iter().find(|it| it.path == path(word));
            let known = known.unwrap();
            let row = table.row(&path(word).hash()).unwrap();
            drops.push(row, known.bytes, &known.reason);
        }
        drops
    };
    assert_eq!(with(&["b", "a", "c"]), packed);
    assert_ne!(with(&["a", "b", "c"]), packed);
    assert_ne!(with(&["b", "a"]), packed);
}
