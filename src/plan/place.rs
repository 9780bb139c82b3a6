//! Where a writable cache is: the only room of the core that knows the kinds of places.
//!
//! What the phases need of a place has a method here, so that a new kind of place changes this
//! file and the providers, and nothing that plans.

use camino::{Utf8Path, Utf8PathBuf};

/// Where a writable cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine (absolute).
    Folder(Utf8PathBuf),
}

impl Place {
    /// The URL by which Nix reads the cache, without the priority as a parameter.
    #[must_use]
    pub fn substituter(&self) -> String {
        match self {
            Self::Folder(folder) => format!("file://{folder}"),
        }
    }

    /// The place as plans and messages name it; no secret is in it.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.to_string(),
        }
    }

    /// What tells this place from every other on this machine: what is remembered of a cache is
    /// remembered under this. It must not change between versions without need.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Folder(folder) => folder.to_string(),
        }
    }

    /// The setting of a cache that says where it is, as an error message names it.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::Folder(_) => "path",
        }
    }

    /// The folder, if the place is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Utf8Path> {
        match self {
            Self::Folder(folder) => Some(folder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_by_its_url_and_named_by_its_path() {
        let place = Place::Folder("/srv/cache".into());
        assert_eq!(place.substituter(), "file:///srv/cache");
        assert_eq!(place.shown(), "/srv/cache");
        assert_eq!(place.identity(), "/srv/cache");
        assert_eq!(place.folder(), Some(Utf8Path::new("/srv/cache")));
    }
}
