//! Which files and variables Nix loads its settings from, in its order.

use camino::{Utf8Path, Utf8PathBuf};

use crate::nix::conf::{Entry, FileRead};
use crate::nix::settings::Version;
use crate::sys::host::Host;

/// The first version that knows `NIX_CONFIG_HOME`.
const CONFIG_HOME: Version = Version {
    major: 2,
    minor: 25,
};

/// Folder of the machine's nix.conf.
#[must_use]
pub fn system_folder(host: &Host) -> Utf8PathBuf {
    host.filled("NIX_CONF_DIR").unwrap_or("/etc/nix").into()
}

/// Folder of the user's nix.conf, by the rules of this version of Nix (`None`: of a current one).
#[must_use]
pub fn user_folder(host: &Host, version: Option<&str>) -> Utf8PathBuf {
    // Where the user names the files, the first has the last word.
    let named = host
        .var("NIX_USER_CONF_FILES")
        .and_then(|files| files.split(':').next());
    if let Some(folder) = named
        .map(Utf8Path::new)
        .filter(|file| file.ends_with("nix.conf"))
        && let Some(folder) = folder.parent()
    {
        return folder.to_owned();
    }
    first_folder(host, version)
}

fn first_folder(host: &Host, version: Option<&str>) -> Utf8PathBuf {
    let knows = version
        .and_then(Version::parse)
        .is_none_or(|version| version >= CONFIG_HOME);
    host.filled("NIX_CONFIG_HOME")
        .filter(|_| knows)
        .map_or_else(|| host.xdg_config().join("nix"), Utf8PathBuf::from)
}

/// What Nix loads, in load order: later entries win.
#[must_use]
pub fn entries(host: &Host, version: Option<&str>) -> Vec<Entry> {
    let mut entries = vec![Entry::File(
        system_folder(host).join("nix.conf").into_string(),
    )];
    let files: Vec<String> = if let Some(files) = host.var("NIX_USER_CONF_FILES") {
        files
            .split(':')
            .filter(|file| !file.is_empty())
            .map(str::to_owned)
            .collect()
    } else {
        let others = host.filled("XDG_CONFIG_DIRS").unwrap_or("/etc/xdg");
        let others = others.split(':').filter(|folder| !folder.is_empty());
        std::iter::once(first_folder(host, version))
            .chain(others.map(|folder| Utf8Path::new(folder).join("nix")))
            .map(|folder| folder.join("nix.conf").into_string())
            .collect()
    };
    entries.extend(files.into_iter().rev().map(Entry::File));
    if let Some(text) = host.filled("NIX_CONFIG") {
        entries.push(Entry::Text {
            name: "NIX_CONFIG".to_owned(),
            text: text.to_owned(),
        });
    }
    entries
}

/// Reads a file for the loader.
#[must_use]
pub fn read(path: &str) -> FileRead {
    match std::fs::read(path) {
        Ok(bytes) => FileRead::Bytes(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => FileRead::Missing,
        Err(_) => FileRead::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(variables: &[(&str, &str)], version: Option<&str>) -> Vec<String> {
        let entries = entries(&Host::made_up(variables.iter().copied()), version);
        entries
            .into_iter()
            .map(|entry| match entry {
                Entry::File(path) => path,
                Entry::Text { name, .. } => name,
            })
            .collect()
    }

    #[test]
    fn the_order_is_that_of_nix() {
        let plain = names(&[("HOME", "/h"), ("NIX_CONFIG", "cores = 1")], None);
        assert_eq!(
            plain,
            [
                "/etc/nix/nix.conf",
                "/etc/xdg/nix/nix.conf",
                "/h/.config/nix/nix.conf",
                "NIX_CONFIG"
            ]
        );
        let moved = [
            ("NIX_CONF_DIR", "/c"),
            ("XDG_CONFIG_DIRS", "/a:/b"),
            ("XDG_CONFIG_HOME", "/x"),
        ];
        assert_eq!(
            names(&moved, None),
            [
                "/c/nix.conf",
                "/b/nix/nix.conf",
                "/a/nix/nix.conf",
                "/x/nix/nix.conf"
            ]
        );
        let named = [("NIX_USER_CONF_FILES", "/1:/2")];
        assert_eq!(names(&named, None), ["/etc/nix/nix.conf", "/2", "/1"]);
        assert_eq!(
            names(&[("NIX_USER_CONF_FILES", "")], None),
            ["/etc/nix/nix.conf"]
        );
    }

    #[test]
    fn config_home_counts_from_2_25_on() {
        let host = Host::made_up([("HOME", "/h"), ("NIX_CONFIG_HOME", "/n")]);
        assert_eq!(user_folder(&host, Some("2.8.0")), "/h/.config/nix");
        assert_eq!(user_folder(&host, Some("2.34.8")), "/n");
        let host = host.with("NIX_USER_CONF_FILES", "/u/nix.conf:/v/nix.conf");
        assert_eq!(user_folder(&host, None), "/u");
        let host = host.with("NIX_USER_CONF_FILES", "/u/other.conf");
        assert_eq!(user_folder(&host, None), "/n");
    }
}
