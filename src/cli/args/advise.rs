//! The arguments of `advise`.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use crate::config::units::{Size, Span};

pub(super) const EXAMPLES: &str = "Examples:
  nanna-cache advise                             what of cache.yaml should be otherwise, and why
  nanna-cache advise --format diff | git apply   make the most useful change
  nanna-cache advise --since 30d --offline       by what this machine knows of the last month
  nanna-cache advise --needs openssl             what a change of this input would build anew";

/// `advise`.
#[derive(Debug, Args)]
pub struct Advise {
    /// Advice by this file of records instead of the ledger (may be given again)
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub from: Vec<Utf8PathBuf>,
    /// Only runs of this long until now, such as 30d
    #[arg(long, value_name = "TIME", help_heading = "What")]
    pub since: Option<Span>,
    /// Use what this machine knows: do not read records of other machines from caches
    #[arg(long, help_heading = "What")]
    pub offline: bool,
    /// What a change of this input would build anew: the name of a store path, with or without version
    #[arg(long, value_name = "NAME", help_heading = "What")]
    pub needs: Vec<String>,
    /// How much could be fetched ahead of a run, to judge warming [default: what a run usually needs]
    #[arg(long, value_name = "SIZE", help_heading = "What")]
    pub warm_size: Option<Size>,
    /// How to print the advice
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: AdviceFormat,
}

/// How to print advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AdviceFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// A unified diff of cache.yaml: the most useful change alone
    Diff,
}
