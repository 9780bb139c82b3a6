//! Which store is meant, and where its parts are on the disk.

use camino::{Utf8Path, Utf8PathBuf};

use crate::nix::store_path::{StoreDir, StorePath};
use crate::sys::host::Host;

/// Why there is no local store to look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// A store on another machine, or one without a database.
    #[error("look into the store `{0}`: it is not one of this machine")]
    NotLocal(String),
    /// A setting names a folder that cannot be one.
    #[error("take `{value}` from `{name}`: not an absolute path in its shortest form")]
    Folder {
        /// Variable or parameter.
        name: String,
        /// What it says.
        value: String,
    },
}

/// Where a local store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Directory that its paths name, usually `/nix/store`.
    pub store: StoreDir,
    /// Folder where they really are; differs in a chroot store.
    pub folder: Utf8PathBuf,
    /// State folder, usually `/nix/var/nix`.
    pub state: Utf8PathBuf,
}

impl Location {
    /// The store of this machine, or the one that `store` (a `--store` argument, a `store`
    /// setting) or `NIX_REMOTE` names: `auto`, `daemon`, `local`, `unix://…`, a folder for a
    /// chroot store, with Nix's parameters `root`, `store`, `state` and `real`.
    ///
    /// # Errors
    /// The store is elsewhere, or a folder is not absolute.
    pub fn of(host: &Host, store: Option<&str>) -> Result<Self, LocationError> {
        let named = store
            .or_else(|| host.filled("NIX_REMOTE"))
            .unwrap_or("auto");
        let dir = |name: &str, value: &str| {
            StoreDir::new(value).map_err(|_| LocationError::Folder {
                name: name.to_owned(),
                value: value.to_owned(),
            })
        };
        let of_machine = || -> Result<Self, LocationError> {
            let store = host
                .filled("NIX_STORE_DIR")
                .or_else(|| host.filled("NIX_STORE"));
            let store = dir("NIX_STORE_DIR", store.unwrap_or(StoreDir::DEFAULT))?;
            let state = host.filled("NIX_STATE_DIR").unwrap_or("/nix/var/nix");
            let state = Utf8PathBuf::from(dir("NIX_STATE_DIR", state)?.as_str());
            Ok(Self {
                folder: store.as_str().into(),
                store,
                state,
            })
        };
        let (base, query) = named.split_once('?').unwrap_or((named, ""));
        let mut location = match base {
            "" | "auto" => {
                let machine = of_machine()?;
                let own = Self::chroot(&host.home.join(".local/share/nix/root"));
                // Newer Nix makes a store below the home folder where it may not make `/nix`.
                let moved = host.filled("NIX_STORE_DIR").is_some()
                    || host.filled("NIX_STATE_DIR").is_some();
                if !moved && host.uid != 0 && !machine.state.exists() && own.state.exists() {
                    own
                } else {
                    machine
                }
            }
            "daemon" | "local" => of_machine()?,
            folder if folder.starts_with('/') => Self::chroot(Utf8Path::new(
                dir("store", folder.trim_end_matches('/'))?.as_str(),
            )),
            socket if socket.starts_with("unix://") => of_machine()?,
            _ => return Err(LocationError::NotLocal(base.to_owned())),
        };
        let parameters: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let parameter = |name: &str| {
            parameters
                .iter()
                .find(|(key, value)| key == name && !value.is_empty())
                .map(|(_, value)| dir(name, value))
                .transpose()
        };
        if let Some(root) = parameter("root")? {
            location = Self::chroot(Utf8Path::new(root.as_str()));
        }
        if let Some(store) = parameter("store")? {
            location.folder = location
                .folder
                .as_str()
                .strip_suffix(location.store.as_str())
                .map_or_else(
                    || store.as_str().into(),
                    |root| Utf8PathBuf::from(format!("{root}{store}")),
                );
            location.store = store;
        }
        if let Some(state) = parameter("state")? {
            location.state = state.as_str().into();
        }
        if let Some(real) = parameter("real")? {
            location.folder = real.as_str().into();
        }
        Ok(location)
    }

    /// The store in a chroot folder.
    #[must_use]
    pub fn chroot(root: &Utf8Path) -> Self {
        Self {
            store: StoreDir::default(),
            folder: root.join("nix/store"),
            state: root.join("nix/var/nix"),
        }
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> Utf8PathBuf {
        self.state.join("db/db.sqlite")
    }

    /// Where a path is on the disk.
    #[must_use]
    pub fn on_disk(&self, path: &StorePath) -> Utf8PathBuf {
        self.folder.join(path.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)], store: Option<&str>) -> Result<Location, LocationError> {
        Location::of(&Host::made_up(variables.iter().copied()), store)
    }

    #[test]
    fn names_of_stores() {
        let default = of(&[], Some("daemon")).unwrap();
        assert_eq!(default.database(), "/nix/var/nix/db/db.sqlite");
        assert_eq!(of(&[("NIX_REMOTE", "daemon")], None).unwrap(), default);
        assert_eq!(of(&[], Some("unix:///run/nix.socket")).unwrap(), default);
        let moved = of(
            &[("NIX_STORE_DIR", "/s"), ("NIX_STATE_DIR", "/v")],
            Some("auto"),
        )
        .unwrap();
        assert_eq!(
            (
                moved.store.as_str(),
                moved.folder.as_str(),
                moved.state.as_str()
            ),
            ("/s", "/s", "/v")
        );
        let chroot = of(&[], Some("/c/")).unwrap();
        assert_eq!(chroot, Location::chroot("/c".into()));
        assert_eq!(of(&[], Some("local?root=/c")).unwrap(), chroot);
        let odd = of(&[], Some("local?root=/c&store=/s&state=/v")).unwrap();
        assert_eq!(
            (odd.store.as_str(), odd.folder.as_str(), odd.state.as_str()),
            ("/s", "/c/s", "/v")
        );
        let real = of(&[], Some("local?real=/r/store")).unwrap();
        assert_eq!(
            (real.store.as_str(), real.folder.as_str()),
            ("/nix/store", "/r/store")
        );
    }

    #[test]
    fn other_stores_are_refused() {
        for store in ["ssh://host", "https://cache", "file:///c", "relative"] {
            assert_eq!(
                of(&[], Some(store)),
                Err(LocationError::NotLocal(store.to_owned()))
            );
        }
        assert!(matches!(
            of(&[("NIX_STATE_DIR", "v")], None),
            Err(LocationError::Folder { .. })
        ));
        assert!(matches!(
            of(&[], Some("/a/../b")),
            Err(LocationError::Folder { .. })
        ));
    }
}
