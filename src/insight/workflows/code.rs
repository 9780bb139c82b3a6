//! The kinds of finding. Their words are stable: they stand in annotations and in `docs/workflows.md`.

use std::fmt;

use serde::Serialize;

/// What kind of fault a finding tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The file cannot be read, or is no workflow.
    Unreadable,
    /// A cache of Cachix that `cache.yaml` does not declare.
    CacheName,
    /// Another secret than the declared one.
    SecretName,
    /// A secret as plain text.
    SecretPlain,
    /// What is kept back differs from `push.exclude`.
    FilterDiffers,
    /// A filter that the used version does not apply as it reads.
    FilterDefect,
    /// Caches that are read differ from the declared ones.
    PullNames,
    /// A pull request from a fork reaches a push.
    ForkPush,
    /// An action at a branch.
    ActionFloating,
    /// An action of an old major version.
    ActionOld,
    /// An input that the used version does not know.
    InputUnknown,
    /// Settings that no later step sees.
    ConfLost,
    /// Settings that replace those of the user.
    ConfOverrides,
    /// A command that does not exist.
    CommandUnknown,
    /// The same step in many places.
    BlocksRepeat,
    /// Steps that should be the same and are not.
    BlocksDiffer,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It does not do what it says, or what `cache.yaml` says.
    Wrong,
    /// It works today, or mostly.
    Warning,
    /// It could be simpler.
    Note,
}

impl Code {
    /// All codes.
    pub const ALL: [Self; 16] = [
        Self::Unreadable,
        Self::CacheName,
        Self::SecretName,
        Self::SecretPlain,
        Self::FilterDiffers,
        Self::FilterDefect,
        Self::PullNames,
        Self::ForkPush,
        Self::ActionFloating,
        Self::ActionOld,
        Self::InputUnknown,
        Self::ConfLost,
        Self::ConfOverrides,
        Self::CommandUnknown,
        Self::BlocksRepeat,
        Self::BlocksDiffer,
    ];

    /// The stable word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::CacheName => "cache-name",
            Self::SecretName => "secret-name",
            Self::SecretPlain => "secret-plain",
            Self::FilterDiffers => "filter-differs",
            Self::FilterDefect => "filter-defect",
            Self::PullNames => "pull-names",
            Self::ForkPush => "fork-push",
            Self::ActionFloating => "action-floating",
            Self::ActionOld => "action-old",
            Self::InputUnknown => "input-unknown",
            Self::ConfLost => "conf-lost",
            Self::ConfOverrides => "conf-overrides",
            Self::CommandUnknown => "command-unknown",
            Self::BlocksRepeat => "blocks-repeat",
            Self::BlocksDiffer => "blocks-differ",
        }
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Unreadable
            | Self::CacheName
            | Self::SecretName
            | Self::SecretPlain
            | Self::ForkPush
            | Self::InputUnknown
            | Self::ConfLost
            | Self::CommandUnknown => Severity::Wrong,
            Self::FilterDiffers
            | Self::FilterDefect
            | Self::PullNames
            | Self::ActionFloating
            | Self::ActionOld
            | Self::ConfOverrides
            | Self::BlocksDiffer => Severity::Warning,
            Self::BlocksRepeat => Severity::Note,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}
