//! The gate before push, from end to end: secrets of every kind in paths of a real store, on their way into a
//! folder, a bucket and a cache of a service.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod bucket_world;
#[path = "fake/cachix/mod.rs"]
mod cachix;
mod e2e_world;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "a part of it is for tests inside of the crate"
)]
#[path = "../src/insight/secrets/samples.rs"]
mod samples;
mod stores;
mod support;
#[path = "e2e_cachix/team.rs"]
mod team;

use std::path::Path;

use bucket_world::Shop;
use e2e_world::World;
use samples::Sample;
use support::planted::Planted;
use support::real_nix::RealNix;
use team::Team;

const ALL: &str =
    "artifacts: { all: { priority: 10, outputs: ['.#app', '.#clean'], default: true } }\n";

/// A path with one file for every kind of secret, one that refers to it, and one that does not.
fn plant(world: &World) -> Vec<Sample> {
    let samples = samples::all();
    for (at, sample) in samples.iter().enumerate() {
        // Some behind a long stretch, so that they come in a later piece of the file.
        let before = "plain text\n".repeat(if at % 3 == 0 { 40_000 + at } else { at });
        let file = world
            .bed
            .work()
            .join(format!("planted/{at:02}-{}", sample.rule));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, before + &sample.text).unwrap();
    }
    world.flake(
        r#"
        leak = sh "leak" [] "cp -r ${./planted} $out";
        app = sh "app" [ leak ] "echo $inputs > $out";
        clean = sh "clean" [] "echo clean > $out";
        "#,
    );
    samples
}

fn planted(samples: &[Sample]) -> Planted {
    // What a secret has in its middle; its beginning may be a constant that may be shown.
    Planted::of(samples.iter().map(|sample| {
        let secret = sample.secret.trim_end();
        let middle = (secret.len() / 2).saturating_sub(8);
        secret.get(middle..middle + 16).unwrap_or(secret)
    }))
}

/// The rules that a report in JSON names.
fn rules(said: &str) -> Vec<String> {
    let report: serde_json::Value = serde_json::from_str(said).unwrap();
    let steps = report["steps"].as_array().unwrap().clone();
    let secrets = steps
        .iter()
        .flat_map(|step| step["secrets"].as_array().cloned().unwrap_or_default());
    let mut rules: Vec<String> = secrets
        .map(|one| one["rule"].as_str().unwrap().to_owned())
        .collect();
    rules.sort();
    rules.dedup();
    rules
}

fn names(paths: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap()[33..].to_owned();
    let mut names: Vec<String> = paths.into_iter().map(|path| name(path.as_ref())).collect();
    names.sort();
    names
}

fn holds_none(planted: &Planted, folder: &Path) {
    assert_eq!(planted.found_below(folder), [""; 0], "{}", folder.display());
}

#[test]
fn what_holds_a_secret_does_not_go_into_a_cache_that_refuses_it() {
    let world = World::new(RealNix::all().remove(0));
    let samples = plant(&world);
    world.config(&format!(
        "{ALL}push: {{ secrets: {{ on-private: refuse }} }}\n"
    ));
    let said = world.run("-vv reconcile --apply");
    assert_eq!(said.code, Some(6), "{said}");
    assert_eq!(names(world.cached()), ["clean"]);
    let found = planted(&samples);
    assert_eq!(found.found(said.to_string().as_bytes()), [""; 0], "{said}");
    for wanted in [
        "not pushed",
        "fingerprint",
        "push.secrets.allow",
        "github-token",
        "00-github-token",
    ] {
        assert!(said.stdout.contains(wanted), "{wanted}: {said}");
    }
    // Nothing of it stays behind, not even without a name; nor is it in what the program writes for itself.
    holds_none(&found, &world.cache());
    holds_none(&found, &world.bed.home().join(".local"));
    holds_none(&found, &world.bed.home().join(".cache"));

    let said = world.run("reconcile --apply --format json");
    assert!(rules(&said.stdout).len() > 15, "{said}");
    assert_eq!(found.found(said.to_string().as_bytes()), [""; 0], "{said}");
    // What is let pass goes.
    world.config(&format!(
        "{ALL}push: {{ secrets: {{ on-private: refuse, allow: [{{ path: leak, reason: made up }}] }} }}\n"
    ));
    let _ = world.run("reconcile --apply").success();
    assert_eq!(names(world.cached()), ["app", "clean", "leak"]);
    world.assert_nothing_to_do();
}

