//! Shows how far an apply is: a line that moves on a terminal, a few lines in a log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;
use crate::render::progress::{Moment, Sparse, line};
use crate::transfer::progress::Progress;

/// How often the counters are read.
const TICK: Duration = Duration::from_millis(120);

/// A display that is at work.
pub(super) struct Display {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    /// Starts to show the `progress` of an apply on standard error.
    pub(super) fn start(progress: &Arc<Progress>, output: Output, is_terminal: bool) -> Self {
        Self::of("apply", progress, output, is_terminal)
    }

    /// Starts to show the `progress` of a work of this name on standard error.
    pub(super) fn of(
        what: &'static str,
        progress: &Arc<Progress>,
        output: Output,
        is_terminal: bool,
    ) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (end, progress) = (Arc::clone(&over), Arc::clone(progress));
        let work = move || {
            if is_terminal {
                draw(what, &progress, &end, output);
            } else {
                log(what, &progress, &end, output);
            }
        };
        // Without a thread there is no display; the work goes on.
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(work)
            .ok();
        Self { over, thread }
    }

    /// Ends the display and clears its line.
    pub(super) fn end(mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn draw(what: &str, progress: &Progress, over: &AtomicBool, output: Output) {
    if output.is_quiet() {
        return;
    }
    let began = Instant::now();
    let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {wide_msg}") {
        bar.set_style(style);
    }
    while !over.load(Ordering::SeqCst) {
        let moment = moment(progress, began);
        if moment.paths_done + moment.bytes_done + moment.paths_total > 0 {
            bar.set_position(moment.thousandths());
            bar.set_message(line(what, &moment));
        }
        std::thread::park_timeout(TICK);
    }
    bar.finish_and_clear();
}

fn log(what: &str, progress: &Progress, over: &AtomicBool, output: Output) {
    let began = Instant::now();
    let mut sparse = Sparse::default();
    while !over.load(Ordering::SeqCst) {
        let moment = moment(progress, began);
        if sparse.is_due(&moment) {
            output.note(&format!("{}\n", line(what, &moment)));
        }
        std::thread::park_timeout(TICK);
    }
}

fn moment(progress: &Progress, began: Instant) -> Moment {
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    Moment {
        paths_total: read(&progress.paths_total),
        paths_done: read(&progress.paths_done),
        bytes_total: read(&progress.bytes_total),
        bytes_done: read(&progress.bytes_done),
        bytes_written: read(&progress.bytes_written),
        elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}
