//! Secrets that were read, for a log that can hide them.
//!
//! Promises: each is told once, before whoever read it goes on; a line that is too short to be a
//! secret is not told, for hiding it would hide half of the log; nothing here can be printed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Shorter lines are no secrets.
const SHORTEST: usize = 6;

/// Who is told of secrets. Clones share what was told.
#[derive(Clone, Default)]
pub struct Masks {
    tell: Option<fn(&str)>,
    told: Arc<Mutex<BTreeSet<String>>>,
}

impl Masks {
    /// Tells each line of each secret to `tell`, once.
    #[must_use]
    pub fn told_by(tell: fn(&str)) -> Self {
        Self {
            tell: Some(tell),
            told: Arc::default(),
        }
    }

    pub(super) fn tell(&self, secret: &str) {
        let Some(tell) = self.tell else { return };
        for line in secret.lines().map(str::trim) {
            // Held while telling, so that nobody else goes on with the same secret before it is told.
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if line.len() >= SHORTEST && told.insert(line.to_owned()) {
                tell(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_told_once_and_short_ones_never() {
        static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let masks = Masks::told_by(|line| TOLD.lock().unwrap().push(line.to_owned()));
        masks.tell("first-secret\n}\n  second-secret \n");
        masks.clone().tell("first-secret");
        assert_eq!(*TOLD.lock().unwrap(), ["first-secret", "second-secret"]);
        Masks::default().tell("nobody-listens");
    }
}
