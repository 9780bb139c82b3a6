//! `prune`.

use crate::config::check::Check;
use crate::config::code::Code;
use crate::config::model::{Foreign, Prune, PruneLimits};
use crate::config::problem::Problem;
use crate::config::raw::RawConfig;
use crate::config::raw::phases::RawForeign;
use crate::config::units::{Share, Span};

/// Below this a push at work could lose what it relies on.
const LEAST_GRACE: Span = Span(3600);

/// Checks `prune`.
pub(in crate::config) fn check(check: &mut Check<'_>, raw: &RawConfig) -> Prune {
    let raw = &raw.prune;
    let grace = check
        .span("/prune/grace", &raw.grace)
        .unwrap_or(LEAST_GRACE);
    if grace < LEAST_GRACE {
        let problem = Problem::new(
            Code::GraceTooShort,
            format!("a grace of {grace} is shorter than {LEAST_GRACE}"),
        );
        let help = "a push that takes longer than the grace could lose paths that it relies on; `24h` is a good choice";
        check.report(problem.at(check.value("/prune/grace"), "").help(help));
    }
    let limits = &raw.limits;
    Prune {
        enabled: raw.enabled,
        grace,
        foreign: match raw.foreign {
            RawForeign::Keep => Foreign::Keep,
            RawForeign::Retention => Foreign::Retention,
        },
        limits: PruneLimits {
            share: check
                .share("/prune/limits/share", &limits.share)
                .unwrap_or(Share(0)),
            bytes: limits
                .bytes
                .as_ref()
                .and_then(|bytes| check.size("/prune/limits/bytes", bytes)),
            count: limits.count,
        },
    }
}
