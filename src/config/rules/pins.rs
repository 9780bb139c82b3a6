//! `pins`.

use indexmap::IndexMap;

use crate::config::check::{Check, below, list};
use crate::config::code::Code;
use crate::config::model::{Pin, PinName, PinTarget};
use crate::config::problem::Problem;
use crate::config::raw::RawConfig;

/// What the pins of our records begin with, in a cache that a service keeps.
const RECORDS: &str = "nanna-cache.";

/// Checks `pins`.
pub(in crate::config) fn check(check: &mut Check<'_>, raw: &RawConfig) -> IndexMap<PinName, Pin> {
    let mut pins = IndexMap::new();
    for (name, pin) in &raw.pins {
        let pointer = below("/pins", name);
        check.name(&pointer, "a pin", name);
        if name.starts_with(RECORDS) {
            let message = format!("`{name}` cannot be the name of a pin");
            let problem = Problem::new(Code::InvalidName, message).at(check.entry(&pointer), "");
            let help =
                format!("what begins with `{RECORDS}` is a record of ours; choose another name");
            check.report(problem.help(help));
        }
        let mut targets: Vec<(&str, PinTarget)> = Vec::new();
        if let Some(output) = &pin.output {
            check.installable(&below(&pointer, "output"), output, !raw.systems.is_empty());
            targets.push(("output", PinTarget::Output(output.clone())));
        }
        if let Some(path) = &pin.path {
            check.path(&below(&pointer, "path"), path);
            targets.push(("path", PinTarget::Path(path.clone())));
        }
        if let Some(file) = &pin.paths_from {
            check.path(&below(&pointer, "paths-from"), file);
            targets.push(("paths-from", PinTarget::PathsFrom(file.clone())));
        }
        if targets.len() != 1 && check.intact(&pointer) {
            let message = if targets.is_empty() {
                format!("the pin `{name}` keeps nothing")
            } else {
                let keys: Vec<&str> = targets.iter().map(|(key, _)| *key).collect();
                format!("the pin `{name}` has more than one target: {}", list(&keys))
            };
            let mut problem = Problem::new(Code::PinTarget, message);
            if targets.is_empty() {
                problem = problem.at(check.entry(&pointer), "");
            }
            for (key, _) in &targets {
                problem = problem.at(check.entry(&below(&pointer, key)), "");
            }
            check.report(problem.help("give exactly one of `output`, `path` and `paths-from`; a second target is a pin of its own"));
        }
        if let Some((_, target)) = targets.pop() {
            let keep = &pin.keep;
            if keep.forever && keep.days.is_some() && check.intact(&pointer) {
                let message = format!("the pin `{name}` is kept for ever and for some days");
                let at = check.entry(&below(&below(&pointer, "keep"), "days"));
                let problem = Problem::new(Code::PinTarget, message).at(at, "");
                check.report(problem.help("give one of `forever` and `days`"));
            }
            let pinned = Pin {
                target,
                revisions: if keep.forever {
                    u32::MAX
                } else {
                    keep.revisions
                },
                days: keep.days,
                artifacts: pin.artifacts.clone(),
            };
            pins.insert(PinName::new(name), pinned);
        }
    }
    pins
}
