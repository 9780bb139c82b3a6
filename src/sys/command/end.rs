//! Ending a program with all that it started.

use std::process::Child;
use std::time::{Duration, Instant};

/// How long a child may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Ends a child and what it started: asks first, kills then, and waits.
pub(super) fn end(child: &mut Child) {
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
pub(super) fn end_group(child: &Child) {
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
