//! A cache in a bucket, from end to end: a real S3 server, the program, the real Nix.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod bucket_world;
mod e2e_world;
mod stores;
mod support;

use bucket_world::Shop;
use e2e_world::World;
use stores::Server;
use support::real_nix::RealNix;

#[test]
fn plan_apply_and_an_empty_plan_and_nix_reads_it() {
    let Some(shop) = Shop::new("") else { return };
    let plan = shop.run("reconcile --plan").success();
    assert!(plan.stdout.contains("new cache team"), "{plan}");
    assert_eq!(shop.objects().len(), 0, "a plan wrote");
    let _ = shop.run("reconcile --apply").success();
    let empty = shop.run("reconcile --detailed-exitcode").success();
    assert!(empty.stdout.contains("No changes"), "{empty}");
    shop.assert_whole();
    shop.assert_nix_reads();

    shop.assert_no_secret();
}

#[test]
fn what_others_change_by_hand_shows_in_the_next_plan() {
    let Some(shop) = Shop::new("") else { return };
    let _ = shop.run("reconcile --apply").success();
    // A narinfo went.
    let gone = shop
        .objects()
        .into_iter()
        .find(|key| key.ends_with(".narinfo"))
        .unwrap();
    shop.delete(&gone);
    let plan = shop.run("reconcile --detailed-exitcode");
    assert_eq!(plan.code, Some(2), "{plan}");
    assert!(plan.stdout.contains("1 to push"), "{plan}");
    let _ = shop.run("reconcile --apply").success();
    // The cache says another priority.
    shop.put(
        "nix-cache-info",
        "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 7\n",
    );
    let plan = shop.run("reconcile --detailed-exitcode");
    assert!(plan.stdout.contains("- Priority: 7"), "{plan}");
    assert!(plan.stdout.contains("cache.yaml:"), "{plan}");
    let _ = shop.run("reconcile --apply").success();
    let empty = shop.run("reconcile --detailed-exitcode").success();
    assert!(empty.stdout.contains("No changes"), "{empty}");
    shop.assert_whole();
}

/// Ages everything, pushes half of it again, and prunes the rest.
fn prunes_what_nothing_needs(shop: &Shop) {
    let all = shop.objects().len();
    shop.proxy.age();
    let keep = shop.population.paths[shop.population.paths.len() / 2].clone();
    shop.configure(&keep);
    let _ = shop.run("push --apply").success();
    let refused = shop.run("prune --apply");
    assert_eq!(refused.code, Some(4), "{refused}");
    let _ = shop.run("prune --apply --allow share=100%").success();
    assert!(shop.objects().len() < all);
    shop.assert_whole_with(&[keep]);
    let plan = shop.run("prune --detailed-exitcode").success();
    assert!(plan.stdout.contains("No changes"), "{plan}");
}

#[test]
fn what_nothing_needs_any_more_goes_and_the_rest_stays_whole() {
    let Some(shop) = Shop::new("") else { return };
    let _ = shop.run("reconcile --apply").success();
    prunes_what_nothing_needs(&shop);
}

/// Plan, apply, empty plan, prune.
fn from_end_to_end(server: Option<Server>) {
    let Some(shop) = server.and_then(|server| Shop::at(server, "", 12)) else {
        return;
    };
    let plan = shop.run("reconcile --plan").success();
    assert!(plan.stdout.contains("new cache team"), "{plan}");
    assert_eq!(shop.objects().len(), 0, "a plan wrote");
    let _ = shop.run("reconcile --apply").success();
    let empty = shop.run("reconcile --detailed-exitcode").success();
    assert!(empty.stdout.contains("No changes"), "{empty}");
    shop.assert_whole_with(&shop.population.paths);
    prunes_what_nothing_needs(&shop);
    shop.assert_no_secret();
}

#[test]
fn azure_from_end_to_end() {
    from_end_to_end(Server::azurite());
}

#[test]
fn gcs_of_our_own_from_end_to_end() {
    from_end_to_end(Some(Server::gcs()));
}

#[test]
fn a_machine_without_credentials_plans_what_is_public_and_writes_nothing() {
    let Some(mut shop) = Shop::new("") else {
        return;
    };
    let _ = shop.run("reconcile --apply").success();
    let before = shop.objects();
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        shop.world.bed.unset(name);
    }
    let plan = shop.run("reconcile --plan").success();
    assert!(plan.stdout.contains("No changes"), "{plan}");
    let apply = shop.run("reconcile --apply");
    assert_eq!(apply.code, Some(1), "{apply}");
    let words = apply
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(words.contains("no credentials were found"), "{apply}");
    assert_eq!(shop.objects(), before);
}

#[test]
fn a_current_nix_reads_the_bucket_by_its_own_scheme() {
    let Some(nix) = RealNix::current() else {
        return;
    };
    let Some(shop) = Shop::new("") else { return };
    let _ = shop.run("reconcile --apply").success();
    let port = shop.server.port;
    let url = format!("s3://cache?endpoint=127.0.0.1:{port}&scheme=http&region=us-east-1");
    let key = shop.public_key();
    let _ = World::new(nix.another());
    nix.run(
        "nix",
        [
            "copy",
            "--from",
            &url,
            "--option",
            "trusted-public-keys",
            &key,
            shop.population.top.as_str(),
        ],
    );
}
