//! Each function against a slow and obvious one, on small random graphs with and without cycles.

use super::*;
use proptest::prelude::*;

/// Rows, edges (any: cycles, repeats, self references), and a subset.
fn graphs(acyclic: bool) -> impl Strategy<Value = (usize, Vec<(u32, u32)>, Vec<u32>)> {
    (1u32..24).prop_flat_map(move |rows| {
        let edge = (0..rows, 0..rows).prop_map(move |(a, b)| {
            if acyclic {
                (a.max(b), a.min(b))
            } else {
                (a, b)
            }
        });
        (
            Just(rows as usize),
            proptest::collection::vec(edge, 0..60),
            proptest::collection::vec(0..rows, 0..24),
        )
    })
}

/// All (referrer, reference) pairs that are connected within `subset`, by brute force.
fn connected(rows: usize, edges: &[(u32, u32)], subset: &RowSet) -> Vec<Vec<bool>> {
    let mut table = vec![vec![false; rows]; rows];
    for &(a, b) in edges {
        table[a as usize][b as usize] |= subset.contains(a) && subset.contains(b);
    }
    for via in 0..rows {
        for from in 0..rows {
            for to in 0..rows {
                table[from][to] |= table[from][via] && table[via][to];
            }
        }
    }
    table
}

fn position(order: &[u32], row: u32) -> Option<usize> {
    order.iter().position(|&other| other == row)
}

#[test]
fn refuses_rows_that_do_not_exist() {
    let missing = Err(GraphError::NoSuchRow { row: 2, rows: 2 });
    assert_eq!(Graph::from_edges(2, &[(0, 2)]), missing);
    assert_eq!(Graph::from_edges(2, &[(2, 0)]), missing);
    assert_eq!(Graph::from_lists([vec![2], vec![]]), missing);
}

#[test]
fn an_empty_graph_is_fine() {
    let graph = Graph::from_edges(0, &[]).unwrap();
    let far: RowSet = [7].into_iter().collect();
    assert!(graph.reach([0, 7]).is_empty());
    assert_eq!(graph.order_references_first(&far), Order::default());
    assert_eq!(graph.order_by_root(&[7], &far), Order::default());
    assert_eq!(graph.levels(&far), Levels::default());
    assert!(graph.topmost(&far).is_empty());
    assert!(graph.references(9).is_empty());
}

#[test]
fn finishes_one_root_before_the_next() {
    // 0 → 2 → 3, 1 → 4 → 3
    let graph = Graph::from_edges(5, &[(0, 2), (2, 3), (1, 4), (4, 3), (0, 0)]).unwrap();
    let all = RowSet::all(5);
    assert_eq!(graph.order_by_root(&[1, 0], &all).rows, [3, 4, 1, 2, 0]);
    assert_eq!(graph.order_by_root(&[0, 1], &all).rows, [3, 2, 0, 4, 1]);
    assert_eq!(graph.levels(&all).levels, [vec![0, 1], vec![2, 4], vec![3]]);
    assert_eq!(graph.topmost(&all), [0, 1]);
}

#[test]
fn reports_the_rows_of_a_cycle() {
    // 0 → 1 ⇄ 2 → 3
    let graph = Graph::from_edges(4, &[(0, 1), (1, 2), (2, 1), (2, 3)]).unwrap();
    let all = RowSet::all(4);
    assert_eq!(
        graph.order_references_first(&all),
        Order {
            rows: vec![3],
            cyclic: vec![0, 1, 2]
        }
    );
    assert_eq!(
        graph.levels(&all),
        Levels {
            levels: vec![vec![0]],
            cyclic: vec![1, 2, 3]
        }
    );
    assert_eq!(
        graph.order_by_root(&[0], &all),
        Order {
            rows: vec![3, 2, 1, 0],
            cyclic: vec![2]
        }
    );
    assert_eq!(graph.topmost(&all), [0]);
    let cycle: RowSet = [1, 2, 3].into_iter().collect();
    assert_eq!(graph.topmost(&cycle), [1]);
}

#[test]
fn a_long_chain_needs_no_stack_and_little_time() {
    let rows = 300_000u32;
    let graph = Graph::from_lists((0..rows).map(|row| {
        (1..=10)
            .filter_map(move |step| row.checked_sub(step))
            .collect::<Vec<_>>()
    }))
    .unwrap();
    let all = RowSet::all(rows as usize);
    assert_eq!(graph.reach([rows - 1]).len(), rows as usize);
    assert_eq!(
        graph.order_references_first(&all).rows,
        (0..rows).collect::<Vec<_>>()
    );
    assert_eq!(
        graph.order_by_root(&[rows - 1], &all).rows.len(),
        rows as usize
    );
    assert_eq!(graph.levels(&all).levels.len(), rows as usize);
    assert_eq!(graph.topmost(&all), [rows - 1]);
}

