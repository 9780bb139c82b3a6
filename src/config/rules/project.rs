//! `project`, `flake`, `systems`.

use crate::config::check::{Check, below, list};
use crate::config::code::Code;
use crate::config::nearest::nearest;
use crate::config::problem::Problem;
use crate::config::raw::RawConfig;

/// Systems that Nix or nixpkgs has a name for.
const SYSTEMS: [&str; 17] = [
    "x86_64-linux",
    "aarch64-linux",
    "x86_64-darwin",
    "aarch64-darwin",
    "i686-linux",
    "armv6l-linux",
    "armv7l-linux",
    "riscv64-linux",
    "riscv32-linux",
    "powerpc64le-linux",
    "powerpc64-linux",
    "s390x-linux",
    "loongarch64-linux",
    "mips64el-linux",
    "x86_64-freebsd",
    "aarch64-freebsd",
    "x86_64-netbsd",
];

/// Checks what stands at the top of the file.
pub(in crate::config) fn check(check: &mut Check<'_>, raw: &RawConfig) {
    if check.intact("/project") {
        check.name("/project", "the project", &raw.project);
    }
    let flake = &raw.flake;
    if flake.starts_with('-')
        || flake.trim().is_empty()
        || flake.contains(['#', '{'])
        || flake.contains(char::is_whitespace)
    {
        let problem = Problem::new(Code::InvalidInstallable, format!("`{flake}` is no flake"));
        let help =
            "write the folder of flake.nix, such as `.`, or a flake URL; without `#` and output";
        check.report(problem.at(check.value("/flake"), "").help(help));
    }
    for (at, system) in raw.systems.iter().enumerate() {
        if SYSTEMS.contains(&system.as_str()) {
            continue;
        }
        let help = match nearest(system, SYSTEMS) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("usual: {}", list(&SYSTEMS[..4])),
        };
        let problem = Problem::new(
            Code::UnknownSystem,
            format!("`{system}` is no system that Nix has a name for"),
        );
        check.report(
            problem
                .at(check.value(&below("/systems", at.to_string())), "")
                .help(help),
        );
    }
}
