//! What a process of a simulation holds: a store and a clock. Every request waits until the
//! scheduler lets it go on.

use std::cell::RefCell;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nanna_cache::nix::base32;
use nanna_cache::plan::observed::Capabilities;
use nanna_cache::plan::time::Time;
use nanna_cache::provider::binary_cache::{
    Area, CacheStore, CacheView, IfThere, Listed, Meta, Object, Outcome, Put, StoreError, nar_key,
};
use nanna_cache::sys::clock::Clock;
use nanna_cache::transfer::sink::{FileFacts, Sink, SinkError};

use super::server::Write;

/// A request takes effect within this time after the clock was looked at, or never (assumption 2).
pub const LATE: u64 = 15 * 60 * 1000;

/// What a process asks for.
#[derive(Clone, Debug)]
pub enum Op {
    Start,
    List { area: Area, after: String },
    Head(String),
    Get(String),
    Write(Write),
    Sleep { until: u64 },
}

impl Op {
    pub fn describe(&self) -> String {
        match self {
            Self::Start => "start".into(),
            Self::List { area, after } if after.is_empty() => format!("list {area:?}"),
            Self::List { area, after } => format!("list {area:?} after {after}"),
            Self::Head(key) => format!("head {key}"),
            Self::Get(key) => format!("get {key}"),
            Self::Write(Write::Put { key, .. }) => format!("put {key}"),
            Self::Write(Write::Touch(key)) => format!("touch {key}"),
            Self::Write(Write::Delete(key)) => format!("delete {key}"),
            Self::Sleep { .. } => "sleep".into(),
        }
    }
}

/// A request, and until when it may take effect.
#[derive(Clone, Debug)]
pub struct Ask {
    pub op: Op,
    pub deadline: u64,
}

#[derive(Clone, Debug)]
pub enum Answer {
    Listed { page: Page, more: bool },
    Meta(Option<Meta>),
    Object(Option<Object>),
    Written(Outcome, Option<Meta>),
    Go,
    Expired,
    Unanswered,
    Dead,
}

/// Keys of a listing, with what it says of each.
pub type Page = Vec<(String, Option<Meta>)>;

/// Listings that were made too early.
type Early = Vec<(Area, Page)>;

pub enum Event {
    Asks(Ask),
    /// It has come to its end.
    Ends(super::run::Ended),
}

struct Link {
    process: usize,
    asks: Mutex<Sender<(usize, Event)>>,
    answers: Mutex<Receiver<Answer>>,
    now: Arc<AtomicU64>,
    dead: AtomicBool,
    /// Milliseconds by which its clock is off.
    skew: i64,
    /// Whether others know by a lock that it lives.
    locks: bool,
    /// Areas that are read before the first record is, as if the order did not matter.
    early: Vec<Area>,
    read: Mutex<Early>,
    /// How many writes were asked for.
    pub writes: AtomicU64,
}

/// The store and the clock of one process. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Link>);

thread_local! {
    static IDS: RefCell<(usize, u8)> = const { RefCell::new((0, 0)) };
}

/// Identities of records that depend on nothing but the process: 26 characters as all others.
#[expect(clippy::unnecessary_wraps, reason = "as the real one")]
pub fn new_id() -> Result<String, StoreError> {
    Ok(IDS.with_borrow_mut(|(process, count)| {
        *count += 1;
        let mut bytes = [0; 16];
        // The last byte is written first.
        (bytes[15], bytes[0]) = (u8::try_from(*process + 1).unwrap(), *count);
        base32::encode(&bytes)
    }))
}

/// Says which process this thread is.
pub fn name_thread(process: usize) {
    IDS.with_borrow_mut(|ids| *ids = (process, 0));
}