proptest! {
    #[test]
    fn row_sets_are_sets(ops in proptest::collection::vec((any::<bool>(), 0u32..300), 0..200)) {
        let mut set = RowSet::new(10);
        let mut model = std::collections::BTreeSet::new();
        for (add, row) in ops {
            if add {
                prop_assert_eq!(set.insert(row), model.insert(row));
            } else {
                prop_assert_eq!(set.remove(row), model.remove(&row));
            }
        }
        prop_assert_eq!(set.len(), model.len());
        prop_assert!(set.iter().eq(model.iter().copied()));
        prop_assert!((0..310).all(|row| set.contains(row) == model.contains(&row)));
    }

    #[test]
    fn both_ways_of_building_agree((rows, edges, _) in graphs(false)) {
        let mut lists = vec![Vec::new(); rows];
        for &(a, b) in &edges {
            lists[a as usize].push(b);
        }
        let graph = Graph::from_edges(rows, &edges).unwrap();
        prop_assert_eq!(&graph, &Graph::from_lists(lists).unwrap());
        let turned: Vec<_> = edges.iter().map(|&(a, b)| (b, a)).collect();
        let reversed = graph.reversed();
        let mut expected = Graph::from_edges(rows, &turned).unwrap();
        for row in 0..rows {
            let range = expected.offsets[row] as usize..expected.offsets[row + 1] as usize;
            expected.references[range].sort_unstable();
        }
        prop_assert_eq!(reversed, expected);
    }

    #[test]
    fn reach_is_the_closure((rows, edges, roots) in graphs(false)) {
        let graph = Graph::from_edges(rows, &edges).unwrap();
        let table = connected(rows, &edges, &RowSet::all(rows));
        let reached = graph.reach(roots.iter().copied());
        for row in 0..u32::try_from(rows).unwrap() {
            let wanted = roots.contains(&row)
                || roots.iter().any(|&root| table[root as usize][row as usize]);
            prop_assert_eq!(reached.contains(row), wanted);
        }
    }

    #[test]
    fn orders_hold((rows, edges, chosen) in graphs(true)) {
        let graph = Graph::from_edges(rows, &edges).unwrap();
        let subset: RowSet = chosen.iter().copied().collect();
        let order = graph.order_references_first(&subset);
        prop_assert!(order.cyclic.is_empty());
        let by_root = graph.order_by_root(&chosen, &subset);
        prop_assert!(by_root.cyclic.is_empty());
        let levels = graph.levels(&subset);
        prop_assert!(levels.cyclic.is_empty());
        let flat = levels.levels.concat();
        for rows in [&order.rows, &by_root.rows, &flat] {
            let mut sorted = rows.clone();
            sorted.sort_unstable();
            prop_assert!(subset.iter().eq(sorted));
        }
        let level_of = |row| levels.levels.iter().position(|level| level.contains(&row));
        for &(a, b) in edges.iter().filter(|(a, b)| a != b) {
            if subset.contains(a) && subset.contains(b) {
                prop_assert!(position(&order.rows, b) < position(&order.rows, a));
                prop_assert!(position(&by_root.rows, b) < position(&by_root.rows, a));
                prop_assert!(level_of(a) < level_of(b));
            }
        }
    }

    #[test]
    fn cycles_are_exactly_reported((rows, edges, chosen) in graphs(false)) {
        let graph = Graph::from_edges(rows, &edges).unwrap();
        let subset: RowSet = chosen.iter().copied().collect();
        let plain: Vec<_> = edges.iter().copied().filter(|(a, b)| a != b).collect();
        let table = connected(rows, &plain, &subset);
        let in_cycle = |row: usize| table[row][row];
        let wait_for_a_cycle: Vec<u32> = subset.iter()
            .filter(|&row| in_cycle(row as usize)
                || (0..rows).any(|other| in_cycle(other) && table[row as usize][other]))
            .collect();
        prop_assert_eq!(graph.order_references_first(&subset).cyclic, wait_for_a_cycle);
        let below_a_cycle: Vec<u32> = subset.iter()
            .filter(|&row| in_cycle(row as usize)
                || (0..rows).any(|other| in_cycle(other) && table[other][row as usize]))
            .collect();
        prop_assert_eq!(graph.levels(&subset).cyclic, below_a_cycle);
        let by_root = graph.order_by_root(&chosen, &subset);
        prop_assert_eq!(by_root.rows.len(), subset.len());
        let has_cycle = subset.iter().any(|row| in_cycle(row as usize));
        prop_assert_eq!(!by_root.cyclic.is_empty(), has_cycle);
    }

    #[test]
    fn topmost_rows_cover_the_subset((rows, edges, chosen) in graphs(false)) {
        let graph = Graph::from_edges(rows, &edges).unwrap();
        let subset: RowSet = chosen.iter().copied().collect();
        let top = graph.topmost(&subset);
        let plain: Vec<_> = edges.iter().copied().filter(|(a, b)| a != b).collect();
        let table = connected(rows, &plain, &subset);
        for row in subset.iter() {
            let covered = top.iter().any(|&t| t == row || table[t as usize][row as usize]);
            prop_assert!(covered, "{row} is not below {top:?}");
            let referred = (0..rows).any(|other| table[other][row as usize]);
            if !referred {
                prop_assert!(top.contains(&row));
            }
            if top.contains(&row) && referred {
                prop_assert!((0..rows).any(|other| table[other][other]), "topmost without cause");
            }
        }
    }
}
