//! Which netrc file Nix reads, and what becomes of our entry in it.

use super::*;
use crate::plan::observed::{SettingFacts, Why};
use crate::plan::service::Login;
use crate::plan::setup;
use crate::plan::testing::{addresses, cache, desired, find, world};

const OWN: &str = "/home/me/.config/nix/netrc";
const MACHINE: &str = "/etc/nix/netrc";

/// A private cache, with this nix.conf.
fn private(nix_conf: &str) -> Desired {
    desired(&format!(
        "caches: {{ team: {{ type: cachix, visibility: private }} }}\nsetup: {{ nix-conf: {nix_conf} }}\n"
    ))
}

/// A Nix with or without a daemon, and its setting.
fn nix(daemon: bool, setting: Option<(&str, usize)>) -> NixFacts {
    let setting = setting.map(|(value, files)| {
        let facts = SettingFacts {
            value: value.to_owned(),
            origins: vec!["nix.conf:1".to_owned(); files],
        };
        ("netrc-file".to_owned(), facts)
    });
    NixFacts {
        daemon,
        trusted: true,
        settings: setting.into_iter().collect(),
        ..NixFacts::default()
    }
}

#[test]
fn whoever_downloads_reads_the_file_of_the_settings_or_its_own() {
    let of = |nix_conf: &str, nix: Option<&NixFacts>| netrc_file(&private(nix_conf), nix);
    let is = |file: &str| Some(file.to_owned());
    assert_eq!(of("none", Some(&nix(false, None))), None);
    assert_eq!(of("user", None), is(OWN), "no Nix is here yet");
    assert_eq!(of("user", Some(&nix(false, None))), is(OWN));
    // A daemon downloads for its users.
    assert_eq!(of("user", Some(&nix(true, None))), is(MACHINE));
    assert_eq!(of("system", Some(&nix(false, None))), is(MACHINE));
    // What no file sets is Nix's default, of which another user's Nix knows nothing.
    let default = nix(false, Some(("/etc/nix/other", 0)));
    assert_eq!(of("user", Some(&default)), is(OWN));
    let set = nix(true, Some(("/srv/netrc", 1)));
    assert_eq!(of("user", Some(&set)), is("/srv/netrc"));
}

#[test]
fn the_fragment_names_the_file_only_where_nix_would_not_look() {
    let of = |desired: &Desired, nix: NixFacts| {
        let mut observed = world().observe(desired);
        observed.nix = Observation::Present(nix);
        line(desired, &observed)
    };
    let ours = Some(format!("netrc-file = {OWN}"));
    assert_eq!(of(&private("user"), nix(false, None)), ours);
    assert_eq!(of(&private("user"), nix(true, None)), None);
    assert_eq!(of(&private("system"), nix(false, None)), None);
    assert_eq!(of(&private("none"), nix(false, None)), None);
    let public = desired("caches: { team: { type: cachix } }\nsetup: { nix-conf: user }\n");
    assert_eq!(of(&public, nix(false, None)), None);
}

/// What setup plans and says of the token where the file is like this.
fn with(seen: Option<Observation<Login>>) -> Changes {
    let desired = private("user");
    let mut observed = world().observe(&desired);
    observed.logins = seen.map(|seen| (cache("team"), seen)).into_iter().collect();
    setup::plan(&desired, &observed)
}

fn login(entry: Entry, writable: bool) -> Observation<Login> {
    Observation::Present(Login {
        file: OWN.to_owned(),
        host: "team.cachix.org".to_owned(),
        entry,
        writable,
    })
}

const STEP: &str = "setup/team/login";

fn has_step(changes: &Changes) -> bool {
    addresses(&changes.steps).contains(&STEP)
}

#[test]
fn the_entry_is_written_where_it_is_not_this_token() {
    for (entry, expected) in [(Entry::Missing, false), (Entry::Other, true)] {
        let changes = with(Some(login(entry, true)));
        let step = find(&changes.steps, STEP);
        assert_eq!(step.scope, Scope::Machine);
        assert_eq!(
            step.because.rule,
            "team is private, and Nix needs its token"
        );
        let Op::WriteLogin {
            path,
            host,
            replaces,
            ..
        } = &step.op
        else {
            panic!("{step:?}")
        };
        assert_eq!((path.as_str(), host.as_str()), (OWN, "team.cachix.org"));
        assert_eq!(*replaces, expected);
    }
    for seen in [
        Some(login(Entry::Same, true)),
        Some(Observation::Absent),
        None,
    ] {
        let changes = with(seen);
        assert!(!has_step(&changes) && changes.refusals.is_empty());
        assert!(changes.unknowns.iter().all(|it| it.what != "team login"));
    }
}

#[test]
fn what_cannot_be_written_or_seen_is_said() {
    let closed = with(Some(login(Entry::Missing, false)));
    assert!(!has_step(&closed));
    let advice = closed.advice.iter().find(|it| it.about == OWN).unwrap();
    assert_eq!(
        advice.lines,
        ["machine team.cachix.org login cachix password TOKEN"]
    );
    for seen in [Observation::Unknown, Observation::Error] {
        let hidden = with(Some(seen(Why("it is dark".to_owned()))));
        assert!(!has_step(&hidden));
        let unknown = hidden.unknowns.iter().find(|it| it.what == "team login");
        assert_eq!(unknown.unwrap().why.0, "it is dark");
    }
    let entry = Entry::Contested {
        with: cache("other"),
    };
    let contested = with(Some(login(entry, true)));
    assert!(!has_step(&contested));
    let refusal = &contested.refusals[0];
    assert_eq!(refusal.code, TWO_TOKENS);
    let steps: Vec<&str> = refusal.steps.iter().map(Address::as_str).collect();
    assert_eq!(steps, [STEP, "setup/other/login"]);
}