impl Handle {
    pub fn new(
        process: usize,
        asks: Sender<(usize, Event)>,
        answers: Receiver<Answer>,
        now: Arc<AtomicU64>,
        options: &super::run::Options,
    ) -> Self {
        Self(Arc::new(Link {
            process,
            asks: Mutex::new(asks),
            answers: Mutex::new(answers),
            now,
            dead: AtomicBool::new(false),
            skew: options.skews.get(process).copied().unwrap_or(0),
            locks: options.locks,
            early: options.early.get(process).cloned().unwrap_or_default(),
            read: Mutex::default(),
            writes: AtomicU64::new(0),
        }))
    }

    fn now_ms(&self) -> u64 {
        self.0.now.load(Ordering::SeqCst)
    }

    fn deadline(&self) -> u64 {
        self.now_ms() + LATE
    }

    /// How many writes were asked for.
    pub fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::SeqCst)
    }

    pub fn ask(&self, op: Op, deadline: u64) -> Answer {
        if self.0.dead.load(Ordering::SeqCst) {
            return Answer::Dead;
        }
        if matches!(op, Op::Write(_)) {
            self.0.writes.fetch_add(1, Ordering::SeqCst);
        }
        let event = Event::Asks(Ask { op, deadline });
        if self
            .0
            .asks
            .lock()
            .unwrap()
            .send((self.0.process, event))
            .is_err()
        {
            return Answer::Dead;
        }
        let answer = self
            .0
            .answers
            .lock()
            .unwrap()
            .recv()
            .unwrap_or(Answer::Dead);
        if matches!(answer, Answer::Dead) {
            self.0.dead.store(true, Ordering::SeqCst);
        }
        answer
    }

    /// Says that it has come to its end.
    pub fn end(&self, ended: super::run::Ended) {
        let event = (self.0.process, Event::Ends(ended));
        let _ = self.0.asks.lock().unwrap().send(event);
    }

    fn refused(key: &str, answer: &Answer) -> StoreError {
        if matches!(answer, Answer::Unanswered) {
            return StoreError::Unanswered {
                action: "write",
                key: key.to_owned(),
            };
        }
        StoreError::Refused {
            action: "ask for",
            key: key.to_owned(),
            source: format!("{answer:?}").into(),
        }
    }

    fn write(&self, write: Write, deadline: u64) -> Result<(Outcome, Option<Meta>), StoreError> {
        let key = write.key().to_owned();
        match self.ask(Op::Write(write), deadline) {
            Answer::Written(outcome, meta) => Ok((outcome, meta)),
            other => Err(Self::refused(&key, &other)),
        }
    }

    fn whole_list(&self, area: Area) -> Result<Page, StoreError> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            match self.ask(Op::List { area, after }, u64::MAX) {
                Answer::Listed { page, more } => {
                    after = page.last().map(|(key, _)| key.clone()).unwrap_or_default();
                    all.extend(page);
                    if !more {
                        return Ok(all);
                    }
                }
                other => return Err(Self::refused("", &other)),
            }
        }
    }
}

