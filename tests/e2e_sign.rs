//! What somebody copied into a cache without a signature, and is wanted there: a push signs it, and a real
//! Nix takes it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod e2e_world;
mod support;

use std::time::SystemTime;

use e2e_world::{age, days, with_each_nix};

#[test]
fn what_is_wanted_and_unsigned_is_signed_and_accepted() {
    with_each_nix(|world| {
        world.flake(
            r#"lib = sh "lib" [] "echo lib > $out"; app = sh "app" [ lib ] "echo $inputs > $out";"#,
        );
        let app = world.build("app");
        let url = format!("file://{}", world.cache().display());
        world.nix.copy_to(&url, [&app]);
        age(&world.cache(), days(3));
        let narinfo = world.cache().join(format!("{}.narinfo", &app[11..43]));
        let time = || -> SystemTime { std::fs::metadata(&narinfo).unwrap().modified().unwrap() };
        let (text, before) = (std::fs::read_to_string(&narinfo).unwrap(), time());
        assert!(!text.contains("Sig:"), "{text}");

        world.config("artifacts: { all: { priority: 10, outputs: ['.#app'], default: true } }\n");
        let plan = world.run("reconcile --detailed-exitcode").fails(2);
        assert!(plan.stdout.contains("2 to sign"), "{plan}");
        let said = world.run("explain --cache dev .#app").success();
        assert!(said.stdout.contains("dev: kept"), "{said}");
        let applied = world.run("reconcile --apply").success();
        assert!(applied.stdout.contains("2 signed"), "{applied}");
        world.assert_nothing_to_do();

        let signed = std::fs::read_to_string(&narinfo).unwrap();
        let rest: Vec<&str> = signed
            .lines()
            .filter(|line| !line.starts_with("Sig:"))
            .collect();
        assert_eq!(rest, text.lines().collect::<Vec<_>>());
        assert_eq!(time(), before, "neither grace nor retention begins anew");
        let key = world.public_key("keys/dev.sec");
        let far = world.nix.another();
        far.copy_from(&url, &app, &[&key]).unwrap();
        far.verify();
    });
}

#[test]
fn what_is_compressed_by_another_method_is_compressed_anew_if_that_is_asked_for() {
    with_each_nix(|world| {
        world.flake(
            r#"lib = sh "lib" [] "echo lib > $out"; app = sh "app" [ lib ] "echo $inputs > $out";"#,
        );
        let app = world.build("app");
        let url = format!("file://{}", world.cache().display());
        world.nix.copy_to(&url, [&app]);
        age(&world.cache(), days(3));
        let narinfo = world.cache().join(format!("{}.narinfo", &app[11..43]));
        let text = || std::fs::read_to_string(&narinfo).unwrap();
        let before = std::fs::metadata(&narinfo).unwrap().modified().unwrap();
        assert!(text().contains("\nCompression: xz\n"), "{}", text());
        let all = "artifacts: { all: { priority: 10, outputs: ['.#app'], default: true } }\n";
        world.config(all);
        let _ = world.run("reconcile --apply").success();
        assert!(text().contains("\nCompression: xz\n"), "nobody asked");

        world.config(&format!("    compression: {{ recompress: true }}\n{all}"));
        let plan = world.run("reconcile --detailed-exitcode").fails(2);
        assert!(plan.stdout.contains("2 to compress anew ("), "{plan}");
        let applied = world.run("reconcile --apply").success();
        assert!(applied.stdout.contains("2 compressed anew"), "{applied}");
        world.assert_nothing_to_do();
        assert!(text().contains("\nCompression: zstd\n"), "{}", text());
        let after = std::fs::metadata(&narinfo).unwrap().modified().unwrap();
        assert_eq!(after, before, "neither grace nor retention begins anew");
        let key = world.public_key("keys/dev.sec");
        let far = world.nix.another();
        far.copy_from(&url, &app, &[&key]).unwrap();
        far.verify();

        // The old files go when grace is over.
        let nars = || {
            std::fs::read_dir(world.cache().join("nar"))
                .unwrap()
                .count()
        };
        assert_eq!(nars(), 4);
        age(&world.cache().join("nar"), days(2));
        let _ = world.run("prune --apply --allow share=100%").success();
        assert_eq!(nars(), 2);
        far.verify();
    });
}
