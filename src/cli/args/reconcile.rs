//! The arguments of `reconcile` and of its single phases.

use std::str::FromStr;

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use crate::config::model::CacheName;
use crate::config::units::{Share, Size, Span};
use crate::plan::guard::Allowances;
use crate::plan::select::Selection;
use crate::plan::step::Scope;
use crate::render::view::Detail;

pub(super) const EXAMPLES: &str = "Examples:
  nanna-cache reconcile                               the plan
  nanna-cache reconcile --full --only prune           every path that would go, and why
  nanna-cache reconcile --apply                       shows the plan and asks
  nanna-cache reconcile --apply --yes                 does not ask (nor does it without a terminal)
  nanna-cache reconcile --for main --format markdown  a comment for a pull request
  nanna-cache reconcile --out plan.json && nanna-cache reconcile --apply --from plan.json";

pub(super) const PUSH_EXAMPLES: &str = "Examples:
  nanna-cache push --apply
  nanna-cache push --apply --path ./result --path /nix/store/…-hello
  nix path-info -r .#hello | nanna-cache push --apply --stdin
  nanna-cache mark job && nix build && nanna-cache push --apply --since-mark job";

pub(super) const ADOPT_EXAMPLES: &str = "Examples:
  nanna-cache adopt --all --cache dev                    what would be adopted, and in which classes
  nanna-cache adopt /nix/store/…-tool --cache dev --apply";

/// `reconcile`.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// Only show what would be done (the default)
    #[arg(long, conflicts_with = "apply")]
    pub plan: bool,
    /// Everything else.
    #[command(flatten)]
    pub common: PlanArgs,
}

/// `setup`, `optimize`, `prune`.
#[derive(Debug, Args)]
pub struct Phase {
    /// Everything.
    #[command(flatten)]
    pub common: PlanArgs,
}

/// `push`.
#[derive(Debug, Args)]
pub struct Push {
    /// Push this store path or result link, too (may be given again)
    #[arg(long, value_name = "PATH", help_heading = "What")]
    pub path: Vec<String>,
    /// Push the store paths on standard input, too, one on each line
    #[arg(long, help_heading = "What")]
    pub stdin: bool,
    /// Push everything that came into the store since `nanna-cache mark NAME`, too
    #[arg(long, value_name = "NAME", help_heading = "What")]
    pub since_mark: Option<String>,
    /// Everything else.
    #[command(flatten)]
    pub common: PlanArgs,
}

/// `adopt`.
#[derive(Debug, Args)]
pub struct Adopt {
    /// Paths of the cache to take, each with its closure: store paths, hash parts, or links
    #[arg(value_name = "PATH", help_heading = "What")]
    pub paths: Vec<String>,
    /// Take all that no record of ours covers
    #[arg(long, conflicts_with = "paths", help_heading = "What")]
    pub all: bool,
    /// Everything else.
    #[command(flatten)]
    pub common: PlanArgs,
}

/// What `reconcile` and the single phases have in common.
#[derive(Clone, Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct PlanArgs {
    /// Carry the plan out; on a terminal it is shown first and asked for
    #[arg(long)]
    pub apply: bool,
    /// Do not ask before applying
    #[arg(long, short = 'y', requires = "apply")]
    pub yes: bool,
    /// Only these steps, as `--full` names them, or all of a place: push/dev/test-containers, push/dev, push
    #[arg(
        long,
        value_name = "ADDRESS",
        value_delimiter = ',',
        help_heading = "What"
    )]
    pub only: Vec<String>,
    /// Only these caches
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "What"
    )]
    pub cache: Vec<String>,
    /// Only the steps that concern this machine alone, or that everybody shares
    #[arg(long, value_name = "SCOPE", help_heading = "What")]
    pub scope: Option<ScopeName>,
    /// Plan as a run on main would: show what everybody shares, and one line for the machine
    #[arg(long = "for", value_name = "EVENT", conflicts_with_all = ["apply", "scope"], help_heading = "What")]
    pub event: Option<Event>,
    /// Permit more than a limit of cache.yaml, this once: share=45%, bytes=30GiB, count=5000, unasked=2GiB, max-size=50GiB
    #[arg(long, value_name = "LIMIT=VALUE", help_heading = "What")]
    pub allow: Vec<Limit>,
    /// How to print the plan
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Output"
    )]
    pub format: Format,
    /// One line for each place
    #[arg(long, conflicts_with = "full", help_heading = "Output")]
    pub concise: bool,
    /// Every path and the whole of every change
    #[arg(long, help_heading = "Output")]
    pub full: bool,
    /// Save the plan, for --from
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "apply",
        help_heading = "Output"
    )]
    pub out: Option<Utf8PathBuf>,
    /// Apply only if the plan is still the one in this file
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub from: Option<Utf8PathBuf>,
    /// Exit with 2 if there are changes
    #[arg(long, help_heading = "Output")]
    pub detailed_exitcode: bool,
    /// Tell of the plan, and of what came of it, where people look: in a job of GitHub Actions the summary, one comment
    /// in the pull request, annotations, and outputs for later steps
    #[arg(long, value_name = "WHERE", help_heading = "Output")]
    pub publish: Option<Publish>,
    /// Exit with 7 if something could not be seen, or if a person has to do something
    #[arg(long, help_heading = "Output")]
    pub strict: bool,
    /// Ask again what is remembered of caches and upstreams
    #[arg(long)]
    pub refresh: bool,
    /// How long to wait for another apply or prune, such as 10m
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = span)]
    pub lock_timeout: Span,
    /// Another Nix store than that of this machine
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
}

