//! The `nix` program, driven as the product drives it: settings, evaluation, build, substitution.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests, too"
)]

mod store_common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use nanna_cache::nix::store_path::StorePath;
use nanna_cache::plan::observed::{Observation, OutputFacts};
use nanna_cache::provider::nix_cli::Nix;
use nanna_cache::sys::host::Host;
use store_common::{FLAKE, World};

fn world() -> Option<(World, Nix, Utf8PathBuf)> {
    let world = World::new()?;
    let flake = world.flake(&FLAKE.replace("SYSTEM", &world.host.system));
    let nix = Nix::find(&world.host).unwrap().unwrap();
    Some((world, nix, flake))
}

fn evaluate(
    nix: &Nix,
    names: &[&str],
    flake: &str,
    base: &Utf8PathBuf,
) -> Vec<Observation<OutputFacts>> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut found = nix.evaluate(&names, flake, base, &|| false);
    names
        .iter()
        .map(|name| found.remove(name).unwrap())
        .collect()
}

#[test]
fn settings_are_those_in_effect() {
    let Some((world, nix, _)) = world() else {
        return;
    };
    assert!(
        nix.at_least(2, 4) && !nix.at_least(99, 0),
        "{}",
        nix.version()
    );
    let settings = nix.show_config().unwrap();
    assert_eq!(settings["sandbox"], "false");
    assert_eq!(settings["substituters"], "");
    let features: Vec<&str> = settings["experimental-features"].split(' ').collect();
    assert!(
        features.contains(&"flakes") && features.contains(&"nix-command"),
        "{features:?}"
    );
    // Without the feature we still get the answer, and it does not show that we lent it.
    let host = world.host.clone().with(
        "NIX_CONFIG",
        "cores = 3\nsubstituters = https://a https://b",
    );
    let settings = Nix::find(&host).unwrap().unwrap().show_config().unwrap();
    assert_eq!(settings["cores"], "3");
    assert_eq!(settings["substituters"], "https://a https://b");
    assert_eq!(settings["experimental-features"], "");
    let host = world.host.clone().with("NIX_CONFIG", "cores=3");
    assert!(
        Nix::find(&host)
            .unwrap_err()
            .to_string()
            .contains("cores=3")
    );
}

#[test]
fn no_nix_is_no_error() {
    let host = Host::made_up([("PATH", "/no/such/folder"), ("HOME", "/h")]);
    assert!(Nix::find(&host).unwrap().is_none());
}

#[test]
fn good_outputs_are_known_and_bad_ones_have_their_own_reason() {
    let Some((world, nix, flake)) = world() else {
        return;
    };
    let fixed = "/00000000000000000000000000000000-given";
    let fixed = format!("{}{fixed}", world.location().store);
    let names = [
        ".#top",
        ".#bad",
        ".#multi",
        ".#none",
        ".#foreign",
        ".",
        ".#dep",
        &fixed,
    ];
    let found = evaluate(&nix, &names, ".", &flake);
    let top = found[0].present().unwrap();
    assert_eq!(top.drv.as_ref().unwrap().name(), "top.drv");
    assert_eq!(top.outputs["out"].name(), "top");
    assert_eq!(top.system.as_deref(), Some(world.host.system.as_str()));
    let error = |found: &Observation<OutputFacts>| match found {
        Observation::Error(why) => why.0.clone(),
        other => panic!("{other:?}"),
    };
    let why = error(&found[1]);
    assert!(why.contains("Nix says: broken on purpose"), "{why}");
    let multi = found[2].present().unwrap();
    assert_eq!(multi.drv.as_ref().unwrap().name(), "multi.drv");
    // The outputs that a build of it installs, not every one that exists.
    assert_eq!(multi.outputs.keys().collect::<Vec<_>>(), ["out"]);
    let why = error(&found[3]);
    assert!(why.contains("does not provide attribute"), "{why}");
    assert_eq!(
        found[4].present().unwrap().system.as_deref(),
        Some("riscv64-linux")
    );
    assert_eq!(found[5].present(), Some(top));
    assert_eq!(found[6].present().unwrap().outputs["out"].name(), "dep");
    assert_eq!(found[7].present().unwrap().outputs["out"].name(), "given");
    assert!(!flake.join("flake.lock").exists());
    // Nothing was built.
    assert!(!world.location().on_disk(&top.outputs["out"]).exists());
    // By another name of the flake, from another folder; and by derivation.
    let elsewhere = evaluate(&nix, &[".#top"], "flake", &world.root);
    assert_eq!(elsewhere[0].present(), Some(top));
    let drv = world
        .location()
        .store
        .display(multi.drv.as_ref().unwrap())
        .to_string();
    let by_drv = evaluate(&nix, &[&drv], ".", &flake);
    assert_eq!(
        by_drv[0].present().unwrap().outputs["out"],
        multi.outputs["out"]
    );
}

