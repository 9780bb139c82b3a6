//! A run: processes whose every request is a step that somebody chooses.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use nanna_cache::provider::binary_cache::prune::{PruneDone, PruneError};
use nanna_cache::provider::binary_cache::push::{PushDone, PushError};
use nanna_cache::provider::binary_cache::{Area, Object};

use super::handle::{Answer, Ask, Event, Handle, Op, name_thread};
use super::server::{Broken, Server, Write};

/// How a process ended.
#[derive(Debug)]
pub enum Ended {
    Pushed(Result<PushDone, PushError>),
    Pruned(Result<PruneDone, PruneError>),
    Copied,
    Panicked,
}

impl Ended {
    pub fn is_pushed(&self) -> bool {
        matches!(self, Self::Pushed(Ok(done)) if done.failed.is_empty())
    }
}

/// What a cache of this kind is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether locks tell that a process lives, as in a folder.
    pub locks: bool,
    /// Milliseconds by which the clock of each process is off.
    pub skews: Vec<i64>,
    /// Areas that a process reads too early, by process.
    pub early: Vec<Vec<Area>>,
    /// So many keys come at once in a listing.
    pub page: usize,
    /// Whether states are compared.
    pub digests: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            locks: false,
            skews: Vec::new(),
            early: Vec::new(),
            page: usize::MAX,
            digests: false,
        }
    }
}

/// What a process does with its store.
pub type Body = Arc<dyn Fn(&Handle) -> Ended + Send + Sync>;

/// What can be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The request of a process is done and answered.
    Go(usize),
    /// The request of a process is done, and the answer is lost.
    Lose(usize),
    /// The answer is lost, and the request is still on its way.
    Delay(usize),
    /// A process is killed; what it asked for stays on its way, where that can be.
    Kill(usize),
    /// A process is killed before its request was sent.
    Drop(usize),
    /// A request that was on its way takes effect.
    Land(usize),
    /// Milliseconds go by.
    Pass(u64),
}

/// A process.
struct Process {
    name: String,
    pending: Option<Ask>,
    alive: bool,
    ended: Option<Ended>,
    answers: Sender<Answer>,
    thread: Option<JoinHandle<()>>,
    /// A number for all it was told so far: with its code, that is its state.
    told: u64,
    handle: Handle,
}

/// A run under way.
pub struct Run {
    pub server: Server,
    processes: Vec<Process>,
    /// Requests whose sender does not wait any more: who, what, until when.
    on_the_way: Vec<(usize, Write, u64)>,
    events: Receiver<(usize, Event)>,
    now: Arc<AtomicU64>,
    options: Options,
    /// What was done, for whoever reads of a failure.
    pub log: Vec<String>,
    /// What was chosen.
    pub choices: Vec<Choice>,
    /// What is checked when a process ends.
    at_end: EndCheck,
}

type EndCheck = Arc<dyn Fn(&Server, usize, &Ended) -> Result<(), Broken> + Send + Sync>;

impl Run {
    pub fn new(
        server: Server,
        bodies: &[(&str, Body)],
        options: Options,
        at_end: EndCheck,
    ) -> Self {
        let now = Arc::new(AtomicU64::new(server.now));
        let (asks, events) = channel();
        let mut run = Self {
            server,
            processes: Vec::new(),
            on_the_way: Vec::new(),
            events,
            now: Arc::clone(&now),
            options,
            log: Vec::new(),
            choices: Vec::new(),
            at_end,
        };
        for (number, (name, body)) in bodies.iter().enumerate() {
            let (answers, receiver) = channel();
            let handle = Handle::new(
                number,
                asks.clone(),
                receiver,
                Arc::clone(&now),
                &run.options,
            );
            let (body, of_thread) = (Arc::clone(body), handle.clone());
            let thread = std::thread::spawn(move || {
                name_thread(number);
                of_thread.ask(Op::Start, u64::MAX);
                let ended = catch_unwind(AssertUnwindSafe(|| body(&of_thread)));
                of_thread.end(ended.unwrap_or(Ended::Panicked));
            });
            run.processes.push(Process {
                name: (*name).to_owned(),
                pending: None,
                alive: true,
                ended: None,
                answers,
                thread: Some(thread),
                told: 0,
                handle,
            });
            // One after the other: each waits at its start.
            let _ = run.hear();
        }
        run
    }

