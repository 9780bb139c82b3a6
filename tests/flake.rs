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
const STUB: &str = r#"{
  outputs = _: {
    legacyPackages = builtins.listToAttrs (map (system: {
      name = system;
      value =
        let
          tool = name: derivation { inherit name system; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; };
          named = name: attrs: (tool name) // attrs;
        in {
          rustPlatform.buildRustPackage = attrs:
            assert builtins.pathExists attrs.cargoLock.lockFile;
            assert builtins.pathExists "${attrs.src}/src/main.rs";
            named "${attrs.pname}-${attrs.version}" { inherit (attrs) meta; };
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
}"#;

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

#[test]
fn the_flake_of_the_project_evaluates() {
    for nix in RealNix::all() {
        let stub = nix.scratch().join("nixpkgs");
        std::fs::create_dir(&stub).unwrap();
        std::fs::write(stub.join("flake.nix"), STUB).unwrap();
        let parts = ["flake.nix", "Cargo.toml", "Cargo.lock", "src"];
        let source = copy(&nix, "project", support::repository(), &parts);
        let flake = Flake {
            nix: &nix,
            reference: format!("path:{}", source.display()),
            stub: Some(stub),
        };
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
        for output in ["packages", "devShells", "checks"] {
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