impl CacheView for Handle {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            list: true,
            delete: true,
            records: true,
            sizes: true,
            times: true,
            by_age: !self.0.locks,
            unconditional: false,
            replace: false,
        }
    }

    fn identity(&self) -> String {
        "memory:".to_owned()
    }

    fn exists(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn list(&self, area: Area, each: &mut dyn FnMut(Listed<'_>)) -> Result<(), StoreError> {
        if matches!(
            area,
            Area::Versions | Area::Strays | Area::Debug | Area::Realisations
        ) {
            return Ok(());
        }
        if area == Area::Prunes && !self.0.early.is_empty() {
            let mut read = Vec::new();
            for area in &self.0.early {
                read.push((*area, self.whole_list(*area)?));
            }
            *self.0.read.lock().unwrap() = read;
        }
        let early = {
            let mut read = self.0.read.lock().unwrap();
            let at = read.iter().position(|(of, _)| *of == area);
            at.map(|at| read.remove(at).1)
        };
        let all = match early {
            Some(all) => all,
            None => self.whole_list(area)?,
        };
        for (key, meta) in &all {
            each(Listed { key, meta: *meta });
        }
        Ok(())
    }

    fn head(&self, key: &str) -> Result<Option<Meta>, StoreError> {
        match self.ask(Op::Head(key.to_owned()), u64::MAX) {
            Answer::Meta(meta) => Ok(meta),
            other => Err(Self::refused(key, &other)),
        }
    }

    fn get(&self, key: &str, _: u64) -> Result<Option<Object>, StoreError> {
        match self.ask(Op::Get(key.to_owned()), u64::MAX) {
            Answer::Object(object) => Ok(object),
            other => Err(Self::refused(key, &other)),
        }
    }

    fn open(&self, key: &str) -> Result<Option<Box<dyn Read + Send>>, StoreError> {
        let object = self.get(key, u64::MAX)?;
        Ok(object
            .map(|object| Box::new(std::io::Cursor::new(object.bytes)) as Box<dyn Read + Send>))
    }

    fn now(&self) -> Result<Time, StoreError> {
        Ok(Time(self.unix()))
    }

    fn has_folders(&self) -> Result<bool, StoreError> {
        Ok(true)
    }
}

impl CacheStore for Handle {
    fn create(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn put_in_order(&self, puts: Vec<Put>) -> Vec<Result<Outcome, StoreError>> {
        // All of them are sent after one look at the clock.
        let deadline = self.deadline();
        let mut results = Vec::new();
        for put in puts {
            let write = Write::Put {
                key: put.key,
                bytes: put.bytes.into(),
                keep: put.if_there == IfThere::Keep,
                began: None,
            };
            results.push(self.write(write, deadline).map(|(outcome, _)| outcome));
            if results.last().is_some_and(Result::is_err) {
                break;
            }
        }
        results
    }

    fn put_record(&self, key: &str, bytes: Vec<u8>) -> Result<Meta, StoreError> {
        let write = Write::Put {
            key: key.to_owned(),
            bytes: bytes.into(),
            keep: false,
            began: None,
        };
        let (_, meta) = self.write(write, self.deadline())?;
        meta.ok_or_else(|| Self::refused(key, &Answer::Go))
    }

    fn upload(&self) -> Result<Box<dyn Sink>, StoreError> {
        Ok(Box::new(Upload {
            handle: self.clone(),
            bytes: Vec::new(),
            began: self.now_ms(),
        }))
    }

    fn touch(&self, key: &str) -> Result<bool, StoreError> {
        let (outcome, _) = self.write(Write::Touch(key.to_owned()), self.deadline())?;
        Ok(outcome == Outcome::Written)
    }

    fn delete(&self, keys: &[String]) -> Vec<Result<(), StoreError>> {
        let deadline = self.deadline();
        keys.iter()
            .map(|key| self.write(Write::Delete(key.clone()), deadline).map(drop))
            .collect()
    }

    fn view(&self) -> &dyn CacheView {
        self
    }
}

/// A NAR on its way.
struct Upload {
    handle: Handle,
    bytes: Vec<u8>,
    began: u64,
}

impl Sink for Upload {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>, facts: &FileFacts) -> Result<String, SinkError> {
        let key = nar_key(&facts.hash, facts.suffix);
        let write = Write::Put {
            key: key.clone(),
            bytes: self.bytes.into(),
            keep: false,
            began: Some(self.began),
        };
        let (outcome, _) = self.handle.write(write, self.handle.deadline())?;
        outcome.must_be_written(&key)?;
        Ok(key)
    }
}

impl Clock for Handle {
    fn unix(&self) -> i64 {
        (i64::try_from(self.now_ms()).unwrap() + self.0.skew) / 1000
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now_ms())
    }

    fn sleep(&self, time: Duration) {
        let until = self.now_ms() + u64::try_from(time.as_millis()).unwrap();
        self.ask(Op::Sleep { until }, u64::MAX);
    }

    fn is_alone(&self) -> bool {
        true
    }
}
