//! Paths, systems and scopes.

use super::*;
use crate::plan::testing::{cache, class, desired, desired_with, site};

#[test]
fn paths_are_resolved_without_looking() {
    for (given, expected) in [
        ("~", "/home/me"),
        ("~/x", "/home/me/x"),
        ("~other/x", "/home/me/project/~other/x"),
        ("x/./y", "/home/me/project/x/y"),
        ("../y", "/home/me/y"),
        ("../../../../y", "/y"),
        ("/a/../b/", "/b"),
        (".", "/home/me/project"),
    ] {
        assert_eq!(resolve(given, &site()), expected, "{given}");
    }
}

#[test]
fn systems_are_put_in_where_they_are_asked_for() {
    let systems = ["a".to_owned(), "b".to_owned()];
    assert_eq!(expand(".#{system}.{system}", &systems), [".#a.a", ".#b.b"]);
    assert_eq!(expand(".#x", &systems), [".#x"]);
    assert!(expand("{system}", &[]).is_empty());
}

#[test]
fn only_tier_three_is_of_the_machine() {
    let desired = desired(
        "caches:
  one: { type: file, tier: 1, path: /1 }
  two: { type: file, tier: 2, path: ~/2, max-size: 5 B, signing-key: { file: ~/key } }
  three: { type: file, tier: 3, path: three }
",
    );
    let scope = |name: &str| desired.caches[&cache(name)].scope;
    assert_eq!(scope("one"), Scope::Shared);
    assert_eq!(scope("two"), Scope::Shared);
    assert_eq!(scope("three"), Scope::Machine);
    let two = &desired.caches[&cache("two")];
    assert_eq!(two.place, Place::Folder("/home/me/2".into()));
    assert_eq!(two.max_size, Some(5));
    let secret = SecretRef::File("/home/me/key".to_owned());
    assert_eq!(two.signing.as_ref().unwrap().secret, secret);
    assert_eq!(
        desired.caches[&cache("three")].place,
        Place::Folder("/home/me/project/three".into())
    );
}

#[test]
fn the_settings_files_stand_beside_nix_conf() {
    let conf = |setting: &str| desired(&format!("setup: {{ nix-conf: {setting} }}")).conf;
    assert_eq!(conf("none"), None);
    let user = conf("user").unwrap();
    assert_eq!(user.nix_conf, "/home/me/.config/nix/nix.conf");
    assert!(user.user);
    let system = conf("system").unwrap();
    assert_eq!(system.fragment, "/etc/nix/nanna-cache.conf");
    assert!(!system.user);
    let dir = conf("{ dir: out }").unwrap();
    assert_eq!(dir.tuning, "/home/me/project/out/nanna-cache-tuning.conf");
    assert!(dir.user);
}

#[test]
fn what_is_wanted_in_the_order_of_the_file() {
    let extra = Extra {
        paths: vec!["result".to_owned()],
        mark: None,
        ..Extra::default()
    };
    let desired = desired_with(
        "artifacts:
  gold: { priority: 1, retention: 10d, outputs: ['.#{system}.a'], directories: ['models/*'] }
  dust: { priority: 1, retention: 10d, default: true }
push: { paths: [/p] }
pins: { v1: { output: '.#v1' }, v2: { path: p }, v3: { paths-from: list } }
",
        extra,
    );
    let all: Vec<String> = desired
        .tops
        .iter()
        .map(|top| {
            let pin = top.pin.as_ref().map_or("", PinName::as_str);
            let class = top.class.as_ref().map_or("", ClassName::as_str);
            format!("{:?} {class}{pin}: {}", top.source, top.because.rule)
        })
        .collect();
    assert_eq!(
        all,
        [
            "Output(\".#x86_64-linux.a\") gold: an output of gold",
            "Output(\".#aarch64-linux.a\") gold: an output of gold",
            "Directory(\"/home/me/project/models/*\") gold: a directory of gold",
            "Path(\"/p\") : listed in push.paths",
            "Path(\"/home/me/project/result\") : given on the command line",
            "Output(\".#v1\") v1: pinned as v1",
            "Path(\"/home/me/project/p\") v2: pinned as v2",
            "PathsFrom(\"/home/me/project/list\") v3: pinned as v3",
        ]
    );
    assert!(desired.pushes(&cache("dev"), &class("gold")));
    assert!(!desired.pushes(&cache("up"), &class("gold")));
}

