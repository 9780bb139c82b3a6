//! Folders, keys and settings, to the byte.

use super::*;
use crate::plan::desired::Desired;
use crate::plan::observed::{NixFacts, SettingFacts, Why};
use crate::plan::step::Op;
use crate::plan::testing::{addresses, cache, desired, dev, find, key, world};

const SECTIONS: &str = "setup: { nix-conf: user }
caches:
  dev: { type: file, tier: 3, path: /cache/dev, nix-priority: 30, signing-key: { file: /keys/dev, generate: true } }
  late: { type: upstream, url: 'https://late.example', nix-priority: 60, public-keys: ['cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY='] }
  up: { type: upstream, url: 'https://up.example', public-keys: ['cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY='] }
";
const CONF: &str = "/home/me/.config/nix/nix.conf";
const FRAGMENT: &str = "/home/me/.config/nix/nanna-cache.conf";
const INFO: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n";
const UP_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

fn observed(desired: &Desired) -> Observed {
    let mut world = world();
    world.keys.insert(cache("dev"), key("dev-1"));
    world.observe(desired)
}

fn file(text: &str) -> Observation<FileFacts> {
    Observation::Present(FileFacts {
        text: text.to_owned(),
        mode: 0o644,
        managed: None,
        writable: true,
    })
}

fn put(observed: &mut Observed, path: &str, seen: Observation<FileFacts>) {
    observed.files.insert(path.to_owned(), seen);
}

fn texts<'c>(changes: &'c Changes, address: &str) -> (Option<&'c str>, &'c str) {
    match &find(&changes.steps, address).op {
        Op::WriteFile { before, after, .. } | Op::EditFile { before, after, .. } => {
            (before.as_deref(), after)
        }
        Op::CreateCache { before, info, .. } => (before.as_deref(), info),
        other => panic!("{other:?}"),
    }
}

fn fragment_text() -> String {
    format!(
        "# Managed by nanna-cache (project demo): edit cache.yaml instead of this.\n\
         extra-substituters = file:///cache/dev https://up.example https://late.example?priority=60\n\
         extra-trusted-public-keys = {UP_KEY} {}\n\
         !include nanna-cache-tuning.conf\n",
        key("dev-1")
    )
}

#[test]
fn the_fragment_and_the_line_that_includes_it() {
    let desired = desired(SECTIONS);
    let mut seen = observed(&desired);
    put(&mut seen, CONF, file("# see nanna-cache.conf\ncores = 2"));
    let changes = plan(&desired, &seen);
    assert_eq!(
        addresses(&changes.steps),
        ["setup/nix/fragment", "setup/nix/nix.conf"]
    );
    assert_eq!(
        texts(&changes, "setup/nix/fragment"),
        (None, fragment_text().as_str())
    );
    let (before, after) = texts(&changes, "setup/nix/nix.conf");
    assert_eq!(before, Some("# see nanna-cache.conf\ncores = 2"));
    assert_eq!(
        after,
        "# see nanna-cache.conf\ncores = 2\n!include nanna-cache.conf\n"
    );
    let line = find(&changes.steps, "setup/nix/nix.conf");
    assert_eq!(line.waits_for, [crate::plan::address::fragment_address()]);
    assert_eq!(line.scope, Scope::Machine);

    // Done: nothing is left, whichever way the fragment is named.
    put(&mut seen, FRAGMENT, file(&fragment_text()));
    for text in [
        "!include nanna-cache.conf\n",
        &format!("include {FRAGMENT}\n"),
    ] {
        put(&mut seen, CONF, file(text));
        assert!(plan(&desired, &seen).steps.is_empty(), "{text}");
    }
}

#[test]
fn a_key_to_be_made_is_known_after_it() {
    let desired = desired(SECTIONS);
    let mut seen = observed(&desired);
    seen.keys.insert(cache("dev"), Observation::Absent);
    let changes = plan(&desired, &seen);
    let Op::GenerateKey { path, name, .. } = &find(&changes.steps, "setup/dev/signing-key").op
    else {
        panic!()
    };
    assert_eq!((path.as_str(), name.as_str()), ("/keys/dev", "demo-dev-1"));
    let fragment = find(&changes.steps, "setup/nix/fragment");
    let after = vec![crate::plan::address::key_address(&cache("dev"))];
    assert_eq!(fragment.waits_for, after);
    assert_eq!(
        fragment.known,
        Known::After {
            steps: after,
            cap: None
        }
    );
    assert!(
        texts(&changes, "setup/nix/fragment")
            .1
            .contains(&format!("{UP_KEY} (known after setup/dev/signing-key)\n"))
    );
    // Not in CI, and not unless it is asked for.
    seen.environment.ci = true;
    let ci = plan(&desired, &seen);
    assert_eq!(ci.refusals[0].code, "setup-key-missing");
    assert!(ci.refusals[0].text.contains("not generated in CI"));
    assert_eq!(find(&ci.steps, "setup/nix/fragment").known, Known::Now);
    // Nix would ask a cache whose key it does not have for nothing.
    let (_, without) = texts(&ci, "setup/nix/fragment");
    assert!(!without.contains("file:///cache/dev") && without.contains("https://up.example"));
    assert!(ci.refusals[0].help.contains("Nix is not told of dev"));
    seen.environment.ci = false;
    let plain = crate::plan::testing::desired(&SECTIONS.replace(", generate: true", ""));
    let refused = plan(&plain, &seen);
    assert_eq!(
        refused.refusals[0].text,
        "the signing key /keys/dev is missing"
    );
}

