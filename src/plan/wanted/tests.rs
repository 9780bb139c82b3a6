//! Where each top is found, which closure goes with it, and what is said of those that are not found.

use super::*;
use crate::plan::desired::Extra;
use crate::plan::observed::{DirectoryFacts, LocalStore, Observation, OutputFacts, Why};
use crate::plan::simulate::World;
use crate::plan::testing::{desired, desired_with, dev, hash, names, path, world};

const ONE_OUTPUT: &str = "artifacts:
  dust: { priority: 10, retention: 10d, default: true }
  gold: { priority: 100, retention: 100d, outputs: ['.#a'] }
";
const PINNED: &str = "pins: { v1: { output: '.#a' } }";
const GIVEN: &str = "push: { paths: [/g] }";

fn resolve<'a>(desired: &'a Desired, observed: &Observed) -> Wanted<'a> {
    let cache = observed.caches.values().next().unwrap().present().unwrap();
    Wanted::resolve(desired, observed, cache)
}

fn seen<'a>(desired: &'a Desired, world: &World) -> Wanted<'a> {
    resolve(desired, &world.observe(desired))
}

/// Names of all paths that are wanted, sorted, with where they are to be had.
fn all(wanted: &Wanted<'_>) -> Vec<String> {
    let rows = wanted.paths.rows();
    let mut all: Vec<_> = rows
        .map(|row| {
            let place = match &wanted.origins[row as usize] {
                Origin::Store => "store",
                Origin::Directory(directory) => directory,
                Origin::Cache => "cache",
            };
            format!("{} {place}", wanted.paths.name(row))
        })
        .collect();
    all.sort();
    all
}

fn tops<'w>(wanted: &'w Wanted<'_>) -> Vec<&'w str> {
    let rows = wanted.tops.iter().map(|top| top.row);
    rows.map(|row| wanted.paths.name(row)).collect()
}

fn unknowns<'w>(wanted: &'w Wanted<'_>) -> Vec<(&'w str, &'w str)> {
    let all = wanted.unknowns.iter();
    all.map(|(what, why)| (what.as_str(), why.as_str()))
        .collect()
}

fn store(observed: &mut Observed) -> &mut LocalStore {
    match &mut observed.store {
        Observation::Present(store) => store,
        other => panic!("the store is {other:?}"),
    }
}

/// Two derivations (top and middle) with a source; the outputs of both are there.
fn built() -> World {
    world().with_output(".#a", &["a"]).with_store(&[
        "a 10 run",
        "run 10",
        "tool 10 lib",
        "lib 10",
        "deep 10",
        "x.drv 1 mid.drv script",
        "mid.drv 1 low.drv source",
        "low.drv 1",
        "script 1",
        "source 1",
    ])
}

/// What a closure of this kind holds.
fn closure(kind: &str, world: &World) -> Vec<String> {
    let sections = ONE_OUTPUT.replace(
        "'.#a'",
        &format!("{{ installable: '.#a', closure: {kind} }}"),
    );
    let desired = desired(&sections);
    let mut observed = world.observe(&desired);
    let store = store(&mut observed);
    for (drv, output) in [("x.drv", "a"), ("mid.drv", "tool"), ("low.drv", "deep")] {
        let row = |name: &str| store.paths.row(&hash(name)).unwrap();
        let rows = (row(drv), vec![row(output)]);
        store.outputs.extend([rows]);
    }
    let wanted = resolve(&desired, &observed);
    assert_eq!(unknowns(&wanted), []);
    assert_eq!(tops(&wanted), ["a"]);
    all(&wanted)
}

#[test]
fn a_runtime_closure_is_what_the_output_refers_to() {
    assert_eq!(closure("runtime", &built()), ["a store", "run store"]);
}

#[test]
fn a_dev_closure_has_the_direct_inputs_too() {
    assert_eq!(
        closure("dev", &built()),
        [
            "a store",
            "lib store",
            "run store",
            "script store",
            "tool store"
        ]
    );
}

#[test]
fn a_build_closure_has_all_that_building_it_takes_but_no_derivation() {
    assert_eq!(
        closure("build", &built()),
        [
            "a store",
            "deep store",
            "lib store",
            "run store",
            "script store",
            "source store",
            "tool store"
        ]
    );
}

