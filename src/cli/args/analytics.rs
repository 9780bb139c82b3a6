//! The arguments of `analytics`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};

use crate::config::units::Span;

pub(super) const EXAMPLES: &str = "Examples:
  nanna-cache analytics                          hit rates, times, storage, targets
  nanna-cache analytics --since 30d --event main of the last month, of main alone
  nanna-cache analytics --check                  7 if a target of cache.yaml is missed
  nanna-cache analytics --look                   look into the caches, too: what is never read
  nanna-cache analytics --html caches.html       one page with charts; works from a file
  nanna-cache analytics ingest runs.jsonl.zst    take over records of other machines
  nanna-cache analytics share                    after a build that failed, so that it counts, too
  nix build --log-format internal-json |& nanna-cache analytics ingest -";

/// `analytics`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Analytics {
    /// What to do instead of showing figures.
    #[command(subcommand)]
    pub command: Option<AnalyticsCommand>,
    /// What to show.
    #[command(flatten)]
    pub figures: Figures,
}

/// What figures to show.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Figures {
    /// Figures of this file of records instead of the ledger (may be given again)
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub from: Vec<Utf8PathBuf>,
    /// Only runs of this long until now, such as 30d
    #[arg(long, value_name = "TIME", help_heading = "What")]
    pub since: Option<Span>,
    /// Only runs of this branch
    #[arg(long, value_name = "NAME", help_heading = "What")]
    pub branch: Option<String>,
    /// Only runs for this event: main, pull-request, fork, local
    #[arg(long, value_name = "EVENT", help_heading = "What")]
    pub event: Option<String>,
    /// Look into the caches, too: what of them is ever read, what is there twice
    #[arg(long, help_heading = "What")]
    pub look: bool,
    /// Use what this machine knows: do not read records of other machines from caches
    #[arg(long, help_heading = "What")]
    pub offline: bool,
    /// Fail (7) if a target of cache.yaml is missed
    #[arg(long)]
    pub check: bool,
    /// With --check: a target whose figure is not known is missed, too
    #[arg(long, requires = "check")]
    pub strict: bool,
    /// How to print the figures
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: FiguresFormat,
    /// Instead of printing, write a page with charts; with --look it also says where everything is
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    pub html: Option<Utf8PathBuf>,
}

/// How to print figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FiguresFormat {
    /// For people
    Text,
    /// For the summary of a job
    Markdown,
    /// One JSON document
    Json,
    /// For Prometheus, such as in a file for its node exporter
    Prometheus,
}

/// What else `analytics` does.
#[derive(Debug, Subcommand)]
pub enum AnalyticsCommand {
    /// Take records of other machines, or a log of Nix (internal-json), into the ledger
    Ingest(Ingest),
    /// Write records to the caches of `ledger.caches` now; push --apply does it by itself
    Share,
}

/// `analytics ingest`.
#[derive(Debug, Args)]
pub struct Ingest {
    /// Files of records, or logs; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
    /// What was run, for a log
    #[arg(long, value_name = "TEXT", default_value = "log")]
    pub what: String,
}
