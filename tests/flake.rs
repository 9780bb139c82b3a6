//! The flakes of this repository, evaluated and built by the real Nix, offline.
//!
//! The project's own is given a stub in place of nixpkgs, so this says that it is well-formed, that it
//! has its outputs and reads the manifest rightly; not that nixpkgs builds it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::real_nix::RealNix;

/// As much of nixpkgs as our flake names, made of `/bin/sh`; it holds its caller to what the real one wants.
const STUB: &str = r##"{
  outputs = _: {
    legacyPackages = builtins.listToAttrs (map (system: {
      name = system;
      value =
        let
          tool = name: derivation { inherit name system; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; };
        in {
          rustPlatform.buildRustPackage = attrs:
            assert builtins.pathExists attrs.cargoLock.lockFile;
            assert builtins.pathExists "${attrs.src}/src/main.rs";
            (derivation {
              name = "${attrs.pname}-${attrs.version}"; inherit system; builder = "/bin/sh";
              args = [ "-c" ''
                /bin/mkdir -p $out/bin
                echo '#!/bin/sh' > $out/bin/nanna-cache
                echo 'exec @PROGRAM@ "$@"' >> $out/bin/nanna-cache
                /bin/chmod +x $out/bin/nanna-cache
              '' ];
            }) // { inherit (attrs) meta; };
          writeShellScript = name: text: derivation {
            inherit name system; builder = "/bin/sh"; script = "#!/bin/sh\n${text}";
            args = [ "-c" "printf '%s\\n' \"$script\" > $out; /bin/chmod +x $out" ];
          };
          runCommand = name: attrs: script: assert builtins.isList attrs.nativeBuildInputs; tool name;
          mkShell = attrs: derivation {
            name = "shell"; inherit system; inputs = attrs.packages ++ attrs.inputsFrom;
            builder = "/bin/bash"; args = [ "-c" "echo > $out" ];
          };
        } // builtins.listToAttrs (map (name: { inherit name; value = tool name; }) [
          "cargo" "cargo-deny" "cargo-nextest" "clippy" "just" "python3" "rustfmt" "xz" "zstd"
        ]);
    }) [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ]);
  };
}"##;

/// Copies what a flake is made of beside the store, so that `path:` does not take the build folder too.
fn copy(nix: &RealNix, name: &str, from: &Path, parts: &[&str]) -> PathBuf {
    let to = nix.scratch().join(name);
    std::fs::create_dir(&to).unwrap();
    for part in parts {
        let status = Command::new("cp")
            .arg("-r")
            .arg(from.join(part))
            .arg(&to)
            .status()
            .unwrap();
        assert!(status.success(), "{part} could not be copied");
    }
    to
}

fn system() -> String {
    format!("{}-linux", std::env::consts::ARCH)
}

struct Flake<'a> {
    nix: &'a RealNix,
    reference: String,
    stub: Option<PathBuf>,
}

