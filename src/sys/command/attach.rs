//! A program that works as if somebody had typed it: with our own standard input and output.

use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::{Command, CommandError, Event, TICK, pump};

/// How long is slept where there is nothing to wait for.
const QUICK: Duration = Duration::from_millis(5);
/// How long is waited after the end for what is still in the pipe.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What somebody asked of us while a program works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// How often to interrupt (SIGINT).
    pub interrupts: u32,
    /// How often to terminate (SIGTERM).
    pub terminates: u32,
}

impl Command {
    /// Runs it to its end with our standard input and output; `take` gets its standard error as it comes, and
    /// nothing now and then, so that it can look after a display. A signal that somebody sent us is passed on.
    /// The program stays in our group, so what it starts can use the terminal.
    ///
    /// # Errors
    /// It cannot be started, or not be waited for.
    pub fn attached(
        &self,
        asked: &dyn Fn() -> Asked,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<ExitStatus, CommandError> {
        let mut command = self.prepared();
        command
            .stdin(Stdio::inherit())
            .stdout(Stdio::inherit())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| CommandError::Start {
            program: self.program.clone(),
            source,
        })?;
        let (sender, receiver) = channel();
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || pump(stderr, &sender, Event::Err));
        }
        let mut passed = Asked::default();
        let mut ended = None;
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(Event::Err(bytes) | Event::Out(bytes)) => take(&bytes),
                Err(RecvTimeoutError::Timeout) => take(&[]),
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(QUICK),
            }
            if let Some((status, end)) = ended {
                // What it left in the background may hold the pipe open for ever.
                let is_over = receiver_is_over(&receiver, take) || Instant::now() > end;
                if is_over {
                    return Ok(status);
                }
                continue;
            }
            pass_on(&child, &mut passed, asked());
            let status = child.try_wait().map_err(|source| CommandError::Talk {
                program: self.program.clone(),
                source,
            })?;
            ended = status.map(|status| (status, Instant::now() + LAST_WORDS));
        }
    }
}

/// Whether nothing more can come; what comes is taken.
fn receiver_is_over(events: &Receiver<Event>, take: &mut dyn FnMut(&[u8])) -> bool {
    loop {
        match events.try_recv() {
            Ok(Event::Err(bytes) | Event::Out(bytes)) => take(&bytes),
            Err(TryRecvError::Disconnected) => return true,
            Err(TryRecvError::Empty) => return false,
        }
    }
}

/// Sends the child what came since the last time.
fn pass_on(child: &Child, passed: &mut Asked, asked: Asked) {
    let id = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let send = |signal| {
        if let Some(id) = id {
            // Fails when it is gone, which is what was wanted.
            let _ = rustix::process::kill_process(id, signal);
        }
    };
    if asked.interrupts > passed.interrupts {
        send(rustix::process::Signal::INT);
    }
    if asked.terminates > passed.terminates {
        send(rustix::process::Signal::TERM);
    }
    *passed = asked;
}