#[test]
fn an_unseen_key_leaves_the_fragment_alone() {
    let desired = desired(SECTIONS);
    let mut seen = observed(&desired);
    let why = Why("closed".to_owned());
    seen.keys.insert(cache("dev"), Observation::Unknown(why));
    let changes = plan(&desired, &seen);
    assert_eq!(addresses(&changes.steps), ["setup/nix/nix.conf"]);
    assert_eq!(changes.unknowns.len(), 2);
    // A declared public key stands in.
    let public = SECTIONS.replace(
        "nix-priority: 30,",
        &format!("nix-priority: 30, public-keys: ['{}'],", key("pub-1")),
    );
    let changes = plan(&crate::plan::testing::desired(&public), &seen);
    assert!(
        texts(&changes, "setup/nix/fragment")
            .1
            .contains(&key("pub-1").to_string())
    );
}

#[test]
fn files_of_others_are_not_written() {
    let desired = desired(SECTIONS);
    let mut seen = observed(&desired);
    put(&mut seen, FRAGMENT, file("cores = 1\n"));
    let managed = FileFacts {
        text: String::new(),
        mode: 0o444,
        managed: Some("it belongs to NixOS".to_owned()),
        writable: false,
    };
    put(&mut seen, CONF, Observation::Present(managed.clone()));
    let changes = plan(&desired, &seen);
    assert!(changes.steps.is_empty());
    assert_eq!(changes.refusals[0].code, "setup-foreign-file");
    assert_eq!(changes.advice[0].lines, [format!("!include {FRAGMENT}")]);
    assert_eq!(changes.advice[0].text, "it belongs to NixOS");
    let closed = FileFacts {
        managed: None,
        ..managed
    };
    put(&mut seen, CONF, Observation::Present(closed));
    let text = &plan(&desired, &seen).advice[0].text;
    assert!(text.starts_with("this user may not write it: "));
    let why = || Observation::Unknown(Why("closed".to_owned()));
    put(&mut seen, CONF, why());
    put(&mut seen, FRAGMENT, why());
    let hidden = plan(&desired, &seen);
    assert!(hidden.steps.is_empty() && hidden.refusals.is_empty());
    assert_eq!(hidden.unknowns.len(), 2);
}

#[test]
fn the_cache_info_keeps_its_other_lines() {
    let desired = desired(SECTIONS);
    let with = |info: Option<&str>, folders: bool| {
        let mut seen = observed(&desired);
        dev(&mut seen).info = info.map(str::to_owned);
        dev(&mut seen).folders = folders;
        plan(&desired, &seen)
    };
    let step = "setup/dev/cache";
    let absent = |changes: &Changes| !addresses(&changes.steps).contains(&step);
    assert!(absent(&with(Some(INFO), true)));
    assert_eq!(texts(&with(Some(INFO), false), step), (Some(INFO), INFO));
    assert_eq!(texts(&with(None, false), step), (None, INFO));
    let old = "StoreDir: /nix/store\nPriority: 5\nOwner: x\n";
    let new = "StoreDir: /nix/store\nPriority: 30\nOwner: x\n";
    assert_eq!(texts(&with(Some(old), true), step), (Some(old), new));
    let broken = "Owner: x\nPriority: high\n";
    assert_eq!(
        texts(&with(Some(broken), true), step).1,
        "Owner: x\nPriority: 30\n"
    );
    for other in [
        "StoreDir: /gnu/store\n",
        "Priority: high\nStoreDir: /gnu/store\n",
    ] {
        let refused = with(Some(other), true);
        assert!(absent(&refused));
        assert_eq!(refused.refusals[0].code, "setup-other-store");
    }
}

fn nix(settings: &[(&str, &str)]) -> Observation<NixFacts> {
    let setting = |(name, value): &(&str, &str)| {
        let value = (*value).to_owned();
        let facts = SettingFacts {
            value,
            origins: Vec::new(),
        };
        ((*name).to_owned(), facts)
    };
    Observation::Present(NixFacts {
        daemon: true,
        trusted: false,
        user: "me".to_owned(),
        settings: settings.iter().map(setting).collect(),
        ..NixFacts::default()
    })
}

