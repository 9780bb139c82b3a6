//! The exit codes of the program: one table, in the README too (a test compares them).

use std::process::ExitCode;

/// How the program ended. When several apply, [`Exit::worst`] says which one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// Failed.
    Failed,
    /// Changes are pending (only with `--detailed-exitcode`).
    Changes,
    /// `cache.yaml` is invalid.
    Invalid,
    /// Refused by a guard, or declined at the prompt.
    Refused,
    /// The plan is stale: the world moved on since it was made.
    Stale,
    /// Partly applied.
    Partial,
    /// A check failed (`--strict`).
    Check,
    /// Another prune is at work.
    Busy,
    /// The command line is wrong.
    Usage,
    /// Interrupted (SIGINT).
    Interrupted,
    /// Terminated (SIGTERM).
    Terminated,
    /// What a command ended with that `run` ran; in no table, for it is not ours.
    OfCommand(u8),
}

impl Exit {
    /// Every variant of our own, the one that wins first.
    pub const ALL: [Self; 12] = [
        Self::Interrupted,
        Self::Terminated,
        Self::Usage,
        Self::Invalid,
        Self::Partial,
        Self::Failed,
        Self::Stale,
        Self::Refused,
        Self::Busy,
        Self::Check,
        Self::Changes,
        Self::Done,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::Invalid => 3,
            Self::Refused => 4,
            Self::Stale => 5,
            Self::Partial => 6,
            Self::Check => 7,
            Self::Busy => 8,
            Self::Usage => 64,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::OfCommand(code) => code,
        }
    }

    /// What the number means, as the README's table has it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or nothing to do",
            Self::Failed => "failed",
            Self::Changes => "changes are pending (only with `--detailed-exitcode`)",
            Self::Invalid => "`cache.yaml` is invalid",
            Self::Refused => "refused by a guard, or declined at the prompt",
            Self::Stale => "the plan is stale: the world moved on since it was made",
            Self::Partial => "partly applied",
            Self::Check => "a check failed (`--strict`)",
            Self::Busy => "another prune is at work",
            Self::Usage => "the command line is wrong",
            Self::Interrupted => "interrupted (SIGINT)",
            Self::Terminated => "terminated (SIGTERM)",
            Self::OfCommand(_) => "what the command ended with",
        }
    }

    /// The one of two outcomes that the program should end with.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        let rank = |exit| Self::ALL.iter().position(|each| *each == exit);
        if rank(self) <= rank(other) {
            self
        } else {
            other
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
