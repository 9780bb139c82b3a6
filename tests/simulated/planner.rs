//! Planners beside pruners: the same verdict on the same objects, and not a single write.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use nanna_cache::config::model::Foreign;
use nanna_cache::nix::store_path::StoreDir;
use nanna_cache::plan::observed::{CacheContent, Observation};
use nanna_cache::provider::binary_cache::observe::{Look, observe};
use nanna_cache::provider::binary_cache::prune::PruneError;
use nanna_cache::transfer::progress::Progress;

use crate::cache_support::path;
use crate::simulated::dice::Dice;
use crate::simulated::handle::Handle;
use crate::simulated::random::{self, Bounds};
use crate::simulated::run::{Body, Ended};
use crate::simulated::scenario::{DAY, Scenario, decide, hash, narinfo, root};
use crate::simulated::script::Step::{End, One, Pass, To};
use crate::simulated::script::run;
use crate::simulated::server::Server;

/// What a planner sees of a cache, and how many of its requests were of each kind.
fn plan(server: &Server, foreign: Foreign) -> (BTreeSet<String>, BTreeSet<String>, Vec<String>) {
    let seen: Arc<Mutex<Option<CacheContent>>> = Arc::default();
    let of_body = Arc::clone(&seen);
    let body: Body = Arc::new(move |handle: &Handle| {
        let dir = StoreDir::default();
        let look = Look {
            threads: 1,
            ..Look::new(&dir)
        };
        // A planner is given a view, which has no method that writes.
        if let Observation::Present(content) = observe(handle, &look, &Progress::default()) {
            *of_body.lock().unwrap() = Some(content);
        }
        Ended::Copied
    });
    let scenario = Scenario::chain(1)
        .quiet(server.clone())
        .with("planner", body);
    let (run, result) = run(&scenario, &[]);
    result.unwrap();
    assert_eq!(run.writes(0), 0);
    assert_eq!(run.server.digest(), scenario.server.digest());
    let content = seen.lock().unwrap().take().expect("it was seen");
    let decision = decide(&content, foreign);
    let dead = decision.dead.iter().map(ToString::to_string).collect();
    (dead, decision.ended.into_iter().collect(), run.log.clone())
}

#[test]
fn planner_and_pruner_agree_and_the_planner_writes_nothing() {
    let mut something = 0;
    for seed in 0..150 {
        let case = random::case(&mut Dice(seed), Bounds::default());
        let scenario = &case.scenario;
        let (dead, ended, _) = plan(&scenario.server, scenario.foreign);
        let prune = scenario.quiet(scenario.server.clone()).prune_all("P");
        let (run, result) = run(&prune, &[]);
        result.unwrap();
        let Some(Ended::Pruned(Ok(done))) = run.ended(0) else {
            panic!("seed {seed}: {:?}", run.ended(0));
        };
        let went: BTreeSet<String> = done.paths.iter().map(ToString::to_string).collect();
        assert_eq!(went, dead, "seed {seed}");
        let roots: BTreeSet<String> = done.roots.iter().cloned().collect();
        // In rounds, roots whose paths went in an earlier one are ended as well.
        assert!(
            roots.is_superset(&ended),
            "seed {seed}: {roots:?} {ended:?}"
        );
        something += usize::from(!dead.is_empty());
    }
    assert!(something > 30, "only {something} had anything dead");
}

#[test]
fn very_many_roots_are_judged_by_their_listing_alone() {
    let mut scenario = Scenario::chain(3).cached(&[0, 1, 2], 20 * DAY);
    for number in 0..100_000 {
        let age = if number % 2 == 0 { DAY } else { 11 * DAY };
        scenario.server.place(&root(number), b"{}", age);
    }
    let (dead, ended, log) = plan(&scenario.server, Foreign::Retention);
    // 0 and 2 are kept, and 2 reaches 1.
    assert!(dead.is_empty());
    assert_eq!(ended.len(), 49_999);
    let gets = log.iter().filter(|line| line.contains("get ")).count();
    assert_eq!(gets, 3 + 1, "three narinfos and nix-cache-info");
}

