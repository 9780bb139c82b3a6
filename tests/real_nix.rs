//! The real Nix behaves as the tests of the product rely on: builds, imports, signatures, closures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::bed::TestBed;
use support::real_nix::RealNix;

#[test]
fn hundreds_of_real_paths_are_built_and_copied_into_an_empty_store() {
    for nix in RealNix::all() {
        let population = nix.populate(300);
        let infos = nix.paths();
        let known = |path: &String| infos.iter().any(|info| &info.path == path);
        assert!(population.paths.iter().all(known), "Nix {}", nix.version());
        assert!(
            infos
                .iter()
                .any(|info| info.references.contains(&info.path)),
            "none refers to itself"
        );
        let hashes: std::collections::BTreeSet<_> =
            infos.iter().map(|info| &info.nar_hash).collect();
        assert!(hashes.len() < infos.len(), "no two paths share a NAR");

        let key = nix.generate_key("test-1");
        let cache = nix.scratch().join("cache");
        let plain = format!("file://{}", cache.display());
        nix.copy_to(
            &format!(
                "{plain}?secret-key={}&compression=none",
                key.secret_file.display()
            ),
            [&population.top],
        );

        let copied = nix.another();
        copied
            .copy_from(&plain, &population.top, &[&key.public])
            .unwrap();
        assert_eq!(
            copied
                .closure([&population.top])
                .into_iter()
                .collect::<Vec<_>>(),
            population.paths
        );
        copied.verify();

        let substituted = nix.another();
        substituted
            .substitute(&plain, &population.top, &[&key.public])
            .unwrap();
        let info = substituted.path_info(&population.top).unwrap();
        assert_eq!(
            info.references,
            nix.path_info(&population.top).unwrap().references
        );
        assert!(
            substituted
                .signatures(&population.top)
                .iter()
                .any(|sig| sig.starts_with("test-1:"))
        );
    }
}

#[test]
fn an_unsigned_or_foreign_path_is_refused() {
    for nix in RealNix::all() {
        let built = nix.build(
            r#"derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }"#,
        );
        let (key, other) = (nix.generate_key("test-1"), nix.generate_key("other-1"));
        let cache = format!("file://{}", nix.scratch().join("cache").display());
        nix.copy_to(&cache, &built);
        assert!(
            nix.another()
                .copy_from(&cache, &built[0], &[&key.public])
                .is_err(),
            "unsigned"
        );
        let signed = format!("file://{}", nix.scratch().join("signed").display());
        nix.copy_to(
            &format!("{signed}?secret-key={}", key.secret_file.display()),
            &built,
        );
        assert!(
            nix.another()
                .copy_from(&signed, &built[0], &[&other.public])
                .is_err(),
            "foreign key"
        );
        nix.another()
            .copy_from(&signed, &built[0], &[&key.public])
            .unwrap();
    }
}

#[test]
fn stores_do_not_see_each_other() {
    for nix in RealNix::all() {
        let path = nix.build(r#"derivation { name = "y"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }"#);
        assert!(nix.real(&path[0]).exists() && nix.database().exists());
        assert!(nix.another().path_info(&path[0]).is_none());
        nix.collect_garbage();
        assert!(nix.path_info(&path[0]).is_none(), "no root keeps it");
    }
}

#[test]
fn a_bed_is_equipped_with_a_nix_and_its_own_settings() {
    for nix in RealNix::all() {
        let path = nix.build(
            r#"derivation { name = "z"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }"#,
        );
        let mut bed = TestBed::new();
        nix.equip(&mut bed);
        let said = bed
            .finish(bed.program("sh").args(["-c", "nix --version"]))
            .success();
        assert!(said.stdout.trim().ends_with(nix.version()), "{said}");
        let mut query = bed.program("sh");
        let asked = bed
            .finish(query.args(["-c", "nix-store -q --hash \"$1\"", "sh", &path[0]]))
            .success();
        assert!(asked.stdout.starts_with("sha256:"), "{asked}");

        // A user's own file is read, after the system's.
        std::fs::create_dir_all(bed.home().join(".config/nix")).unwrap();
        std::fs::write(bed.home().join(".config/nix/nix.conf"), "max-jobs = 17\n").unwrap();
        let show = "nix config show --json 2>/dev/null || nix show-config --json";
        let settings = bed
            .finish(bed.program("sh").args(["-c", show]))
            .success()
            .json();
        assert_eq!(settings["max-jobs"]["value"], 17);
        assert_eq!(settings["require-sigs"]["value"], true);
    }
}
