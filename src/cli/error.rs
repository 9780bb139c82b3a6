//! A failure of a command: how the program ends, the error with its causes, and what would help.

use std::error::Error;

use crate::exit::Exit;

/// Why a command did not do what it should.
#[derive(Debug)]
pub(super) struct Failure {
    /// How the program ends.
    pub(super) exit: Exit,
    /// What was tried and why it failed, causes included.
    pub(super) text: String,
    /// What would help.
    pub(super) help: Option<String>,
}

impl Failure {
    /// A failure in words that read after "failed to".
    pub(super) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self {
            exit,
            text: text.into(),
            help: None,
        }
    }

    /// A failure of one of our layers, with all its causes.
    pub(super) fn of(error: &dyn Error) -> Self {
        Self::new(Exit::Failed, chain(error))
    }

    /// Says what would help.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// An error and its causes, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}