    /// The number of a process.
    pub fn number(&self, name: &str) -> usize {
        let found = self
            .processes
            .iter()
            .position(|process| process.name == name);
        found.unwrap_or_else(|| panic!("no process {name}"))
    }

    /// What a process asks for now; `None`: it has ended.
    pub fn pending(&self, process: usize) -> Option<&Op> {
        let process = &self.processes[process];
        process
            .pending
            .as_ref()
            .filter(|_| process.alive)
            .map(|ask| &ask.op)
    }

    pub fn ended(&self, process: usize) -> Option<&Ended> {
        self.processes[process].ended.as_ref()
    }

    pub fn writes(&self, process: usize) -> u64 {
        self.processes[process].handle.writes()
    }

    pub fn all_ended(&self) -> bool {
        self.processes.iter().all(|process| process.ended.is_some())
    }

    /// Processes that can go on now.
    pub fn ready(&self) -> Vec<usize> {
        let is_ready = |number: &usize| match self.pending(*number) {
            Some(Op::Sleep { until }) => *until <= self.server.now,
            other => other.is_some(),
        };
        (0..self.processes.len()).filter(is_ready).collect()
    }

    /// When the first of the sleepers wakes.
    pub fn wakes(&self) -> Option<u64> {
        let sleepers = (0..self.processes.len()).filter_map(|number| match self.pending(number) {
            Some(Op::Sleep { until }) => Some(*until),
            _ => None,
        });
        sleepers.min()
    }

    pub fn on_the_way(&self) -> usize {
        self.on_the_way.len()
    }

