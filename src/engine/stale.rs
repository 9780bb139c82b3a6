//! Builds whose derivation is another by now: what would be built is not what was planned and shown.

use super::work::{Applying, Ended};
use crate::plan::observed::{Observation, OutputFacts};
use crate::plan::step::{Op, Step};

/// Parts builds that are still what they were planned to be from those that are stale.
///
/// What cannot be evaluated any more is left to the build, which says why.
pub(super) fn part<'s>(work: &Applying<'_>, steps: Vec<&'s Step>) -> (Vec<&'s Step>, Vec<Ended>) {
    let Ok(Some(nix)) = &work.machine.nix else {
        return (steps, Vec::new());
    };
    let names: Vec<String> = steps
        .iter()
        .filter(|step| step.revision.is_some())
        .filter_map(|step| match &step.op {
            Op::Build { installable, .. } => Some(installable.clone()),
            _ => None,
        })
        .collect();
    let stopped = || work.progress.is_stopped();
    let (flake, base) = (&work.desired.config.flake, &work.desired.site.base);
    let now = nix.evaluate(&names, flake, base, &stopped);
    let mut ended = Vec::new();
    let fresh = steps
        .into_iter()
        .filter(|step| {
            let moved = match &step.op {
                Op::Build { installable, .. } => moved(step, now.get(installable)),
                _ => None,
            };
            ended.extend(moved.as_ref().map(|why| Ended::stale(step, why)));
            moved.is_none()
        })
        .collect();
    (fresh, ended)
}

/// What has moved, if anything.
fn moved(step: &Step, now: Option<&Observation<OutputFacts>>) -> Option<String> {
    let planned = step.revision.as_ref()?;
    let now = now?.present()?.drv.as_ref()?.to_string();
    (now != *planned).then(|| format!("it was planned as `{planned}`, and is `{now}` by now"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{desired, find, path, world};

    #[test]
    fn another_derivation_is_stale() {
        let desired = desired(
            "artifacts: { apps: { priority: 50, outputs: ['.#a'], default: true } }\npush: { to: { dev: all } }\n",
        );
        let world = world().with_output(".#a", &["a-1"]);
        let plan = world.plan(&desired);
        let step = find(&plan.steps, "push/build/.#a");
        let seen = |drv: &str| {
            Observation::Present(OutputFacts {
                drv: Some(path(drv)),
                ..OutputFacts::default()
            })
        };
        assert_eq!(moved(step, Some(&seen("x.drv"))), None);
        let why = moved(step, Some(&seen("y.drv"))).unwrap();
        assert!(why.contains("x.drv") && why.contains("y.drv"), "{why}");
        assert_eq!(moved(step, Some(&Observation::Absent)), None);
        assert_eq!(moved(step, None), None);
    }
}
