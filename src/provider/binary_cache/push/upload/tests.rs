use super::*;

#[test]
fn a_referrer_has_a_higher_level_than_all_that_it_refers_to() {
    // 2 refers to 1, 1 to 0; 3 to nothing; 4 to 2 and 3; 5 to what is not in the wave.
    let references = vec![
        vec![],
        vec![0],
        vec![1],
        vec![],
        vec![2, 3],
        vec![6],
        vec![],
    ];
    let uploads = Uploads {
        states: Vec::new(),
        asked: Vec::new(),
        wave: VecDeque::new(),
        left: 0,
        order: Order {
            referrers: vec![Vec::new(); references.len()],
            nars: Vec::new(),
            cyclic: Vec::new(),
            references,
        },
    };
    // What may be written at the same time has the same level.
    assert_eq!(uploads.levels(&[0, 3, 1, 5, 2, 4]), [0, 0, 1, 0, 2, 3]);
    assert_eq!(uploads.levels(&[]), [0; 0]);
}