#[test]
fn an_error_of_the_project_has_its_place_and_is_no_unknown() {
    let Some((world, nix, flake)) = world() else {
        return;
    };
    let why = |names: &[&str], base: &Utf8PathBuf| match evaluate(&nix, names, ".", base).remove(0)
    {
        Observation::Error(why) => why.0,
        other => panic!("{other:?}"),
    };
    std::fs::write(flake.join("deep.nix"), "{\n a = 1;\n b = \n}\n").unwrap();
    let text = FLAKE.replace("SYSTEM", &world.host.system);
    let deep = text.replacen("packages.", "deep = import ./deep.nix; packages.", 1);
    assert_ne!(deep, text);
    std::fs::write(flake.join("flake.nix"), deep).unwrap();
    let said = why(&[".#deep"], &flake);
    assert!(
        said.contains("syntax error") && said.ends_with("at deep.nix:4:1"),
        "{said}"
    );
    std::fs::write(flake.join("flake.nix"), "{ outputs = _: { a = ; }; }").unwrap();
    let said = why(&[".#top"], &flake);
    assert!(said.ends_with("at flake.nix:1:22"), "{said}");
    let empty = world.root.join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert!(why(&[".#top"], &empty).contains("flake.nix"));
    // What is not in the store is not the project's doing.
    let gone = format!(
        "{}/00000000000000000000000000000000-gone.drv",
        world.location().store
    );
    let found = evaluate(&nix, &[&gone], ".", &flake).remove(0);
    assert!(matches!(found, Observation::Unknown(_)), "{found:?}");
}

#[test]
fn builds_and_says_what_came_of_it() {
    let Some((world, nix, flake)) = world() else {
        return;
    };
    let link = world.root.join("kept");
    let mut lines = Vec::new();
    let names = [".#top".to_owned(), ".#dep".to_owned()];
    let built = nix
        .build(&names, ".", &flake, Some(&link), &|| false, &mut |_| {})
        .unwrap();
    let mut outputs: Vec<&str> = built.iter().map(|one| one.outputs["out"].name()).collect();
    outputs.sort_unstable();
    assert_eq!(outputs, ["dep", "top"]);
    assert!(
        link.read_link_utf8()
            .unwrap()
            .starts_with(world.root.join("store"))
    );
    let error = nix
        .build(
            &[".#fails".to_owned()],
            ".",
            &flake,
            None,
            &|| false,
            &mut |line| lines.push(line.to_owned()),
        )
        .unwrap_err();
    assert!(
        error.to_string().contains("`.#fails`") && error.to_string().contains("failed"),
        "{error}"
    );
    assert!(
        lines.iter().any(|line| line.contains("so sad")),
        "{lines:?}"
    );
}

#[test]
fn a_stop_ends_the_build() {
    let Some((_world, nix, flake)) = world() else {
        return;
    };
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let error = nix
        .build(
            &[".#slow".to_owned()],
            ".",
            &flake,
            None,
            &|| stop.load(Ordering::SeqCst) || started.elapsed() > Duration::from_mins(1),
            &mut |line| {
                if line.contains("started") {
                    stop.store(true, Ordering::SeqCst);
                }
            },
        )
        .unwrap_err();
    assert!(error.is_stopped(), "{error}");
    assert!(
        stop.load(Ordering::SeqCst),
        "the build never said that it started"
    );
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn fetches_from_caches_and_never_builds() {
    let Some((world, nix, flake)) = world() else {
        return;
    };
    nix.build(
        &[".#top".to_owned()],
        ".",
        &flake,
        None,
        &|| false,
        &mut |_| {},
    )
    .unwrap();
    let names = [".#top".to_owned(), ".#multi".to_owned()];
    let facts = nix.evaluate(&names, ".", &flake, &|| false);
    let path = |name: &str| -> StorePath { facts[name].present().unwrap().outputs["out"].clone() };
    let top = world.location().store.display(&path(".#top")).to_string();
    let cache = format!("file://{}/cache?trusted=1", world.root);
    world.run("nix", &["copy", "--to", &cache, &top]);
    world.run("nix", &["store", "delete", "--ignore-liveness", &top]);
    let config = format!(
        "{}substituters = {cache}\nrequire-sigs = false\n",
        store_common::CONFIG
    );
    let host = world.host.clone().with("NIX_CONFIG", &config);
    let nix = Nix::find(&host).unwrap().unwrap();
    // One is in the cache, the other would have to be built.
    let outcome = nix.substitute(&[path(".#multi"), path(".#top")], &|| false, &mut |_| {});
    assert!(outcome.unwrap_err().to_string().contains("multi"));
    assert!(world.location().on_disk(&path(".#top")).exists());
    assert!(!world.location().on_disk(&path(".#multi")).exists());
    nix.substitute(&[path(".#top")], &|| false, &mut |_| {})
        .unwrap();
}
