//! Secrets in the file.

use crate::config::check::Check;
use crate::config::code::Code;
use crate::config::leak;
use crate::config::problem::Problem;
use crate::text::place::ByteSpan;

/// Reports every secret of the file, in comments too, and gives the stretches that must be hidden
/// beyond what the text itself shows: values that spell a secret with escapes.
pub(in crate::config) fn check(check: &mut Check<'_>) -> Vec<ByteSpan> {
    let text = &check.document.text;
    let mut found = leak::find(text);
    let mut hide = Vec::new();
    for (value, span) in check.document.texts() {
        let Some(leak) = leak::find(value).first().copied() else { continue };
        let known = |known: &leak::Leak| known.span.start < span.end() && span.start < known.span.end();
        if !found.iter().any(known) {
            found.push(leak::Leak { what: leak.what, span });
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
