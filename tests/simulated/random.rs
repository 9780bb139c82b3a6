//! Random scenarios and random schedules, each told by a seed.

use std::collections::BTreeSet;

use nanna_cache::config::model::Foreign;
use nanna_cache::provider::binary_cache::prune::Candidates;
use nanna_cache::provider::binary_cache::terms::Rule;

use super::dice::Dice;
use super::handle::Op;
use super::run::{Choice, Ended, Run};
use super::scenario::{DAY, RETENTION, Scenario, Thing, hash, narinfo};
use super::script;
use super::server::{Broken, Server};

/// What a random run may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub paths: usize,
    pub broken: Option<Rule>,
    /// Whether writing a NAR over an equal one makes it young.
    pub refreshes: bool,
    /// Whether conditional writes work; `None`: in some runs.
    pub conditional: Option<bool>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            paths: 30,
            broken: None,
            refreshes: true,
            conditional: None,
        }
    }
}

/// A scenario, and what each push brings.
pub struct Case {
    pub scenario: Scenario,
    pub pushes: Vec<Vec<usize>>,
    copies: bool,
}

const HOUR: i64 = 3600;
const AGES: [i64; 9] = [
    0,
    HOUR,
    13 * HOUR,
    23 * HOUR,
    25 * HOUR,
    5 * DAY,
    20 * DAY,
    20 * DAY,
    20 * DAY,
];

pub fn case(dice: &mut Dice, bounds: Bounds) -> Case {
    let most = if dice.percent(60) {
        8.min(bounds.paths)
    } else {
        bounds.paths
    };
    let count = 3 + dice.index(most.saturating_sub(2));
    let mut things = ours(dice, count);
    // What somebody else copies is his own, and may stand on what a root of ours keeps for long.
    let firm = dice.index(count);
    let copies = dice.percent(30);
    if copies {
        for number in count..count + 1 + dice.index(3) {
            let before = (number > count && dice.percent(50)).then(|| number - 1);
            let ours = dice.percent(50).then_some(firm);
            things.push(Thing {
                references: before.into_iter().chain(ours).collect(),
                content: number + 3,
            });
        }
    }
    let foreign: Vec<usize> = (count..things.len()).collect();
    let mut scenario = Scenario::new(things);
    options(dice, &mut scenario, bounds);
    scenario = filled(dice, scenario, count);
    if copies {
        scenario = fresh(scenario, &[firm], 20 * DAY).rooted(firm, 0);
    }
    let (mut scenario, pushes) = pushing(dice, scenario, count);
    scenario = pruning(dice, scenario);
    if copies {
        scenario = scenario.copy("F", &foreign);
    }
    Case {
        scenario,
        pushes,
        copies,
    }
}

/// Paths that refer to lower ones; some share a content.
fn ours(dice: &mut Dice, count: usize) -> Vec<Thing> {
    let chain = dice.percent(30);
    let mut thing = |number: usize| {
        let mut references = BTreeSet::new();
        if chain && number > 0 {
            references.insert(number - 1);
        }
        for _ in 0..dice.below(3) {
            if number > 0 {
                references.insert(dice.index(number));
            }
        }
        let shared = number > 0 && dice.percent(30);
        Thing {
            references: references.into_iter().collect(),
            content: if shared { dice.index(number) } else { number },
        }
    };
    (0..count).map(&mut thing).collect()
}

fn options(dice: &mut Dice, scenario: &mut Scenario, bounds: Bounds) {
    scenario.foreign = dice.of(&[Foreign::Retention, Foreign::Retention, Foreign::Keep]);
    scenario.terms.broken = bounds.broken;
    scenario.options.locks = dice.percent(40);
    scenario.options.page = dice.of(&[usize::MAX, 1, 3]);
    let skews = [0, 0, 3_600_000, -3_600_000];
    scenario.options.skews = (0..5).map(|_| dice.of(&skews)).collect();
    scenario.server.refreshes = bounds.refreshes;
    scenario.server.conditional = bounds.conditional.unwrap_or_else(|| dice.percent(70));
}

fn some(dice: &mut Dice, count: usize, most: usize) -> Vec<usize> {
    (0..=dice.index(most)).map(|_| dice.index(count)).collect()
}

/// Puts what is not there yet of a closure into the cache.
fn fresh(scenario: Scenario, tops: &[usize], age: i64) -> Scenario {
    let mut new = scenario.closure(tops);
    new.retain(|number| !scenario.server.has(&narinfo(*number)));
    scenario.cached(&new, age)
}

