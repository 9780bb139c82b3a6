//! Every schedule of small cases.
//!
//! A state is what the server holds and what each process was told so far. Runs are repeated from
//! the beginning with another choice at some place, until no state is left that was not gone on from in every way.

use std::collections::HashMap;

use crate::simulated::run::{Choice, Run};
use crate::simulated::scenario::{DAY, Scenario, Thing};

const OLD: i64 = 20 * DAY;

/// How far to look.
#[derive(Clone, Copy)]
struct Reach {
    /// How often a process may be left that could go on.
    switches: usize,
    /// How many processes are killed.
    kills: usize,
}

/// Switches and kills that are left.
type Left = (usize, usize);

/// What has been looked at.
#[derive(Default)]
struct Looked {
    /// States, with the most switches and kills that were left there.
    states: HashMap<(u64, Option<usize>), Vec<Left>>,
    runs: usize,
}

impl Looked {
    /// Whether there is anything new in going on from here.
    fn is_new(&mut self, digest: u64, last: Option<usize>, left: Left) -> bool {
        let known = self.states.entry((digest, last)).or_default();
        if known
            .iter()
            .any(|(switches, kills)| *switches >= left.0 && *kills >= left.1)
        {
            return false;
        }
        known.push(left);
        true
    }
}

/// What is chosen so far, and what is left to be spent.
#[derive(Clone)]
struct Path {
    choices: Vec<Choice>,
    last: Option<usize>,
    left: Left,
}

/// Looks at every schedule; answers how many states and runs there were.
#[track_caller]
fn every_schedule(mut scenario: Scenario, reach: Reach) -> (usize, usize) {
    scenario.options.digests = true;
    let mut looked = Looked::default();
    let mut open = vec![Path {
        choices: Vec::new(),
        last: None,
        left: (reach.switches, reach.kills),
    }];
    while let Some(path) = open.pop() {
        looked.runs += 1;
        let mut run = scenario.start();
        for choice in &path.choices {
            run.step(*choice)
                .unwrap_or_else(|broken| told(&run, &broken));
        }
        go_on(&mut run, path, &mut looked, &mut open);
    }
    (looked.states.len(), looked.runs)
}

fn told(run: &Run, broken: &str) -> ! {
    panic!("{broken}\n{}\n{:?}", run.log.join("\n"), run.choices)
}

/// Goes on in the nearest way, and remembers the others.
fn go_on(run: &mut Run, mut path: Path, looked: &mut Looked, open: &mut Vec<Path>) {
    while !run.all_ended() {
        if !looked.is_new(run.digest(), path.last, path.left) {
            return;
        }
        let mut ways = ways(run, &path);
        let next = ways.remove(0);
        open.extend(ways);
        let choice = *next.choices.last().expect("a way has a choice");
        run.step(choice).unwrap_or_else(|broken| told(run, &broken));
        path = next;
    }
}

fn ways(run: &Run, path: &Path) -> Vec<Path> {
    let ready = run.ready();
    let with = |choice: Choice, last: Option<usize>, left: Left| {
        let mut choices = path.choices.clone();
        choices.push(choice);
        Path {
            choices,
            last,
            left,
        }
    };
    if ready.is_empty() {
        let until = run.wakes().expect("somebody sleeps, or all have ended");
        let time = until.saturating_sub(run.server.now) + 10 * 60_000;
        return vec![with(Choice::Pass(time), path.last, path.left)];
    }
    let stays = path.last.filter(|last| ready.contains(last));
    let mut order = ready.clone();
    order.sort_by_key(|number| (Some(*number) != stays, *number));
    let (switches, kills) = path.left;
    let mut ways = Vec::new();
    for number in order {
        // To leave one that has just begun to sleep, or has ended, is no switch.
        let leaves = stays.is_some_and(|last| last != number);
        if !leaves || switches > 0 {
            let left = (switches - usize::from(leaves), kills);
            ways.push(with(Choice::Go(number), Some(number), left));
        }
    }
    if kills > 0 {
        for number in ready {
            ways.push(with(Choice::Kill(number), path.last, (switches, kills - 1)));
            ways.push(with(Choice::Drop(number), path.last, (switches, kills - 1)));
        }
    }
    ways
}

