//! Lists of steps: a run that goes as it is told, and then to its end.

use super::run::{Choice, Run};
use super::scenario::Scenario;
use super::server::Broken;

/// A part of a list of steps.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A process goes on until what it asks for next begins with this (which is not done yet).
    To(&'a str, &'a str),
    /// It does what it asks for, and goes on until it next asks for such a thing.
    Past(&'a str, &'a str),
    /// A process goes on to its end, or until it sleeps.
    End(&'a str),
    /// The request of a process gets no answer; it is done (`true`), or stays on its way.
    Lose(&'a str, bool),
    /// A process is killed; its request stays on its way, where that can be.
    Kill(&'a str),
    /// A process is killed before its request was sent.
    Drop(&'a str),
    /// What is on its way takes effect.
    Land,
    /// Seconds go by.
    Pass(u64),
    /// One request of a process.
    One(&'a str),
}

/// So many steps are enough for anything here.
const LONG: usize = 20_000;

/// Runs as told; whoever is left then goes on in turns to the end. Answers what was broken.
pub fn run(scenario: &Scenario, steps: &[Step<'_>]) -> (Run, Result<(), Broken>) {
    let mut run = scenario.start();
    let result = follow(&mut run, steps).and_then(|()| finish(&mut run));
    (run, result)
}

fn follow(run: &mut Run, steps: &[Step<'_>]) -> Result<(), Broken> {
    for step in steps {
        match *step {
            Step::To(name, what) => to(run, name, what)?,
            Step::Past(name, what) => {
                let number = run.number(name);
                run.step(Choice::Go(number))?;
                to(run, name, what)?;
            }
            Step::End(name) => to(run, name, "sleep")?,
            Step::One(name) => {
                let number = run.number(name);
                run.step(Choice::Go(number))?;
            }
            Step::Lose(name, true) => {
                let number = run.number(name);
                run.step(Choice::Lose(number))?;
            }
            Step::Lose(name, false) => {
                let number = run.number(name);
                run.step(Choice::Delay(number))?;
            }
            Step::Kill(name) => {
                let number = run.number(name);
                run.step(Choice::Kill(number))?;
            }
            Step::Drop(name) => {
                let number = run.number(name);
                run.step(Choice::Drop(number))?;
            }
            Step::Land => {
                if run.on_the_way() > 0 {
                    run.step(Choice::Land(0))?;
                }
            }
            Step::Pass(seconds) => run.step(Choice::Pass(seconds * 1000))?,
        }
    }
    Ok(())
}

fn to(run: &mut Run, name: &str, what: &str) -> Result<(), Broken> {
    let number = run.number(name);
    for _ in 0..LONG {
        match run.pending(number).map(super::handle::Op::describe) {
            Some(asked) if !asked.starts_with(what) => {
                if asked == "sleep" {
                    // It waits for somebody: the list goes on with others.
                    return Ok(());
                }
                run.step(Choice::Go(number))?;
            }
            _ => return Ok(()),
        }
    }
    Err(format!("{name} never comes to `{what}`"))
}

/// Everybody goes on in turns, until all have ended.
pub fn finish(run: &mut Run) -> Result<(), Broken> {
    for _ in 0..LONG {
        if run.all_ended() {
            return Ok(());
        }
        let ready = run.ready();
        match (ready.first(), run.wakes()) {
            (Some(number), _) => run.step(Choice::Go(*number))?,
            (None, Some(until)) => {
                let time = until.saturating_sub(run.server.now) + 60_000;
                run.step(Choice::Pass(time))?;
            }
            (None, None) => return Err("everybody is stuck".to_owned()),
        }
    }
    Err("it never ends".to_owned())
}
