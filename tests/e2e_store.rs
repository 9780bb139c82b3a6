//! Hundreds of real paths into real caches, and out of them again with the real Nix.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod e2e_world;
mod support;

use std::collections::BTreeSet;

use e2e_world::{cached, with_each_nix};
use support::checker::Checker;

const THREE: &str = "version: 1
project: e2e
systems: [@SYSTEM@]
caches:
  fast: { type: file, path: @ROOT@/fast, signing-key: { file: ~/keys/fast.sec, generate: true } }
  small:
    type: file
    path: @ROOT@/small
    signing-key: { file: ~/keys/small.sec, generate: true }
    compression: { method: xz, level: 1 }
  plain:
    type: file
    path: @ROOT@/plain
    signing-key: { file: ~/keys/plain.sec, generate: true }
    compression: { method: none }
artifacts:
  texts: { priority: 70, match: ['-text-'] }
  app: { priority: 60, outputs: ['.#late'] }
  rest: { priority: 20, default: true }
push: { paths: ['@TOP@'] }
";

#[test]
fn hundreds_of_real_paths_go_into_caches_and_out_again() {
    with_each_nix(|world| {
        let population = world.nix.populate(300);
        world.flake(r#"late = sh "late" [ early ] "echo $inputs > $out"; early = sh "early" [] "echo early > $out";"#);
        world.whole_config(&THREE.replace("@TOP@", &population.top));

        let plan = world.run("reconcile --detailed-exitcode").fails(2);
        assert!(
            plan.stdout.contains("known only after the build of .#late"),
            "{plan}"
        );
        assert!(
            !world.bed.root().join("fast").exists(),
            "a plan writes nothing"
        );
        let applied = world.run("reconcile --apply").success();
        world.assert_nothing_to_do();

        let late = world.output("late");
        let wanted: BTreeSet<String> = world.nix.closure([&population.top, &late]);
        assert!(
            wanted.len() > 300 && wanted.contains(&world.output("early")),
            "{applied}"
        );
        for name in ["fast", "small", "plain"] {
            let cache = world.bed.root().join(name);
            assert_eq!(cached(&cache), wanted, "{name}");
            let key = world.public_key(format!("keys/{name}.sec"));
            let checker = Checker::new().deep().key(&key);
            checker
                .root(&population.top)
                .root(&late)
                .assert_whole(&cache);

            let copied = world.nix.another();
            let url = format!("file://{}", cache.display());
            for top in [&population.top, &late] {
                copied.copy_from(&url, top, &[&key]).unwrap();
            }
            let have: BTreeSet<String> = copied.paths().into_iter().map(|info| info.path).collect();
            assert_eq!(have, wanted, "{name}");
            copied.verify();
            // Without the key nothing is believed that is not its own address.
            assert!(world.nix.another().copy_from(&url, &late, &[]).is_err());
        }

        // By nothing but the nix.conf that setup wrote: substituted, and nothing could be built.
        let empty = world.nix.another();
        let realise = format!("nix-store --realise {} --max-jobs 0", population.top);
        let _ = world.with_nix_in(&empty, &realise).success();
        let _ = world
            .with_nix_in(&empty, "nix build --no-link .#late --max-jobs 0")
            .success();
        let have: BTreeSet<String> = empty.closure([&population.top, &late]);
        assert_eq!(have, wanted);
        assert!(
            empty
                .signatures(&late)
                .iter()
                .any(|sig| sig.starts_with("e2e-"))
        );
        empty.verify();
    });
}
