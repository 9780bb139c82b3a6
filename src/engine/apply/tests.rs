use std::sync::Mutex;

use camino::Utf8Path;

use super::*;
use crate::engine::confirm::confirm;
use crate::engine::journal::Journal;
use crate::engine::machine::{Machine, Options};
use crate::plan::desired::{Desired, Extra};
use crate::plan::guard::{Allowances, approve};
use crate::plan::make;
use crate::plan::place::Place;
use crate::plan::report::{Outcome, Remaining};
use crate::plan::select::Selection;
use crate::plan::testing::{desired, find, world};
use crate::plan::time::Time;
use crate::sys::host::Host;
use crate::transfer::progress::Progress;

/// A project with one cache that is not made yet, and two directories of different classes for it.
struct Site {
    folder: tempfile::TempDir,
    progress: Progress,
    /// Whether pushes are planned again when their turn comes.
    late: bool,
}

impl Site {
    fn new() -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
            progress: Progress::default(),
            late: false,
        };
        for name in ["a", "b"] {
            let model = site.path().join("models").join(name);
            std::fs::create_dir_all(&model).unwrap();
            std::fs::write(model.join("weights"), name.repeat(1000)).unwrap();
        }
        site
    }

    fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap()
    }

    fn machine(&self, options: Options) -> Machine {
        let host = Host::made_up([("HOME", self.path().as_str()), ("PATH", "/nowhere")]);
        Machine::new(host, options)
    }

    /// `two` is what else is said of its class.
    fn desired(&self, machine: &Machine, two: &str) -> Desired {
        let text = format!(
            "version: 1
project: p
caches: {{ dev: {{ type: file, path: {0}/cache }} }}
artifacts:
  one: {{ priority: 9, directories: ['{0}/models/a'] }}
  two: {{ priority: 1, retention: 10d, {two} default: true }}
prune: {{ limits: {{ share: 100% }} }}
setup: {{ nix-conf: none }}
push: {{ to: {{ dev: all }} }}
",
            self.path(),
            two = two.replace('@', self.path().as_str()),
        );
        let Ok((config, _)) = crate::config::read("cache.yaml", text.as_bytes()) else {
            panic!("{text}")
        };
        Desired::new(config, machine.site(self.path()), Extra::default())
    }

    /// Applies everything; `meddle` is told of each event, with the journal.
    fn apply(&self, meddle: impl Fn(&Event, &Journal) + Sync) -> (Applied, Remaining) {
        let machine = self.machine(Options::default());
        let desired = self.desired(&machine, "directories: ['@/models/b'],");
        self.apply_to(&machine, &desired, meddle)
    }

    fn apply_to(
        &self,
        machine: &Machine,
        desired: &Desired,
        meddle: impl Fn(&Event, &Journal) + Sync,
    ) -> (Applied, Remaining) {
        let progress = &self.progress;
        let observed = observe(desired, machine, progress, &|_| {});
        let mut plan = make::plan(desired, &observed, "digest");
        if self.late {
            // As after a build.
            for step in plan
                .steps
                .iter_mut()
                .filter(|step| step.address.is_in("push"))
            {
                step.known = Known::After {
                    steps: step.waits_for.clone(),
                    cap: None,
                };
            }
        }
        let approved = approve(desired, plan, &Allowances::default()).unwrap();
        let path = self.path().join("journal.jsonl");
        let (journal, _) = Journal::begin(&path, Time(1)).unwrap();
        let work = Applying {
            links: None,
            desired,
            machine,
            digest: "digest",
            run: None,
            progress,
            journal: &journal,
            listener: &|event| meddle(&event, &journal),
            patience: Duration::ZERO,
            selection: &Selection::default(),
            allowed: &Allowances::default(),
        };
        let applied = apply(&work, &approved, observed);
        let said = confirm(desired, machine, &applied, "digest", progress, &|_| {});
        let remaining = said.map_or_else(
            |why| Remaining::Unconfirmed { why },
            |confirmation| confirmation.remaining,
        );
        (applied, remaining)
    }
}

fn outcome<'a>(applied: &'a Applied, address: &str) -> &'a StepOutcome {
    let mut found = applied.outcomes.iter();
    found
        .find(|one| one.address.as_str() == address)
        .unwrap_or_else(|| panic!("{address} is not among {:#?}", applied.outcomes))
}

fn begins_push(event: &Event) -> bool {
    matches!(event, Event::Began { steps, .. } if steps.iter().any(|step| step.is_in("push")))
}

#[test]
fn what_is_applied_is_confirmed() {
    let site = Site::new();
    let (applied, remaining) = site.apply(|_, _| {});
    assert_eq!(applied.outcomes.len(), 3, "{:#?}", applied.outcomes);
    assert!(applied.outcomes.iter().all(|one| one.outcome.is_good()));
    assert_eq!(outcome(&applied, "push/dev/one").did.paths, 1);
    let stages: Vec<u32> = applied.outcomes.iter().map(|one| one.stage).collect();
    assert_eq!(stages, [0, 1, 1], "the pushes ran together");
    assert_eq!(remaining, Remaining::Converged);
}

