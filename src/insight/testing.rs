//! Records for tests.

use super::run::{Built, FORMAT, Origin, Outcome, Output, Run, Substituted};
use crate::config::model::CacheName;
use crate::plan::time::Time;

/// A run of a minute of the project `p` that needed nothing.
pub(super) fn run(start: i64) -> Run {
    Run {
        format: FORMAT,
        project: "p".into(),
        what: "nix build .#app".into(),
        start: Time(start),
        millis: Some(60_000),
        outcome: Outcome::Done,
        origin: Origin {
            system: Some("x86_64-linux".into()),
            event: Some("main".into()),
            ..Origin::default()
        },
        substituted: vec![],
        built: vec![],
        fetched: vec![],
        pushed: vec![],
        storage: vec![],
    }
}

/// A build of this output.
pub(super) fn built(name: &str, millis: u64, nar: u64) -> Built {
    Built {
        drv: format!("{name}.drv"),
        outputs: vec![Output {
            path: name.into(),
            nar: Some(nar),
        }],
        class: None,
        system: None,
        machine: None,
        millis: Some(millis),
        queued: None,
        began: None,
        failed: false,
        inputs: vec![],
    }
}

/// A path that came from a cache.
pub(super) fn read_from(name: &str, cache: &str, nar: u64) -> Substituted {
    Substituted {
        path: name.into(),
        class: None,
        url: format!("https://{cache}.example"),
        cache: Some(CacheName::new(cache)),
        tier: None,
        deriver: None,
        download: None,
        nar: Some(nar),
        millis: None,
    }
}
