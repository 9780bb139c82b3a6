use super::*;
use crate::insight::testing::{built, run};

/// A build of `HASH-name` that needs these base names.
fn of(hash: &str, name: &str, millis: u64, inputs: &[&str]) -> Built {
    Built {
        inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
        ..built(&format!("{hash}-{name}"), millis, 1)
    }
}

fn day(day: i64, all: Vec<Built>) -> Run {
    let mut run = run(day * 86_400);
    run.built = all;
    run
}

#[test]
fn the_input_at_the_bottom_is_the_cause() {
    let runs = [
        day(
            0,
            vec![
                of("a", "ssl", 100, &["s-src"]),
                of("a", "lib", 1000, &["a-ssl.drv", "g-gcc.drv"]),
                of("a", "app", 5000, &["a-lib.drv"]),
            ],
        ),
        day(
            1,
            vec![
                of("b", "ssl", 100, &["t-src"]),
                of("b", "lib", 1000, &["b-ssl.drv", "g-gcc.drv"]),
                of("b", "app", 5000, &["b-lib.drv"]),
            ],
        ),
        // Built again as it was: no cause.
        day(2, vec![of("b", "app", 5000, &["b-lib.drv"])]),
        // A flag of its own.
        day(3, vec![of("c", "app", 5000, &["b-lib.drv"])]),
    ];
    let found = root_causes(&runs);
    let short: Vec<(&str, u64, u64)> = found
        .iter()
        .map(|one| (one.name.as_str(), one.builds, one.millis))
        .collect();
    assert_eq!(short, [("src", 3, 6100), ("app", 1, 5000)]);
    let mut turned = runs.to_vec();
    turned.reverse();
    assert_eq!(root_causes(&turned), found);
    assert_eq!(root_causes(&[]), []);
}

#[test]
fn the_longest_chain_is_by_time_and_circles_end() {
    let one = day(
        0,
        vec![
            of("a", "a", 10, &[]),
            of("a", "b", 500, &["x-src"]),
            of("a", "c", 20, &["a-a.drv"]),
            of("a", "d", 5, &["a-b.drv", "a-c.drv"]),
        ],
    );
    let path = critical_path(&one).unwrap();
    assert_eq!(path.chain, [("b".to_owned(), 500), ("d".to_owned(), 5)]);
    assert_eq!((path.millis, path.total_millis), (505, 535));
    let circle = day(
        0,
        vec![
            of("a", "a", 1, &["a-b.drv"]),
            of("a", "b", 2, &["a-a.drv"]),
            of("a", "c", 4, &["a-c.drv"]),
        ],
    );
    let path = critical_path(&circle).unwrap();
    assert_eq!((path.millis, path.total_millis), (4, 7));
    assert_eq!(critical_path(&day(0, vec![])), None);
}

#[test]
fn a_change_reaches_all_that_needs_it() {
    let runs = [day(
        0,
        vec![
            of("a", "lib", 10, &["s-openssl-3.0.1.drv"]),
            of("a", "app", 20, &["b-lib.drv"]),
            of("a", "doc", 40, &["s-openssl-doc.drv"]),
        ],
    )];
    let found = invalidated(&runs, "openssl");
    assert_eq!(
        found.builds,
        [("app".to_owned(), Some(20)), ("lib".to_owned(), Some(10))]
    );
    assert_eq!(found.millis, 30);
    assert!(invalidated(&runs, "nothing").builds.is_empty());
}