/// What is in the cache to begin with.
fn filled(dice: &mut Dice, mut scenario: Scenario, count: usize) -> Scenario {
    for _ in 0..=dice.below(3) {
        let tops = some(dice, count, 2);
        let age = dice.of(&AGES);
        scenario = fresh(scenario, &tops, age);
        if dice.percent(70) {
            let age = dice.of(&[0, 5 * DAY, 20 * DAY, 20 * DAY]);
            scenario = scenario.rooted(tops[0], age);
        }
        if dice.percent(10) {
            scenario = scenario.pinned(tops[0]);
        }
    }
    for _ in 0..dice.below(3) {
        let (number, age) = (dice.index(count), dice.of(&AGES));
        scenario = scenario.orphan(number, age);
    }
    if dice.percent(20) {
        let absent: Vec<String> = some(dice, count, 3)
            .iter()
            .map(|number| hash(*number).to_string())
            .collect();
        let text = format!(
            r#"{{"schema":1,"requires":[],"writer":"x","class":"things","tops":[],"paths":"","absent":"{}","began":"2026-01-01T00:00:00Z"}}"#,
            absent.join(" ")
        );
        let age = dice.of(&[25 * HOUR, 5 * DAY]);
        scenario.server.place(DEAD, text.as_bytes(), age);
    }
    scenario
}

/// The intent of a push that died.
const DEAD: &str = "nanna-cache/v1/intents/0dead.json";

fn pushing(dice: &mut Dice, mut scenario: Scenario, count: usize) -> (Scenario, Vec<Vec<usize>>) {
    let mut pushes = Vec::new();
    for name in ["A", "B"].iter().take(1 + dice.index(2)) {
        let tops = some(dice, count, 2);
        scenario = if dice.percent(50) {
            scenario.push(name, &tops)
        } else {
            // As a plan does it: only what the first look did not find.
            let mut items = scenario.closure(&tops);
            items.retain(|number| !scenario.server.has(&narinfo(*number)));
            scenario.push_items(name, &tops, &items)
        };
        pushes.push(tops);
    }
    (scenario, pushes)
}

fn pruning(dice: &mut Dice, mut scenario: Scenario) -> Scenario {
    for name in ["P", "Q"].iter().take(1 + dice.index(2)) {
        let mut candidates = scenario.all();
        if dice.percent(30) {
            candidates.paths.retain(|_| dice.percent(60));
            candidates.roots.retain(|_| dice.percent(60));
            candidates.objects.retain(|_| dice.percent(60));
        }
        if dice.percent(20) {
            candidates.objects.push(DEAD.to_owned());
        }
        scenario.terms.round = dice.of(&[100_000, 100_000, 2]);
        scenario = scenario.prune(name, candidates);
    }
    scenario
}

/// How a schedule chooses.
struct Style {
    /// How often, of a hundred, the same process goes on.
    stay: u64,
    /// In ten thousand steps.
    kills: u64,
    losses: u64,
    jumps: u64,
}

const LONG: usize = 30_000;

/// Runs a case as chance has it, until all have ended.
pub fn schedule(case: &Case, dice: &mut Dice) -> (Run, Result<(), Broken>) {
    let mut run = case.scenario.start();
    let style = Style {
        stay: dice.of(&[0, 50, 90, 97]),
        kills: dice.of(&[0, 0, 20, 60]),
        losses: dice.of(&[0, 0, 50, 300]),
        jumps: dice.of(&[0, 10, 100, 300]),
    };
    let mut last = None;
    let mut passed = 0;
    for _ in 0..LONG {
        if run.all_ended() {
            return (run, Ok(()));
        }
        let choice = choose(&run, &style, &mut last, &mut passed, case.copies, dice);
        if let Err(broken) = run.step(choice) {
            return (run, Err(broken));
        }
    }
    (run, Err("it never ends".to_owned()))
}

fn choose(
    run: &Run,
    style: &Style,
    last: &mut Option<usize>,
    passed: &mut u64,
    copies: bool,
    dice: &mut Dice,
) -> Choice {
    if run.on_the_way() > 0 && dice.percent(3) {
        return Choice::Land(dice.index(run.on_the_way()));
    }
    // What others copy must be done within grace, and roots must not end under it.
    let limit = if copies {
        20 * 3_600_000
    } else {
        5 * 86_400_000
    };
    if dice.rarely(style.jumps) {
        let minutes = dice.of(&[1, 4, 6, 16, 31, 61, 13 * 60, 25 * 60]);
        let time = minutes * 60_000;
        if *passed + time <= limit {
            *passed += time;
            return Choice::Pass(time);
        }
    }
    let ready = run.ready();
    if ready.is_empty() {
        let until = run.wakes().expect("somebody waits");
        let time = until.saturating_sub(run.server.now) + dice.of(&[1, 60_000, 300_000]);
        *passed += time;
        return Choice::Pass(time);
    }
    if dice.percent(20) {
        return Choice::Pass(dice.below(1500));
    }
    let number = match last.filter(|number| ready.contains(number)) {
        Some(number) if dice.percent(style.stay) => number,
        _ => dice.of(&ready),
    };
    *last = Some(number);
    let writes = matches!(run.pending(number), Some(Op::Write(_)));
    if dice.rarely(style.kills) {
        return if dice.percent(50) {
            Choice::Kill(number)
        } else {
            Choice::Drop(number)
        };
    }
    if writes && dice.rarely(style.losses) {
        return if dice.percent(50) {
            Choice::Lose(number)
        } else {
            Choice::Delay(number)
        };
    }
    Choice::Go(number)
}

