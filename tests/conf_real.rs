//! nix.conf: our reading beside that of the real Nix, owners of files, and writing.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests, too"
)]

mod store_common;

use camino::Utf8PathBuf;
use nanna_cache::plan::observed::{FileFacts, NixFacts, Observation};
use nanna_cache::provider::nix_cli::Nix;
use nanna_cache::provider::nix_conf::{ApplyError, FromNix, facts, file, write};
use nanna_cache::sys::host::Host;
use store_common::World;

/// A world whose settings come from files of several kinds.
fn world() -> Option<World> {
    let mut world = World::new()?;
    world.host = world
        .host
        .with(
            "NIX_CONFIG",
            "experimental-features = nix-command flakes\nextra-substituters = https://d",
        )
        .with("XDG_CONFIG_DIRS", world.root.join("xdg").as_str());
    let root = world.root.clone();
    let put = |path: &str, text: &str| store_common::write(&root.join(path), text);
    put(
        "conf/nix.conf",
        "cores = 2 # here\nsubstituters = https://a\ninclude more.conf\nsandbox = false\n",
    );
    put(
        "conf/more.conf",
        "max-jobs = 3\nextra-substituters = https://b?priority=9\n!include nothing.conf\n",
    );
    put(
        "home/.config/nix/nix.conf",
        "cores = 7\nkeep-outputs = true\n",
    );
    put(
        "xdg/nix/nix.conf",
        "cores = 5\nbinary-caches = https://c\nconnect-timeout = 4\n",
    );
    Some(world)
}

fn from_nix(host: &Host) -> FromNix {
    let nix = Nix::find(host).unwrap().unwrap();
    FromNix {
        version: nix.version().to_owned(),
        settings: nix.show_config().map_err(|error| error.to_string()),
        trusted: nix.trusted().unwrap(),
    }
}

