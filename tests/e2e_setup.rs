//! What a real Nix makes of setup on a shared machine: several projects, and keys that are lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod e2e_world;
mod support;

use e2e_world::{World, with_each_nix};
use serde_json::Value;

/// The settings as a process of the real Nix reads them.
fn settings(world: &World) -> Value {
    let show = "nix config show --json 2>/dev/null || nix show-config --json";
    let mut command = world.bed.program("sh");
    command.args(["-c", show]);
    world.bed.finish(&mut command).success().json()
}

/// What Nix says of a setting, as its words.
fn words(world: &World, setting: &str) -> Vec<String> {
    let value = &settings(world)[setting]["value"];
    let words = value.as_array().unwrap().iter();
    words
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn two_projects_share_a_machine_and_leave_each_other_alone() {
    with_each_nix(|world| {
        let section = |project: &str, jobs: u32| {
            format!(
                "version: 1\nproject: {project}\ncaches:\n  dev: {{ type: file, path: @ROOT@/{project}, signing-key: \
                 {{ file: ~/keys/{project}.sec, generate: true }} }}\nartifacts: {{ all: {{ priority: 10, default: true }} }}\n\
                 push: {{ enabled: false }}\noptimize: {{ max-jobs: {jobs}, cores: 3 }}\n"
            )
        };
        let (one, two) = (section("one", 4), section("two", 6));
        for text in [&one, &two] {
            world.whole_config(text);
            let _ = world.run("reconcile --apply").success();
        }
        // Neither has anything to do now, whoever comes.
        for text in [&one, &two, &one] {
            world.whole_config(text);
            world.assert_nothing_to_do();
        }
        let substituters = words(&world, "substituters");
        let keys = words(&world, "trusted-public-keys");
        for project in ["one", "two"] {
            let url = world
                .bed
                .mask(&format!("file://{}/{project}", world.bed.root().display()));
            let times = substituters.iter().filter(|one| **one == url).count();
            assert_eq!(times, 1, "{substituters:?}");
            let key = world.public_key(format!("keys/{project}.sec"));
            assert!(keys.contains(&key), "{keys:?}");
        }
        let conf = std::fs::read_to_string(world.bed.home().join(".config/nix/nix.conf")).unwrap();
        assert_eq!(conf.matches("include").count(), 1, "{conf}");
        // Of tuning the last one counts, and whoever loses is told.
        assert_eq!(settings(&world)["max-jobs"]["value"], 6);
        let told = |world: &World| {
            let said = world.run("reconcile").success().stdout;
            let text = said.split_whitespace().collect::<Vec<_>>().join(" ");
            text.contains("the project two sets it to `6`") && text.contains("1 advice")
        };
        assert!(told(&world));
        world.whole_config(&two);
        assert!(!told(&world));
        // One changes: the other's stays.
        world.whole_config(&one.replace("max-jobs: 4", "max-jobs: 5"));
        let _ = world.run("reconcile --apply").success();
        let tuning =
            std::fs::read_to_string(world.bed.home().join(".config/nix/nanna-cache-tuning.conf"));
        let tuning = tuning.unwrap();
        assert!(
            tuning.contains("max-jobs = 5\n") && tuning.contains("max-jobs = 6\n"),
            "{tuning}"
        );
    });
}

#[test]
fn a_lost_signing_key_is_not_made_anew() {
    with_each_nix(|world| {
        world.flake(r#"app = sh "app" [] "echo app > $out";"#);
        let rest = "artifacts: { all: { priority: 10, outputs: ['.#app'], default: true } }\n";
        world.config(rest);
        world.converge();
        let key = world.bed.home().join("keys/dev.sec");
        let (secret, public) = (
            std::fs::read(&key).unwrap(),
            world.public_key("keys/dev.sec"),
        );
        let app = world.output("app");

        std::fs::remove_file(&key).unwrap();
        for command in ["reconcile --apply", "setup --apply"] {
            let said = world.run(command).fails(4);
            let text = said.stdout.replace('┃', "");
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for part in [
                "the signing key ~/keys/dev.sec is not there, but a key named e2e-dev-1 has signed 1 path of dev",
                "bring its file back, or give the new key another name (caches.dev.signing-key.name: e2e-dev-2)",
                public.as_str(),
            ] {
                assert!(text.contains(part), "{part}\n{said}");
            }
            assert!(!key.exists());
        }
        // The key of another machine under the same name signs nothing here.
        let stranger = world.nix.generate_key("e2e-dev-1");
        std::fs::copy(&stranger.secret_file, &key).unwrap();
        world.flake(r#"app = sh "app" [] "echo app2 > $out";"#);
        let said = world.run("reconcile --apply").fails(4);
        assert!(said.stdout.contains("setup-key-differs"), "{said}");
        // Nor does what is no key.
        for text in ["", "junk", &public] {
            std::fs::write(&key, text).unwrap();
            let said = world.run("reconcile --apply").fails(4);
            assert!(said.stdout.contains("setup-key-unusable"), "{said}");
            let _ = world.run("setup --apply").success();
        }
        assert!(words(&world, "trusted-public-keys").contains(&public));

        // Brought back, all is well again.
        std::fs::write(&key, &secret).unwrap();
        world.converge();
        // The other way out: a new name beside the old public key.
        std::fs::remove_file(&key).unwrap();
        let named = e2e_world::DEV.replace(
            "generate: true }",
            &format!("generate: true, name: e2e-dev-2 }}\n    public-keys: ['{public}']"),
        );
        world.whole_config(&format!("{named}{rest}"));
        world.flake(r#"app = sh "app" [] "echo app3 > $out";"#);
        world.converge();
        let trusted = words(&world, "trusted-public-keys");
        assert!(trusted.contains(&public), "{trusted:?}");
        assert!(
            trusted.contains(&world.public_key("keys/dev.sec")),
            "{trusted:?}"
        );
        // A reader of that nix.conf takes both what the old and what the new key signed.
        let newer = world.output("app");
        let empty = world.nix.another();
        for path in [&app, &newer] {
            let from = format!("file://{}", world.cache().display());
            let line = format!("nix copy --from {from} {path}");
            let _ = world.with_nix_in(&empty, &line).success();
        }
    });
}

#[test]
fn a_push_that_setup_has_to_precede_is_refused_and_says_so() {
    with_each_nix(|world| {
        world.flake(r#"app = sh "app" [] "echo app > $out"; web = sh "web" [] "echo web > $out";"#);
        world.config(
            "artifacts:\n  app: { priority: 10, match: ['-app$'], outputs: ['.#app'] }\n  \
             all: { priority: 5, outputs: ['.#web'], default: true }\n",
        );
        for command in [
            "push",
            "push --apply",
            "reconcile --apply --only push/dev/app",
        ] {
            let said = world.run(command).fails(4);
            let text = said.stdout.replace('┃', "");
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for part in [
                "setup-first",
                "`setup/dev/cache` and `setup/dev/signing-key`",
                "run `nanna-cache setup --apply` first",
            ] {
                assert!(text.contains(part), "{part}\n{said}");
            }
            assert!(!world.cache().exists());
        }
        let _ = world.run("setup --apply").success();
        // The build that a push needs comes with it, and no other.
        let _ = world.run("reconcile --apply --only push/dev/app").success();
        world.assert_cached([world.output("app")]);
        world.converge();
    });
}