#[test]
fn a_closure_without_its_derivation_is_said_to_be_open() {
    let sections = ONE_OUTPUT.replace("'.#a'", "{ installable: '.#a', closure: dev }");
    let desired = desired(&sections);
    let world = world().with_output(".#a", &["a"]).with_store(&["a 10"]);
    let wanted = seen(&desired, &world);
    assert_eq!(
        unknowns(&wanted),
        [(
            ".#a",
            "its dev closure: the derivation is not in the local store"
        )]
    );
    assert!(wanted.unseen);
    assert_eq!(tops(&wanted), ["a"], "what is known is wanted all the same");
}

#[test]
fn an_output_is_looked_for_here_then_in_the_cache_then_upstream() {
    let desired = desired(ONE_OUTPUT);
    let base = world().with_output(".#a", &["a"]);
    let here = base
        .clone()
        .with_store(&["a 10"])
        .with_cached(1, &["a 10 r", "r 5"]);
    assert_eq!(all(&seen(&desired, &here)), ["a store"]);

    let cached = base
        .clone()
        .with_cached(1, &["a 10 r", "r 5"])
        .with_upstream(&["a"]);
    let wanted = seen(&desired, &cached);
    assert_eq!(all(&wanted), ["a cache", "r cache"]);
    let (a, r) = (
        wanted.paths.row(&hash("a")).unwrap(),
        wanted.paths.row(&hash("r")).unwrap(),
    );
    assert_eq!(wanted.paths.refs().references(a), [r]);
    assert_eq!(wanted.paths.nar_size(r), 5);
    assert_eq!(wanted.tops[0].attr.as_deref(), Some(".#a"));
    assert_eq!(wanted.classifier.name_of(wanted.class(a)).as_str(), "gold");
    assert_eq!(wanted.classifier.name_of(wanted.class(r)).as_str(), "dust");
    assert!(wanted.upstream.is_empty());

    let upstream = seen(&desired, &base.clone().with_upstream(&["a"]));
    assert_eq!(names(&upstream.upstream), ["a"]);
    assert!(upstream.builds.is_empty() && upstream.tops.is_empty());

    let nowhere = seen(&desired, &base);
    let [build] = &nowhere.builds[..] else {
        panic!("{:?}", nowhere.builds)
    };
    assert_eq!(build.installable, ".#a");
    assert_eq!(nowhere.classifier.name_of(build.class).as_str(), "gold");
}

#[test]
fn a_narinfo_without_its_nar_does_not_count_as_cached() {
    let desired = desired(ONE_OUTPUT);
    let world = world().with_output(".#a", &["a"]).with_cached(1, &["a"]);
    let mut observed = world.observe(&desired);
    dev(&mut observed).narinfos[0].set_nar(None);
    assert_eq!(resolve(&desired, &observed).builds.len(), 1);
}

#[test]
fn some_outputs_here_are_not_all() {
    let desired = desired(ONE_OUTPUT);
    let two = world().with_output(".#a", &["a", "a-dev"]);
    let one_here = seen(&desired, &two.clone().with_store(&["a"]));
    assert_eq!(one_here.builds.len(), 1);
    let one_up = seen(&desired, &two.with_upstream(&["a"]));
    assert_eq!(one_up.builds.len(), 1);
    assert!(one_up.upstream.is_empty());
}

#[test]
fn what_cannot_be_seen_is_told_from_what_is_not_there() {
    let desired = desired(PINNED);
    let facts = |observation: Option<Observation<_>>| {
        let mut observed = world().observe(&desired);
        if let Some(observation) = observation {
            observed.outputs.insert(".#a".to_owned(), observation);
        }
        observed
    };
    for (observation, why, unseen) in [
        (None, "it was not evaluated", true),
        (
            Some(Observation::Unknown(Why("no nix".to_owned()))),
            "no nix",
            true,
        ),
        (
            Some(Observation::Absent),
            "the flake has no such output",
            false,
        ),
        (
            Some(Observation::Present(OutputFacts::default())),
            "its path depends on what the build gives (a content-addressed derivation)",
            true,
        ),
    ] {
        let wanted = resolve(&desired, &facts(observation));
        assert_eq!(unknowns(&wanted), [(".#a", why)]);
        assert_eq!(wanted.unseen, unseen, "{why}");
        assert_eq!(wanted.open_pins.len(), 1, "{why}");
    }
}

