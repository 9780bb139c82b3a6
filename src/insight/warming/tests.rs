use proptest::prelude::*;

use super::*;
use crate::insight::testing::{built, run};

const FILE: &str = "version: 1\nproject: p\ncaches:\n  dev: { type: file, path: /c, tier: 1, signing-key: { file: /k } }\nartifacts:\n  rest: { priority: 10, retention: 30d, default: true }\npush: { to: { dev: all } }\n";

fn config() -> Config {
    crate::config::read("cache.yaml", FILE.as_bytes())
        .unwrap_or_else(|found| panic!("{found:?}"))
        .0
}

fn at(start: i64, names: &[String]) -> Run {
    let mut run = run(start * 3600);
    run.built = names.iter().map(|name| built(name, 1000, 10)).collect();
    run
}

#[test]
fn what_comes_often_beats_what_came_last() {
    // Two paths in each run, and one that never comes again: room for two.
    let runs: Vec<Run> = (0..40)
        .map(|hour| {
            let mut names = vec![format!("0-once-{hour}")];
            if hour % 2 == 0 {
                names.extend(["x".to_owned(), "y".to_owned()]);
            }
            at(hour, &names)
        })
        .collect();
    let found = warming(&runs, &config(), Some(Size(20))).unwrap();
    assert_eq!((found.held_out, found.needed), (20, 40 + 20 - 20));
    assert_eq!(found.best, 20, "both of each second run");
    assert_eq!(found.ours, 20);
    assert!(found.recent < found.ours, "{found:?}");
    assert_eq!(found.next, ["x", "y"]);
}

#[test]
fn too_few_runs_say_nothing() {
    let some: Vec<Run> = (0..9).map(|hour| at(hour, &["x".into()])).collect();
    assert_eq!(warming(&some, &config(), None), None);
    assert_eq!(warming(&[], &config(), None), None);
}

proptest! {
    #[test]
    fn nobody_beats_the_best_and_the_order_does_not_matter(
        needs in proptest::collection::vec(proptest::collection::vec(0_u8..12, 1..5), 10..40),
        bytes in 0_u64..100,
        turn in 0_usize..10,
    ) {
        let mut runs: Vec<Run> = needs.iter().zip(0..).map(|(all, hour)| {
            at(hour, &all.iter().map(|name| format!("p{name}")).collect::<Vec<_>>())
        }).collect();
        let found = warming(&runs, &config(), Some(Size(bytes))).unwrap();
        prop_assert!(found.ours <= found.best && found.recent <= found.best);
        prop_assert!(found.best <= found.needed);
        runs.rotate_left(turn);
        prop_assert_eq!(Some(found), warming(&runs, &config(), Some(Size(bytes))));
    }
}
