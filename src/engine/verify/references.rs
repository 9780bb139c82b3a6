//! Whether references that the cache has not got are in a declared upstream.

use std::collections::BTreeSet;

use super::Elsewhere;
use crate::config::model::CacheName;
use crate::engine::machine::Machine;
use crate::insight::verify::{Code, Finding, Verification};
use crate::nix::store_path::{HashPart, StoreDir};
use crate::plan::desired::Desired;
use crate::provider::binary_cache::narinfo_key;
use crate::provider::upstream::{self, Settings};
use crate::sys::http;
use crate::transfer::progress::Progress;

/// Judges references to what the cache has not got: by whom each is.
pub(super) fn judge(
    desired: &Desired,
    machine: &Machine,
    name: &CacheName,
    (store_dir, elsewhere): (&StoreDir, &Elsewhere),
    progress: &Progress,
    report: &mut Verification,
) {
    let mut open: BTreeSet<HashPart> = elsewhere.keys().copied().collect();
    let mut unanswered: BTreeSet<HashPart> = BTreeSet::new();
    let mut whys = Vec::new();
    let settings = Settings {
        refresh: machine.options.refresh,
        ..Settings::new(
            http::Options::of(&machine.host),
            store_dir.clone(),
            Some(machine.answers()),
            machine.host.now(),
        )
    };
    // An upstream is asked for its own references, too, if it lists nothing.
    let listed = report.checked.listed;
    for (upstream, cache) in &desired.upstreams {
        if open.is_empty() {
            break;
        }
        if upstream == name && listed {
            continue;
        }
        let none = BTreeSet::new();
        let stopped = || progress.is_stopped();
        let said = upstream::observe(&cache.url, &open, &none, &settings, &stopped);
        open.retain(|hash| !said.has.contains(hash));
        unanswered.extend(&said.unanswered);
        if let Some(why) = said.why.filter(|_| !said.unanswered.is_empty()) {
            whys.push(format!("{upstream}: {}", why.0));
        }
    }
    let missing = |hash: &HashPart| {
        // A place that lists nothing was not asked for what nobody chose.
        if listed && !unanswered.contains(hash) {
            Code::ReferenceMissing
        } else {
            Code::ReferenceUnknown
        }
    };
    for hash in &open {
        let code = missing(hash);
        for (by, reference) in elsewhere.get(hash).into_iter().flatten() {
            let text = match code {
                Code::ReferenceMissing => format!("it refers to `{reference}`"),
                _ if whys.is_empty() => {
                    format!("it refers to `{reference}`, which was not asked for")
                }
                _ => format!("it refers to `{reference}`; {}", whys.join("; ")),
            };
            let key = narinfo_key(by.hash());
            report.findings.push(Finding {
                reference: Some(reference.clone()),
                ..Finding::new(code, Some(by), &key, text)
            });
        }
    }
}