#[test]
fn without_a_view_of_the_store_nothing_is_built() {
    let desired = desired(&format!("{ONE_OUTPUT}{GIVEN}"));
    let world = world().with_output(".#a", &["a"]).hide("store");
    let mut observed = world.observe(&desired);
    let given = Observation::Present(vec![path("g")]);
    observed.given.insert("/g".to_owned(), given);
    let wanted = resolve(&desired, &observed);
    assert!(wanted.builds.is_empty() && wanted.unseen);
    let g = path("g").to_string();
    let mut expected = [
        (".#a", "whether it is built is not known: it is hidden"),
        (&g, "whether it is valid is not known: it is hidden"),
    ];
    expected.sort_unstable();
    assert_eq!(unknowns(&wanted), expected);
}

#[test]
fn two_who_want_the_same_output_want_one_build() {
    let pinned = "pins: { v1: { output: '.#a' }, v2: { output: '.#a' } }";
    let (one, two) = (desired(pinned), desired(&format!("{ONE_OUTPUT}{PINNED}")));
    let world = world().with_output(".#a", &["a"]);
    let both = seen(&one, &world);
    let pins: Vec<_> = both.builds[0].pins.iter().map(PinName::as_str).collect();
    assert_eq!((both.builds.len(), pins), (1, vec!["v1", "v2"]));
    let class_first = seen(&two, &world);
    assert_eq!(class_first.builds.len(), 1);
    assert_eq!(class_first.builds[0].because.rule, "an output of gold");
    assert!(class_first.open_pins.is_empty(), "the build will close it");
    let dev = ONE_OUTPUT.replace("'.#a'", "{ installable: '.#a', closure: dev }");
    let kinds = desired(&format!("{dev}{PINNED}"));
    assert_eq!(seen(&kinds, &world).builds.len(), 2, "each its own closure");
}

#[test]
fn another_system_is_built_elsewhere() {
    let desired = desired(PINNED);
    let mut world = world().with_output(".#a", &["a"]);
    let system = |world: &mut World, system: Option<&str>| {
        let facts = world.outputs.get_mut(".#a").unwrap();
        facts.system = system.map(str::to_owned);
    };
    system(&mut world, Some("riscv64-linux"));
    let wanted = seen(&desired, &world);
    let (elsewhere, pair) = (&wanted.elsewhere, (".#a".into(), "riscv64-linux".into()));
    assert!(elsewhere.contains(&pair) && elsewhere.len() == 1);
    assert!(wanted.builds.is_empty());
    assert_eq!(wanted.open_pins.len(), 1);
    system(&mut world, None);
    assert_eq!(seen(&desired, &world).builds.len(), 1);
}

#[test]
fn a_pin_stays_open_while_an_upstream_may_have_it() {
    let desired = desired(PINNED);
    let open = |world: World| {
        let wanted = seen(&desired, &world);
        (wanted.builds.len(), wanted.open_pins.len())
    };
    let base = world().with_output(".#a", &["a"]);
    assert_eq!(open(base.clone()), (1, 0));
    assert_eq!(open(base.clone().hide("up")), (1, 1));
    assert_eq!(open(base.with_upstream(&["a"])), (0, 1));
}

#[test]
fn given_paths_are_looked_for_here_and_in_the_cache() {
    let desired = desired(GIVEN);
    let world = world()
        .with_store(&["here 1 near", "near 1"])
        .with_cached(1, &["there 1 far", "far 1"]);
    let mut observed = world.observe(&desired);
    let given = ["here", "there", "lost"].map(path);
    let given = Observation::Present(given.to_vec());
    observed.given.insert("/g".to_owned(), given);
    let wanted = resolve(&desired, &observed);
    assert_eq!(tops(&wanted), ["here", "there"]);
    assert_eq!(
        all(&wanted),
        ["far cache", "here store", "near store", "there cache"]
    );
    let lost = path("lost").to_string();
    let why = "it is neither valid in the local store nor in the cache";
    assert_eq!(unknowns(&wanted), [(lost.as_str(), why)]);
    assert!(!wanted.unseen);

    for (observation, why, unseen) in [
        (None, "it was not looked at", true),
        (Some(Observation::Absent), "there is no such path", false),
        (
            Some(Observation::Unknown(Why("hidden".to_owned()))),
            "hidden",
            true,
        ),
    ] {
        observed.given.clear();
        observed
            .given
            .extend(observation.map(|observation| ("/g".to_owned(), observation)));
        let wanted = resolve(&desired, &observed);
        assert_eq!(unknowns(&wanted), [("/g", why)]);
        assert_eq!(wanted.unseen, unseen, "{why}");
    }
}