#[test]
fn an_untrusted_user_gets_the_exact_lines_for_the_administrator() {
    let desired = desired(SECTIONS);
    let mut seen = observed(&desired);
    let lines = |seen: &Observed| -> Vec<String> {
        let all = plan(&desired, seen).advice;
        let about = |advice: &&crate::plan::plan::Advice| advice.about == "/etc/nix/nix.conf";
        let mut all = all.iter().filter(about);
        let lines = all.next().map(|advice| advice.lines.clone());
        lines.unwrap_or_default()
    };
    assert!(lines(&seen).is_empty(), "trusted");
    let own = key("dev-1").to_string();
    seen.nix = nix(&[
        ("substituters", "https://up.example/"),
        ("trusted-public-keys", UP_KEY),
    ]);
    let expected = [
        "extra-trusted-substituters = file:///cache/dev https://late.example?priority=60"
            .to_owned(),
        format!("extra-trusted-public-keys = {own}"),
    ];
    assert_eq!(lines(&seen), expected);

    // What our own fragment adds does not count, until it stands elsewhere as well.
    put(&mut seen, FRAGMENT, file(&fragment_text()));
    put(&mut seen, CONF, file("!include nanna-cache.conf\n"));
    let effective =
        "https://up.example file:///cache/dev https://up.example https://late.example?priority=60";
    let keys = format!("{UP_KEY} {UP_KEY} {own}");
    seen.nix = nix(&[("substituters", effective), ("trusted-public-keys", &keys)]);
    assert_eq!(lines(&seen), expected);
    let keys = format!("{keys} {own}");
    let trusted = "file:///cache/dev https://late.example?priority=60";
    seen.nix = nix(&[
        ("substituters", effective),
        ("trusted-substituters", trusted),
        ("trusted-public-keys", &keys),
    ]);
    assert!(lines(&seen).is_empty(), "the administrator has done it");
}

#[test]
fn a_daemon_reads_the_settings_of_the_machine_when_it_starts() {
    let desired = desired(&SECTIONS.replace("nix-conf: user", "nix-conf: system"));
    let mut seen = observed(&desired);
    seen.nix = nix(&[]);
    let changes = plan(&desired, &seen);
    assert_eq!(changes.advice.len(), 1);
    assert_eq!(changes.advice[0].lines, ["systemctl restart nix-daemon"]);
}

#[test]
fn what_is_set_anew_after_our_line_is_said() {
    let desired = desired(SECTIONS);
    let mut seen = observed(&desired);
    put(&mut seen, FRAGMENT, file(&fragment_text()));
    let urls = "file:///cache/dev https://up.example https://late.example?priority=60";
    let keys = format!("{UP_KEY} {}", key("dev-1"));
    let said = |seen: &mut Observed, substituters: &str, keys: &str| -> Vec<String> {
        seen.nix = nix(&[
            ("substituters", substituters),
            ("trusted-public-keys", keys),
        ]);
        if let Observation::Present(nix) = &mut seen.nix {
            nix.trusted = true;
            let setting = nix.settings.get_mut("substituters").unwrap();
            setting.origins = vec!["NIX_CONFIG:4".to_owned(), "/x:1".to_owned()];
        }
        let all = plan(&desired, seen).advice;
        all.into_iter()
            .map(|one| format!("{}: {}", one.about, one.text))
            .collect()
    };
    assert!(said(&mut seen, "", "").is_empty(), "not included yet");
    put(&mut seen, CONF, file("!include nanna-cache.conf\n"));
    assert!(said(&mut seen, urls, &keys).is_empty());
    assert_eq!(
        said(&mut seen, "https://up.example", &keys),
        [format!(
            "substituters: Nix does not use what {FRAGMENT} adds: NIX_CONFIG:4 sets `substituters` anew; \
             make it `extra-substituters`"
        )]
    );
    let both = said(&mut seen, "", UP_KEY);
    assert_eq!(both.len(), 2);
    assert!(both[1].starts_with("trusted-public-keys: Nix does not use"));
    assert!(both[1].ends_with(", or move it before the `!include`"));
}

#[test]
fn a_line_that_nix_refuses_is_named_and_the_file_left_alone() {
    let desired = desired(SECTIONS);
    let mut seen = observed(&desired);
    put(&mut seen, CONF, file("cores = 2\n\nrubbish\n"));
    let changes = plan(&desired, &seen);
    assert!(!addresses(&changes.steps).contains(&"setup/nix.conf"));
    assert!(
        changes.advice[0]
            .text
            .starts_with("Nix refuses line 3 of it")
    );
}

