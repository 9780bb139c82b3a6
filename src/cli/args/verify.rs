//! The arguments of `verify`.

use clap::Args;

use super::{AnswerFormat, Limit};

pub(super) const EXAMPLES: &str = "Examples:
  nanna-cache verify dev                        every narinfo, and a sample of the NARs
  nanna-cache verify dev --all                  every byte
  nanna-cache verify dev --all --repair         what would mend it
  nanna-cache verify dev --all --repair --apply mend it
  nanna-cache verify dev --path ./result        one path
  nanna-cache verify --rebuild .#app            is it reproducible here?
  nanna-cache verify --sources                  fixed-output hashes and flake.lock";

/// `verify`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Verify {
    /// The cache: one that is written, or an upstream [default: the only one that is written]
    #[arg(value_name = "CACHE")]
    pub cache: Option<String>,
    /// Read every NAR
    #[arg(long, conflicts_with = "sample", help_heading = "What")]
    pub all: bool,
    /// Read so many NARs, chosen by the seed
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "What")]
    pub sample: usize,
    /// What chooses the sample: the same seed, the same NARs [default: the day]
    #[arg(long, value_name = "TEXT", help_heading = "What")]
    pub seed: Option<String>,
    /// Only this path: a store path, hash part or link (may be given again)
    #[arg(long, value_name = "PATH", help_heading = "What")]
    pub path: Vec<String>,
    /// Instead of a cache: build these outputs again, compare, and record the result
    #[arg(long, value_name = "OUTPUT", num_args = 1.., conflicts_with_all = ["cache", "repair", "path", "all"], help_heading = "What")]
    pub rebuild: Vec<String>,
    /// Instead of a cache: check the sources of what is wanted, and the inputs of flake.lock, in the local store
    #[arg(long, conflicts_with_all = ["cache", "repair", "path", "all", "rebuild"], help_heading = "What")]
    pub sources: bool,
    /// Plan how what is broken is mended: pushed again from the local store, signed, or deleted; with --apply, do it
    #[arg(long, help_heading = "Mending")]
    pub repair: bool,
    /// Carry the repair out; on a terminal it is shown first and asked for
    #[arg(long, requires = "repair", help_heading = "Mending")]
    pub apply: bool,
    /// Do not ask before applying
    #[arg(long, short = 'y', requires = "apply", help_heading = "Mending")]
    pub yes: bool,
    /// Permit a repair to delete more than a limit of cache.yaml, this once: share=45%, bytes=30GiB, count=5000
    #[arg(
        long,
        value_name = "LIMIT=VALUE",
        requires = "repair",
        help_heading = "Mending"
    )]
    pub allow: Vec<Limit>,
    /// How to print the answer; with --repair, JSON is the plan or the report of the repair
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Output"
    )]
    pub format: AnswerFormat,
    /// Name every finding
    #[arg(long, help_heading = "Output")]
    pub full: bool,
    /// Ask again what is remembered of upstreams
    #[arg(long)]
    pub refresh: bool,
    /// Another Nix store than that of this machine
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
}