/// From wherever a run stopped: a prune and the pushes end with what is live there and what is dead gone.
pub fn converge(case: &Case, run: &Run) -> Result<(), Broken> {
    let mut server = run.server.clone();
    server.now += 26 * 3_600_000;
    let server = prune(case, server, "the first prune")?.0;
    let mut server = server;
    for tops in &case.pushes {
        let scenario = case.scenario.quiet(server).push("A", tops);
        let (run, result) = script::run(&scenario, &[]);
        result?;
        match run.ended(0) {
            Some(ended) if ended.is_pushed() => server = run.server.clone(),
            other => return Err(format!("a push alone fails: {other:?}")),
        }
    }
    let before = server.visible();
    let (mut server, _) = prune(case, server, "the second prune")?;
    if server.visible() != before {
        return Err("a prune right after the pushes deletes something".to_owned());
    }
    // When all roots have ended and everything is old, all that is ours goes.
    server.now += u64::try_from(RETENTION + 2 * DAY).unwrap() * 1000;
    let (server, _) = prune(case, server, "the last prune")?;
    let ours: BTreeSet<String> = case
        .pushes
        .iter()
        .flat_map(|tops| case.scenario.closure(tops))
        .map(|number| hash(number).to_string())
        .collect();
    let left = server.visible();
    let roots: Vec<&String> = server
        .objects
        .keys()
        .filter(|key| key.contains("/roots/"))
        .collect();
    let pinned = server.kept();
    // Under content that is kept for ever, roots stay as well.
    let firm = case.scenario.foreign == Foreign::Keep || !pinned.is_empty();
    if !roots.is_empty() && !firm {
        return Err(format!("roots are left: {}", describe(&server)));
    }
    let foreign = server.reach(left.difference(&ours).cloned());
    let is_ours = |hash: &&String| !foreign.contains(*hash) && !pinned.contains(*hash);
    if let Some(hash) = ours.intersection(&left).find(is_ours) {
        return Err(format!("{hash} is left: {}", describe(&server)));
    }
    Ok(())
}

/// A prune alone: what it deletes is what the planner would, and a second finds nothing to do.
fn prune(case: &Case, server: Server, which: &str) -> Result<(Server, u64), Broken> {
    let kept = server.kept();
    let mut candidates = case.scenario.all();
    candidates.objects.push(DEAD.to_owned());
    let dead = server
        .objects
        .keys()
        .filter(|key| key.contains("/intents/"));
    candidates.objects.extend(dead.cloned());
    let once = |server: Server, candidates: Candidates| -> Result<(Server, usize), Broken> {
        let scenario = case.scenario.quiet(server).prune("P", candidates);
        let (run, result) = script::run(&scenario, &[]);
        result.map_err(|broken| format!("{which}: {broken}"))?;
        match run.ended(0) {
            Some(Ended::Pruned(Ok(done))) => {
                let count = done.paths.len() + done.objects.len() + done.roots.len();
                Ok((run.server.clone(), count))
            }
            other => Err(format!("{which} fails: {other:?}")),
        }
    };
    let (mut server, _) = once(server, candidates.clone())?;
    server.now += 1000;
    let visible = server.visible();
    if let Some(hash) = kept.iter().find(|hash| !visible.contains(*hash)) {
        return Err(format!("{which}: {hash} was live and is not there"));
    }
    let again = once(server, candidates)?;
    if again.1 != 0 {
        return Err(format!("{which} leaves {} for another", again.1));
    }
    for key in again.0.unnamed() {
        let age = again.0.seconds() - again.0.objects[&key].modified;
        if age > 25 * HOUR {
            return Err(format!(
                "{which}: `{key}` is {age} seconds old, and nothing names it"
            ));
        }
    }
    Ok((again.0, 0))
}

/// All objects with their ages.
fn describe(server: &Server) -> String {
    let now = server.seconds();
    let lines = server
        .objects
        .iter()
        .map(|(key, object)| format!("\n      {key} {} h", (now - object.modified) / HOUR));
    lines.collect()
}

/// A whole run by its seed; the answer of a failure tells all of it.
pub fn seed(seed: u64, bounds: Bounds) -> Result<(), String> {
    let mut dice = Dice(seed);
    let case = case(&mut dice, bounds);
    let (run, result) = schedule(&case, &mut dice);
    let result = match result {
        Ok(()) if bounds.broken.is_none() && bounds.refreshes => {
            converge(&case, &run).map_err(|broken| format!("afterwards: {broken}"))
        }
        other => other,
    };
    result.map_err(|broken| {
        format!(
            "seed {seed}: {broken}\n{}\n{:?}\n{:?} {:?} {:?}",
            run.log.join("\n"),
            case.scenario.things,
            case.scenario.foreign,
            case.scenario.options,
            case.pushes,
        )
    })
}
