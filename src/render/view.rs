//! A plan arranged for reading: the one source of its text and its Markdown.
//!
//! Grouped by phase, then by place, in the plan's own order; counted; folded. It holds words, not
//! layout: what is in a [`PlanView`] has no columns, no colours and no escapes, but everything
//! foreign in it is already safe to show on one line.

mod diff;
mod group;
mod held;
pub mod home;
mod line;
mod notice;
mod sum;

pub use diff::DiffLine;
pub(super) use held::words as held_words;
pub(super) use line::drop_reason;
pub use notice::Notice;
pub use notice::bare;
pub(super) use sum::parts as sum_parts;

use crate::plan::address::Phase;
use crate::plan::plan::{CacheRequests, Plan, Refusal};
use crate::plan::step::{Scope, Step};
use crate::plan::summary::Summary;
use crate::render::layout::safe;
use crate::render::style::Role;
use crate::render::units;

/// How much to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// One line for each place.
    Concise,
    /// One line for each step, with the differences of files.
    #[default]
    Default,
    /// Every path, whole.
    Full,
}

/// What to show of a plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How much.
    pub detail: Detail,
    /// Only steps of this scope; the others are one line.
    pub scope: Option<Scope>,
    /// The plan is about to be applied, so do not say that nothing has been changed.
    pub applying: bool,
}

/// What a line is about, as one character. The meaning never rests on colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Symbol {
    /// Something comes: a file, a key, paths.
    Create,
    /// Something is changed.
    Change,
    /// Something goes.
    Delete,
    /// Work that nothing in the caches shows: a build, a fetch.
    Work,
    /// A root is written again.
    Renew,
    /// A path stays out of a cache.
    Kept,
    /// Something that a person must do.
    Advice,
    /// Something could not be seen.
    Unknown,
    /// Something that will not be done.
    Refusal,
    /// Something that was asked for is in error.
    Error,
}

impl Symbol {
    /// The character.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Create => "+",
            Self::Change => "~",
            Self::Delete => "-",
            Self::Work => ">",
            Self::Renew => "↻",
            Self::Kept => "·",
            Self::Unknown => "?",
            Self::Advice => "!",
            Self::Refusal => "x",
            Self::Error => "E",
        }
    }

    /// What the character means, for the legend.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Create => "create or push",
            Self::Change => "change",
            Self::Delete => "delete",
            Self::Work => "build or fetch",
            Self::Renew => "renew",
            Self::Kept => "kept back",
            Self::Unknown => "unknown",
            Self::Advice => "advice",
            Self::Refusal => "refused",
            Self::Error => "error",
        }
    }

    /// How it looks.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Self::Create => Role::Create,
            Self::Change => Role::Change,
            Self::Delete => Role::Delete,
            Self::Work | Self::Renew => Role::Work,
            Self::Kept => Role::Faint,
            Self::Unknown => Role::Unknown,
            Self::Advice => Role::Advice,
            Self::Refusal | Self::Error => Role::Refusal,
        }
    }
}

/// A plan arranged for reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanView {
    /// Project, file and the numbers of the heading.
    pub heading: Vec<String>,
    /// The symbols that occur, in order.
    pub legend: Vec<Symbol>,
    /// The phases in which something happens.
    pub phases: Vec<PhaseView>,
    /// What the scope leaves out, in one sentence.
    pub hidden: Option<String>,
    /// Errors, then refusals, then unknowns, then advice.
    pub notices: Vec<Notice>,
    /// Requests that looking at caches in object storage took, in one sentence.
    pub looked: Option<String>,
    /// What the plan does to the cost of a month, in one sentence.
    pub cost: Option<String>,
    /// How to see what is folded, if something is.
    pub folded: Option<String>,
    /// The last line.
    pub sum: String,
    /// Whether nothing changes.
    pub is_empty: bool,
    /// How much is shown.
    pub detail: Detail,
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseView {
    /// Which.
    pub phase: Phase,
    /// What happens, by place.
    pub groups: Vec<Group>,
    /// In which order Nix asks the caches: before and after, one line each.
    pub order: Option<(String, String)>,
    /// Why a cache and its replicas stand so in it.
    pub order_because: Vec<String>,
}

/// What happens at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Title, such as `push → dev (file, tier 3)`; `None`: the phase's own title will do.
    pub title: Option<String>,
    /// Totals.
    pub facts: Vec<String>,
    /// The lines.
    pub lines: Vec<Line>,
    /// What is kept back, in one sentence.
    pub kept_back: Option<String>,
    /// Paths that are kept back and worth a line of their own.
    pub kept: Vec<Item>,
    /// How many more of those there are.
    pub kept_more: u64,
}

/// One step, or several of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it does.
    pub symbol: Symbol,
    /// What it does it to: a file, a class, an output.
    pub label: String,
    /// A remark that belongs to the label, such as `priority 100`.
    pub remark: String,
    /// Number of paths or files.
    pub count: String,
    /// Size.
    pub bytes: String,
    /// Where `cache.yaml` asks for it.
    pub place: String,
    /// Why, since when, after what.
    pub note: String,
    /// Address, rule and what it waits for; for `--full`.
    pub fine_print: Vec<String>,
    /// How a file changes.
    pub diff: Vec<DiffLine>,
    /// The paths, with a sign, a size and a reason each; the first ones, unless everything is to be
    /// shown.
    pub items: Vec<Item>,
    /// How many more paths there are.
    pub more: u64,
}

