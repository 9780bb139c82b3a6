//! What does not evaluate, what was mistyped, and what is asked about: with the real Nix.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod e2e_world;
mod support;

use std::os::unix::fs::symlink;

use e2e_world::{World, with_each_nix};

const PACKAGES: &str = r#"
  good = sh "good" [] "echo good > $out";
  bad = sh "bad" [] {}.missing;
  broken = throw "broken on purpose";
"#;

fn asking_for(outputs: &str) -> String {
    format!("artifacts:\n  all: {{ priority: 10, default: true, outputs: [{outputs}] }}\n")
}

/// The text as one line, however it was wrapped.
fn unwrapped(text: &str) -> String {
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| *word != "┃")
        .collect();
    words.join(" ")
}

/// The line and column of a text in the flake.
fn place(world: &World, text: &str) -> String {
    let flake = world.bed.read("flake.nix");
    let (at, line) = flake
        .lines()
        .enumerate()
        .find(|(_, line)| line.contains(text))
        .unwrap();
    let column = line.find(text).unwrap() + 1;
    format!("flake.nix:{}:{column}", at + 1)
}

#[test]
fn what_does_not_evaluate_is_an_error_and_the_rest_is_applied() {
    with_each_nix(|world| {
        world.flake(PACKAGES);
        world.config(&asking_for("'.#good', '.#bad', '.#broken', '.#typo'"));
        let said = world.run("reconcile").fails(1);
        let text = unwrapped(&said.stdout);
        for words in [
            "3 errors",
            "E .#bad (cache.yaml:10) evaluation fails; Nix says: attribute 'missing' missing, at flake.nix:",
            "E .#broken (cache.yaml:10) evaluation fails; Nix says: broken on purpose",
            "E .#typo (cache.yaml:10) evaluation fails; Nix says:",
            "does not provide attribute",
            "no retention ends in dev",
            "to create, 1 to build",
        ] {
            assert!(text.contains(words), "{words:?} is not in: {said}");
        }
        let at = place(&world, "{}.missing");
        assert!(text.contains(&at), "{at} is not in: {said}");
        let said = world.run("reconcile --apply").fails(6);
        assert!(
            unwrapped(&said.stdout).contains("3 outputs are in error"),
            "the report: {said}"
        );
        assert!(!said.stdout.contains("everything is as"), "{said}");
        world.assert_cached([world.output("good")]);
        // Nothing is left to do, but that is not how it should be.
        for line in ["reconcile", "push", "reconcile --apply"] {
            let said = world.run(line);
            assert!(matches!(said.code, Some(1 | 6)), "{line}: {said}");
            assert!(!said.stdout.contains("No changes."), "{said}");
        }
        // What does not look at outputs does not stumble over them.
        let _ = world.run("setup").success();
        let json = world.run("reconcile --format json").fails(1).json();
        assert_eq!(json["errors"].as_array().unwrap().len(), 3);
        assert_eq!(json["unknowns"].as_array().unwrap().len(), 0);
        assert_eq!(json["summary"]["error"], 3);
        world.config(&asking_for("'.#good'"));
        world.assert_nothing_to_do();
    });
}

#[test]
fn one_slip_in_a_flake_is_said_once() {
    with_each_nix(|world| {
        world.bed.write("flake.nix", "{ outputs = _: { a = ; }; }");
        world.config(&asking_for("'.#a', '.#b', '.#c'"));
        let said = world.run("reconcile").fails(1);
        let text = unwrapped(&said.stdout);
        assert!(text.contains("1 error"), "{said}");
        assert!(
            text.contains("E 3 outputs: .#a, .#b and .#c (cache.yaml:10) evaluation fails; Nix says: syntax error"),
            "{said}"
        );
        assert!(text.contains("at flake.nix:1:22"), "{said}");
        std::fs::remove_file(world.bed.at("flake.nix")).unwrap();
        let said = world.run("reconcile --format markdown").fails(1);
        assert!(said.stdout.contains("[!CAUTION]"), "{said}");
        assert!(said.stdout.contains("flake.nix"), "{said}");
    });
}

#[test]
fn without_nix_an_output_is_unknown_and_no_error() {
    let mut bed = support::bed::TestBed::new();
    bed.without_nix();
    bed.write(
        "cache.yaml",
        "version: 1\nproject: x\ncaches: { dev: { type: file, path: cache } }\nartifacts: { all: { priority: 1, default: true, outputs: ['.#a'] } }\nsetup: { nix-conf: none }\n",
    );
    let _ = bed.run(["setup", "--apply"]).success();
    let said = bed.run(["reconcile"]).success();
    assert!(said.stdout.contains("? .#a"), "{said}");
    assert!(
        unwrapped(&said.stdout).contains("No changes in what could be seen."),
        "{said}"
    );
}

