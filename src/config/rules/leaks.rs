//! Secrets in the file.

use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::leak;
use crate::config::problem::Problem;
use crate::nix::key::looks_like_secret_key;
use crate::text::place::ByteSpan;
use crate::text::yaml::Value;

/// Reports every secret of the file, in comments too, and gives the stretches that must be hidden
/// beyond what the text itself shows: values that spell a secret with escapes.
pub(in crate::config) fn check(check: &mut Check<'_>) -> Vec<ByteSpan> {
    let text = &check.document.text;
    let mut found = leak::find(text);
    let pasted = likely(check);
    let mut hide = Vec::new();
    for (value, span) in check.document.texts() {
        let shaped = leak::find(value).first().map(|leak| leak.what);
        let pasted = || {
            (pasted.contains(&span) && looks_like_secret_key(value)).then_some("a Nix secret key")
        };
        let Some(what) = shaped.or_else(pasted) else {
            continue;
        };
        let known =
            |known: &leak::Leak| known.span.start < span.end() && span.start < known.span.end();
        if !found.iter().any(known) {
            found.push(leak::Leak { what, span });
            hide.push(span);
        }
    }
    for leak in found {
        let problem = Problem::new(Code::Secret, format!("{} stands in the file", leak.what));
        let help = "take it out and replace it by a new one: whoever could read this file has seen it. \
                    A secret is named by `{ env: NAME }`, `{ file: PATH }` or `{ command: [..] }`, never written down";
        check.report(problem.at(leak.span, "not shown").help(help));
    }
    hide
}

/// Where secrets are pasted by mistake: there a mangled key is enough to be taken for one.
fn likely(check: &Check<'_>) -> Vec<ByteSpan> {
    let mut spans = Vec::new();
    for name in check.names("/caches") {
        let cache = below("/caches", name);
        let mut pointers: Vec<String> =
            ["url", "public-keys", "signing-key/env", "signing-key/name"]
                .map(|key| format!("{cache}/{key}"))
                .to_vec();
        let keys = check
            .document
            .find(&pointers[1])
            .map(|found| &found.node.value);
        if let Some(Value::List(items)) = keys {
            let key = |at: usize| format!("{cache}/public-keys/{at}");
            pointers.extend((0..items.len()).map(key));
        }
        let replicas = check.document.find(&format!("{cache}/replicas"));
        if let Some(Value::List(items)) = replicas.map(|found| &found.node.value) {
            pointers.extend((0..items.len()).flat_map(|at| {
                ["url", "endpoint"].map(|key| format!("{cache}/replicas/{at}/{key}"))
            }));
        }
        let found = pointers
            .iter()
            .filter_map(|pointer| check.document.find(pointer));
        spans.extend(found.map(|found| found.node.span));
    }
    spans
}
