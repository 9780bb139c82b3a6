//! Who the user is to Nix, and what can be built here.

use std::collections::BTreeSet;

use camino::Utf8Path;

use crate::sys::host::Host;

/// Whether Nix goes through a daemon, by the rules of the store `auto`.
pub(super) fn daemon(host: &Host, store: &str) -> bool {
    let named = if matches!(store, "" | "auto") {
        host.filled("NIX_REMOTE")
    } else {
        Some(store)
    };
    match named.map(|store| store.split('?').next().unwrap_or(store)) {
        Some("daemon") => true,
        Some(store) if store.starts_with("unix://") => true,
        None | Some("auto" | "") => {
            let state = Utf8Path::new(host.filled("NIX_STATE_DIR").unwrap_or("/nix/var/nix"));
            if super::files::may_write(state) {
                return false;
            }
            let socket = host
                .filled("NIX_DAEMON_SOCKET_PATH")
                .map_or_else(|| state.join("daemon-socket/socket"), Into::into);
            socket.exists()
        }
        Some(_) => false,
    }
}

/// Whether a list of users (`trusted-users`) holds this one: by name, by `@group`, or `*`.
pub(super) fn is_among(host: &Host, users: &str) -> bool {
    users
        .split_whitespace()
        .any(|word| match word.strip_prefix('@') {
            Some(group) => host.groups.iter().any(|own| own == group),
            None => word == "*" || word == host.user,
        })
}

/// Systems that can be built: here, by emulation, and on remote builders.
pub(super) fn systems(system: &str, extra: &str, builders: &str) -> Vec<String> {
    let mut systems = BTreeSet::new();
    systems.extend(extra.split_whitespace().map(str::to_owned));
    for line in machines(builders, 0) {
        let mut fields = line.split_whitespace();
        if fields.next().is_none() {
            continue;
        }
        if let Some(list) = fields.next().filter(|list| *list != "-") {
            systems.extend(
                list.split(',')
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned),
            );
        }
    }
    systems.remove(system);
    // The own system first: it is the one that needs nothing else.
    std::iter::once(system.to_owned())
        .chain(systems)
        .filter(|word| !word.is_empty())
        .collect()
}

/// The lines of a list of builders; `@FILE` stands for the lines of a file, if it is there.
fn machines(text: &str, depth: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.split(['\n', ';']) {
        let line = line.split('#').next().unwrap_or_default().trim();
        match line.strip_prefix('@') {
            Some(file) if depth < 8 => {
                if let Ok(text) = std::fs::read_to_string(file.trim()) {
                    lines.extend(machines(&text, depth + 1));
                }
            }
            Some(_) => {}
            None => lines.push(line.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_groups_and_everybody() {
        let mut host = Host::made_up([("HOME", "/h")]);
        host.user = "ada".to_owned();
        host.groups = vec!["wheel".to_owned()];
        for (users, trusted) in [
            ("root ada", true),
            ("root @wheel", true),
            ("*", true),
            ("root", false),
            ("@ada", false),
            ("", false),
        ] {
            assert_eq!(is_among(&host, users), trusted, "{users}");
        }
    }

    #[test]
    fn systems_of_builders_count() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("machines");
        std::fs::write(
            &file,
            "# mine\nssh://b riscv64-linux,i686-linux - 4\n\nssh://c - -\n",
        )
        .unwrap();
        let builders = format!("ssh://a aarch64-linux ; @{}", file.display());
        assert_eq!(
            systems("x86_64-linux", "i686-linux", &builders),
            [
                "x86_64-linux",
                "aarch64-linux",
                "i686-linux",
                "riscv64-linux"
            ]
        );
        assert_eq!(
            systems("x86_64-linux", "", "@/no/such/file"),
            ["x86_64-linux"]
        );
    }

    #[test]
    fn a_daemon_is_used_where_the_state_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().to_str().unwrap().to_owned();
        let host = Host::made_up([("NIX_STATE_DIR", state.as_str())]);
        assert!(!daemon(&host, ""));
        assert!(daemon(&host, "daemon"));
        assert!(!daemon(&host, "/chroot"));
        assert!(daemon(
            &host.clone().with("NIX_REMOTE", "unix:///s"),
            "auto"
        ));
        let gone = host.with("NIX_STATE_DIR", "/no/such/folder");
        assert!(!daemon(&gone, "auto"));
        std::fs::write(folder.path().join("socket"), "").unwrap();
        assert!(daemon(
            &gone.with("NIX_DAEMON_SOCKET_PATH", &format!("{state}/socket")),
            "auto"
        ));
    }
}