#[test]
fn what_is_built_is_kept_until_it_is_pushed() {
    with_each_nix(|world| {
        world.flake(PACKAGES);
        world.whole_config(
            "version: 1
project: e2e
systems: [@SYSTEM@]
caches:
  dev:
    type: file
    path: @CACHE@
    signing-key: { command: [sh, '@ROOT@/key.sh'] }
artifacts:
  all: { priority: 10, default: true, outputs: ['.#good'] }
",
        );
        // The key is asked for between the build and the push.
        let builds = world.bed.home().join(".local/state/nanna-cache/builds");
        let root = world.bed.root();
        std::fs::write(
            root.join("key.sh"),
            format!(
                "PATH=/usr/bin:/bin; for link in {}/*/*; do readlink $link >> {}/seen; done; cat {}/key.sec\n",
                builds.display(),
                root.display(),
                root.display()
            ),
        )
        .unwrap();
        let secret = world
            .with_nix("nix key generate-secret --key-name e2e-1")
            .success();
        std::fs::write(root.join("key.sec"), secret.stdout.trim()).unwrap();
        // What a run that was killed left goes, too.
        std::fs::create_dir_all(builds.join("dead")).unwrap();
        symlink("/nowhere", builds.join("dead/build-0")).unwrap();
        std::fs::write(builds.join("dead.lock"), "").unwrap();
        let _ = world.run("reconcile --apply").success();
        let seen = std::fs::read_to_string(root.join("seen")).unwrap();
        let good = world.output("good");
        assert!(seen.lines().any(|line| line == good), "{good}: {seen}");
        assert_eq!(std::fs::read_dir(&builds).unwrap().count(), 0);
    });
}

#[test]
fn what_fails_before_anything_begins_leaves_no_run_open() {
    with_each_nix(|world| {
        world.flake(PACKAGES);
        world.config("artifacts: { all: { priority: 10, default: true, outputs: ['.#good'] } }\n");
        let state = world.bed.home().join(".local/state/nanna-cache");
        std::fs::create_dir_all(&state).unwrap();
        std::fs::write(state.join("builds"), "in the way").unwrap();
        let said = world.run("reconcile --apply").fails(1);
        assert!(said.stderr.contains("nanna-cache/builds"), "{said}");
        assert!(said.stderr.contains("XDG_STATE_HOME"), "{said}");
        std::fs::remove_file(state.join("builds")).unwrap();
        let said = world.run("reconcile --apply").success();
        assert!(!said.stderr.contains("An earlier run"), "{said}");
    });
}

#[test]
fn a_path_that_was_typed_and_is_not_there_is_an_error() {
    with_each_nix(|world| {
        world.flake(PACKAGES);
        world.config(&asking_for(""));
        let good = world.build("good");
        let _ = world.run("setup --apply").success();
        symlink(good.replace("-good", "-gone"), world.bed.at("gone")).unwrap();
        let fresh = good.replace("-good", "-stray");
        world.bed.write("plain", "no store path");
        for (path, words) in [
            ("./gone", "the link leads to nothing"),
            ("./nothing", "there is no such path"),
            ("./plain", "is neither in the store"),
            (fresh.as_str(), "there is no such path"),
        ] {
            let said = world.run(&format!("push --path {path} --apply")).fails(1);
            assert!(unwrapped(&said.stderr).contains(words), "{words}: {said}");
            assert!(said.stderr.contains("help:"), "{said}");
        }
        let _ = world.run(&format!("push --path {good} --apply")).success();
        world.assert_cached([good]);
        let _ = world.run("mark first").success();
        let _ = world.run("mark second").success();
        let said = world.run("push --since-mark frist").fails(1);
        assert!(
            said.stderr.contains("`first`") && said.stderr.contains("`second`"),
            "{said}"
        );
    });
}

#[test]
fn explain_takes_whatever_names_a_path() {
    with_each_nix(|world| {
        world.flake(PACKAGES);
        world.config(&asking_for("'.#good'"));
        let good = world.build("good");
        symlink(&good, world.bed.at("result")).unwrap();
        let title = &good[11..];
        for name in [
            ".#good",
            "./result",
            "result",
            &good,
            &format!("{good}/bin/x"),
            title,
            &title[..32],
        ] {
            let said = world.run(&format!("explain {name}")).success();
            assert!(said.stdout.starts_with(title), "{name}: {said}");
        }
        let said = world.run("explain .#bad").fails(1);
        assert!(
            said.stderr.contains("attribute 'missing' missing"),
            "{said}"
        );
        let said = world.run("explain goo").fails(1);
        for words in [
            "the Nix store (",
            "the directories of cache.yaml",
            &format!("its name is in {title}"),
        ] {
            assert!(unwrapped(&said.stderr).contains(words), "{words}: {said}");
        }
        // A root is a better reason than youth.
        world.converge();
        world.config(&asking_for(""));
        let said = world.run("explain result").success();
        assert!(
            unwrapped(&said.stdout)
                .contains("dev: kept because a root that is within its retention"),
            "{said}"
        );
    });
}

#[test]
fn an_output_that_is_not_built_is_explained_and_init_says_why_it_knows_none() {
    with_each_nix(|world| {
        world.flake(r#"app = sh "app" [] "echo app > $out";"#);
        world.config(&asking_for("'.#app'"));
        let said = world.run("explain .#app").success();
        let text = unwrapped(&said.stdout);
        assert!(text.contains("dev: pushed once it is built"), "{said}");
        assert!(
            text.contains("because .#app makes it: an output of"),
            "{said}"
        );
        world.bed.write("flake.nix", "{ outputs = _: { a = ; }; }");
        let said = world.run("init --print").success();
        assert!(said.stderr.contains("could not be read"), "{said}");
        assert!(said.stderr.contains("syntax error"), "{said}");
        world.bed.write("flake.nix", "{ outputs = _: { }; }");
        let said = world.run("init --print").success();
        assert!(!said.stderr.contains("could not be read"), "{said}");
    });
}