#[test]
fn without_a_journal_nothing_more_is_begun_and_what_was_done_is_told() {
    let site = Site::new();
    let (applied, remaining) = site.apply(|event, journal| {
        if begins_push(event) {
            journal.fill_disk();
        }
    });
    assert!(applied.unwritten.is_some());
    assert!(outcome(&applied, "setup/dev/cache").outcome.is_good());
    for address in ["push/dev/one", "push/dev/two"] {
        let Outcome::Skipped { why } = &outcome(&applied, address).outcome else {
            panic!("{:#?}", applied.outcomes)
        };
        assert!(why.contains("the journal could not be written"), "{why}");
    }
    assert!(
        !site.path().join("cache/nar").exists()
            || std::fs::read_dir(site.path().join("cache/nar"))
                .unwrap()
                .count()
                == 0
    );
    assert!(matches!(remaining, Remaining::Steps { steps } if steps.len() == 2));
}

#[test]
fn a_journal_that_fails_after_the_deed_hides_no_deed() {
    let site = Site::new();
    let ended = Mutex::new(0);
    let (applied, remaining) = site.apply(|event, journal| {
        if begins_push(event) {
            *ended.lock().unwrap() = 1;
        }
        // The lines that say that the pushes begin are written before this one.
        if let (Event::Line(_), 1) = (event, *ended.lock().unwrap()) {
            journal.fill_disk();
        }
        if matches!(event, Event::Ended { step, .. } if step.as_str() == "push/dev/one") {
            journal.fill_disk();
        }
    });
    assert!(applied.unwritten.is_some(), "{applied:#?}");
    assert!(applied.outcomes.iter().all(|one| one.outcome.is_good()));
    assert_eq!(remaining, Remaining::Converged);
}

#[test]
fn a_cache_that_breaks_in_the_middle_of_a_push_is_told_with_figures() {
    let site = Site::new();
    let (applied, _) = site.apply(|event, _| {
        if begins_push(event) {
            // Roots are written last, and cannot be.
            let roots = site.path().join("cache/nanna-cache/v1");
            std::fs::create_dir_all(&roots).unwrap();
            std::fs::write(roots.join("roots"), "in the way").unwrap();
        }
    });
    let one = outcome(&applied, "push/dev/one");
    assert!(matches!(one.outcome, Outcome::Failed { .. }), "{one:#?}");
    assert_eq!(
        one.did.paths, 1,
        "it is in the cache all the same: {one:#?}"
    );
    assert!(one.did.bytes > 1000, "{one:#?}");
}

#[test]
fn a_second_look_of_a_prune_believes_nothing_remembered_if_so_asked() {
    for refresh in [true, false] {
        let site = Site::new();
        let _ = site.apply(|_, _| {});
        let later = Time(site.machine(Options::default()).now().0 + 40 * 86_400);
        let machine = site.machine(Options {
            refresh,
            now: Some(later),
            store: None,
        });
        let index = machine.index(&Place::Folder(site.path().join("cache")));
        let _ = std::fs::remove_file(&index);
        let (applied, remaining) = site.apply_to(&machine, &site.desired(&machine, ""), |_, _| {});
        let gone = outcome(&applied, "prune/dev/two");
        assert!(gone.outcome.is_good() && gone.did.paths == 1, "{gone:#?}");
        assert_eq!(remaining, Remaining::Converged);
        assert_eq!(index.exists(), !refresh, "neither read nor written");
    }
}

#[test]
fn a_stop_during_a_late_look_is_no_failure() {
    let site = Site {
        late: true,
        ..Site::new()
    };
    let (applied, _) = site.apply(|event, _| {
        if matches!(event, Event::Looking(_)) && !site.progress.is_stopped() {
            site.progress.stop();
            // What an interrupted look does not see.
            let cache = site.path().join("cache");
            std::fs::rename(&cache, site.path().join("away")).unwrap();
            std::fs::write(&cache, "not a folder").unwrap();
        }
    });
    assert!(outcome(&applied, "setup/dev/cache").outcome.is_good());
    for address in ["push/dev/one", "push/dev/two"] {
        let Outcome::Skipped { why } = &outcome(&applied, address).outcome else {
            panic!("{applied:#?}")
        };
        assert_eq!(why, "it was interrupted before");
    }
}

const PINNED: &str =
    "artifacts: { apps: { priority: 50, outputs: ['.#good', '.#bad'], default: true } }
push: { to: { dev: all } }
pins: { v1: { output: '.#good' }, v2: { output: '.#bad' } }
";

#[test]
fn a_broken_build_stops_only_the_pins_of_it() {
    let world = world()
        .with_store(&["good-1 100"])
        .with_output(".#good", &["good-1"])
        .with_output(".#bad", &["bad-1"]);
    let plan = world.plan(&desired(PINNED));
    let bad = find(&plan.steps, "push/build/.#bad").address.clone();
    let vain = |address: &str, broken: &Address| {
        waits_in_vain(find(&plan.steps, address), std::slice::from_ref(broken)).cloned()
    };
    assert_eq!(vain("push/dev/apps", &bad), None);
    assert_eq!(vain("push/dev/pin-v1", &bad), None, "its output is here");
    assert_eq!(vain("push/dev/pin-v2", &bad), Some(bad.clone()));
    let folder = Address::new(crate::plan::address::Phase::Setup, "dev", "cache");
    for address in ["push/dev/apps", "push/dev/pin-v1"] {
        assert_eq!(vain(address, &folder), Some(folder.clone()), "{address}");
    }
}
