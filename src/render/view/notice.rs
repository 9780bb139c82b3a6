//! What nobody may miss: errors, refusals, unknowns, advice.

use super::{Options, Symbol};
use crate::plan::address::Phase;
use crate::plan::plan::Plan;
use crate::plan::step::{Because, Scope, Step};
use crate::render::layout::safe;
use crate::render::units::list;

/// Outputs of one error that are named.
const NAMED: usize = 5;

/// Something that is no step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// [`Symbol::Error`], [`Symbol::Refusal`], [`Symbol::Unknown`] or [`Symbol::Advice`].
    pub symbol: Symbol,
    /// What it is about.
    pub about: String,
    /// What to know.
    pub text: String,
    /// What follows from it, or what permits it.
    pub help: String,
    /// Lines to copy.
    pub lines: Vec<String>,
    /// Where `cache.yaml` asks for it.
    pub place: String,
}

/// `cache.yaml:31`, or nothing; the heading says in which folder.
pub(super) fn place(plan: &Plan, because: &Because) -> String {
    because.line.map_or_else(String::new, |line| {
        safe(&format!("{}:{line}", bare(&plan.file)))
    })
}

/// The name of a file without its folder: a column of places has little room.
#[must_use]
pub fn bare(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// `.#a`, or `3 outputs: .#a, .#b and .#c`.
fn subjects(what: &[String]) -> String {
    let names: Vec<String> = what.iter().map(|name| safe(name)).collect();
    match names.as_slice() {
        [one] => one.clone(),
        many if many.len() <= NAMED => format!("{} outputs: {}", many.len(), list(many)),
        many => {
            let mut first = many[..NAMED - 1].to_vec();
            first.push(format!("{} more", many.len() - first.len()));
            format!("{} outputs: {}", many.len(), list(&first))
        }
    }
}

/// Everything that is no step, the worst first.
pub(super) fn all(plan: &Plan, options: Options, steps: &[&Step]) -> Vec<Notice> {
    let mut notices = Vec::new();
    for error in &plan.errors {
        notices.push(Notice {
            symbol: Symbol::Error,
            about: subjects(&error.what),
            text: safe(&error.why.0),
            help: safe(&error.effect),
            lines: Vec::new(),
            place: place(plan, &error.because),
        });
    }
    for refusal in &plan.refusals {
        let is_shown = refusal.steps.is_empty()
            || steps
                .iter()
                .any(|step| refusal.steps.contains(&step.address))
            // What it names would be steps without it.
            || !plan.steps.iter().any(|step| refusal.steps.contains(&step.address));
        if !is_shown && options.scope.is_some() {
            continue;
        }
        let about = match refusal.steps.as_slice() {
            [] => "the whole plan".to_owned(),
            [one] => safe(one.as_str()),
            [first, rest @ ..] => format!("{} and {} more", safe(first.as_str()), rest.len()),
        };
        notices.push(Notice {
            symbol: Symbol::Refusal,
            about,
            text: format!("{} ({})", safe(&refusal.text), safe(&refusal.code)),
            help: safe(&refusal.help),
            lines: Vec::new(),
            place: String::new(),
        });
    }
    for unknown in &plan.unknowns {
        notices.push(Notice {
            symbol: Symbol::Unknown,
            about: safe(&unknown.what),
            text: format!("not seen: {}", safe(&unknown.why.0)),
            help: safe(&unknown.effect),
            lines: Vec::new(),
            place: String::new(),
        });
    }
    for advice in &plan.advice {
        // nix.conf and tuning are always those of one machine.
        let of_machine = matches!(advice.phase, Phase::Setup | Phase::Optimize);
        if options.scope == Some(Scope::Shared) && of_machine {
            continue;
        }
        notices.push(Notice {
            symbol: Symbol::Advice,
            about: safe(&advice.about),
            text: safe(&advice.text),
            help: String::new(),
            lines: advice.lines.iter().map(|line| safe(line)).collect(),
            place: place(plan, &advice.because),
        });
    }
    notices
}
