//! Many at once on one folder: pushers, prunes and a plain `nix copy`, some of them killed, some
//! stopped for longer than they trust their own records, and somebody who reads all the while.
//!
//! `NANNA_ROUNDS` says how many rounds (200 take ten minutes), `NANNA_SEED` which.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "a test of names that we write ourselves"
)]

mod crash_support;
mod support;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use crash_support::{Running, Site, age, names, narinfos};

const PUSHERS: usize = 8;
const PRUNES: usize = 2;

/// Processes give up this long after they last wrote their record, so that it can be waited for.
const TRUST: Duration = Duration::from_secs(2);

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What happens to a process besides its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lives,
    Killed,
    Stopped,
}

/// A process of a round, and what is in store for it.
struct Player {
    running: Option<Running>,
    /// The path that it pushes, if it does.
    top: Option<String>,
    fate: Fate,
    /// When that happens.
    at: Instant,
    stopped: bool,
}

struct Tally {
    killed: usize,
    stopped: usize,
    pushed: usize,
    pruned: usize,
    lapsed: usize,
    busy: usize,
}

fn number(name: &str, usual: u64) -> u64 {
    let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
    given.unwrap_or(usual)
}

fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = site.command(arguments.iter().copied());
    let seconds = TRUST.as_secs().to_string();
    command.env("NANNA_CACHE_TEST_TRUST", seconds);
    command
}

/// Starts everybody of a round, each a little later than the one before.
fn start(site: &Site, dice: &mut Dice, round: u64) -> Vec<Player> {
    let mut commands: Vec<(Command, Option<String>)> = Vec::new();
    for _ in 0..PUSHERS {
        let paths = &site.population.paths;
        let at = usize::try_from(dice.below(paths.len() as u64)).unwrap();
        let top = paths[at].clone();
        commands.push((
            command(site, &["push", "--apply", "--path", &top]),
            Some(top),
        ));
    }
    for _ in 0..PRUNES {
        let prune = ["prune", "--apply", "--allow", "share=100%"];
        commands.push((command(site, &prune), None));
    }
    // Something of its own each time, as nothing is promised to it for what it finds there.
    let file = site.nix.scratch().join(format!("copied-{round}"));
    std::fs::write(&file, format!("round {round}\n").repeat(5_000)).unwrap();
    let path = site.nix.add(&file);
    let mut copy = site.nix.command("nix");
    let url = format!("file://{}", site.cache().display());
    copy.args(["copy", "--no-check-sigs", "--to", &url, &path]);
    commands.push((copy, None));
    // In another order each time.
    for at in (1..commands.len()).rev() {
        let other = usize::try_from(dice.below(at as u64 + 1)).unwrap();
        commands.swap(at, other);
    }
    let mut players = Vec::new();
    for (mut command, top) in commands {
        let running = Running::start(&mut command);
        std::thread::sleep(Duration::from_millis(dice.below(60)));
        let is_ours = command.get_args().next().is_some_and(|word| word != "copy");
        let fate = match dice.below(10) {
            0..=2 => Fate::Killed,
            3 if is_ours => Fate::Stopped,
            _ => Fate::Lives,
        };
        players.push(Player {
            running: Some(running),
            top,
            fate,
            at: Instant::now() + Duration::from_millis(dice.below(1_500)),
            stopped: false,
        });
    }
    players
}

/// Lets everybody meet his fate, and waits for those who live; answers the paths of pushes that ended well.
fn play(mut players: Vec<Player>, tally: &mut Tally) -> BTreeSet<String> {
    let mut pushed = BTreeSet::new();
    while players.iter().any(|player| player.running.is_some()) {
        std::thread::sleep(Duration::from_millis(3));
        for player in &mut players {
            let Some(running) = player.running.as_mut() else {
                continue;
            };
            if player.stopped && Instant::now() >= player.at {
                running.signal("CONT");
                player.stopped = false;
                player.fate = Fate::Lives;
            }
            if !running.runs() {
                let ended = player.running.take().unwrap().end();
                match (ended.code, &player.top) {
                    (Some(0), Some(top)) => {
                        pushed.insert(top.clone());
                        tally.pushed += 1;
                    }
                    (Some(0), None) => tally.pruned += 1,
                    (Some(8), None) => tally.busy += 1,
                    _ if ended.stdout.contains("held up") || ended.stderr.contains("held up") => {
                        tally.lapsed += 1;
                    }
                    _ => panic!("{ended:#?}"),
                }
                continue;
            }
            if Instant::now() < player.at || player.stopped {
                continue;
            }
            match player.fate {
                Fate::Lives => {}
                Fate::Killed => {
                    tally.killed += usize::from(player.running.take().unwrap().kill());
                }
                Fate::Stopped => {
                    running.signal("STOP");
                    tally.stopped += 1;
                    player.stopped = true;
                    player.at = Instant::now() + TRUST + Duration::from_millis(500);
                }
            }
        }
    }
    pushed
}