#[test]
fn what_our_fragment_adds_counts_only_where_it_is_included() {
    let desired = desired(SECTIONS);
    let conf = desired.conf.clone().unwrap();
    let mut seen = observed(&desired);
    put(&mut seen, FRAGMENT, file(&fragment_text()));
    assert!(added_by_project(&desired, &seen, &conf, "substituters").is_empty());
    put(&mut seen, CONF, file("!include nanna-cache.conf\n"));
    let added: Vec<_> = added_by_project(&desired, &seen, &conf, "substituters")
        .into_iter()
        .collect();
    let expected = "file:///cache/dev https://late.example?priority=60 https://up.example";
    assert_eq!(added.join(" "), expected);
}

#[test]
fn who_needs_no_administrator_is_not_sent_to_one() {
    let desired = desired(SECTIONS);
    let advised = |daemon, trusted| {
        let mut seen = observed(&desired);
        let Observation::Present(mut facts) = nix(&[]) else {
            panic!()
        };
        (facts.daemon, facts.trusted) = (daemon, trusted);
        seen.nix = Observation::Present(facts);
        let advice = plan(&desired, &seen).advice;
        let about: Vec<_> = advice.into_iter().map(|advice| advice.about).collect();
        about.join(" ")
    };
    assert_eq!(
        advised(true, true),
        "",
        "its own nix.conf is read by itself"
    );
    assert_eq!(advised(false, false), "");
    assert_eq!(advised(true, false), "/etc/nix/nix.conf");
}

#[test]
fn what_others_allow_counts_beside_what_our_fragment_adds() {
    let desired = desired(SECTIONS);
    let mut seen = observed(&desired);
    let late = "https://late.example?priority=60";
    put(&mut seen, CONF, file("!include nanna-cache.conf\n"));
    put(
        &mut seen,
        FRAGMENT,
        file(&format!("extra-substituters = {late}\n")),
    );
    let effective = format!("https://up.example {late}");
    seen.nix = nix(&[("substituters", &effective)]);
    let advice = plan(&desired, &seen).advice;
    let lines = advice.into_iter().flat_map(|advice| advice.lines);
    let wanted = format!("extra-trusted-substituters = file:///cache/dev {late}");
    assert_eq!(lines.into_iter().next(), Some(wanted));
}

#[test]
fn a_folder_that_is_not_ours_to_write_is_advice() {
    let desired = desired(&SECTIONS.replace("nix-conf: user", "nix-conf: system"));
    let conf = desired.conf.clone().unwrap();
    let mut seen = observed(&desired);
    seen.closed = [conf.fragment.to_string(), conf.nix_conf.to_string()].into();
    let said = |seen: &Observed| {
        let changes = plan(&desired, seen);
        assert!(changes.steps.is_empty(), "{:?}", changes.steps);
        let advice = changes.advice.into_iter();
        advice.map(|one| (one.about, one.lines)).collect::<Vec<_>>()
    };
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let line = (
        conf.nix_conf.to_string(),
        vec![format!("!include {}", conf.fragment)],
    );
    let wanted = (conf.fragment.to_string(), lines(&fragment_text()));
    assert_eq!(said(&seen), [wanted.clone(), line]);
    // Nor is one that somebody else keeps, such as home-manager.
    let facts = FileFacts {
        text: fragment_text().replace("late.example", "other.example"),
        mode: 0o444,
        managed: Some("it is a link into the Nix store".to_owned()),
        writable: false,
    };
    let here = conf.fragment.as_str();
    put(&mut seen, here, Observation::Present(facts.clone()));
    put(
        &mut seen,
        conf.nix_conf.as_str(),
        file("!include nanna-cache.conf\n"),
    );
    assert_eq!(said(&seen), [wanted]);
    let text = fragment_text();
    let done = FileFacts { text, ..facts };
    put(&mut seen, here, Observation::Present(done));
    assert!(said(&seen).is_empty());
}

/// `NIX_CONFIG` comes after every file: what it sets anew will not have what we are about to add.
#[test]
fn what_the_environment_sets_anew_is_said_before_anything_is_added() {
    let desired = desired(SECTIONS);
    let said = |nix_config: &str| -> Vec<String> {
        let mut seen = observed(&desired);
        seen.environment.nix_config = nix_config.to_owned();
        seen.nix = nix(&[("substituters", "https://x"), ("trusted-public-keys", "")]);
        let advice = plan(&desired, &seen).advice.into_iter();
        let advice = advice.filter(|one| one.text.contains("NIX_CONFIG sets"));
        advice.map(|one| one.about).collect()
    };
    assert_eq!(said("substituters = https://x"), ["substituters"]);
    // A name that Nix takes for the same.
    assert_eq!(said("binary-caches = https://x"), ["substituters"]);
    assert_eq!(said("trusted-public-keys ="), ["trusted-public-keys"]);
    for harmless in ["", "cores = 2", "extra-substituters = https://x"] {
        assert_eq!(said(harmless), [""; 0], "{harmless}");
    }
}