#[test]
fn a_private_cache_gets_it_and_the_report_says_so() {
    let world = World::new(RealNix::all().remove(0));
    let samples = plant(&world);
    world.config(ALL);
    let said = world.run("reconcile --apply").success();
    assert!(said.stdout.contains("pushed all the same"), "{said}");
    assert_eq!(
        planted(&samples).found(said.to_string().as_bytes()),
        [""; 0],
        "{said}"
    );
    assert_eq!(names(world.cached()), ["app", "clean", "leak"]);
    world.assert_nothing_to_do();
}

#[test]
fn one_fingerprint_lets_one_secret_pass() {
    let world = World::new(RealNix::all().remove(0));
    let sample = samples::all().remove(0);
    world.bed.write("one", &sample.text);
    world.flake(
        "app = sh \"app\" [] \"cp ${./one} $out\"; clean = sh \"clean\" [] \"echo c > $out\";",
    );
    let refuse = |more: &str| {
        world.config(&format!(
            "{ALL}push: {{ secrets: {{ on-private: refuse{more} }} }}\n"
        ));
        world.run("reconcile --apply --format json")
    };
    let said = refuse("");
    let (_, rest) = said.stdout.split_once("\"fingerprint\": \"").unwrap();
    let print = rest.get(..16).unwrap().to_owned();
    let other: String = print.chars().rev().collect();
    let said = refuse(&format!(
        ", allow: [{{ fingerprint: '{other}', reason: other }}]"
    ));
    assert_eq!(rules(&said.stdout), ["github-token"]);
    let said = refuse(&format!(
        ", allow: [{{ fingerprint: '{print}', rule: jwt, reason: other }}]"
    ));
    assert_eq!(rules(&said.stdout), ["github-token"]);
    let said = refuse(&format!(
        ", allow: [{{ fingerprint: '{print}', reason: made up }}]"
    ))
    .success();
    assert_eq!(rules(&said.stdout), [""; 0]);
    assert_eq!(names(world.cached()), ["app", "clean"]);
}

#[test]
fn a_public_cache_of_a_service_gets_not_a_byte_of_it() {
    let Some(team) = Team::new(|cache| cache) else {
        return;
    };
    let samples = plant(&team.world);
    team.declare("visibility: public", "");
    let said = team.world.run("reconcile --apply");
    assert!(said.stdout.contains("not pushed"), "{said}");
    assert!(!said.stdout.contains("pushed all the same"), "{said}");
    // Of all that was to go, nothing went: one of the two holds it, the other refers to that.
    assert_eq!(team.names(), [""; 0]);
    assert_eq!(team.standin.uploads(), 0, "uploads are left open");
    let found = planted(&samples);
    assert_eq!(found.found(said.to_string().as_bytes()), [""; 0], "{said}");
}

/// Makes `shop` want a path that holds secrets and one that does not.
fn into_bucket(shop: &Shop, rest: &str) -> (String, Planted) {
    let samples = plant(&shop.world);
    let (leak, clean) = (shop.world.build("app"), shop.world.build("clean"));
    shop.configure(&format!("{leak}, {clean}"));
    let file = shop.world.bed.work().join("cache.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("push: { ", &format!("push: {{ {rest}"))).unwrap();
    (leak, planted(&samples))
}

#[test]
fn a_bucket_that_everybody_reads_gets_only_what_is_clean() {
    let Some(shop) = Shop::new("") else { return };
    let (_, found) = into_bucket(&shop, "");
    let said = shop.run("reconcile --apply");
    assert!(said.stdout.contains("not pushed"), "{said}");
    assert_eq!(found.found(said.to_string().as_bytes()), [""; 0], "{said}");
    let of = |ending: &str| {
        let objects = shop.objects();
        objects.iter().filter(|key| key.contains(ending)).count()
    };
    // What refers to it holds none itself: its NAR may have come before the verdict, and is swept later.
    assert!(
        of(".narinfo") == 1 && of("nar/") <= 2,
        "{:?}",
        shop.objects()
    );
    // Nobody looks any more: all of it goes.
    let _ = into_bucket(&shop, "secrets: { on-public: off }, ");
    let _ = shop.run("reconcile --apply").success();
    assert_eq!((of(".narinfo"), of("nar/")), (3, 3), "{:?}", shop.objects());
    shop.assert_whole();
}