/// Schedules with many switches where `NANNA_CASES` asks for many; else those with few.
fn reach(few: usize, many_switches: usize, kills: usize) -> Reach {
    let many = std::env::var("NANNA_CASES")
        .is_ok_and(|cases| cases.parse().is_ok_and(|n: u64| n >= 10_000));
    Reach {
        switches: if many { many_switches } else { few },
        kills,
    }
}

fn locked(mut scenario: Scenario) -> Scenario {
    scenario.options.locks = true;
    scenario
}

fn paged(mut scenario: Scenario) -> Scenario {
    scenario.options.page = 1;
    scenario
}

/// Two paths of one content.
fn twins() -> Scenario {
    let thing = Thing {
        references: Vec::new(),
        content: 0,
    };
    Scenario::new(vec![thing.clone(), thing])
}

/// As [`every_schedule`], and says how many there were to whoever wants to know.
#[track_caller]
fn all(scenario: Scenario, reach: Reach) {
    let (states, runs) = every_schedule(scenario, reach);
    #[expect(clippy::print_stdout, reason = "for who runs it with --no-capture")]
    {
        println!("{states} states in {runs} runs");
    }
    assert!(states > 500 && runs > 50);
}

#[test]
fn a_push_on_a_dead_path_and_a_prune() {
    let make = |scenario: Scenario| scenario.cached(&[0], OLD).push("A", &[1]).prune_all("P");
    all(make(Scenario::chain(2)), reach(2, 5, 0));
    all(make(paged(Scenario::chain(2))), reach(2, 5, 0));
    all(make(locked(Scenario::chain(2))), reach(0, 2, 1));
}

#[test]
fn a_push_on_a_dead_path_and_a_prune_one_of_which_is_killed() {
    let make = |scenario: Scenario| scenario.cached(&[0], OLD).push("A", &[1]).prune_all("P");
    all(make(Scenario::chain(2)), reach(0, 2, 1));
}

#[test]
fn a_push_that_shares_a_nar_with_a_dead_path_and_a_prune() {
    let make = |scenario: Scenario| scenario.cached(&[0], OLD).push("A", &[1]).prune_all("P");
    all(make(twins()), reach(2, 5, 0));
    all(make(locked(twins())), reach(0, 2, 1));
}

#[test]
fn a_renewal_and_a_prune() {
    let make = |scenario: Scenario| {
        let scenario = scenario.cached(&[0, 1], OLD).rooted(1, OLD);
        scenario.push("A", &[1]).prune_all("P")
    };
    all(make(Scenario::chain(2)), reach(2, 5, 0));
    all(make(Scenario::chain(2)), reach(0, 2, 1));
}

#[test]
fn two_pushes_and_a_prune() {
    let make = |scenario: Scenario| {
        let scenario = scenario.cached(&[0], OLD);
        scenario.push("A", &[1]).push("B", &[0]).prune_all("P")
    };
    all(make(Scenario::chain(2)), reach(1, 2, 0));
}

#[test]
fn a_push_and_two_prunes() {
    let make = |scenario: Scenario| {
        let scenario = scenario.cached(&[0], OLD);
        scenario.push("A", &[1]).prune_all("P").prune_all("Q")
    };
    all(make(Scenario::chain(2)), reach(1, 2, 0));
    all(make(locked(Scenario::chain(2))), reach(1, 2, 0));
}

#[test]
fn a_push_a_prune_and_somebody_who_copies() {
    let make = |scenario: Scenario| {
        let scenario = scenario.cached(&[0, 1], OLD).rooted(0, DAY);
        scenario.push("A", &[1]).prune_all("P").copy("F", &[2])
    };
    let on = |references: Vec<usize>, content: usize| Thing {
        references,
        content,
    };
    let things = vec![on(vec![], 0), on(vec![0], 1), on(vec![0], 2)];
    all(make(Scenario::new(things)), reach(1, 2, 0));
}