#[test]
fn a_directory_has_one_name_on_every_machine() {
    let site = Site {
        home: "/home/me".into(),
        base: "/home/me/x/../project".into(),
        user_conf: "/home/me/.config/nix".into(),
        system_conf: "/etc/nix".into(),
        system: "x86_64-linux".to_owned(),
    };
    let name = |path: &str| name_of_directory(resolve(path, &site).as_str(), &site);
    assert_eq!(name("models/llama"), "models/llama");
    assert_eq!(name("./models//llama/"), "models/llama");
    assert_eq!(name("/home/me/project/models/llama"), "models/llama");
    assert_eq!(name("~/models"), "~/models");
    assert_eq!(name("../models"), "~/models");
    assert_eq!(name("/data/models"), "/data/models");
}

#[test]
fn one_phase_alone_wants_only_what_it_needs() {
    let all = desired(
        "push: { paths: [/p] }
optimize: { warm: ['.#w'] }
",
    );
    for (parts, pushes, warms) in [
        (&[][..], true, true),
        (&["setup"], false, false),
        (&["push"], true, false),
        (&["push/dev/gold"], true, false),
        (&["prune"], true, false),
        (&["optimize"], false, true),
        (&["setup", "optimize/warm"], false, true),
        (&["pushes"], false, false),
    ] {
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        let only = all.clone().only(&parts);
        assert_eq!(!only.tops.is_empty(), pushes, "{parts:?}");
        assert_eq!(!only.config.optimize.warm.is_empty(), warms, "{parts:?}");
    }
}

#[test]
fn nothing_is_pushed_where_pushing_is_off() {
    let off = desired("push: { enabled: false }");
    assert!(!off.pushes(&cache("dev"), &class("gold")));
    let some = desired("push: { to: { dev: [gold] } }");
    assert!(some.pushes(&cache("dev"), &class("gold")));
    assert!(!some.pushes(&cache("dev"), &class("dust")));
}

#[test]
fn the_home_folder_is_shown_as_one_would_write_it() {
    let mut site = site();
    assert_eq!(site.shown("/home/me/x/y"), "~/x/y");
    assert_eq!(site.shown("/home/melissa"), "/home/melissa");
    site.home = "".into();
    assert_eq!(site.shown("x"), "x", "without a home nothing is in it");
}

#[test]
fn what_asks_for_an_output_is_what_the_plan_says_of_it() {
    let desired = desired(
        "artifacts: { apps: { priority: 50, outputs: ['.#a'], default: true } }
optimize: { warm: ['.#shell'] }
push: { to: { dev: all } }
",
    );
    let because = |output: &str| desired.because_of_output(output);
    assert_eq!(because(".#a"), desired.tops[0].because);
    assert!(because(".#a").setting.starts_with("/artifacts/apps/"));
    assert_eq!(because(".#shell").rule, ".#shell is warmed");
    assert_eq!(because(".#shell").setting, "/optimize/warm");
}

/// A service has a priority of its own: what was not written here is not put in its place.
#[test]
fn a_service_is_given_the_priority_that_was_written() {
    let substituter = |more: &str| {
        let desired = desired(&format!(
            "caches:
  team: {{ type: cachix, public-keys: ['team.cachix.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=']{more} }}
"
        ));
        let place = &desired.caches[&cache("team")].place;
        place.service().expect("a service").substituter.clone()
    };
    assert_eq!(substituter(""), "https://team.cachix.org");
    assert_eq!(
        substituter(", nix-priority: 12"),
        "https://team.cachix.org?priority=12"
    );
}
