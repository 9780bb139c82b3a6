//! No circles of imports between modules.
//!
//! A `mod.rs` belongs to its folder: it declares and re-exports its children, and they may use what it
//! defines, so an edge between a folder and its own descendants does not count. Every other one does.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

type Graph = BTreeMap<String, BTreeSet<String>>;

/// Every circle, as the list of its modules.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    circles(&graph(sources))
        .into_iter()
        .map(|circle| format!("circle of imports: {}", circle.join(" → ")))
        .collect()
}

fn graph(sources: &[Source]) -> Graph {
    let modules: BTreeSet<String> = sources
        .iter()
        .map(|source| source.module.join("::"))
        .collect();
    let mut graph = Graph::new();
    for source in sources {
        let from = source.module.join("::");
        for name in source.names.iter().filter(|name| name.begins("crate")) {
            // The longest prefix that is a file: `crate::plan::step::Step` → `plan::step`.
            let path = &name.path[1..];
            let to = (1..=path.len())
                .rev()
                .map(|end| path[..end].join("::"))
                .find(|to| modules.contains(to));
            if let Some(to) = to.filter(|to| !related(&from, to)) {
                graph.entry(from.clone()).or_default().insert(to);
            }
        }
    }
    graph
}

fn related(a: &str, b: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        outer.is_empty()
            || inner == outer
            || inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.starts_with("::"))
    };
    within(a, b) || within(b, a)
}

/// The strongly connected components with more than one member.
fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let reach: BTreeMap<&String, BTreeSet<&String>> = graph
        .keys()
        .map(|from| (from, reachable(graph, from)))
        .collect();
    for (from, there) in &reach {
        if !there.contains(from) || found.iter().any(|circle| circle.contains(from)) {
            continue;
        }
        let back = |to: &&&String| reach.get(*to).is_some_and(|others| others.contains(from));
        found.push(
            there
                .iter()
                .filter(back)
                .map(|each| (*each).clone())
                .collect(),
        );
    }
    found
}

fn reachable<'a>(graph: &'a Graph, from: &'a String) -> BTreeSet<&'a String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for next in graph.get(at).into_iter().flatten() {
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    seen
}
