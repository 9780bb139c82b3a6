//! SIGINT and SIGTERM: the first lets the current objects finish, the second ends at once (as a
//! kill would, so with the shell's code for that).
//!
//! Ending at once is safe: whatever is killed at any point leaves the cache whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use super::output::Output;
use crate::plan::report::Signal;
use crate::sys::command::Asked;
use crate::sys::end;
use crate::transfer::progress::Progress;

const NONE: u8 = 0;
const INTERRUPTED: u8 = 1;
const TERMINATED: u8 = 2;

/// What has been caught so far.
pub(super) struct Watch {
    caught: Arc<AtomicU8>,
}

impl Watch {
    /// The first signal, if there was one.
    pub(super) fn caught(&self) -> Option<Signal> {
        match self.caught.load(Ordering::SeqCst) {
            INTERRUPTED => Some(Signal::Interrupted),
            TERMINATED => Some(Signal::Terminated),
            _ => None,
        }
    }
}

/// Counts the signals from now on and does nothing else: they are for a program that works for us.
pub(super) fn count() -> impl Fn() -> Asked {
    let counts = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let seen = Arc::clone(&counts);
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        if let Ok(runtime) = runtime {
            runtime.block_on(count_all(&seen.0, &seen.1));
        }
    };
    let started = std::thread::Builder::new().name("signals".to_owned());
    if let Err(error) = started.spawn(work) {
        tracing::warn!("signals end the program at once: {error}");
    }
    move || Asked {
        interrupts: counts.0.load(Ordering::SeqCst),
        terminates: counts.1.load(Ordering::SeqCst),
    }
}

async fn count_all(interrupts: &AtomicU32, terminates: &AtomicU32) {
    use tokio::signal::unix::{SignalKind, signal};
    let streams = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = streams else {
        return;
    };
    loop {
        let counter = tokio::select! {
            _ = interrupt.recv() => interrupts,
            _ = terminate.recv() => terminates,
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

/// Watches from now on; a signal asks the work of `progress` to stop.
pub(super) fn watch(progress: &Arc<Progress>, output: Output) -> Watch {
    let progress = Arc::clone(progress);
    watch_and(move || {
        progress.stop();
        output.must_say("\nStopping after the current objects; once more ends at once.\n");
    })
}

/// Watches from now on; the first signal does `first`.
pub(super) fn watch_and(first: impl Fn() + Send + 'static) -> Watch {
    let caught = Arc::new(AtomicU8::new(NONE));
    let seen = Arc::clone(&caught);
    let started = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(listen(&seen, &first)),
                Err(error) => tracing::warn!("signals end the program at once: {error}"),
            }
        });
    if let Err(error) = started {
        tracing::warn!("signals end the program at once: {error}");
    }
    Watch { caught }
}

async fn listen(seen: &AtomicU8, first: &impl Fn()) {
    use tokio::signal::unix::{SignalKind, signal};
    let streams = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = streams else {
        tracing::warn!("signals end the program at once");
        return;
    };
    loop {
        let number = tokio::select! {
            _ = interrupt.recv() => INTERRUPTED,
            _ = terminate.recv() => TERMINATED,
        };
        if seen
            .compare_exchange(NONE, number, Ordering::SeqCst, Ordering::SeqCst)
            .is_err()
        {
            end::at_once();
        }
        first();
    }
}
