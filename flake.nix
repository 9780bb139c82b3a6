{
  description = "nanna-cache: a declarative reconciler for the binary caches of a Nix project";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forAllSystems =
        make:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = make nixpkgs.legacyPackages.${system};
          }) systems
        );
      manifest = (builtins.fromTOML (builtins.readFile ./Cargo.toml)).package;

      package =
        pkgs:
        pkgs.rustPlatform.buildRustPackage {
          pname = manifest.name;
          inherit (manifest) version;
          src = self;
          cargoLock.lockFile = ./Cargo.lock;
          # The other tests want a Nix of their own, which a build of Nix cannot have.
          cargoTestFlags = [
            "--lib"
            "--test"
            "architecture"
          ];
          meta = {
            inherit (manifest) description;
            mainProgram = manifest.name;
          };
        };

      # Here cargo fmt needs no network: it reads no dependency.
      formatting =
        pkgs:
        pkgs.runCommand "${manifest.name}-formatting" { nativeBuildInputs = [ pkgs.cargo pkgs.rustfmt ]; } ''
          cd ${self}
          cargo fmt --check
          touch $out
        '';

      shell =
        pkgs:
        pkgs.mkShell {
          # The compiler comes with the package's own inputs, what its tests start besides follows.
          inputsFrom = [ (package pkgs) ];
          packages = [
            pkgs.cargo-deny
            pkgs.cargo-nextest
            pkgs.clippy
            pkgs.just
            pkgs.python3
            pkgs.rustfmt
            pkgs.xz
            pkgs.zstd
          ];
        };

      fromExport = import ./nix/from-export.nix;
      own = fromExport ./cache.json;
    in
    {
      apps = forAllSystems (
        pkgs:
        import ./nix/apps.nix {
          inherit pkgs;
          package = package pkgs;
        }
      );
      overlays.default = final: _: { nanna-cache = package final; };

      # What cache.yaml says, for Nix; `lib.fromExport ./cache.json` does the same for another project.
      lib = {
        inherit fromExport;
        inherit (own) binaryCacheConfig;
      };
      nixosModules.default = own.module;
      darwinModules.default = own.module;
      homeManagerModules.default = own.module;

      packages = forAllSystems (pkgs: {
        default = package pkgs;
      });
      devShells = forAllSystems (pkgs: {
        default = shell pkgs;
      });
      checks = forAllSystems (pkgs: {
        package = package pkgs;
        formatting = formatting pkgs;
      });
    };
}