#[test]
fn directories_become_paths_of_their_own() {
    let desired = desired(
        "artifacts:
  gold: { priority: 100, retention: 100d, directories: ['models/*'] }
  dust: { priority: 10, retention: 10d, default: true }
",
    );
    let glob = "/home/me/project/models/*";
    let mut world = world().with_store(&["model-b 1"]);
    let directories = ["a", "b"].map(|name| DirectoryFacts {
        directory: format!("/home/me/project/models/{name}"),
        path: path(&format!("model-{name}")),
        nar_hash: Sha256::of(b"content"),
        nar_size: 7,
    });
    world
        .directories
        .insert(glob.to_owned(), directories.to_vec());
    let wanted = seen(&desired, &world);
    assert_eq!(
        all(&wanted),
        [
            "model-a /home/me/project/models/a",
            "model-b /home/me/project/models/b"
        ]
    );
    let row = wanted.paths.row(&hash("model-a")).unwrap();
    assert_eq!(wanted.paths.nar_size(row), 7);
    assert_eq!(wanted.nar_hashes[row as usize], Sha256::of(b"content"));
    assert_eq!(
        wanted.classifier.name_of(wanted.class(row)).as_str(),
        "gold"
    );
    let attrs: Vec<_> = wanted.tops.iter().map(|top| top.attr.as_deref()).collect();
    assert_eq!(attrs, [Some("models/a"), Some("models/b")]);

    for (observation, why, unseen) in [
        (None, "it was not looked at", true),
        (
            Some(Observation::Absent),
            "there is no such directory",
            false,
        ),
        (
            Some(Observation::Unknown(Why("hidden".to_owned()))),
            "hidden",
            true,
        ),
    ] {
        let mut observed = world.observe(&desired);
        observed.directories.clear();
        observed
            .directories
            .extend(observation.map(|observation| (glob.to_owned(), observation)));
        let wanted = resolve(&desired, &observed);
        assert_eq!(unknowns(&wanted), [(glob, why)]);
        assert_eq!(wanted.unseen, unseen, "{why}");
    }
}

#[test]
fn since_a_mark_the_topmost_new_paths_are_wanted_and_no_derivation() {
    let extra = Extra {
        paths: Vec::new(),
        mark: Some("before".to_owned()),
        ..Extra::default()
    };
    let desired = desired_with("", extra);
    let world = world().with_store(&["top 1 new", "new 1 old", "old 1", "top.drv 1"]);
    let mut observed = world.observe(&desired);
    let fresh = ["top", "new", "top.drv"];
    let store_seen = store(&mut observed);
    let fresh = fresh.map(|name| store_seen.paths.row(&hash(name)).unwrap());
    store_seen.since_mark = Some(fresh.to_vec());
    let wanted = resolve(&desired, &observed);
    assert_eq!(tops(&wanted), ["top"]);
    assert_eq!(all(&wanted), ["new store", "old store", "top store"]);
    assert_eq!(wanted.tops[0].because.rule, "new since mark before");
    assert!(!wanted.unseen);

    let what = "what is new since mark before";
    store(&mut observed).since_mark = None;
    let why = "there is no such mark; `nanna-cache mark` makes it";
    assert_eq!(unknowns(&resolve(&desired, &observed)), [(what, why)]);
    observed.store = Observation::Absent;
    let why = "there is no Nix store here";
    assert_eq!(unknowns(&resolve(&desired, &observed)), [(what, why)]);
    observed.store = Observation::Unknown(Why("locked".to_owned()));
    let wanted = resolve(&desired, &observed);
    assert_eq!(unknowns(&wanted), [(what, "locked")]);
    assert!(wanted.unseen);
}

#[test]
fn an_upstream_has_what_it_said() {
    let observed = world().with_upstream(&["a"]).observe(&desired(""));
    assert!(is_upstream(&observed, &hash("a")));
    assert!(!is_upstream(&observed, &hash("b")));
}