#[test]
fn trust_counts_from_the_beginning_of_a_writing() {
    let scenario = Scenario::chain(1).cached(&[0], 20 * DAY).prune_all("P");
    let lapses = |before: u64, after: u64| {
        let steps = [
            To("P", "put nanna-cache/v1/prunes/"),
            Pass(before),
            One("P"),
            Pass(after),
            End("P"),
        ];
        let (run, result) = run(&scenario, &steps);
        result.unwrap();
        matches!(run.ended(0), Some(Ended::Pruned(Err(PruneError::Lapsed))))
    };
    assert!(lapses(4 * 60, 2 * 60));
    assert!(lapses(0, 5 * 60), "at the very second");
    assert!(!lapses(0, 4 * 60 + 50));
    assert!(!lapses(4 * 60, 30));
    // The same for pushes, which have an hour, and begin again.
    let begins = |before: u64, after: u64| {
        let scenario = Scenario::chain(1).push("A", &[0]);
        let steps = [
            To("A", "put nanna-cache/v1/intents/"),
            Pass(before),
            One("A"),
            To("A", "list Prunes"),
            Pass(after),
            End("A"),
        ];
        let (run, result) = run(&scenario, &steps);
        result.unwrap();
        assert!(run.ended(0).is_some_and(Ended::is_pushed));
        let log = run.log.join("\n");
        1 + usize::from(log.contains("intents/01000000000000000000000002"))
    };
    assert_eq!(begins(14 * 60, 50 * 60), 2);
    assert_eq!(begins(0, 50 * 60), 1);
}

/// Work of many small parts may take as long as it likes: the record is written again in time.
#[test]
fn who_goes_on_working_is_trusted_beyond_the_first_writing() {
    let min = |count: u64| Pass(count * 60);
    // More than an hour, and no request takes ten minutes.
    let push = Scenario::chain(8).push("A", &[7]);
    let mut steps = Vec::new();
    for _ in 0..8 {
        steps.extend([To("A", "put nar/"), min(9), One("A")]);
    }
    steps.push(End("A"));
    let (pushing, result) = run(&push, &steps);
    result.unwrap();
    let log = pushing.log.join("\n");
    let ended = pushing.ended(0);
    assert!(ended.is_some_and(Ended::is_pushed), "{ended:?}\n{log}");
    assert!(!log.contains("intents/01000000000000000000000002"), "{log}");

    let prune = Scenario::chain(3).cached(&[0, 1, 2], 20 * DAY);
    let gone = |number: usize| format!("delete {}", narinfo(number));
    let gone = [gone(2), gone(1), gone(0)];
    let steps = [
        To("P", &gone[0]),
        min(2),
        To("P", &gone[1]),
        min(2),
        To("P", &gone[2]),
        min(2),
        End("P"),
    ];
    let (pruning, result) = run(&prune.prune_all("P"), &steps);
    result.unwrap();
    match pruning.ended(0) {
        Some(Ended::Pruned(Ok(done))) => assert_eq!(done.paths.len(), 3),
        other => panic!("{other:?}\n{}", pruning.log.join("\n")),
    }
}

/// Over a network each writing is a request.
#[test]
fn a_small_prune_says_all_in_its_first_record() {
    let scenario = Scenario::chain(1).cached(&[0], 20 * DAY);
    let scenario = scenario.rooted(0, 20 * DAY).prune_all("P");
    let (run, result) = run(&scenario, &[]);
    result.unwrap();
    assert!(matches!(run.ended(0), Some(Ended::Pruned(Ok(_)))));
    let is_record = |line: &&String| line.contains("put nanna-cache/v1/prunes/");
    // When it begins, when it knows what goes, and which files, and when it is over.
    assert_eq!(run.log.iter().filter(is_record).count(), 4);
}

#[test]
fn what_a_push_announces_is_its_closure() {
    let scenario = Scenario::chain(3)
        .cached(&[0, 1], DAY)
        .push_items("A", &[2], &[2]);
    let key = "nanna-cache/v1/intents/01000000000000000000000001.json";
    // It has gone by the end, so it is looked at on the way.
    let mut run = scenario.start();
    while !run.server.has(key) || !text(&run.server, key).contains("absent") {
        run.step(crate::simulated::run::Choice::Go(0)).unwrap();
    }
    let intent: serde_json::Value = serde_json::from_str(&text(&run.server, key)).unwrap();
    let mut closure = [0, 1, 2].map(|number| hash(number).to_string());
    closure.sort();
    assert_eq!(intent["paths"], closure.join(" "));
    assert_eq!(intent["absent"], hash(2).to_string());
    assert_eq!(intent["tops"], serde_json::json!([path(2).to_string()]));
}

fn text(server: &Server, key: &str) -> String {
    String::from_utf8(server.objects[key].bytes.to_vec()).unwrap()
}