/// One path of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What happens to it.
    pub symbol: Symbol,
    /// The path.
    pub text: String,
    /// Its size.
    pub bytes: String,
    /// Why; may be empty.
    pub note: String,
}

impl PlanView {
    /// Arranges a plan.
    #[must_use]
    pub fn new(plan: &Plan, options: Options) -> Self {
        let shown = |step: &&Step| options.scope.is_none_or(|scope| step.scope == scope);
        let steps: Vec<&Step> = plan.steps.iter().filter(shown).collect();
        let notices = notice::all(plan, options, &steps);
        let mut summary = Summary::of_steps(steps.iter().copied());
        for notice in &notices {
            match notice.symbol {
                Symbol::Error => summary.error += 1,
                Symbol::Refusal => summary.refused += 1,
                Symbol::Unknown => summary.unknown += 1,
                _ => summary.advice += 1,
            }
        }
        let phases: Vec<PhaseView> = Phase::ALL
            .into_iter()
            .filter_map(|phase| group::phase(plan, phase, &steps, options))
            .collect();
        let folded = folded(&phases, options.detail);
        Self {
            heading: heading(plan),
            legend: if phases.is_empty() {
                Vec::new()
            } else {
                legend(&phases, &notices, options.detail)
            },
            hidden: hidden(plan, options, plan.steps.len() - steps.len()),
            looked: looked(plan),
            cost: cost(plan),
            folded,
            sum: sum::sentence(plan, &summary, &notices, options),
            is_empty: summary.is_empty(),
            phases,
            notices,
            detail: options.detail,
        }
    }
}

fn heading(plan: &Plan) -> Vec<String> {
    vec![
        safe(&plan.project),
        safe(&plan.file),
        units::things(plan.counts.caches, "cache"),
        units::plural(plan.counts.classes, "artifact class", "artifact classes"),
    ]
}

fn legend(phases: &[PhaseView], notices: &[Notice], detail: Detail) -> Vec<Symbol> {
    let mut symbols: Vec<Symbol> = notices.iter().map(|notice| notice.symbol).collect();
    let groups = phases.iter().flat_map(|phase| &phase.groups);
    for group in groups {
        symbols.extend(group.lines.iter().map(|line| line.symbol));
        symbols.extend(group.kept.iter().map(|item| item.symbol));
        if detail == Detail::Full {
            symbols.extend(
                group
                    .lines
                    .iter()
                    .flat_map(|line| &line.items)
                    .map(|item| item.symbol),
            );
        }
    }
    symbols.sort_unstable();
    symbols.dedup();
    symbols
}

/// Says how to see more, where something is folded.
fn folded(phases: &[PhaseView], detail: Detail) -> Option<String> {
    let mut lines = phases
        .iter()
        .flat_map(|phase| &phase.groups)
        .flat_map(|group| &group.lines);
    match detail {
        Detail::Full => None,
        Detail::Default => lines
            .any(|line| !line.items.is_empty())
            .then(|| "`--full` lists every path.".to_owned()),
        Detail::Concise => lines.next().map(|_| {
            "Without `--concise` there is a line for each step, and the changes of files."
                .to_owned()
        }),
    }
}

/// What looking took.
fn looked(plan: &Plan) -> Option<String> {
    let one = |sent: &CacheRequests| {
        let lists = units::things(sent.requests.lists, "list request");
        let reads = units::things(sent.requests.reads, "read");
        format!("{} by {lists}, {reads}", safe(sent.cache.as_str()))
    };
    let all: Vec<String> = plan.requests.iter().map(one).collect();
    (!all.is_empty()).then(|| format!("Looked at {}.", all.join("; ")))
}

/// What the plan does to the cost of a month.
fn cost(plan: &Plan) -> Option<String> {
    let (costs, price) = (plan.costs()?, plan.price.as_ref()?);
    let (more, upper) = if costs < 0 {
        ("less", "")
    } else {
        ("more", "at most ")
    };
    let cents = costs.unsigned_abs() / 10_000;
    let currency = safe(&price.currency);
    let amount = match cents {
        0 => format!("less than 0.01 {currency}"),
        cents => format!("{upper}{}.{:02} {currency}", cents / 100, cents % 100),
    };
    Some(format!(
        "By `prices`, keeping what is then in the caches costs {amount} a month {more}."
    ))
}

/// What is left out for being of the other scope.
fn hidden(plan: &Plan, options: Options, steps: usize) -> Option<String> {
    let scope = options.scope?;
    let other = match scope {
        Scope::Shared => Scope::Machine,
        Scope::Machine => Scope::Shared,
    };
    if steps == 0 {
        return None;
    }
    let of_other = plan.steps.iter().filter(|step| step.scope == other);
    let summary = Summary::of_steps(of_other);
    let parts = sum::parts(&summary);
    let what = if parts.is_empty() {
        "no change".to_owned()
    } else {
        parts.join(", ")
    };
    let steps = units::things(steps as u64, "step");
    Some(match scope {
        Scope::Shared => format!(
            "Not shown: {steps} for this machine alone ({what}). Every machine plans its own."
        ),
        Scope::Machine => format!("Not shown: {steps} for what everybody shares ({what})."),
    })
}

/// The refusal of a step in a few words, for its line.
fn refused(refusal: &Refusal) -> String {
    format!("refused: {}", safe(&refusal.code))
}