impl PlanArgs {
    /// How much to show.
    #[must_use]
    pub const fn detail(&self) -> Detail {
        if self.concise {
            Detail::Concise
        } else if self.full {
            Detail::Full
        } else {
            Detail::Default
        }
    }

    /// The part of the plan that is meant; `only` are phases or addresses.
    #[must_use]
    pub fn selection(&self, only: Vec<String>) -> Selection {
        Selection {
            only,
            caches: self
                .cache
                .iter()
                .map(|name| CacheName::new(name.as_str()))
                .collect(),
            scope: self.scope.map(Scope::from),
        }
    }

    /// What is permitted beyond cache.yaml.
    #[must_use]
    pub fn allowances(&self) -> Allowances {
        let mut allowed = Allowances::default();
        for limit in &self.allow {
            match *limit {
                Limit::Share(share) => allowed.share = Some(share),
                Limit::Bytes(size) => allowed.bytes = Some(size),
                Limit::Count(count) => allowed.count = Some(count),
                Limit::Unasked(size) => allowed.unasked = Some(size),
                Limit::MaxSize(size) => allowed.max_size = Some(size),
            }
        }
        allowed
    }
}

/// Whom a step concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScopeName {
    /// Only this machine
    Machine,
    /// Everybody who uses the cache
    Shared,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Machine => Self::Machine,
            ScopeName::Shared => Self::Shared,
        }
    }
}

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Event {
    /// A run on the main branch, after the merge
    Main,
}

/// How to print a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON document (schema: `nanna-cache schema --of plan`)
    Json,
    /// For a comment on GitHub
    Markdown,
}

/// A limit that is permitted to be passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Share of a cache that a prune may delete.
    Share(Share),
    /// Bytes that a prune may delete.
    Bytes(Size),
    /// Paths that a prune may delete.
    Count(u64),
    /// Bytes that may be pushed though an upstream could not be asked.
    Unasked(Size),
    /// Bytes that may stay in a cache though its max-size is less.
    MaxSize(Size),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| "write LIMIT=VALUE, such as share=45%".to_owned())?;
        let wrong = |example: &str, why: String| format!("`{value}` {why}: write {name}={example}");
        match name {
            "share" => value
                .parse()
                .map(Self::Share)
                .map_err(|e: crate::config::units::UnitError| wrong("45%", e.to_string())),
            "bytes" => value
                .parse()
                .map(Self::Bytes)
                .map_err(|e: crate::config::units::UnitError| wrong("30GiB", e.to_string())),
            "unasked" => value
                .parse()
                .map(Self::Unasked)
                .map_err(|e: crate::config::units::UnitError| wrong("2GiB", e.to_string())),
            "max-size" => value
                .parse()
                .map(Self::MaxSize)
                .map_err(|e: crate::config::units::UnitError| wrong("50GiB", e.to_string())),
            "count" => value
                .parse()
                .map(Self::Count)
                .map_err(|_| wrong("5000", "is no number".to_owned())),
            _ => Err(format!(
                "there is no limit `{name}`: share, bytes, count, unasked and max-size are"
            )),
        }
    }
}

/// Where a plan is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Publish {
    /// GitHub, from a job of GitHub Actions
    Github,
}

pub(super) fn span(text: &str) -> Result<Span, String> {
    text.parse::<Span>()
        .map_err(|error| format!("it {error}: write 30s, 10m or 2h"))
}
