//! Garbage collector roots, as Nix counts them. Looking never removes a stale link.

use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};

use super::given::resolve;
use super::location::Location;
use crate::nix::store_path::StorePath;
use crate::plan::observed::{Observation, Why};

/// Folders deeper than this hold no roots of anybody.
const MAX_DEPTH: usize = 32;

/// A link that keeps a path alive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// The path that it keeps.
    pub path: StorePath,
    /// The link; for an indirect root the user's own, such as `…/result`.
    pub link: Utf8PathBuf,
}

/// Lists the roots in `gcroots` and `profiles`, sorted. Roots of running processes and temporary
/// roots are not among them. `Absent`: there is no such folder.
#[must_use]
pub fn roots(location: &Location) -> Observation<Vec<Root>> {
    let mut found = Vec::new();
    let mut seen = false;
    for name in ["gcroots", "profiles"] {
        match walk(location, &location.state.join(name), 0, &mut found) {
            Ok(there) => seen |= there,
            Err((path, error)) => {
                let why = format!("the roots in `{}` cannot be read: {error}", path.display());
                return Observation::Unknown(Why(why));
            }
        }
    }
    if !seen {
        return Observation::Absent;
    }
    found.sort_unstable();
    found.dedup();
    Observation::Present(found)
}

type Fault = (std::path::PathBuf, std::io::Error);

/// Whether the folder is there.
fn walk(
    location: &Location,
    folder: &Utf8Path,
    depth: usize,
    found: &mut Vec<Root>,
) -> Result<bool, Fault> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err((folder.into(), error)),
    };
    for entry in entries {
        let entry = entry.map_err(fault(folder.as_std_path()))?;
        // Nix would take a root with any name; one that is not UTF-8 cannot be shown or compared.
        let Ok(path) = Utf8PathBuf::from_path_buf(entry.path()) else {
            continue;
        };
        let kind = entry.file_type().map_err(fault(path.as_std_path()))?;
        if kind.is_dir() && depth < MAX_DEPTH {
            walk(location, &path, depth + 1, found)?;
        } else if kind.is_symlink() {
            found.extend(link(location, &path));
        } else if kind.is_file()
            && let Some(kept) = path
                .file_name()
                .and_then(|name| name.parse::<StorePath>().ok())
        {
            found.push(Root {
                path: kept,
                link: path,
            });
        }
    }
    Ok(true)
}

/// A link into the store is a root; so is a link to such a link, one step and no more.
fn link(location: &Location, path: &Utf8Path) -> Option<Root> {
    let target = path.read_link_utf8().ok()?;
    let target = path.parent()?.join(target);
    if location.store.containing(target.as_str()).is_ok() {
        let Observation::Present(kept) = resolve(location, &target) else {
            return None;
        };
        return Some(Root {
            path: kept,
            link: path.to_owned(),
        });
    }
    let second = target.read_link_utf8().ok()?;
    let second = target.parent()?.join(second);
    location.store.containing(second.as_str()).ok()?;
    let Observation::Present(kept) = resolve(location, &second) else {
        return None;
    };
    Some(Root {
        path: kept,
        link: target,
    })
}
