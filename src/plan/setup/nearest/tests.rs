//! Which replica is asked first, and that no noise changes it.

use super::*;
use crate::plan::observed::{FileFacts, Observation};
use crate::plan::step::Op;
use crate::plan::testing::{cache, desired, world};

const SECTIONS: &str = "caches:
  team:
    type: s3
    bucket: team
    region: us-east-1
    nix-priority: 41
    url: https://us.example
    public-keys: ['cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=']
    replicas:
      - { region: eu-west-1, bucket: team-eu, url: 'https://eu.example' }
      - { name: asia, region: ap-east-1, bucket: team-asia }
";
const FRAGMENT: &str = "/home/me/.config/nix/nanna-cache.conf";

fn made(prefer: &str) -> (Desired, Observed) {
    let desired = desired(&format!(
        "{SECTIONS}setup: {{ nix-conf: user, prefer: [{prefer}] }}\n"
    ));
    let observed = world().observe(&desired);
    (desired, observed)
}

fn measure(observed: &mut Observed, distances: &[(&str, Option<u32>)]) {
    let distances = distances.iter().map(|(name, ms)| (cache(name), *ms));
    observed.distances = distances.collect();
}

fn names(desired: &Desired, observed: &Observed) -> (Vec<String>, Rule) {
    let order = orders(desired, observed).remove(0);
    let names = order.caches.iter().map(ToString::to_string);
    (names.collect(), order.rule)
}

/// Applies what setup plans for the fragment.
fn apply(desired: &Desired, observed: &mut Observed) -> Option<String> {
    let changes = crate::plan::setup::plan(desired, observed);
    let text = changes.steps.iter().find_map(|step| match &step.op {
        Op::WriteFile { path, after, .. } if path == FRAGMENT => Some(after.clone()),
        _ => None,
    })?;
    let file = FileFacts {
        text: text.clone(),
        mode: 0o644,
        managed: None,
        writable: true,
    };
    let present = Observation::Present(file);
    observed.files.insert(FRAGMENT.to_owned(), present);
    Some(text)
}

#[test]
fn what_is_preferred_comes_first_by_region_replica_or_cache() {
    for (prefer, order) in [
        ("eu-west-1", ["team@eu-west-1", "team", "team@asia"]),
        ("asia, us-east-1", ["team@asia", "team", "team@eu-west-1"]),
        ("ap-east-1", ["team@asia", "team", "team@eu-west-1"]),
        ("team", ["team", "team@eu-west-1", "team@asia"]),
    ] {
        let (desired, mut observed) = made(prefer);
        // What is measured says otherwise, and is not even asked for.
        assert!(questions(&desired, &observed, true).is_empty());
        measure(
            &mut observed,
            &[
                ("team", Some(500)),
                ("team@eu-west-1", Some(1)),
                ("team@asia", Some(900)),
            ],
        );
        let (names, rule) = names(&desired, &observed);
        assert_eq!(
            (names.as_slice(), rule),
            (order.map(str::to_owned).as_slice(), Rule::Prefer)
        );
        let explained = orders(&desired, &observed)[0].explained(&observed);
        assert!(explained.ends_with("(by setup.prefer)"), "{explained}");
    }
}

#[test]
fn the_order_acts_through_priorities_of_this_machine_alone() {
    let (desired, mut observed) = made("asia");
    let text = apply(&desired, &mut observed).unwrap();
    assert!(
        text.contains("extra-substituters = s3://team-asia?region=ap-east-1 ")
            && text.contains("https://us.example?priority=42 https://eu.example?priority=43\n"),
        "{text}"
    );
    assert_eq!(apply(&desired, &mut observed), None);
    // What every machine reads says the same for all of them.
    let changes = crate::plan::setup::plan(&desired, &observed);
    for step in &changes.steps {
        if let Op::CreateCache { info, .. } = &step.op {
            assert!(info.contains("Priority: 41"), "{info}");
        }
    }
}

#[test]
fn the_nearest_comes_first_and_stays_whatever_is_measured_later() {
    let (desired, mut observed) = made("");
    assert_eq!(questions(&desired, &observed, false).len(), 3);
    measure(
        &mut observed,
        &[
            ("team", Some(90)),
            ("team@eu-west-1", Some(12)),
            ("team@asia", None),
        ],
    );
    let first = ["team@eu-west-1", "team", "team@asia"].map(str::to_owned);
    let explained = orders(&desired, &observed)[0].explained(&observed);
    assert_eq!(
        explained,
        "team@eu-west-1 before team before team@asia (the nearest first, as measured): \
         team@eu-west-1 12 ms, team 90 ms, team@asia did not answer"
    );
    let text = apply(&desired, &mut observed).unwrap();
    assert!(text.contains("https://eu.example https://us.example?priority=42 s3://team-asia?region=ap-east-1&priority=43"), "{text}");
    // Nothing is measured again, so nothing changes.
    assert!(questions(&desired, &observed, false).is_empty());
    observed.distances.clear();
    assert_eq!(names(&desired, &observed), (first.to_vec(), Rule::Kept));
    assert_eq!(
        orders(&desired, &observed)[0].explained(&observed),
        "team@eu-west-1 before team before team@asia (as measured before)"
    );
    assert_eq!(apply(&desired, &mut observed), None);
    // Measured anew on demand: only what is clearly nearer changes it.
    assert_eq!(questions(&desired, &observed, true).len(), 3);
    measure(
        &mut observed,
        &[
            ("team", Some(20)),
            ("team@eu-west-1", Some(30)),
            ("team@asia", Some(35)),
        ],
    );
    assert_eq!(names(&desired, &observed), (first.to_vec(), Rule::Kept));
    measure(
        &mut observed,
        &[
            ("team", Some(14)),
            ("team@eu-west-1", Some(30)),
            ("team@asia", Some(35)),
        ],
    );
    let (names, rule) = names(&desired, &observed);
    assert_eq!((names[0].as_str(), rule), ("team", Rule::Measured));
}

#[test]
fn where_none_answers_or_all_are_alike_the_file_decides() {
    let (desired, mut observed) = made("");
    let declared = ["team", "team@eu-west-1", "team@asia"].map(str::to_owned);
    assert_eq!(
        names(&desired, &observed),
        (declared.to_vec(), Rule::Declared)
    );
    for noise in [[20, 18, 16], [3, 1, 0], [100, 90, 80]] {
        let distances = ["team", "team@eu-west-1", "team@asia"]
            .into_iter()
            .zip(noise.map(Some));
        measure(&mut observed, &distances.collect::<Vec<_>>());
        assert_eq!(names(&desired, &observed).0, declared, "{noise:?}");
    }
}

#[test]
fn a_cache_without_replicas_has_no_order() {
    let desired = desired("");
    assert!(orders(&desired, &world().observe(&desired)).is_empty());
}
