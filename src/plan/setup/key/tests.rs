//! Keys that are lost, of somebody else, or no keys.

use super::*;
use crate::plan::guard;
use crate::plan::observed::{FileFacts, Signed};
use crate::plan::plan::Plan;
use crate::plan::select::Selection;
use crate::plan::testing::{addresses, cache, dev, key, world};
use crate::plan::{address::Phase, make};

const FRAGMENT: &str = "/home/me/.config/nix/nanna-cache.conf";

fn desired(signing: &str) -> Desired {
    crate::plan::testing::desired(&format!(
        "setup: {{ nix-conf: user }}\npush: {{ to: {{ dev: all }}, paths: [/nix/store/gold] }}\n\
         caches:\n  dev: {{ type: file, tier: 3, path: /cache/dev, nix-priority: 30, signing-key: {signing} }}\n"
    ))
}

const MADE: &str = "{ file: ~/dev.sec, generate: true, name: dev-1 }";

/// A world with something to push, and a key as it is said.
fn observed(
    desired: &Desired,
    own: Observation<PublicKey>,
    signed: Option<(u64, u64)>,
) -> Observed {
    let world = world()
        .with_store(&["gold-a 10"])
        .with_cached(1, &["gold-b 10"]);
    let mut seen = world.observe(desired);
    let path = crate::plan::testing::path("gold-a");
    seen.given.insert(
        "/nix/store/gold".to_owned(),
        Observation::Present(vec![path]),
    );
    seen.keys.insert(cache("dev"), own);
    dev(&mut seen).signed = signed.map(|(paths, verified)| Signed {
        name: "dev-1".to_owned(),
        paths,
        verified,
    });
    seen
}

fn plan(desired: &Desired, seen: &Observed) -> Plan {
    make::plan(desired, seen, "digest")
}

/// Without anything to push.
fn idle(seen: &mut Observed) {
    seen.given.clear();
}

fn codes(plan: &Plan) -> Vec<&str> {
    plan.refusals.iter().map(|one| one.code.as_str()).collect()
}

#[test]
fn a_lost_key_is_not_made_anew() {
    let desired = desired(MADE);
    // A cache that somebody else has filled may get its first key.
    let fresh = observed(&desired, Observation::Absent, Some((0, 0)));
    let made = plan(&desired, &fresh);
    assert!(codes(&made).is_empty());
    assert!(addresses(&made.steps).contains(&"setup/dev/signing-key"));

    let mut seen = observed(&desired, Observation::Absent, Some((1204, 0)));
    let old = key("dev-1").to_string();
    let text = format!(
        "# Managed by nanna-cache (project demo): edit cache.yaml instead of this.\n\
         extra-trusted-public-keys = {old}\n"
    );
    let file = FileFacts {
        text,
        mode: 0o644,
        managed: None,
        writable: true,
    };
    seen.files
        .insert(FRAGMENT.to_owned(), Observation::Present(file));
    for wants in [true, false] {
        if !wants {
            idle(&mut seen);
        }
        let lost = plan(&desired, &seen);
        assert_eq!(codes(&lost), [LOST]);
        let refusal = &lost.refusals[0];
        assert_eq!(
            refusal.text,
            "the signing key ~/dev.sec is not there, but a key named dev-1 has signed 1204 paths of dev: \
             whoever trusts that key would refuse what a new one of the same name signs"
        );
        assert_eq!(
            refusal.help,
            format!(
                "bring its file back, or give the new key another name (caches.dev.signing-key.name: dev-2) \
                 and keep the old public key in caches.dev.public-keys: {old}"
            )
        );
        assert!(!addresses(&lost.steps).contains(&"setup/dev/signing-key"));
        // What is trusted stays trusted.
        let Op::WriteFile { after, .. } =
            &crate::plan::testing::find(&lost.steps, "setup/nix/fragment").op
        else {
            panic!()
        };
        assert!(after.contains(&old), "{after}");
        // Also when only a part is looked at that would have had the step; not in any other.
        for (part, stands) in [("setup", true), ("setup/dev", true), ("prune", false)] {
            let only = Selection {
                only: vec![part.to_owned()],
                ..Selection::default()
            };
            let part = only.apply(lost.clone());
            assert_eq!(!part.refusals.is_empty(), stands);
            let approved = guard::approve(&desired, part, &guard::Allowances::default());
            assert_eq!(approved.is_err(), stands);
        }
        let caches = vec![cache("else")];
        let other = Selection {
            caches,
            ..Selection::default()
        };
        assert!(other.apply(lost).refusals.is_empty());
    }
}

