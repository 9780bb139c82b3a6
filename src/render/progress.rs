//! How far a long work is, in words: for a bar that is drawn over and over, and for a log.

use super::units::{count, elapsed, percent, rate, size, things};

/// How far a work is, read at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Paths (or objects) that are to be done; 0 if nobody knows yet.
    pub paths_total: u64,
    /// Paths done.
    pub paths_done: u64,
    /// Bytes that are to be read; 0 if nobody knows yet.
    pub bytes_total: u64,
    /// Bytes read.
    pub bytes_done: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Time since the work began, in milliseconds.
    pub elapsed_ms: u64,
}

impl Moment {
    /// Milliseconds that are left at this speed; `None` while that would be a guess.
    #[must_use]
    pub fn left_ms(&self) -> Option<u64> {
        // In the first seconds the speed is that of caches and handshakes.
        if self.elapsed_ms < 2_000 || self.bytes_done == 0 || self.bytes_total == 0 {
            return None;
        }
        let rest = u128::from(self.bytes_total.saturating_sub(self.bytes_done));
        let left = rest * u128::from(self.elapsed_ms) / u128::from(self.bytes_done);
        u64::try_from(left).ok()
    }

    /// Share that is done, in thousandths: by bytes if they are known, else by paths.
    #[must_use]
    pub fn thousandths(&self) -> u64 {
        let (done, total) = if self.bytes_total > 0 {
            (self.bytes_done, self.bytes_total)
        } else {
            (self.paths_done, self.paths_total)
        };
        let share = (u128::from(done) * 1000)
            .checked_div(u128::from(total))
            .unwrap_or(0);
        u64::try_from(share.min(1000)).unwrap_or(1000)
    }
}

/// Everything in one line: `push  12 of 42 paths  310.0 MiB of 1.3 GiB (23%)  41.2 MiB/s  26.0 s left`.
#[must_use]
pub fn line(what: &str, moment: &Moment) -> String {
    let mut parts = vec![what.to_owned()];
    parts.push(match moment.paths_total {
        0 => format!("{} done", count(moment.paths_done)),
        total => format!("{} of {}", count(moment.paths_done), things(total, "path")),
    });
    match moment.bytes_total {
        0 if moment.bytes_done == 0 => {}
        0 => parts.push(size(moment.bytes_done)),
        total => parts.push(format!(
            "{} of {} ({})",
            size(moment.bytes_done),
            size(total),
            percent(moment.bytes_done, total)
        )),
    }
    if moment.bytes_done > 0 {
        parts.extend(rate(moment.bytes_done, moment.elapsed_ms));
    }
    if let Some(left) = moment.left_ms()
        && left > 0
    {
        parts.push(format!("{} left", elapsed(left)));
    }
    parts.join("  ")
}

/// Decides when a log gets its next line: at every tenth, and at least once a minute.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sparse {
    tenth: u64,
    at_ms: u64,
}

impl Sparse {
    /// Milliseconds after which a line comes even without progress.
    const QUIET: u64 = 60_000;

    /// Whether `moment` deserves a line; if so, remembers it.
    pub fn is_due(&mut self, moment: &Moment) -> bool {
        let tenth = moment.thousandths() / 100;
        let is_due = tenth > self.tenth || moment.elapsed_ms >= self.at_ms + Self::QUIET;
        if is_due {
            self.tenth = tenth;
            self.at_ms = moment.elapsed_ms;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Moment = Moment {
        paths_total: 1300,
        paths_done: 12,
        bytes_total: 2 << 30,
        bytes_done: 1 << 30,
        bytes_written: 1 << 28,
        elapsed_ms: 10_000,
    };

    #[test]
    fn says_all_that_is_known() {
        assert_eq!(
            line("push", &HALF),
            "push  12 of 1,300 paths  1.0 GiB of 2.0 GiB (50%)  102.4 MiB/s  10.0 s left"
        );
        let early = Moment {
            elapsed_ms: 1,
            bytes_done: 0,
            ..HALF
        };
        assert_eq!(
            line("push", &early),
            "push  12 of 1,300 paths  0 B of 2.0 GiB (0%)"
        );
        assert_eq!(line("look", &Moment::default()), "look  0 done");
    }

    #[test]
    fn more_than_promised_is_no_panic() {
        let over = Moment {
            bytes_done: u64::MAX,
            ..HALF
        };
        assert_eq!(over.left_ms(), Some(0));
        assert_eq!(over.thousandths(), 1000);
    }

    #[test]
    fn a_log_stays_short() {
        let mut sparse = Sparse::default();
        let at = |bytes_done, elapsed_ms| Moment {
            bytes_done,
            elapsed_ms,
            ..HALF
        };
        assert!(!sparse.is_due(&at(0, 100)));
        assert!(sparse.is_due(&at(300 << 20, 200)));
        assert!(!sparse.is_due(&at(301 << 20, 300)));
        assert!(sparse.is_due(&at(301 << 20, 61_000)));
        assert!(!sparse.is_due(&at(301 << 20, 62_000)));
    }
}
