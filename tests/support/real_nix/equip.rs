//! Lets the program under test find a real Nix: on its `PATH`, with its store and its settings.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::{NIX_CONFIG, RealNix, Which};
use crate::support::bed::TestBed;

/// The programs that a person with Nix has.
const PROGRAMS: [&str; 8] = [
    "nix",
    "nix-store",
    "nix-instantiate",
    "nix-build",
    "nix-env",
    "nix-collect-garbage",
    "nix-copy-closure",
    "nix-channel",
];

impl RealNix {
    /// Puts this Nix first on the `PATH` of a bed, with this store as its default (`NIX_REMOTE`).
    ///
    /// The settings go into the bed's system-wide `nix.conf` (`[ROOT]/etc/nix/nix.conf`), not into
    /// `NIX_CONFIG`, so that a user's `nix.conf` in the bed still takes effect.
    pub fn equip(&self, bed: &mut TestBed) {
        let shims = bed.root().join("nix-bin");
        std::fs::create_dir_all(&shims).unwrap();
        for program in PROGRAMS {
            let shim = shims.join(program);
            match self.which {
                Which::Installed => {
                    let found =
                        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
                            .map(|folder| folder.join(program))
                            .find(|path| path.exists());
                    if let Some(found) = found {
                        symlink(found, shim).unwrap();
                    }
                }
                Which::Current => {
                    let root = super::sid_root();
                    let enter = crate::support::fixture("tests/setup/sid-nix");
                    let script = format!(
                        "#!/bin/sh\nNANNA_SID_ROOT='{}' exec '{}' {program} \"$@\"\n",
                        root.display(),
                        enter.display()
                    );
                    std::fs::write(&shim, script).unwrap();
                    std::fs::set_permissions(&shim, PermissionsExt::from_mode(0o755)).unwrap();
                }
            }
        }
        std::fs::write(bed.root().join("etc/nix/nix.conf"), NIX_CONFIG).unwrap();
        let path = format!(
            "{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            shims.display()
        );
        bed.set("PATH", path).set("NIX_REMOTE", self.root());
    }
}
