//! What can be typed. Every flag says what it does; every command has an example.

mod advise;
mod analytics;
mod reconcile;
mod serve;
mod verify;

use camino::Utf8PathBuf;
use clap::builder::Styles;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use advise::{AdviceFormat, Advise};
pub use analytics::{Analytics, AnalyticsCommand, Figures, FiguresFormat, Ingest};
pub use reconcile::{Adopt, Event, Format, Limit, Phase, PlanArgs, Push, Reconcile, ScopeName};
pub use serve::Serve;
pub use verify::Verify;

use crate::config::units::Span;
use crate::render::style;

/// Looks of the help text.
const fn styles() -> Styles {
    let (title, literal, placeholder) = style::HELP;
    Styles::styled()
        .header(title)
        .usage(title)
        .literal(literal)
        .placeholder(placeholder)
}

const ABOUT: &str = "Makes the binary caches of a Nix project what cache.yaml says they should be";

const LONG_ABOUT: &str =
    "Makes the binary caches of a Nix project what cache.yaml says they should be.

nanna-cache looks at nix.conf, the Nix store and the caches, and compares them with cache.yaml. \
The plan is the difference; applying the plan makes the difference empty. Without --apply nothing \
is ever changed.";

const EXAMPLES: &str = "Examples:
  nanna-cache init                    write a first cache.yaml
  nanna-cache reconcile               show what would be done
  nanna-cache reconcile --apply       do it
  nanna-cache explain /nix/store/…    say why one path is pushed, kept or deleted

Exit codes: 0 done or nothing to do, 1 failed, 2 changes pending (--detailed-exitcode), 3 cache.yaml \
is invalid, 4 refused or declined, 5 the plan is stale, 6 partly applied, 7 a check failed \
(--strict), 8 another prune is at work, 64 usage, 130 interrupted, 143 terminated.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "nanna-cache", version, about = ABOUT, long_about = LONG_ABOUT, after_help = EXAMPLES,
    styles = styles(), max_term_width = 100, disable_help_subcommand = true, propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
}

/// What holds for every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// The cache.yaml to use [default: the one here or in the nearest parent folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<Utf8PathBuf>,
    /// When to use colours; `NO_COLOR` and `CLICOLOR_FORCE` are respected
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = false
    )]
    pub color: Color,
    /// Say more on standard error; twice: everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing on standard error but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the plan of all phases; with --apply, carry it out
    #[command(after_help = reconcile::EXAMPLES)]
    Reconcile(Reconcile),
    /// Plan or apply the setup: nix.conf, cache folders, signing keys
    #[command(
        after_help = "Examples:\n  nanna-cache setup            show what would be set up\n  nanna-cache setup --apply    set it up: once on each machine"
    )]
    Setup(Phase),
    /// Plan or apply the uploads, with the builds that they need
    #[command(after_help = reconcile::PUSH_EXAMPLES)]
    Push(Push),
    /// Plan or apply the tuning of Nix, and fetch what is to be warm
    #[command(
        after_help = "Examples:\n  nanna-cache optimize --apply    early in a CI job, before anything is built"
    )]
    Optimize(Phase),
    /// Plan or apply the deletes
    #[command(
        after_help = "Examples:\n  nanna-cache prune --full                     every path that would go, and why\n  nanna-cache prune --apply --allow share=45%  delete more than prune.limits.share, this once"
    )]
    Prune(Phase),
    /// Plan or apply taking what others wrote into a cache as ours
    #[command(after_help = reconcile::ADOPT_EXAMPLES)]
    Adopt(Adopt),
    /// Check cache.yaml and show all its problems at once
    #[command(
        after_help = "Examples:\n  nanna-cache validate                    problems, drawn on the text\n  nanna-cache validate --format github    annotations in a pull request"
    )]
    Validate(Validate),
    /// Print the JSON Schema of cache.yaml or of the plan, or the OpenAPI of serve
    #[command(
        after_help = "Examples:\n  nanna-cache schema > cache.schema.json\n  nanna-cache schema --of plan\n  nanna-cache schema --write              all, into schema/"
    )]
    Schema(Schema),
    /// Print, write or check cache.json: what cache.yaml says, for flakes
    #[command(
        after_help = "Examples:\n  nanna-cache export            what a flake would read\n  nanna-cache export --write    cache.json beside cache.yaml\n  nanna-cache export --check    in CI: whether cache.json is still what cache.yaml says"
    )]
    Export(Export),
    /// Write a first cache.yaml, never over an existing file
    #[command(
        after_help = "Examples:\n  nanna-cache init            cache.yaml in this folder\n  nanna-cache init --print    only show it"
    )]
    Init(Init),
    /// Say of one path what happens to it in each cache, and why
    #[command(
        after_help = "Examples:\n  nanna-cache explain /nix/store/…-openssl-3.4.1\n  nanna-cache explain ./result --format json"
    )]
    Explain(Explain),
    /// Show how well the caches serve, by what was recorded
    #[command(after_help = analytics::EXAMPLES)]
    Analytics(Analytics),
    /// Say what of cache.yaml should be otherwise, by what recorded runs needed
    #[command(after_help = advise::EXAMPLES)]
    Advise(Advise),
    /// Run a command of Nix's, show what it does, and record where each path came from
    #[command(
        after_help = "Examples:\n  nanna-cache run -- nix build .#app\n  nanna-cache run --record runs.jsonl.zst -- nix flake check\n\nThe exit code is that of the command."
    )]
    Run(Run),
    /// Say on one screen how full caches are, what is where, and what is pending
    #[command(
        after_help = "Examples:\n  nanna-cache status\n  nanna-cache status --watch 1m\n  nanna-cache status --format json | jq .coverage"
    )]
    Status(Status),
    /// Answer over HTTP how things stand, and apply for whoever has the token
    #[command(after_help = serve::EXAMPLES)]
    Serve(Serve),
    /// Say why a cache, or one path, is not used, and what mends it
    #[command(
        after_help = "Examples:\n  nanna-cache doctor              the caches of cache.yaml and of Nix's settings\n  nanna-cache doctor ./result     why this path is not fetched\n  nanna-cache doctor --fix        mend what is ours to mend; asks first\n\nExit codes: 0 nothing is wrong, 7 something is."
    )]
    Doctor(Doctor),
    /// Find what in the workflows of GitHub does not fit cache.yaml
    #[command(
        after_help = "Examples:\n  nanna-cache workflows                               findings, with file and line\n  nanna-cache workflows --format github               annotations in a pull request\n  nanna-cache workflows --format diff | git apply     mend what the files alone tell how to"
    )]
    Workflows(Workflows),
    /// Remember what is in the Nix store now, for `push --since-mark`
    #[command(
        after_help = "Examples:\n  nanna-cache mark job          at the start of a CI job\n  nix build .#everything\n  nanna-cache push --apply --since-mark job"
    )]
    Mark(Mark),
    /// Bring a directory that was pushed here, without Nix
    #[command(after_help = "Examples:\n  nanna-cache fetch models/llama --into models/llama")]
    Fetch(Fetch),
    /// Check what a cache holds: narinfos, signatures, references, NARs
    #[command(after_help = verify::EXAMPLES)]
    Verify(Verify),
    /// Print completions for a shell
    #[command(
        after_help = "Examples:\n  nanna-cache completions bash > ~/.local/share/bash-completion/completions/nanna-cache"
    )]
    Completions(Completions),
}

