//! Many at once on one bucket: pushers and prunes as processes, some of them killed, and somebody who
//! reads all the while.
//!
//! `NANNA_ROUNDS` says how many rounds, `NANNA_SEED` which.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test"
)]

mod bucket_world;
mod e2e_world;
mod stores;
mod support;

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bucket_world::Shop;
use nanna_cache::provider::binary_cache::bucket::BucketStore;
use nanna_cache::provider::binary_cache::{Area, CacheView as _, SMALL_OBJECT};

const PUSHERS: usize = 8;
const PRUNES: usize = 2;

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn number(name: &str, usual: u64) -> u64 {
    let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
    given.unwrap_or(usual)
}

fn field<'t>(text: &'t str, name: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Follows one narinfo as a reader does; answers what is missing though it is still visible.
fn missing(store: &BucketStore, key: &str) -> Option<String> {
    let object = store.get(key, SMALL_OBJECT).unwrap()?;
    let text = String::from_utf8(object.bytes).unwrap();
    let mut needs = vec![field(&text, "URL: ").to_owned()];
    let references = field(&text, "References: ").split(' ');
    let references = references.filter(|word| !word.is_empty());
    needs.extend(references.map(|word| format!("{}.narinfo", &word[..32])));
    for needed in needs {
        if store.head(&needed).unwrap().is_none() && store.head(key).unwrap().is_some() {
            return Some(format!("{key} is visible, but {needed} is not there"));
        }
    }
    None
}

/// Reads again and again until told to stop; answers how many narinfos it followed.
fn read(store: &BucketStore, stop: &AtomicBool) -> usize {
    let mut followed = 0;
    while !stop.load(Ordering::SeqCst) {
        let mut keys = Vec::new();
        store
            .list(Area::Top, &mut |one| {
                if one.key.ends_with("narinfo") {
                    keys.push(one.key.to_owned());
                }
            })
            .unwrap();
        for key in keys {
            let broken = missing(store, &key);
            assert_eq!(broken, None);
            followed += 1;
        }
    }
    followed
}

fn start(mut command: Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn pushers_and_prunes_beside_one_another() {
    let Some(shop) = Shop::with("", 30) else {
        return;
    };
    let rounds = number("NANNA_ROUNDS", 2);
    let mut dice = Dice(number("NANNA_SEED", 0x9e37_79b9_7f4a_7c15) | 1);
    let _ = shop.run("reconcile --apply").success();
    let paths = shop.population.paths.clone();
    let live = paths[paths.len() / 3].clone();
    let (killed, pushed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut pruned = 0;
    let is_over = AtomicBool::new(false);
    let reader = shop.bucket();
    // Everything is wanted by name alone, so that each pusher pushes what it likes.
    shop.configure("");
    let without = shop
        .world
        .bed
        .read("cache.yaml")
        .replace("push: { paths: [] }", "push: {}");
    shop.world.whole_config(&without);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| read(&reader, &is_over));
        for round in 0..rounds {
            // All that is there has been there for long; one path is pushed again and so lives on.
            shop.proxy.age();
            let _ = shop.run(&format!("push --apply --path {live}")).success();
            let mut players = Vec::new();
            for player in 0..PUSHERS + PRUNES {
                let mut command = shop.world.bed.command();
                let top = if player < PUSHERS {
                    let at = usize::try_from(dice.below(paths.len() as u64)).unwrap();
                    command.args(["push", "--apply", "--path", &paths[at]]);
                    Some(paths[at].clone())
                } else {
                    command.args(["prune", "--apply", "--allow", "share=100%"]);
                    None
                };
                let dies = dice.below(10) < 3;
                let at = Instant::now() + Duration::from_millis(50 + dice.below(900));
                players.push((start(command), top, dies.then_some(at)));
                std::thread::sleep(Duration::from_millis(dice.below(60)));
            }
            let mut tops = vec![live.clone()];
            for (mut child, top, dies) in players {
                let mut was_killed = false;
                if let Some(at) = dies {
                    while Instant::now() < at && child.try_wait().unwrap().is_none() {
                        std::thread::sleep(Duration::from_millis(3));
                    }
                    was_killed = child.try_wait().unwrap().is_none();
                    let _ = child.kill();
                }
                let ended = child.wait_with_output().unwrap();
                killed.fetch_add(usize::from(was_killed), Ordering::SeqCst);
                match (ended.status.code(), top) {
                    (Some(0), Some(top)) => {
                        pushed.fetch_add(1, Ordering::SeqCst);
                        tops.push(top);
                    }
                    (Some(0), None) => pruned += 1,
                    // Another prune was at work, or one that was killed seems to be.
                    (Some(8), None) => {}
                    (None, _) if was_killed => {}
                    other => panic!("{other:?}: {}", String::from_utf8_lossy(&ended.stdout)),
                }
            }
            shop.assert_whole_with(&tops);
            println!("round {round}: {} tops", tops.len());
        }
        is_over.store(true, Ordering::SeqCst);
        let followed = watch.join().unwrap();
        assert!(followed > 50, "{followed}");
    });
    let (killed, pushed) = (killed.into_inner(), pushed.into_inner());
    println!("{rounds} rounds: {killed} killed, {pushed} pushes and {pruned} prunes ended well");
    assert!(killed > 0 && pushed > 0, "{killed} {pushed}");
    shop.assert_no_secret();
}
