//! Which changes are worth to be looked at.

use super::{DAY, Effect, Kind, LEAST, Scale, edit, length};
use crate::config::model::{ClassName, Config};
use crate::config::units::Span;
use crate::insight::replay::{ClassTally, Tally, Traffic, replay};

/// Retentions that are tried, in days: a person would write one of them.
const DAYS: [u64; 14] = [2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 365];

/// Nothing shorter is recommended: a holiday is no reason to build everything anew.
const SHORTEST: u64 = 7;

/// Gives the changed text of a `cache.yaml`; none: it is written in a way that is not edited.
type Edit = Box<dyn Fn(&str) -> Option<String>>;

/// Changes a configuration.
type Change<'a> = dyn Fn(&mut Config) + 'a;

/// Says what a change would have done.
type TryOut<'a> = dyn Fn(&Change<'_>) -> Effect + 'a;

/// A change that helps.
pub(super) struct Candidate {
    pub(super) kind: Kind,
    pub(super) what: String,
    pub(super) why: String,
    pub(super) edit: Edit,
}

/// The changes that help, each the best of its kind and place.
pub(super) fn candidates(
    traffic: &Traffic,
    config: &Config,
    now: &Tally,
    scale: &Scale,
) -> Vec<Candidate> {
    let try_out = |change: &Change<'_>| {
        let mut changed = config.clone();
        change(&mut changed);
        scale.effect(now, replay(traffic, &changed))
    };
    let mut found = Vec::new();
    for (name, counted) in &now.classes {
        found.extend(retention(traffic, config, now, (name, counted), &try_out));
        found.extend(path_size(config, name, &try_out));
    }
    for (at, pattern) in config.push.exclude.iter().enumerate() {
        let effect = try_out(&|config| drop(config.push.exclude.remove(at)));
        if helps(&effect) {
            let pattern = pattern.as_str().to_owned();
            found.push(Candidate {
                kind: Kind::Exclude,
                what: format!("take `{pattern}` out of push.exclude"),
                why: "what it keeps back is built again and again".to_owned(),
                edit: Box::new(move |text| edit::stop_excluding(text, &pattern)),
            });
        }
    }
    if now.over > 0 {
        found.extend(priorities(config, now, &try_out));
    }
    found
}

/// Whether it saves time, and enough.
const fn helps(effect: &Effect) -> bool {
    effect.saved_millis > 0 && effect.worth >= LEAST
}

fn retention(
    traffic: &Traffic,
    config: &Config,
    now: &Tally,
    (name, counted): (&ClassName, &ClassTally),
    try_out: &TryOut<'_>,
) -> Option<Candidate> {
    let current = config.classes.get(name)?.retention;
    let seen = u64::try_from(length(traffic)).unwrap_or(0);
    let mut best: Option<(Span, Effect)> = None;
    for days in DAYS {
        let span = Span(days * DAY.unsigned_abs());
        // What is kept beyond the time that the records cover was not put to the proof.
        let proven = span.0.saturating_mul(2) <= seen && days >= SHORTEST;
        if span == current || (span < current && !proven) {
            continue;
        }
        let effect = try_out(&|config| {
            if let Some(class) = config.classes.get_mut(name) {
                class.retention = span;
            }
        });
        let is_good = if span > current {
            helps(&effect)
        } else {
            effect.worth >= LEAST && effect.saved_millis >= 0 && effect.after.hits >= now.hits
        };
        let is_better = best
            .as_ref()
            .is_none_or(|(_, known)| effect.worth > known.worth);
        if is_good && is_better {
            best = Some((span, effect));
        }
    }
    let (span, _) = best?;
    let (kind, why) = if span > current {
        let text = format!("`{name}` is needed again after more than {current}, and is gone then");
        (Kind::LongerRetention, text)
    } else if counted.hits == 0 {
        let text = format!(
            "nothing of `{name}` was ever read in {} runs",
            traffic.runs()
        );
        (Kind::ShorterRetention, text)
    } else {
        let text = format!("what was read of `{name}` was read within {span}");
        (Kind::ShorterRetention, text)
    };
    let (class, value) = (name.to_string(), span.to_string());
    Some(Candidate {
        kind,
        what: format!("keep `{name}` for {span} instead of {current}"),
        why,
        edit: Box::new(move |text| edit::set(text, &class, "retention", &value)),
    })
}

fn path_size(config: &Config, name: &ClassName, try_out: &TryOut<'_>) -> Option<Candidate> {
    let limit = config.classes.get(name)?.max_path_size?;
    let effect = try_out(&|config| {
        if let Some(class) = config.classes.get_mut(name) {
            class.max_path_size = None;
        }
    });
    let class = name.to_string();
    helps(&effect).then(|| Candidate {
        kind: Kind::MaxPathSize,
        what: format!("push paths of `{name}` that are over {limit}, too"),
        why: "they are built again and again".to_owned(),
        edit: Box::new(move |text| edit::set(text, &class, "max-path-size", "none")),
    })
}

/// The best exchange of the priorities of two classes.
fn priorities(config: &Config, now: &Tally, try_out: &TryOut<'_>) -> Option<Candidate> {
    let mut classes: Vec<(&ClassName, u32)> = now
        .classes
        .keys()
        .filter_map(|name| Some((name, config.classes.get(name)?.priority)))
        .collect();
    classes.sort_by_key(|(name, priority)| (std::cmp::Reverse(*priority), *name));
    let mut best: Option<(i64, Candidate)> = None;
    for (at, (high, upper)) in classes.iter().enumerate() {
        for (low, lower) in classes.iter().skip(at + 1).filter(|(_, low)| low < upper) {
            let effect = try_out(&|config| {
                for (name, priority) in [(*high, *lower), (*low, *upper)] {
                    if let Some(class) = config.classes.get_mut(name) {
                        class.priority = priority;
                    }
                }
            });
            if !helps(&effect)
                || best
                    .as_ref()
                    .is_some_and(|(known, _)| *known >= effect.worth)
            {
                continue;
            }
            let (first, second) = (high.to_string(), low.to_string());
            let (upper, lower) = (upper.to_string(), lower.to_string());
            let candidate = Candidate {
                kind: Kind::Priorities,
                what: format!("exchange the priorities of `{high}` and `{low}`"),
                why: format!("under max-size `{low}` goes first, but takes longer to build again"),
                edit: Box::new(move |text| {
                    let text = edit::set(text, &first, "priority", &lower)?;
                    edit::set(&text, &second, "priority", &upper)
                }),
            };
            best = Some((effect.worth, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}