/// `validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// How to print the problems
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: ProblemFormat,
    /// Fail (3) on warnings, too
    #[arg(long)]
    pub strict: bool,
}

/// How to print problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProblemFormat {
    /// Drawn on the text of the file
    Text,
    /// One JSON document
    Json,
    /// Annotations of GitHub Actions
    Github,
}

/// `schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// Of what
    #[arg(long, value_name = "WHAT", default_value = "config")]
    pub of: SchemaOf,
    /// Write all of them into this folder instead of printing one
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, default_missing_value = "schema", conflicts_with = "of")]
    pub write: Option<Utf8PathBuf>,
}

/// What a schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// cache.yaml
    Config,
    /// The JSON form of a plan
    Plan,
    /// The HTTP API of `serve` (OpenAPI 3.1)
    Api,
}

/// `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Write the file instead of printing; a relative FILE is beside cache.yaml
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "cache.json")]
    pub write: Option<Utf8PathBuf>,
    /// Only compare the file with cache.yaml, and fail (7) if it differs
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "cache.json", conflicts_with = "write")]
    pub check: Option<Utf8PathBuf>,
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Print the text instead of writing the file
    #[arg(long)]
    pub print: bool,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// A store path, its base name or hash part, an output such as .#x, a link, or a directory of cache.yaml
    #[arg(value_name = "PATH")]
    pub path: String,
    /// How to print the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: AnswerFormat,
    /// Only these caches
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub cache: Vec<String>,
    /// Another Nix store than that of this machine
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
}

/// `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: AnswerFormat,
    /// Look again and again, this long after each look; on a terminal
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "1m", value_parser = reconcile::span)]
    pub watch: Option<Span>,
    /// Ask again what is remembered of caches and upstreams
    #[arg(long)]
    pub refresh: bool,
    /// Another Nix store than that of this machine
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// A store path, a link to one, or an output such as .#x [default: the caches in general]
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    /// Read the whole NAR of the path, too, up to 512 MiB (`verify CACHE --path PATH` reads larger ones)
    #[arg(long)]
    pub deep: bool,
    /// Plan and apply the steps that mend what is found; asks first
    #[arg(long)]
    pub fix: bool,
    /// Do not ask before mending
    #[arg(long, short = 'y', requires = "fix")]
    pub yes: bool,
    /// How to print the answer
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        conflicts_with = "fix"
    )]
    pub format: AnswerFormat,
}

/// How to print an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AnswerFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// `workflows`.
#[derive(Debug, Args)]
pub struct Workflows {
    /// How to print the findings
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: FindingFormat,
    /// Fail (7) on warnings and notes, too
    #[arg(long)]
    pub strict: bool,
}

/// How to print findings about workflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FindingFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// Annotations of GitHub Actions
    Github,
    /// A unified diff that mends what can be mended
    Diff,
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Add the record to this file, too, for a workflow to keep; packed if its name ends in .zst
    #[arg(long, value_name = "FILE")]
    pub record: Option<Utf8PathBuf>,
    /// Do not evaluate the outputs of cache.yaml: paths get their classes by patterns alone
    #[arg(long)]
    pub no_evaluate: bool,
    /// The command: nix, nix-build, nix-shell or nix-store with its arguments
    #[arg(value_name = "COMMAND", required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// `mark`.
#[derive(Debug, Args)]
pub struct Mark {
    /// A name for this moment
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Another Nix store than that of this machine
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
}

/// `fetch`.
#[derive(Debug, Args)]
pub struct Fetch {
    /// The directory, as it was named when it was pushed
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Where to put it; must not exist yet
    #[arg(long, value_name = "DIR")]
    pub into: Utf8PathBuf,
    /// Only from this cache [default: the first that has it, in the order of tiers]
    #[arg(long, value_name = "NAME")]
    pub cache: Option<String>,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}
