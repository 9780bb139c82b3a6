//! Runs programs: bounded output, a time limit, lines as they come, stopped when asked.
//!
//! Promises: the child is gone when [`Command::run`] returns, whatever happened, and so is what it
//! started if it was ended by us; no more of its
//! output is kept than was allowed; nothing is passed through a shell. A secret never belongs in
//! an argument (every user of the machine can read those): pass it by standard input or variable.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

/// How often a running child is looked after.
const TICK: Duration = Duration::from_millis(50);
/// How long a child may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// Longest line that is handed to a listener; the rest of it is left out.
const MAX_LINE: usize = 64 << 10;

/// Why a program did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("start `{program}`")]
    Start {
        /// The program.
        program: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Talking to it failed.
    #[error("talk to `{program}`")]
    Talk {
        /// The program.
        program: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It took too long and was ended.
    #[error("run `{program}`: it took longer than {} s", .limit.as_secs())]
    TooLong {
        /// The program.
        program: Utf8PathBuf,
        /// The limit.
        limit: Duration,
    },
    /// We were asked to stop, and ended it.
    #[error("run `{program}`: stopped")]
    Stopped {
        /// The program.
        program: Utf8PathBuf,
    },
    /// It printed more than was allowed.
    #[error("run `{program}`: it printed more than {limit} bytes")]
    TooMuch {
        /// The program.
        program: Utf8PathBuf,
        /// The limit in bytes.
        limit: usize,
    },
}

/// What a program left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The last of its standard error, at most as many bytes as were allowed.
    pub stderr: String,
}

/// A program to be run.
#[derive(Clone)]
pub struct Command {
    program: Utf8PathBuf,
    arguments: Vec<String>,
    environment: Option<BTreeMap<String, String>>,
    changes: BTreeMap<String, Option<String>>,
    folder: Option<Utf8PathBuf>,
    stdin: Vec<u8>,
    time_limit: Option<Duration>,
    stdout_limit: usize,
    stderr_limit: usize,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Command {
    /// A program with the environment of this process, nothing on its standard input, no time
    /// limit, 1 GiB of output and 64 KiB of error output.
    #[must_use]
    pub fn new(program: impl Into<Utf8PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: None,
            changes: BTreeMap::new(),
            folder: None,
            stdin: Vec::new(),
            time_limit: None,
            stdout_limit: 1 << 30,
            stderr_limit: 64 << 10,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Replaces the environment by exactly these variables.
    #[must_use]
    pub fn environment<'a>(
        mut self,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let owned = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.environment = Some(owned.collect());
        self
    }

    /// Sets one variable.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.changes.insert(name.to_owned(), Some(value.to_owned()));
        self
    }

    /// Takes one variable away.
    #[must_use]
    pub fn unset(mut self, name: &str) -> Self {
        self.changes.insert(name.to_owned(), None);
        self
    }

    /// Runs it in this folder.
    #[must_use]
    pub fn folder(mut self, folder: &Utf8Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Gives it these bytes to read.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Ends it after this long.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Ends it when it prints more than this many bytes to standard output.
    #[must_use]
    pub fn stdout_limit(mut self, bytes: usize) -> Self {
        self.stdout_limit = bytes;
        self
    }

    /// Runs it to its end. `on_line` gets each line of its standard error as it comes; `stopped`
    /// is asked often, and when it says yes, the child and what it started are ended.
    ///
    /// # Errors
    /// When it cannot be started, takes too long, prints too much, or we were stopped. A program
    /// that ends with a failure is not an error here: see [`Output::status`].
    pub fn run(
        &self,
        stopped: &dyn Fn() -> bool,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<Output, CommandError> {
        let mut child = self.start()?;
        let stdin = child.stdin.take();
        let (sender, receiver) = channel();
        let mut out = Capture::new(self.stdout_limit);
        let mut err = Lines::new(self.stderr_limit);
        // Nobody waits for these threads: something that the child leaves behind may hold its pipes
        // open for ever. Each ends with its pipe, or when it finds that nobody listens.
        if let Some(stdout) = child.stdout.take() {
            let sender = sender.clone();
            std::thread::spawn(move || pump(stdout, &sender, Event::Out));
        }
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || pump(stderr, &sender, Event::Err));
        }
        if let Some(mut stdin) = stdin {
            let bytes = self.stdin.clone();
            // A child that does not read all of its input is no failure of ours.
            std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        }
        let ended = self.attend(&mut child, &receiver, stopped, &mut |event| match event {
            Event::Out(bytes) => out.take(&bytes),
            Event::Err(bytes) => {
                err.take(&bytes, on_line);
                true
            }
        });
        if ended.is_err() {
            end(&mut child);
        }
        err.finish(on_line);
        let status = ended?;
        Ok(Output {
            status,
            stdout: out.bytes,
            stderr: err.tail(),
        })
    }