impl Flake<'_> {
    fn nix(&self, command: &[&str], fragment: &str, options: &[&str]) -> Result<String, String> {
        let target = if fragment.is_empty() {
            self.reference.clone()
        } else {
            format!("{}#{fragment}", self.reference)
        };
        let mut arguments: Vec<String> = command.iter().map(ToString::to_string).collect();
        arguments.extend([target, "--no-write-lock-file".into(), "--offline".into()]);
        if let Some(stub) = &self.stub {
            let stub = format!("path:{}", stub.display());
            arguments.extend(["--override-input".into(), "nixpkgs".into(), stub]);
        }
        arguments.extend(options.iter().map(ToString::to_string));
        self.nix.try_run("nix", arguments)
    }

    fn eval(&self, fragment: &str) -> serde_json::Value {
        let text = self.nix(&["eval"], fragment, &["--json"]).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// The flake of the project with the stub, around the program that was built for the tests.
fn project(nix: &RealNix) -> (PathBuf, Flake<'_>) {
    let program = nix.scratch().join("nanna-cache");
    std::fs::copy(env!("CARGO_BIN_EXE_nanna-cache"), &program).unwrap();
    let stub = nix.scratch().join("nixpkgs");
    std::fs::create_dir(&stub).unwrap();
    let text = STUB.replace("@PROGRAM@", program.to_str().unwrap());
    std::fs::write(stub.join("flake.nix"), text).unwrap();
    let parts = [
        "flake.nix",
        "nix",
        "cache.json",
        "Cargo.toml",
        "Cargo.lock",
        "src",
    ];
    let source = copy(nix, "project", support::repository(), &parts);
    let flake = Flake {
        nix,
        reference: format!("path:{}", source.display()),
        stub: Some(stub),
    };
    (source, flake)
}

/// A project with a directory to push, and nothing that would have to be built.
const CACHE: &str = "version: 1
project: small
flake: .
caches:
  dev: { type: file, tier: 3, path: cache, signing-key: { file: dev.sec, generate: true } }
artifacts:
  models: { priority: 80, retention: 60d, directories: ['models/*'], default: true }
setup: { nix-conf: { dir: conf } }
push: { to: { dev: all } }
optimize: { max-jobs: 4, cores: 0 }
";

#[test]
fn each_app_runs_twice_and_has_nothing_to_do_the_second_time() {
    for nix in RealNix::all() {
        let (_, flake) = project(&nix);
        std::fs::write(nix.scratch().join("cache.yaml"), CACHE).unwrap();
        let model = nix.scratch().join("models/one");
        std::fs::create_dir_all(&model).unwrap();
        std::fs::write(model.join("weights"), "1 2 3").unwrap();

        let version = flake.nix(&["run"], "", &["--", "--version"]).unwrap();
        assert_eq!(
            version.trim(),
            concat!("nanna-cache ", env!("CARGO_PKG_VERSION"))
        );
        for app in [
            "setup-cache",
            "ci-cache-optimize",
            "push-cache",
            "cache-refresh",
        ] {
            let run = || flake.nix(&["run"], app, &["--", "--yes"]).unwrap();
            let (first, second) = (run(), run());
            let had_to = app != "cache-refresh";
            assert_eq!(
                !first.contains("No changes."),
                had_to,
                "Nix {}, {app}: {first}",
                nix.version()
            );
            assert!(
                second.contains("No changes."),
                "Nix {}, {app}: {second}",
                nix.version()
            );
        }
        let narinfos = std::fs::read_dir(nix.scratch().join("cache")).unwrap();
        let narinfos = narinfos.filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            Path::new(&name)
                .extension()
                .is_some_and(|end| end == "narinfo")
        });
        assert_eq!(narinfos.count(), 1);
        let shown = flake
            .nix(&["run"], "cache-analytics", &["--", "--format", "json"])
            .unwrap();
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert!(shown.is_object());
    }
}

/// The modules are applied to as much of a module system as they use; not to that of NixOS.
#[test]
fn the_modules_and_the_lib_say_what_cache_json_says() {
    let text = std::fs::read_to_string(support::fixture("cache.json")).unwrap();
    let export: serde_json::Value = serde_json::from_str(&text).unwrap();
    for nix in RealNix::all() {
        let (source, flake) = project(&nix);
        assert_eq!(
            flake.eval("lib.binaryCacheConfig"),
            export["binaryCacheConfig"]
        );
        for module in ["nixosModules", "darwinModules", "homeManagerModules"] {
            let apply = "m: (m { lib.mkDefault = value: { weak = value; }; }).nix.settings";
            let fragment = format!("{module}.default");
            let settings = flake
                .nix(&["eval"], &fragment, &["--json", "--apply", apply])
                .unwrap();
            let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
            assert_eq!(
                settings["extra-substituters"],
                export["nix"]["substituters"]
            );
            assert_eq!(
                settings["extra-trusted-public-keys"],
                export["nix"]["trustedPublicKeys"]
            );
            let tuned = export["nix"]["settings"].as_object().unwrap();
            assert!(!tuned.is_empty());
            for (name, value) in tuned {
                assert_eq!(&settings[name]["weak"], value, "{name}");
            }
        }
        std::fs::write(
            source.join("cache.json"),
            text.replace("\"format\": 1", "\"format\": 2"),
        )
        .unwrap();
        let error = flake
            .nix(&["eval"], "lib.binaryCacheConfig", &["--json"])
            .unwrap_err();
        assert!(error.contains("format 2"), "{error}");
    }
}

#[test]
fn cache_json_of_the_project_is_what_its_cache_yaml_says() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        std::fs::copy(support::fixture(name), folder.path().join(name)).unwrap();
    };
    write("cache.yaml");
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nanna-cache"));
        command
            .args(["export", "--check"])
            .current_dir(folder.path());
        command.output().unwrap().status.code()
    };
    assert_eq!(check(), Some(7), "it is not there");
    write("cache.json");
    assert_eq!(check(), Some(0), "nanna-cache export --write");
    std::fs::write(folder.path().join("cache.json"), "{}").unwrap();
    assert_eq!(check(), Some(7), "it says something else");
}

