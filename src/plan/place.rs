//! Where a writable cache is: the only room of the core that knows the kinds of places.
//!
//! What the phases need of a place has a method here, so that a new kind of place changes this
//! file and the providers, and nothing that plans.

use camino::{Utf8Path, Utf8PathBuf};

use super::service::Service;

/// Where a writable cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine (absolute).
    Folder(Utf8PathBuf),
    /// A service keeps it.
    Service(Box<Service>),
}

impl Place {
    /// The URL by which Nix reads the cache, without the priority as a parameter.
    #[must_use]
    pub fn substituter(&self) -> String {
        match self {
            Self::Folder(folder) => format!("file://{folder}"),
            Self::Service(service) => service.substituter.clone(),
        }
    }

    /// The place as plans and messages name it; no secret is in it.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.to_string(),
            Self::Service(service) => service.url.clone(),
        }
    }

    /// What tells this place from every other on this machine: what is remembered of a cache is
    /// remembered under this. It must not change between versions without need.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Folder(folder) => folder.to_string(),
            Self::Service(service) => service.url.clone(),
        }
    }

    /// The setting of a cache that says where it is, as an error message names it.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::Folder(_) => "path",
            Self::Service(_) => "url",
        }
    }

    /// The folder, if the place is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Utf8Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Service(_) => None,
        }
    }

    /// The service that keeps it, if one does.
    #[must_use]
    pub const fn service(&self) -> Option<&Service> {
        match self {
            Self::Folder(_) => None,
            Self::Service(service) => Some(service),
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