    /// Runs it with nobody listening and no way to stop it but the time limit.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn output(&self) -> Result<Output, CommandError> {
        self.run(&|| false, &mut |_| {})
    }

    fn start(&self) -> Result<Child, CommandError> {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments);
        if let Some(environment) = &self.environment {
            command.env_clear().envs(environment);
        }
        for (name, value) in &self.changes {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let stdin = if self.stdin.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        };
        command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // A group of its own: Ctrl-C at the terminal reaches us alone, and we end the whole group.
        command.process_group(0);
        command.spawn().map_err(|source| CommandError::Start {
            program: self.program.clone(),
            source,
        })
    }

    /// Looks after the child until it ended or has to be ended.
    fn attend(
        &self,
        child: &mut Child,
        events: &Receiver<Event>,
        stopped: &dyn Fn() -> bool,
        take: &mut dyn FnMut(Event) -> bool,
    ) -> Result<ExitStatus, CommandError> {
        let program = || self.program.clone();
        let start = Instant::now();
        let mut talking = true;
        let mut ended = None;
        loop {
            let wait = if ended.is_some() { TICK * 4 } else { TICK };
            if talking {
                match events.recv_timeout(wait) {
                    Ok(event) => {
                        if !take(event) {
                            let limit = self.stdout_limit;
                            return Err(CommandError::TooMuch {
                                program: program(),
                                limit,
                            });
                        }
                    }
                    // After its end only something that it left in the background can still hold
                    // the pipes open; nobody waits for that.
                    Err(RecvTimeoutError::Timeout) if ended.is_some() => talking = false,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => talking = false,
                }
            } else if ended.is_none() {
                std::thread::sleep(TICK.min(Duration::from_millis(5)));
            }
            if let (Some(status), false) = (ended, talking) {
                return Ok(status);
            }
            if stopped() {
                return Err(CommandError::Stopped { program: program() });
            }
            if let Some(limit) = self.time_limit.filter(|limit| start.elapsed() > *limit) {
                return Err(CommandError::TooLong {
                    program: program(),
                    limit,
                });
            }
            if ended.is_none() {
                ended = child.try_wait().map_err(|source| CommandError::Talk {
                    program: program(),
                    source,
                })?;
            }
        }
    }
}

/// Something that the child printed.
enum Event {
    Out(Vec<u8>),
    Err(Vec<u8>),
}

/// Hands on what comes until the end of the pipe, or until nobody listens.
fn pump(mut pipe: impl Read, events: &Sender<Event>, event: impl Fn(Vec<u8>) -> Event) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                if events.send(event(buffer[..count].to_vec())).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Ends a child and what it started: asks first, kills then, and waits.
fn end(child: &mut Child) {
    signal(child, rustix::process::Signal::TERM);
    let start = Instant::now();
    while start.elapsed() < GRACE {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Ok(Some(_)) | Err(_) => break,
        }
    }
    end_group(child);
    // Both can only fail when the child is gone already.
    drop(child.kill());
    drop(child.wait());
}

/// Kills what is left of the child's group.
fn end_group(child: &Child) {
    signal(child, rustix::process::Signal::KILL);
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let id = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(id) = id {
        // Fails when the group is gone, which is what was wanted.
        let _ = rustix::process::kill_process_group(id, signal);
    }
}

/// Output that is kept whole, up to a limit.
struct Capture {
    bytes: Vec<u8>,
    limit: usize,
}

impl Capture {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }

    fn take(&mut self, more: &[u8]) -> bool {
        if self.bytes.len() + more.len() > self.limit {
            return false;
        }
        self.bytes.extend_from_slice(more);
        true
    }
}

/// Output that is handed on line by line, the last of it kept.
struct Lines {
    line: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    limit: usize,
}

impl Lines {
    fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            tail: std::collections::VecDeque::new(),
            limit,
        }
    }

    fn take(&mut self, bytes: &[u8], on_line: &mut dyn FnMut(&str)) {
        let kept = &bytes[bytes.len().saturating_sub(self.limit)..];
        let excess = (self.tail.len() + kept.len()).saturating_sub(self.limit);
        self.tail.drain(..excess);
        self.tail.extend(kept);
        for &byte in bytes {
            if byte == b'\n' {
                self.flush(on_line);
            } else if self.line.len() < MAX_LINE {
                self.line.push(byte);
            }
        }
    }

    fn flush(&mut self, on_line: &mut dyn FnMut(&str)) {
        on_line(String::from_utf8_lossy(&self.line).trim_end_matches('\r'));
        self.line.clear();
    }

    fn finish(&mut self, on_line: &mut dyn FnMut(&str)) {
        if !self.line.is_empty() {
            self.flush(on_line);
        }
    }

    fn tail(self) -> String {
        String::from_utf8_lossy(&Vec::from(self.tail)).into_owned()
    }
}

#[cfg(test)]
mod tests;