#[test]
fn the_flake_of_the_project_evaluates() {
    for nix in RealNix::all() {
        let (source, flake) = project(&nix);
        let here = system();

        let version = env!("CARGO_PKG_VERSION");
        let package = format!("packages.{here}.default");
        assert_eq!(
            flake.eval(&format!("{package}.name")),
            format!("nanna-cache-{version}")
        );
        assert_eq!(
            flake.eval(&format!("{package}.meta.mainProgram")),
            "nanna-cache"
        );
        assert_eq!(
            flake.eval(&format!("{package}.meta.description")),
            env!("CARGO_PKG_DESCRIPTION")
        );
        for other in [
            "aarch64-linux",
            "x86_64-linux",
            "aarch64-darwin",
            "x86_64-darwin",
        ] {
            assert_eq!(
                flake.eval(&format!("devShells.{other}.default.name")),
                "shell"
            );
        }
        let shown = flake.nix(&["flake", "show"], "", &["--json"]).unwrap();
        for output in [
            "packages",
            "apps",
            "devShells",
            "checks",
            "overlays",
            "nixosModules",
        ] {
            assert!(shown.contains(output), "Nix {}: {shown}", nix.version());
        }
        flake.nix(&["flake", "check"], "", &[]).unwrap();
        flake.nix(&["build", "--no-link"], &package, &[]).unwrap();
        assert!(!source.join("flake.lock").exists());
    }
}

#[test]
fn the_flake_of_the_example_builds_offline() {
    for nix in RealNix::all() {
        let from = support::fixture("examples/nanna-coder");
        let source = copy(&nix, "example", &from, &["flake.nix"]);
        let flake = Flake {
            nix: &nix,
            reference: format!("path:{}", source.display()),
            stub: None,
        };
        let here = system();
        let packages = flake.eval(&format!("packages.{here}"));
        let names: Vec<&String> = packages.as_object().unwrap().keys().collect();
        assert!(names.len() > 10, "{names:?}");
        for name in &names {
            flake
                .nix(
                    &["build", "--no-link"],
                    &format!("packages.{here}.{name}"),
                    &[],
                )
                .unwrap();
        }
        flake
            .nix(
                &["build", "--no-link"],
                &format!("devShells.{here}.default"),
                &[],
            )
            .unwrap();
        flake.nix(&["flake", "check"], "", &[]).unwrap();

        // What the classes of the strategy look for is really in the closures.
        let path = |name: &str| packages[name].as_str().unwrap().to_owned();
        let holds = |closure: &std::collections::BTreeSet<String>, part: &str| {
            closure.iter().any(|path| path.contains(part))
        };
        let runtime = nix.closure([path("testContainer")]);
        for part in [
            "-harness-0.1.0",
            "-qwen3-model",
            "-image-base.json",
            "-libc-2.40",
        ] {
            assert!(holds(&runtime, part), "{part}: {runtime:?}");
        }
        assert!(
            !holds(&runtime, "-deps-") && !holds(&runtime, "-source"),
            "{runtime:?}"
        );
        let derivation = nix.run("nix-store", ["--query", "--deriver", &path("nanna-coder")]);
        let build = nix.build_closure(derivation.trim());
        for part in ["-nanna-coder-deps-0.1.0", "-vendor-cargo-deps", "-source"] {
            assert!(holds(&build, part), "{part}: {build:?}");
        }
        assert_eq!(
            flake.eval("packages.aarch64-linux.harness.system"),
            "aarch64-linux"
        );
    }
}

#[test]
fn a_model_is_content_addressed() {
    for nix in RealNix::all() {
        let source = copy(
            &nix,
            "example",
            &support::fixture("examples/nanna-coder"),
            &["flake.nix"],
        );
        let flake = Flake {
            nix: &nix,
            reference: format!("path:{}", source.display()),
            stub: None,
        };
        let paths: Vec<_> = ["x86_64-linux", "aarch64-linux"]
            .map(|system| flake.eval(&format!("packages.{system}.qwen3-model.outPath")))
            .into();
        assert_eq!(
            paths[0], paths[1],
            "the path follows from the content alone"
        );
    }
}
