//! A cache in a bucket, from end to end: a real S3 server, the program, the real Nix.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod bucket_world;
mod e2e_world;
mod stores;
mod support;

use bucket_world::Shop;
use e2e_world::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use stores::Server;
use stores::proxy::Fault;
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

/// A shop whose cache has a replica on a second server.
fn replicated() -> Option<(Shop, Server)> {
    let there = Server::seaweed()?;
    let port = there.port;
    let more = format!(
        "replicas: [{{ region: eu-west-1, endpoint: 'http://127.0.0.1:{port}', url: 'http://127.0.0.1:{port}/cache' }}]"
    );
    Some((Shop::new(&more)?, there))
}

#[test]
fn a_replica_has_what_the_cache_has_and_is_healed() {
    let Some((mut shop, there)) = replicated() else {
        return;
    };
    let plan = shop.run("reconcile --plan").success();
    assert!(plan.stdout.contains("new cache team@eu-west-1"), "{plan}");
    assert!(plan.stdout.contains("Looked at team by "), "{plan}");
    let _ = shop.run("reconcile --apply").success();
    let empty = shop.run("reconcile --detailed-exitcode").success();
    assert!(empty.stdout.contains("No changes"), "{empty}");
    shop.assert_whole();
    let all = shop.objects();
    let here = std::mem::replace(&mut shop.server, there);
    // From here on, the shop's own bucket is the replica.
    shop.assert_whole();
    shop.assert_nix_reads();
    let narinfos = |keys: &std::collections::BTreeSet<String>| {
        keys.iter()
            .filter(|key| key.ends_with(".narinfo"))
            .cloned()
            .collect::<Vec<_>>()
    };
    let there = shop.objects();
    assert_eq!(narinfos(&there), narinfos(&all));
    // Somebody deletes one from the replica alone.
    shop.delete(&narinfos(&there)[0]);
    let plan = shop.run("reconcile --detailed-exitcode");
    assert_eq!(plan.code, Some(2), "{plan}");
    assert!(plan.stdout.contains("push → team@eu-west-1"), "{plan}");
    assert!(plan.stdout.contains("1 to push"), "{plan}");
    let healed = shop.run("push --cache team@eu-west-1 --apply").success();
    assert!(
        healed.stdout.contains("push/team@eu-west-1/all"),
        "{healed}"
    );
    shop.assert_whole();
    // Retention ends on both.
    let keep = shop.population.paths[shop.population.paths.len() / 2].clone();
    drop(here);
    shop.configure(&keep);
    // The cache itself is gone now: the replica is written, and the run is no success.
    let apply = shop.run("push --apply");
    assert_eq!(apply.code, Some(6), "{apply}");
    assert!(
        apply.stdout.contains("x team could not be looked at"),
        "{apply}"
    );
    let plan = shop.run("push").success();
    assert!(plan.stdout.contains("? team"), "{plan}");
    shop.assert_whole();
}

#[test]
fn requests_are_counted_as_they_were_sent() {
    let Some(shop) = Shop::new("") else { return };
    let _ = shop.run("reconcile --apply").success();
    let lists = Arc::new(AtomicU64::new(0));
    let reads = Arc::new(AtomicU64::new(0));
    let (listed, read) = (Arc::clone(&lists), Arc::clone(&reads));
    shop.proxy.rule(move |request, _| {
        if request.is("GET", "list-type=2") {
            listed.fetch_add(1, Ordering::SeqCst);
        } else if matches!(request.method.as_str(), "GET" | "HEAD") {
            read.fetch_add(1, Ordering::SeqCst);
        }
        Fault::Pass
    });
    let sent = |line: &str| {
        let plan = shop.run(line).success();
        let json: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
        let requests = &json["requests"][0];
        let reads = reads.swap(0, Ordering::SeqCst);
        assert_eq!(requests["cache"], "team", "{json}");
        assert_eq!(
            requests["lists"],
            lists.swap(0, Ordering::SeqCst),
            "{requests}"
        );
        assert_eq!(requests["reads"], reads, "{requests}");
        assert!(reads > 0, "nothing was counted");
        reads
    };
    let second = sent("reconcile --format json");
    let anew = sent("reconcile --refresh --format json");
    assert!(second < anew, "{second} {anew}");
}