    /// A number for the whole state: equal numbers go on in equal ways.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.server.digest(), self.server.now).hash(&mut hasher);
        for process in &self.processes {
            (process.alive, process.told, process.ended.is_some()).hash(&mut hasher);
        }
        for (who, write, until) in &self.on_the_way {
            (who, write.key(), until).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Does the next step.
    pub fn step(&mut self, choice: Choice) -> Result<(), Broken> {
        self.choices.push(choice);
        match choice {
            Choice::Go(number) => self.go(number, true),
            Choice::Lose(number) => self.go(number, false),
            Choice::Delay(number) => {
                self.note(number, "(on its way) ");
                self.send_on(number);
                self.answer(number, Answer::Unanswered)
            }
            Choice::Kill(number) => {
                self.note(number, "killed at ");
                // Where processes hold locks, what the dead one asked for does not happen any more.
                if !self.options.locks {
                    self.send_on(number);
                }
                self.kill(number);
                Ok(())
            }
            Choice::Drop(number) => {
                self.note(number, "killed before ");
                self.kill(number);
                Ok(())
            }
            Choice::Land(at) => {
                let (number, write, _) = self.on_the_way.remove(at);
                self.log.push(format!(
                    "late: {} of {}",
                    write.key(),
                    self.processes[number].name
                ));
                self.server.write(&write, number).1
            }
            Choice::Pass(time) => {
                self.pass(time);
                Ok(())
            }
        }
    }

    pub fn pass(&mut self, time: u64) {
        self.server.now += time;
        self.now.store(self.server.now, Ordering::SeqCst);
        let now = self.server.now;
        self.on_the_way.retain(|(_, _, until)| now <= *until);
        if time >= 60_000 {
            self.log.push(format!("{} minutes pass", time / 60_000));
        }
    }

    fn note(&mut self, number: usize, how: &str) {
        let process = &self.processes[number];
        let what = process.pending.as_ref().map(|ask| ask.op.describe());
        self.log.push(format!(
            "{}: {how}{}",
            process.name,
            what.unwrap_or_default()
        ));
    }

    fn send_on(&mut self, number: usize) {
        if let Some(Ask {
            op: Op::Write(write),
            deadline,
        }) = self.processes[number].pending.clone()
            && self.server.now <= deadline
        {
            self.on_the_way.push((number, write, deadline));
        }
    }

    fn kill(&mut self, number: usize) {
        self.processes[number].alive = false;
        if self.processes[number].ended.is_none() {
            let _ = self.answer(number, Answer::Dead);
        }
    }

    fn go(&mut self, number: usize, answered: bool) -> Result<(), Broken> {
        self.note(number, if answered { "" } else { "(no answer) " });
        let Some(Ask { op, deadline }) = self.processes[number].pending.clone() else {
            return Ok(());
        };
        let mut broken = Ok(());
        let answer = match op {
            Op::Start | Op::Sleep { .. } => Answer::Go,
            Op::List { area, after } => {
                // Records in a folder are listed under a lock.
                let at_once = self.options.locks && matches!(area, Area::Intents | Area::Prunes);
                let most = if at_once {
                    usize::MAX
                } else {
                    self.options.page
                };
                let keys = self.server.keys(area, &after, most);
                let more = keys.len() == most;
                let page = keys.into_iter().map(|key| {
                    let meta = self.meta(&key).filter(|_| area != Area::Top);
                    (key, meta)
                });
                Answer::Listed {
                    page: page.collect(),
                    more,
                }
            }
            Op::Head(key) => Answer::Meta(self.meta(&key)),
            Op::Get(key) => {
                let meta = self.meta(&key);
                let object = self.server.objects.get(&key);
                Answer::Object(meta.zip(object).map(|(meta, object)| Object {
                    meta,
                    bytes: object.bytes.to_vec(),
                }))
            }
            Op::Write(_) if self.server.now > deadline => Answer::Expired,
            Op::Write(write) => {
                let (outcome, whole) = self.server.write(&write, number);
                broken = whole;
                Answer::Written(outcome, self.meta(write.key()))
            }
        };
        let answer = if answered { answer } else { Answer::Unanswered };
        broken.and(self.answer(number, answer))
    }

    fn meta(&self, key: &str) -> Option<nanna_cache::provider::binary_cache::Meta> {
        self.server.meta(key, |writer| {
            if !self.options.locks {
                return None;
            }
            let lives = |number: usize| {
                let process = self.processes.get(number);
                process.is_some_and(|process| process.alive && process.ended.is_none())
            };
            Some(!writer.is_some_and(lives))
        })
    }

    /// Answers a process, and waits until it asks for the next thing or has ended.
    fn answer(&mut self, number: usize, answer: Answer) -> Result<(), Broken> {
        let process = &mut self.processes[number];
        process.pending = None;
        if self.options.digests {
            let mut hasher = DefaultHasher::new();
            (process.told, format!("{answer:?}"), self.server.now).hash(&mut hasher);
            process.told = hasher.finish();
        }
        let _ = process.answers.send(answer);
        self.hear()
    }

    fn hear(&mut self) -> Result<(), Broken> {
        let (number, event) = self.events.recv().expect("a process asks or ends");
        match event {
            Event::Asks(ask) => {
                self.processes[number].pending = Some(ask);
                Ok(())
            }
            Event::Ends(ended) => {
                let process = &mut self.processes[number];
                let how = match &ended {
                    Ended::Pushed(Ok(done)) if done.failed.is_empty() => "ends well".to_owned(),
                    Ended::Pruned(Ok(_)) | Ended::Copied => "ends well".to_owned(),
                    other => format!("ends: {other:?}"),
                };
                self.log.push(format!("{}: {how}", process.name));
                let whole = if matches!(ended, Ended::Panicked) {
                    Err("a process panics".to_owned())
                } else if process.alive {
                    (self.at_end)(&self.server, number, &ended)
                } else {
                    Ok(())
                };
                process.ended = Some(ended);
                process.pending = None;
                whole
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for number in 0..self.processes.len() {
            if self.processes[number].ended.is_none() {
                self.kill(number);
            }
        }
        for process in &mut self.processes {
            if let Some(thread) = process.thread.take() {
                let _ = thread.join();
            }
        }
    }
}
