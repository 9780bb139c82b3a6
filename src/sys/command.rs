//! Runs programs: bounded output, a time limit, lines as they come, stopped when asked.
//!
//! Promises: the child is gone when [`Command::run`] returns, whatever happened, and so is what it
//! started if it was ended by us; no more of its
//! output is kept than was allowed; nothing is passed through a shell. A secret never belongs in
//! an argument (every user of the machine can read those): pass it by standard input or variable.

mod attach;
mod capture;
mod end;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

pub use attach::Asked;
use capture::{Capture, Lines};
use end::end;

/// How often a running child is looked after.
const TICK: Duration = Duration::from_millis(50);

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

    /// The program with its arguments, environment and folder.
    fn prepared(&self) -> std::process::Command {
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
        command
    }

    fn start(&self) -> Result<Child, CommandError> {
        let mut command = self.prepared();
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

#[cfg(test)]
mod tests;