#[test]
fn another_name_is_the_way_out() {
    let other = desired(&MADE.replace("dev-1", "dev-2"));
    let seen = observed(&other, Observation::Absent, Some((1204, 0)));
    let made = plan(&other, &seen);
    assert!(codes(&made).is_empty(), "what was found is of another name");
    assert!(addresses(&made.steps).contains(&"setup/dev/signing-key"));
}

#[test]
fn no_key_is_made_for_a_cache_that_cannot_be_seen() {
    let desired = desired(MADE);
    let why = || Why("closed".to_owned());
    let mut seen = observed(&desired, Observation::Absent, None);
    dev(&mut seen).partial = Some(why());
    for hidden in [false, true] {
        if hidden {
            seen.caches
                .insert(cache("dev"), Observation::Unknown(why()));
        }
        // What it would sign is refused: it would only fail when it is applied.
        let full = plan(&desired, &seen);
        let pushes = addresses(&full.steps)
            .iter()
            .any(|one| one.starts_with("push/dev"));
        assert_eq!(codes(&full), if pushes { vec![UNUSABLE] } else { vec![] });
        assert_eq!(pushes, !hidden);
        let mut idle = seen.clone();
        self::idle(&mut idle);
        let plan = plan(&desired, &idle);
        assert!(codes(&plan).is_empty());
        assert!(!addresses(&plan.steps).contains(&"setup/dev/signing-key"));
        let what = |unknown: &&Unknown| unknown.what == "signing key of dev";
        let unknown = plan.unknowns.iter().find(what).unwrap();
        assert_eq!(unknown.why, why());
    }
    seen.caches.insert(cache("dev"), Observation::Absent);
    let plan = plan(&desired, &seen);
    assert!(addresses(&plan.steps).contains(&"setup/dev/signing-key"));
}

#[test]
fn a_stranger_of_the_same_name_signs_nothing() {
    let desired = desired(MADE);
    let own = || Observation::Present(key("dev-1"));
    for (signed, refused) in [
        (None, false),
        (Some((0, 0)), false),
        (Some((9, 9)), false),
        (Some((9, 1)), false),
        (Some((9, 0)), true),
    ] {
        let mut seen = observed(&desired, own(), signed);
        let full = plan(&desired, &seen);
        assert_eq!(codes(&full), if refused { vec![DIFFERS] } else { vec![] });
        let fragment = addresses(&full.steps).contains(&"setup/nix/fragment");
        assert_eq!(fragment, !refused, "its key is not trusted either");
        idle(&mut seen);
        let idle = plan(&desired, &seen);
        assert!(codes(&idle).is_empty());
        let advised = idle
            .advice
            .iter()
            .any(|one| one.text.contains("is not the key named dev-1"));
        assert_eq!(advised, refused);
    }
}