#[test]
fn pushers_prunes_and_a_copy_beside_one_another() {
    let Some(site) = Site::new(40) else { return };
    let rounds = number("NANNA_ROUNDS", 5);
    let mut dice = Dice(number("NANNA_SEED", 0x9e37_79b9_7f4a_7c15) | 1);
    let live = site.population.paths[site.population.paths.len() / 3].clone();
    let keep = || {
        let push = ["push", "--apply", "--path", live.as_str()];
        let _ = site.bed.run(push).success();
    };
    let _ = site.push_all();
    keep();
    let reader = site
        .checker_of_structure()
        .root(&live)
        .watch(&site.cache(), site.bed.root());
    let mut tally = Tally {
        killed: 0,
        stopped: 0,
        pushed: 0,
        pruned: 0,
        lapsed: 0,
        busy: 0,
    };
    let mut tops = BTreeSet::new();
    for round in 0..rounds {
        // All that is there has been there for long; one path is pushed again and so lives on.
        age(&site.cache());
        keep();
        let players = start(&site, &mut dice, round);
        tops = play(players, &mut tally);
        let mut checker = site.checker_of_structure().root(&live);
        for top in &tops {
            checker = checker.root(top);
        }
        checker.assert_whole(&site.cache());
    }
    let _ = reader.stop();
    site.assert_nix_reads(tops.into_iter().chain([live]));
    let told = format!(
        "{rounds} rounds: {} killed, {} stopped, {} lapsed, {} pushes and {} others ended well, {} busy",
        tally.killed, tally.stopped, tally.lapsed, tally.pushed, tally.pruned, tally.busy
    );
    println!("{told}");
    assert!(
        tally.killed > 0 && tally.pushed > 0 && tally.pruned > 0,
        "{told}"
    );

    // Nobody is at work: a prune and a push finish whatever was left.
    age(&site.cache());
    let prune = ["prune", "--apply", "--allow", "share=100%"];
    let _ = site.bed.run(prune).success();
    let _ = site.push_all();
    site.checker_of_structure()
        .root(&site.population.top)
        .assert_whole(&site.cache());
    site.assert_converged();
    let open = names(&site.cache().join("nanna-cache/v1/intents"));
    assert!(open.iter().all(|name| !name.ends_with(".json")), "{open:?}");
    assert!(!narinfos(&site.cache()).is_empty());
}

/// The records of a kind that say that somebody is at work.
fn open(site: &Site, kind: &str) -> BTreeSet<String> {
    let folder = site.cache().join("nanna-cache/v1").join(kind);
    let is_open = |name: &String| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        name.ends_with(".json") && !text.is_empty() && !text.contains("\"ended\"")
    };
    names(&folder).into_iter().filter(is_open).collect()
}

/// Starts a process until one is caught with its record; it is stopped for longer than it trusts it.
fn caught(site: &Site, kind: &str, make: impl Fn() -> Command) -> (Running, BTreeSet<String>) {
    for attempt in 0..60 {
        let mut running = Running::start(&mut make());
        running.until(|| !open(site, kind).is_empty());
        std::thread::sleep(Duration::from_micros(attempt % 8 * 500));
        running.signal("STOP");
        let records = open(site, kind);
        if running.runs() && !records.is_empty() {
            std::thread::sleep(TRUST + Duration::from_millis(300));
            running.signal("CONT");
            return (running, records);
        }
        running.signal("CONT");
        let _ = running.end();
        age(&site.cache());
    }
    panic!("nobody is caught");
}

#[test]
fn who_was_stopped_for_longer_than_it_trusts_sends_nothing_more() {
    let Some(site) = Site::new(40) else { return };
    let _ = site.push_all();
    let whole = narinfos(&site.cache()).len();
    let prune = ["prune", "--apply", "--allow", "share=100%"];
    let (mut lapsed, mut tries) = (0, 0);
    while lapsed < 2 {
        tries += 1;
        assert!(tries < 20, "each was at its end already");
        let _ = site.push_all();
        age(&site.cache());
        let (running, _) = caught(&site, "prunes", || command(&site, &prune));
        let ended = running.end();
        site.checker_of_structure().assert_whole(&site.cache());
        let said = format!("{}{}", ended.stdout, ended.stderr);
        if said.contains("held up") {
            assert_ne!(ended.code, Some(0), "{ended:#?}");
            lapsed += 1;
        }
        // The next one finishes.
        let _ = site.bed.run(prune).success();
        assert_eq!(narinfos(&site.cache()), Vec::<String>::new());
    }
    // A push begins again, with another intent, and ends well.
    let push = ["push", "--apply", "--path", site.population.top.as_str()];
    let (mut again, mut tries) = (0, 0);
    while again < 2 {
        tries += 1;
        assert!(tries < 20, "each was at its end already");
        let _ = site.bed.run(prune).success();
        let (mut running, first) = caught(&site, "intents", || command(&site, &push));
        let other = running.until(|| !open(&site, "intents").is_subset(&first));
        again += usize::from(other);
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        site.assert_has_everything();
        assert_eq!(narinfos(&site.cache()).len(), whole);
        age(&site.cache());
    }
}
