//! What a watched command of Nix's does, for people: what is at work, what failed, and the sum.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::units::{elapsed, percent, size, things};
use crate::insight::run::{Outcome, Run};
use crate::nix::log::{Build, Facts};

/// Lines about what is at work; more are counted.
const LINES: usize = 8;
/// Lines of a failed build's log that are shown.
const TAIL: usize = 10;

/// The name of a store path or derivation without its directory, hash and `.drv`.
#[must_use]
pub fn name(path: &str) -> &str {
    let base = path.rsplit('/').next().unwrap_or(path);
    let name = base.split_once('-').map_or(base, |(_, name)| name);
    name.strip_suffix(".drv").unwrap_or(name)
}

/// What is at work now, a line each; empty: nothing.
#[must_use]
pub fn at_work(facts: &Facts, now: u64) -> Vec<String> {
    let mut lines = Vec::new();
    for build in facts.builds.iter().filter(|it| it.ended.is_none()) {
        let phase = match build.phase.as_str() {
            "" => String::new(),
            phase => format!("  {phase}"),
        };
        let at = match build.machine.as_str() {
            "" => String::new(),
            machine => format!("  on {machine}"),
        };
        let time = elapsed(now.saturating_sub(build.began));
        lines.push(format!("building {}  {time}{phase}{at}", name(&build.drv)));
    }
    for fetched in facts.substitutions.iter().filter(|it| it.ended.is_none()) {
        let bytes = fetched.download.or(fetched.nar).filter(|bytes| *bytes > 0);
        let bytes = bytes.map_or_else(String::new, |bytes| format!("  {}", size(bytes)));
        lines.push(format!(
            "fetching {}{bytes}  from {}",
            name(&fetched.path),
            fetched.url
        ));
    }
    for fetch in facts.fetches.iter().filter(|it| it.ended.is_none()) {
        let bytes = fetch.bytes.filter(|bytes| *bytes > 0);
        let bytes = bytes.map_or_else(String::new, |bytes| format!("  {}", size(bytes)));
        lines.push(format!("downloading {}{bytes}", fetch.url));
    }
    if lines.len() > LINES {
        let more = lines.len() - (LINES - 1);
        lines.truncate(LINES - 1);
        lines.push(format!("and {more} more"));
    }
    if !lines.is_empty() {
        lines.push(progress(facts));
    }
    lines
}

/// How far it is, in one line.
#[must_use]
pub fn progress(facts: &Facts) -> String {
    let (built, fetched) = done(facts);
    let (builds, copies) = facts.expected;
    let downloaded: u64 = facts
        .substitutions
        .iter()
        .filter_map(|it| it.download)
        .sum();
    let mut parts = Vec::new();
    if builds > 0 || built > 0 {
        parts.push(format!("{built} of {} built", builds.max(built)));
    }
    if copies > 0 || fetched > 0 {
        let copies = copies.max(fetched);
        let bytes = match downloaded {
            0 => String::new(),
            bytes => format!(" ({})", size(bytes)),
        };
        parts.push(format!("{fetched} of {copies} fetched{bytes}"));
    }
    parts.join(", ")
}

/// How many builds and fetches are over.
#[must_use]
pub fn done(facts: &Facts) -> (u64, u64) {
    let built = facts
        .builds
        .iter()
        .filter(|it| it.ended.is_some() && !it.failed);
    let fetched = facts
        .substitutions
        .iter()
        .filter(|it| it.ended.is_some() && !it.failed);
    (built.count() as u64, fetched.count() as u64)
}

/// The end of the log of a failed build, and how to see all of it.
#[must_use]
pub fn tail(build: &Build) -> String {
    let mut text = String::new();
    let skipped = build.tail.len().saturating_sub(TAIL);
    for line in build.tail.iter().skip(skipped) {
        text.push_str("       > ");
        text.push_str(line);
        text.push('\n');
    }
    let _ = writeln!(text, "       all of its log: nix log {}", build.drv);
    text
}

/// The sum of a run, in one line, or two where something was built that a cache could have had.
#[must_use]
pub fn sum(run: &Run) -> String {
    let fetched = run.substituted.len() as u64;
    let built = run.built.iter().filter(|built| !built.failed);
    let outputs: u64 = built
        .clone()
        .map(|built| built.outputs.len().max(1) as u64)
        .sum();
    let failed = run.built.iter().filter(|built| built.failed).count() as u64;
    let mut from: BTreeMap<&str, u64> = BTreeMap::new();
    for path in &run.substituted {
        let cache = path
            .cache
            .as_ref()
            .map_or(path.url.as_str(), |cache| cache.as_str());
        *from.entry(cache).or_default() += 1;
    }
    let mut parts = Vec::new();
    if fetched > 0 {
        let bytes: u64 = run.substituted.iter().filter_map(|path| path.nar).sum();
        let from: Vec<String> = from
            .iter()
            .map(|(cache, paths)| format!("{cache} {paths}"))
            .collect();
        parts.push(format!(
            "{} from caches ({}; {})",
            things(fetched, "path"),
            size(bytes),
            from.join(", ")
        ));
    }
    if outputs > 0 {
        let millis: u64 = built.filter_map(|built| built.millis).sum();
        parts.push(format!(
            "{} built ({} of building)",
            things(outputs, "path"),
            elapsed(millis)
        ));
    }
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    if parts.is_empty() {
        parts.push(match run.outcome {
            Outcome::Done => "nothing was to be fetched or built".to_owned(),
            _ => "nothing was fetched or built".to_owned(),
        });
    } else if fetched + outputs > 0 {
        parts.push(format!("hit rate {}", percent(fetched, fetched + outputs)));
    }
    let time = run
        .millis
        .map_or_else(String::new, |millis| format!(" in {}", elapsed(millis)));
    format!("{}{time}\n", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nix::log::Log;

    #[test]
    fn what_is_at_work_has_its_name_and_time() {
        let mut log = Log::default();
        let start = |id: u32, kind: u32, fields: &str| {
            format!(
                "@nix {{\"action\":\"start\",\"fields\":[{fields}],\"id\":{id},\"type\":{kind}}}"
            )
        };
        log.take(0, &start(1, 105, "\"/nix/store/0c-app-1.0.drv\",\"\",1,1"));
        log.take(
            0,
            "@nix {\"action\":\"result\",\"fields\":[\"buildPhase\"],\"id\":1,\"type\":104}",
        );
        log.take(10, &start(2, 108, "\"/nix/store/1d-lib\",\"https://c\""));
        let lines = at_work(log.facts(), 12_000);
        assert_eq!(
            lines[..2],
            [
                "building app-1.0  12.0 s  buildPhase",
                "fetching lib  from https://c"
            ]
        );
        for id in 10..30 {
            log.take(
                20,
                &start(id, 108, &format!("\"/nix/store/2e-p{id}\",\"https://c\"")),
            );
        }
        let lines = at_work(log.facts(), 12_000);
        assert_eq!(lines.len(), LINES + 1);
        assert_eq!(lines[LINES - 1], "and 15 more");
        assert_eq!(at_work(&Facts::default(), 5), Vec::<String>::new());
    }
}
