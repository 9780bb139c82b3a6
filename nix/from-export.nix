# What the export of a cache.yaml means to Nix: `fromExport ./cache.json`.
#
# Nix cannot read YAML without building something first, so the program writes cache.json beside
# cache.yaml (`nanna-cache export --write`), and `nanna-cache export --check` holds one to the other.
file:
let
  export = builtins.fromJSON (builtins.readFile file);
  known = 1;
  adding = builtins.listToAttrs (
    builtins.filter (setting: setting.value != [ ]) [
      {
        name = "extra-substituters";
        value = export.nix.substituters;
      }
      {
        name = "extra-trusted-public-keys";
        value = export.nix.trustedPublicKeys;
      }
    ]
  );
in
if export.format or null != known then
  throw "${toString file}: format ${builtins.toJSON (export.format or null)} of an export is not known here, only ${toString known}"
else
  {
    # What people ask of the caches of a project.
    inherit (export) binaryCacheConfig;

    # What goes into `nix.settings` of a machine, by Nix's own names.
    nixSettings = adding // export.nix.settings;

    # A module for NixOS, nix-darwin and home-manager: caches are added, and what is tuned gives way
    # to what the machine's own configuration says.
    module =
      { lib, ... }:
      {
        nix.settings = adding // builtins.mapAttrs (_: lib.mkDefault) export.nix.settings;
      };
  }