#[test]
fn a_key_that_cannot_be_used_refuses_what_it_would_sign() {
    let secrets = [
        ("{ file: /keys/dev }", "put the secret key into it"),
        ("{ env: DEV_KEY }", "set DEV_KEY to the secret key"),
        (
            "{ command: [pass, dev] }",
            "the command of caches.dev.signing-key has to print",
        ),
    ];
    for (secret, help) in secrets {
        let desired = desired(secret);
        let own = Observation::Unknown(Why("the key is junk".to_owned()));
        let mut seen = observed(&desired, own, None);
        let full = plan(&desired, &seen);
        assert_eq!(codes(&full), [UNUSABLE]);
        let refusal = &full.refusals[0];
        assert_eq!(refusal.text, "dev cannot be signed: the key is junk");
        assert!(refusal.help.starts_with(help), "{}", refusal.help);
        assert!(refusal.steps.iter().all(|step| step.is_in("push/dev")));
        assert!(
            !full
                .unknowns
                .iter()
                .any(|one| one.what == "signing key of dev")
        );
        // All else may be done.
        let setup = Selection {
            only: vec![Phase::Setup.word().to_owned()],
            ..Selection::default()
        };
        assert!(setup.apply(full).refusals.is_empty());

        idle(&mut seen);
        let idle = plan(&desired, &seen);
        assert!(codes(&idle).is_empty());
        assert!(
            idle.unknowns
                .iter()
                .any(|one| one.what == "signing key of dev")
        );
    }
}

#[test]
fn a_file_that_two_caches_share_is_made_once() {
    let text = |more: &str| {
        crate::plan::testing::desired(&format!(
            "setup: {{ nix-conf: user }}\ncaches:\n  \
             dev: {{ type: file, path: /cache/dev, signing-key: {{ file: /k, generate: true, name: k-1 }} }}\n  \
             two: {{ type: file, path: /cache/two, signing-key: {{ file: /k{more} }} }}\n"
        ))
    };
    for more in [", generate: true, name: k-1", ""] {
        let desired = text(more);
        let mut seen = world().observe(&desired);
        let full = plan(&desired, &seen);
        let keys: Vec<_> = addresses(&full.steps)
            .into_iter()
            .filter(|address| address.ends_with("signing-key"))
            .collect();
        assert_eq!(keys, ["setup/dev/signing-key"], "{more}");
        assert!(codes(&full).is_empty() && full.unknowns.is_empty());
        let fragment = crate::plan::testing::find(&full.steps, "setup/nix/fragment");
        assert_eq!(fragment.waits_for.len(), 1, "once");
        let mut lost = seen.clone();
        dev(&mut lost).signed = Some(Signed {
            name: "k-1".to_owned(),
            paths: 9,
            verified: 0,
        });
        let lost = plan(&desired, &lost);
        let of_two = lost
            .unknowns
            .iter()
            .find(|it| it.what == "signing key of two");
        assert_eq!(
            of_two.unwrap().why.0,
            "dev, which has the same signing key, has lost it"
        );
        // What keeps one of them from having its key made keeps the file from being made.
        dev(&mut seen).partial = Some(Why("closed".to_owned()));
        let kept = plan(&desired, &seen);
        assert!(
            addresses(&kept.steps)
                .iter()
                .all(|one| !one.ends_with("signing-key"))
        );
        let of_two = kept
            .unknowns
            .iter()
            .find(|one| one.what == "signing key of two");
        assert_eq!(
            of_two.unwrap().why.0,
            "dev, which has the same signing key, could not be seen: closed"
        );
    }
}

#[test]
fn who_has_no_public_key_either_is_told_what_that_means() {
    let help = |conf: &str, public: &str| {
        let desired = crate::plan::testing::desired(&format!(
            "setup: {{ nix-conf: {conf} }}\npush: {{ to: {{ dev: all }}, paths: [/nix/store/gold] }}\n\
             caches:\n  dev: {{ type: file, tier: 3, path: /cache/dev{public}, signing-key: {{ file: /k }} }}\n"
        ));
        let full = plan(&desired, &observed(&desired, Observation::Absent, None));
        assert_eq!(codes(&full), [MISSING]);
        full.refusals[0].help.clone()
    };
    let known = format!(", public-keys: ['{}']", key("dev-1"));
    let short = "put it there, or set caches.dev.signing-key.generate to true";
    for (conf, public) in [("none", ""), ("user", known.as_str()), ("none", &known)] {
        assert_eq!(help(conf, public), short);
    }
    assert_eq!(
        help("user", ""),
        format!(
            "{short}; until its public key is known, Nix is not told of dev: who only reads it puts the key into \
             caches.dev.public-keys"
        )
    );
}
