//! A bucket that three machines keep, one of which dies in the middle of a push, and then another.
//!
//! Asked for by `NANNA_GARAGE=PROGRAM`.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod bucket_world;
mod e2e_world;
mod stores;
mod support;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use bucket_world::Shop;
use nanna_cache::provider::binary_cache::{Area, CacheView as _};
use stores::garage::Cluster;

/// Narinfos that are there.
fn visible(shop: &Shop) -> usize {
    let mut count = 0;
    shop.bucket()
        .list(Area::Top, &mut |one| {
            count += usize::from(one.key.ends_with(".narinfo"));
        })
        .unwrap();
    count
}

fn begin(shop: &Shop) -> Child {
    let mut command = shop.world.bed.command();
    command.args(["push", "--apply"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_node_dies_in_the_middle_of_a_push_and_all_is_there() {
    let Some((mut cluster, server)) = Cluster::new() else {
        return;
    };
    let Some(shop) = Shop::at(server, "", 200) else {
        return;
    };
    let plan = shop.run("reconcile --only setup --apply").success();
    // Garage says yes to every condition; the plan of the next run says what that takes away.
    assert!(plan.stdout.contains("team"), "{plan}");
    let all = shop.population.paths.len();
    let mut push = begin(&shop);
    let begun = Instant::now();
    while visible(&shop) == 0 {
        assert!(begun.elapsed() < Duration::from_mins(2), "nothing came");
        assert!(
            push.try_wait().unwrap().is_none(),
            "it ended before anything could be seen"
        );
    }
    cluster.kill(2);
    assert!(
        push.try_wait().unwrap().is_none(),
        "it was over before the node died"
    );
    assert!(visible(&shop) < all);
    let ended = push.wait_with_output().unwrap();
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    shop.assert_whole_with(&shop.population.paths);
    let empty = shop.run("reconcile --detailed-exitcode").success();
    assert!(empty.stdout.contains("No changes"), "{empty}");
    assert!(
        empty
            .stdout
            .contains("overwrites objects although it is told"),
        "{empty}"
    );

    // Without a majority nothing can be read: that is said, and nothing is taken for gone.
    cluster.kill(1);
    let dark = shop.run("reconcile");
    assert!(
        dark.stdout.contains('?') && !dark.stdout.contains("No changes. "),
        "{dark}"
    );
    let stopped = shop.run("push --apply");
    assert!(
        stopped.code != Some(0) || stopped.stdout.contains("not seen"),
        "{stopped}"
    );

    // And when they are back, nothing has been lost.
    cluster.start(1);
    cluster.start(2);
    let begun = Instant::now();
    loop {
        let again = shop.run("reconcile --apply");
        if again.code == Some(0) && again.stdout.contains("1 root renewed") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(3), "{again}");
    }
    shop.assert_whole_with(&shop.population.paths);
}
