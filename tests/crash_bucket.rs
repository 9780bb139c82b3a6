//! Many at once on one bucket: pushers and prunes as processes, some of them killed, some stopped for longer
//! than they trust their own records, each with a clock that is off by up to a quarter of an hour; and somebody
//! who reads all the while.
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

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bucket_world::{Shop, planted};
use nanna_cache::provider::binary_cache::bucket::BucketStore;
use nanna_cache::provider::binary_cache::{Area, CacheView as _, SMALL_OBJECT};
use support::skew;

const PUSHERS: usize = 8;
const PRUNES: usize = 2;
/// How long they trust their own records; a standstill is longer.
const TRUST: Duration = Duration::from_secs(2);

/// Pushes that take longer wait for somebody who is dead.
const STUCK: Duration = Duration::from_secs(20);

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

/// What becomes of one who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lives,
    Killed,
    /// Stopped for longer than it trusts its own record.
    Paused,
}

struct Player {
    child: Option<Child>,
    /// What it pushes; a prune pushes nothing.
    top: Option<String>,
    fate: Fate,
    /// When that happens.
    at: Instant,
    is_paused: bool,
}

#[derive(Debug, Default)]
struct Tally {
    killed: u64,
    paused: u64,
    pushed: u64,
    pruned: u64,
    /// Gave up, because they had been stopped for too long.
    lapsed: u64,
    /// Prunes that waited for another.
    busy: u64,
    /// Times that pushes had to wait until a prune that was killed counts as gone.
    waited: u64,
}

/// Sends a signal to a child that runs.
fn signal(child: &Child, name: &str) {
    // The shell's own: a small system has no program of that name.
    let sent = Command::new("sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name])
        .arg(child.id().to_string())
        .status();
    assert!(sent.unwrap().success());
}

/// Starts everybody of a round, each a little later than the one before, each with a clock of its own.
fn players(shop: &Shop, dice: &mut Dice, skew: &Path) -> Vec<Player> {
    let paths = &shop.population.paths;
    let mut players = Vec::new();
    for number in 0..PUSHERS + PRUNES {
        let mut command = shop.world.bed.command();
        // Storages let a quarter of an hour pass.
        let seconds = i64::try_from(dice.below(1600)).unwrap() - 800;
        command
            .env("LD_PRELOAD", skew)
            .env("TEST_CLOCK_OFFSET", seconds.to_string())
            .env("NANNA_CACHE_TEST_TRUST", TRUST.as_secs().to_string());
        let top = (number < PUSHERS).then(|| {
            let at = usize::try_from(dice.below(paths.len() as u64)).unwrap();
            paths[at].clone()
        });
        match &top {
            Some(top) => command.args(["push", "--apply", "--path", top]),
            None => command.args(["prune", "--apply", "--allow", "share=100%"]),
        };
        let fate = match dice.below(10) {
            0..=2 => Fate::Killed,
            3..=5 => Fate::Paused,
            _ => Fate::Lives,
        };
        players.push(Player {
            child: Some(start(command)),
            top,
            fate,
            at: Instant::now() + Duration::from_millis(50 + dice.below(900)),
            is_paused: false,
        });
        std::thread::sleep(Duration::from_millis(dice.below(60)));
    }
    players
}

impl Player {
    /// Whether it is a push that nothing will happen to any more.
    fn only_pushes(&self) -> bool {
        self.top.is_some() && !self.is_paused && self.fate == Fate::Lives
    }
}

/// Lets everybody come to an end; the tops of those pushes that said that all is there.
fn play(shop: &Shop, mut players: Vec<Player>, tally: &mut Tally) -> Vec<String> {
    let mut tops = Vec::new();
    let mut begun = Instant::now();
    while players.iter().any(|player| player.child.is_some()) {
        std::thread::sleep(Duration::from_millis(3));
        let mut at_work = players.iter().filter(|player| player.child.is_some());
        if begun.elapsed() > STUCK && at_work.all(Player::only_pushes) {
            // They wait for a prune that was killed: half an hour, which nobody needs to watch.
            shop.proxy.age();
            tally.waited += 1;
            begun = Instant::now();
        }
        for player in &mut players {
            let Some(child) = player.child.as_mut() else {
                continue;
            };
            if player.is_paused {
                if Instant::now() >= player.at {
                    signal(child, "CONT");
                    (player.is_paused, player.fate) = (false, Fate::Lives);
                }
                continue;
            }
            if child.try_wait().unwrap().is_some() {
                let ended = player.child.take().unwrap().wait_with_output().unwrap();
                let said = [ended.stdout, ended.stderr].concat();
                let said = String::from_utf8_lossy(&said).into_owned();
                assert_eq!(planted().found(said.as_bytes()), [""; 0]);
                match (ended.status.code(), player.top.take()) {
                    (Some(0), Some(top)) => {
                        tally.pushed += 1;
                        tops.push(top);
                    }
                    (Some(0), None) => tally.pruned += 1,
                    // Another prune was at work, or one that was killed seems to be.
                    (Some(8), None) => tally.busy += 1,
                    (Some(_), _) if said.contains("held up") => tally.lapsed += 1,
                    other => panic!("{other:?}: {said}"),
                }
                continue;
            }
            if Instant::now() < player.at {
                continue;
            }
            match player.fate {
                Fate::Lives => {}
                Fate::Killed => {
                    child.kill().unwrap();
                    let _ = player.child.take().unwrap().wait_with_output();
                    tally.killed += 1;
                }
                Fate::Paused => {
                    signal(child, "STOP");
                    tally.paused += 1;
                    player.is_paused = true;
                    player.at = Instant::now() + TRUST + Duration::from_millis(700);
                }
            }
        }
    }
    tops
}

#[test]
fn pushers_and_prunes_beside_one_another() {
    let Some(shop) = Shop::with("", 30) else {
        return;
    };
    let rounds = number("NANNA_ROUNDS", 2);
    let mut dice = Dice(number("NANNA_SEED", 0x9e37_79b9_7f4a_7c15) | 1);
    let skew = skew::library(shop.world.bed.root());
    let _ = shop.run("reconcile --apply").success();
    let paths = shop.population.paths.clone();
    let live = paths[paths.len() / 3].clone();
    let mut tally = Tally::default();
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
            let mut tops = play(&shop, players(&shop, &mut dice, &skew), &mut tally);
            tops.push(live.clone());
            shop.assert_whole_with(&tops);
            println!("round {round}: {} tops", tops.len());
            if watch.is_finished() {
                break;
            }
        }
        is_over.store(true, Ordering::SeqCst);
        let followed = watch.join().unwrap();
        assert!(followed > 50, "{followed}");
    });
    println!("{rounds} rounds: {tally:?}");
    assert!(
        tally.killed > 0 && tally.paused > 0 && tally.pushed > 0,
        "{tally:?}"
    );
    // Nobody is at work: what was left is finished.
    shop.proxy.age();
    let _ = shop.run("prune --apply --allow share=100%").success();
    shop.configure(&shop.population.top);
    let _ = shop.run("reconcile --apply").success();
    shop.assert_whole_with(&shop.population.paths);
    let plan = shop.run("reconcile --detailed-exitcode").success();
    assert!(plan.stdout.contains("No changes"), "{plan}");
    shop.assert_no_secret();
}
