# Stands in for the flake of the Nanna Coder project: the same outputs, each a few bytes, no inputs and no network.
# Every path is built by /bin/sh, so the whole of it builds in a second and its closures are easy to read.
{
  description = "The outputs of Nanna Coder, in miniature";

  outputs =
    { self }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forAllSystems =
        make:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = make system;
          }) systems
        );

      version = "0.1.0";

      outputsFor =
        system:
        let
          # A folder that holds what `needs` names, and a file of its own.
          build =
            name: needs:
            derivation {
              inherit name system needs;
              builder = "/bin/sh";
              args = [
                "-c"
                ''
                  PATH=/usr/bin:/bin
                  mkdir -p "$out/bin" "$out/share"
                  printf '#!/bin/sh\necho ${name}\n' > "$out/bin/${name}"
                  chmod +x "$out/bin/${name}"
                  for need in $needs; do echo "$need" >> "$out/share/needs"; done
                ''
              ];
            };

          # One that is wanted to build another, and leaves no trace in it.
          file =
            name: text:
            derivation {
              inherit name system text;
              builder = "/bin/sh";
              args = [
                "-c"
                "printf '%s\\n' \"$text\" > \"$out\""
              ];
            };

          # Like a download: its path follows from its content.
          model =
            name: bytes:
            derivation {
              name = "${name}-model";
              inherit system;
              content = bytes;
              builder = "/bin/sh";
              args = [
                "-c"
                "printf '%s' \"$content\" > \"$out\""
              ];
              outputHashMode = "flat";
              outputHashAlgo = "sha256";
              outputHash = builtins.hashString "sha256" bytes;
            };

          source = builtins.path {
            path = ./flake.nix;
            name = "source";
          };

          # system-packages
          libc = build "libc-2.40" [ ];
          openssl = build "openssl-3.4.0" [ libc ];
          # rust-dependencies
          vendored = file "vendor-cargo-deps" "every crate's source";
          dependencies = build "nanna-coder-deps-${version}" [ libc ];
          # base-images
          baseImage = file "image-base.json" "layers of the base image";

          # Built from source and dependencies, refers to libraries only.
          program =
            name:
            derivation {
              inherit name system;
              inherit source vendored dependencies;
              libraries = [
                libc
                openssl
              ];
              builder = "/bin/sh";
              args = [
                "-c"
                ''
                  PATH=/usr/bin:/bin
                  test -s "$source" && test -s "$vendored" && test -d "$dependencies"
                  mkdir -p "$out/bin"
                  printf '#!/bin/sh\n# %s\necho ${name}\n' "$libraries" > "$out/bin/${name}"
                  chmod +x "$out/bin/${name}"
                ''
              ];
            };
          nanna-coder = program "nanna-coder-${version}";
          harness = program "harness-${version}";

          image = name: contents: build "${name}.tar" ([ baseImage ] ++ contents);
          qwen3-model = model "qwen3" "weights of qwen3";
          llama3-model = model "llama3" "weights of llama3";
          mistral-model = model "mistral" "weights of mistral";
          gemma-model = model "gemma" "weights of gemma";
        in
        {
          packages = {
            default = nanna-coder;
            inherit
              nanna-coder
              harness
              qwen3-model
              llama3-model
              mistral-model
              gemma-model
              ;
            harnessImage = image "harness-image" [ harness ];
            ollamaImage = image "ollama-image" [ openssl ];
            devContainerImage = image "dev-container-image" [ nanna-coder ];
            testContainer = image "test-container" [
              harness
              qwen3-model
            ];
            qwen3-container = image "qwen3-container" [ qwen3-model ];
            # What a cross compiler leaves: named for the system it is for.
            harness-cross = program "harness-aarch64-unknown-linux-gnu-${version}";
          };
          devShells.default = derivation {
            name = "nanna-coder-shell";
            inherit system dependencies;
            tools = [ openssl ];
            # `nix develop` wants bash.
            builder = "/bin/bash";
            args = [
              "-c"
              "echo \"$tools\" > \"$out\""
            ];
          };
          checks.harness = harness;
        };
      all = forAllSystems outputsFor;
      each = name: forAllSystems (system: all.${system}.${name});
    in
    {
      packages = each "packages";
      devShells = each "devShells";
      checks = each "checks";
    };
}