fn present(facts: Observation<NixFacts>) -> NixFacts {
    match facts {
        Observation::Present(facts) => facts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn with_and_without_nix_the_same_values_and_origins() {
    let Some(world) = world() else { return };
    let said = from_nix(&world.host);
    let with = present(facts(&world.host, Some(&said)));
    let without = present(facts(&world.host, None));
    let root = &world.root;
    for (name, value, origins) in [
        (
            "cores",
            "7",
            vec![format!("{root}/home/.config/nix/nix.conf:1")],
        ),
        ("max-jobs", "3", vec![format!("{root}/conf/more.conf:1")]),
        (
            "keep-outputs",
            "true",
            vec![format!("{root}/home/.config/nix/nix.conf:2")],
        ),
        (
            "connect-timeout",
            "4",
            vec![format!("{root}/xdg/nix/nix.conf:3")],
        ),
        (
            "substituters",
            "https://c https://d",
            vec![
                format!("{root}/xdg/nix/nix.conf:2"),
                "NIX_CONFIG:2".to_owned(),
            ],
        ),
        ("http-connections", "25", vec![]),
    ] {
        for found in [&with, &without] {
            let setting = &found.settings[name];
            assert_eq!(setting.value, value, "{name}");
            assert_eq!(setting.origins, origins, "{name}");
        }
    }
    assert_eq!(with.version.as_deref(), Some(said.version.as_str()));
    assert_eq!(without.version, None);
    let urls: Vec<&str> = with
        .substituters
        .iter()
        .map(|one| one.url.as_str())
        .collect();
    assert_eq!(urls, ["https://c", "https://d"]);
    assert!(!with.daemon && with.trusted);
    assert_eq!(with.systems.first(), Some(&world.host.system));
    // Every setting that both know has one value; the number of CPUs is the machine's own.
    for (name, theirs) in &with.settings {
        if let Some(ours) = without.settings.get(name)
            && !matches!(
                name.as_str(),
                "system-features" | "extra-platforms" | "experimental-features" | "pure-eval"
            )
        {
            assert_eq!(ours.value, theirs.value, "{name}");
        }
    }
}

#[test]
fn the_users_files_can_be_named() {
    let Some(world) = world() else { return };
    let named = world.root.join("named.conf");
    store_common::write(&named, "cores = 1\n");
    let host = world
        .host
        .clone()
        .with("NIX_USER_CONF_FILES", named.as_str());
    let found = present(facts(&host, Some(&from_nix(&host))));
    assert_eq!(found.settings["cores"].value, "1");
    assert_eq!(found.settings["cores"].origins, [format!("{named}:1")]);
    assert_eq!(
        found.settings["substituters"].value,
        "https://a https://b?priority=9 https://d"
    );
    assert_eq!(found.substituters[1].priority, Some(9));
}

#[test]
fn what_nix_refuses_is_said_with_its_line() {
    let Some(world) = world() else { return };
    let conf = world.root.join("conf/more.conf");
    for (text, line) in [
        ("ok-ish = 1\ncores=4\n", 2),
        ("cores = many\n", 1),
        ("\n\ninclude gone.conf\n", 3),
    ] {
        store_common::write(&conf, text);
        let refused = Nix::find(&world.host).is_err();
        assert!(refused, "Nix takes {text:?}");
        let found = facts(&world.host, None);
        let why = &found.unknown().unwrap().0;
        assert!(why.contains(&format!("{conf}:{line}: ")), "{why}");
        let broken = FromNix {
            version: "2.8.0".to_owned(),
            settings: Err("no".to_owned()),
            trusted: None,
        };
        assert_eq!(facts(&world.host, Some(&broken)).unknown(), found.unknown());
    }
}

fn look(host: &Host, path: &Utf8PathBuf) -> FileFacts {
    match file(host, path) {
        Observation::Present(facts) => facts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_of_others_are_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
    let store = root.join("store");
    let host = Host::made_up([("HOME", root.as_str()), ("NIX_STORE_DIR", store.as_str())]);
    let path = root.join("nix.conf");
    for (text, word) in [
        (
            "# WARNING: this file is generated from the nix.* options in\n# your NixOS configuration, typically\n",
            "NixOS",
        ),
        (
            "# WARNING: this file is generated from the nix.* options in\n# your nix-darwin configuration\n",
            "nix-darwin",
        ),
        (
            "# DETERMINATE NIX CONFIG\n# do not modify! this file will be replaced!\n",
            "nix.custom.conf",
        ),
        (
            "# Generated by https://github.com/DeterminateSystems/nix-installer.\n",
            "nix.custom.conf",
        ),
    ] {
        store_common::write(&path, text);
        let facts = look(&host, &path);
        assert!(
            facts.managed.unwrap().contains(word) && !facts.writable,
            "{text}"
        );
        let refused = write(&host, &path, Some(text), "x").unwrap_err();
        assert!(matches!(refused, ApplyError::Managed { .. }));
    }
    store_common::write(&store.join("abc-nix.conf"), "cores = 1\n");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(store.join("abc-nix.conf"), &path).unwrap();
    assert!(
        look(&host, &path)
            .managed
            .unwrap()
            .contains("link into the Nix store")
    );
    std::fs::remove_file(store.join("abc-nix.conf")).unwrap();
    assert!(
        file(&host, &path)
            .unknown()
            .unwrap()
            .0
            .contains("not there")
    );
    std::fs::remove_file(&path).unwrap();
    assert_eq!(file(&host, &path), Observation::Absent);
    std::fs::write(&path, b"cores = 1 # \xff\n").unwrap();
    assert!(file(&host, &path).unknown().unwrap().0.contains("UTF-8"));
    assert!(file(&host, &root).unknown().is_some());
}

#[test]
fn writes_only_what_was_planned() {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    let host = Host::made_up([("HOME", root.as_str())]);
    let path = root.join("new/folder/nix.conf");
    write(&host, &path, None, "a\n").unwrap();
    assert_eq!(look(&host, &path).text, "a\n");
    assert!(look(&host, &path).writable);
    write(&host, &path, Some("a\n"), "b\n").unwrap();
    // Done already: nothing to do, whatever it was before.
    write(&host, &path, None, "b\n").unwrap();
    assert!(
        write(&host, &path, Some("a\n"), "c\n")
            .unwrap_err()
            .is_stale()
    );
    assert!(write(&host, &path, None, "c\n").unwrap_err().is_stale());
    assert!(
        write(&host, &root.join("none"), Some("a"), "c\n")
            .unwrap_err()
            .is_stale()
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "b\n");
}
