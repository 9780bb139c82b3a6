//! Flat columns give back what was put in.

use super::*;
use crate::plan::testing::{hash, path};

#[test]
fn a_path_is_found_by_its_hash_with_all_that_is_known_of_it() {
    let words = ["one", "two-longer", "three"];
    let mut builder = Paths::builder(1);
    for (at, word) in words.iter().enumerate() {
        assert_eq!(builder.len(), at);
        let row = builder.push(hash(word), word, 10 + at as u64);
        assert_eq!(row as usize, at);
    }
    let refs = Graph::from_edges(3, &[(0, 2)]).unwrap();
    let paths = builder.index().with_refs(refs);
    assert_eq!((paths.len(), paths.is_empty()), (3, false));
    assert_eq!(paths.rows().collect::<Vec<_>>(), [0, 1, 2]);
    for (row, word) in (0..).zip(words) {
        assert_eq!(paths.row(&hash(word)), Some(row));
        assert_eq!(paths.name(row), word);
        assert_eq!(paths.path(row), path(word));
        assert_eq!(paths.base_name(row), path(word).to_string());
        assert_eq!(paths.nar_size(row), 10 + u64::from(row));
    }
    assert_eq!(paths.row(&hash("four")), None);
    assert_eq!(paths.refs().references(0), [2]);
}

#[test]
fn an_empty_table_has_no_rows() {
    let paths = Paths::builder(0).index();
    assert_eq!((paths.len(), paths.is_empty()), (0, true));
    assert_eq!(paths.rows().count(), 0);
    assert_eq!(paths.row(&hash("one")), None);
}
