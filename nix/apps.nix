# What `nix run .#NAME` starts: each is one command of the program, and passes its arguments on.
{ pkgs, package }:
let
  program = "${package}/bin/nanna-cache";
  app = description: program: {
    type = "app";
    inherit program;
    meta = { inherit description; };
  };
  utility =
    name: description: command:
    app description "${pkgs.writeShellScript name ''exec ${program} ${command} "$@"''}";
in
{
  default = app "Shows and makes the difference between cache.yaml and the caches" program;
  setup-cache = utility "setup-cache" "Sets this machine up for the caches" "setup --apply";
  push-cache = utility "push-cache" "Builds and pushes what the caches should hold" "push --apply";
  ci-cache-optimize = utility "ci-cache-optimize" "Tunes Nix, and fetches what is to be warm" "optimize --apply";
  cache-analytics = utility "cache-analytics" "Says how things stand" "status";
  # Nothing is uploaded or deleted: a person who misses a cache wants this machine looked at again.
  cache-refresh = utility "cache-refresh" "Forgets what is remembered, then sets up and warms again" "reconcile --refresh --apply --only setup,optimize";
}
