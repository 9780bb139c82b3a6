//! What a given name means: a store path, a file in one, a link to one, or a file of paths.

use std::collections::VecDeque;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::location::Location;
use crate::nix::store_path::StorePath;
use crate::plan::observed::{Observation, Why};
use crate::sys::file;

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;
/// Largest file of paths, in bytes: a million paths.
const MAX_LIST: u64 = 256 << 20;

/// The store path that `path` (absolute) is, is in, or leads to over symlinks. `Absent`: there is
/// nothing of that name, or a link leads to nothing.
#[must_use]
pub fn resolve(location: &Location, path: &Utf8Path) -> Observation<StorePath> {
    let unknown = |text: String| Observation::Unknown(Why(text));
    let mut done = Utf8PathBuf::from("/");
    let mut rest: VecDeque<String> = parts(path);
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            done.pop();
            continue;
        }
        if done == location.store.as_str() || done == location.folder {
            // From here on everything belongs to one path, whatever it holds.
            let Ok(found) = part.parse::<StorePath>() else {
                return unknown(format!(
                    "`{path}` leads to `{done}/{part}`, which is no store path"
                ));
            };
            return match std::fs::symlink_metadata(location.on_disk(&found)) {
                Ok(_) => Observation::Present(found),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Observation::Absent,
                Err(error) => unknown(format!("`{path}` cannot be looked at: {error}")),
            };
        }
        let at = done.join(&part);
        match std::fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_symlink() => {
                links += 1;
                if links > MAX_LINKS {
                    return unknown(format!("`{path}` leads through too many links"));
                }
                let target = match at.read_link_utf8() {
                    Ok(target) => target,
                    Err(error) => {
                        return unknown(format!("the link `{at}` cannot be followed: {error}"));
                    }
                };
                if target.is_absolute() {
                    done = "/".into();
                }
                for part in parts(&target).into_iter().rev() {
                    rest.push_front(part);
                }
            }
            Ok(_) => done = at,
            // In a chroot store the store's own directory need not be there under its own name.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if location.store.as_str().starts_with(&format!("{at}/"))
                    || location.store.as_str() == at
                {
                    done = at;
                } else {
                    return Observation::Absent;
                }
            }
            Err(error) => return unknown(format!("`{at}` cannot be looked at: {error}")),
        }
    }
    unknown(format!(
        "`{path}` is neither in the store `{}` nor a link into it",
        location.store
    ))
}

fn parts(path: &Utf8Path) -> VecDeque<String> {
    path.components()
        .filter_map(|part| match part {
            Utf8Component::Normal(name) => Some(name.to_owned()),
            Utf8Component::ParentDir => Some("..".to_owned()),
            Utf8Component::RootDir | Utf8Component::CurDir | Utf8Component::Prefix(_) => None,
        })
        .collect()
}

/// The store paths in a file: one on each line, full; empty lines and lines with `#` in front
/// count for nothing. `Absent`: no such file.
#[must_use]
pub fn list_of_paths(location: &Location, path: &Utf8Path) -> Observation<Vec<StorePath>> {
    let unknown = |text: String| Observation::Unknown(Why(text));
    let bytes = match file::read_if_there(path.as_std_path(), MAX_LIST) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Observation::Absent,
        Err(error) => return unknown(format!("`{path}` cannot be read: {error}")),
    };
    let mut paths = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let parsed = std::str::from_utf8(line)
            .map_err(|error| error.to_string())
            .and_then(|line| {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    return Ok(());
                }
                let parsed = location
                    .store
                    .containing(line)
                    .map_err(|error| error.to_string())?;
                paths.push(parsed.0);
                Ok(())
            });
        if let Err(why) = parsed {
            return unknown(format!("line {number} of `{path}` is no store path: {why}"));
        }
    }
    Observation::Present(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const ONE: &str = "ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt";

    fn world() -> (tempfile::TempDir, Utf8PathBuf, Location) {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
        let location = Location::chroot(&root);
        std::fs::create_dir_all(location.folder.join(ONE).join("bin")).unwrap();
        (folder, root, location)
    }

    #[test]
    fn links_files_and_paths() {
        let (_folder, root, location) = world();
        let one: StorePath = ONE.parse().unwrap();
        let found = |path: &Utf8Path| resolve(&location, path);
        assert_eq!(
            found(&location.on_disk(&one)),
            Observation::Present(one.clone())
        );
        // By the name that the store itself uses, which does not exist on this disk.
        let logical = Utf8PathBuf::from(format!("/nix/store/{ONE}/bin/x"));
        assert_eq!(found(&logical), Observation::Present(one.clone()));
        symlink(format!("/nix/store/{ONE}"), root.join("result")).unwrap();
        symlink("result", root.join("again")).unwrap();
        symlink("..", root.join("nix/up")).unwrap();
        assert_eq!(
            found(&root.join("again/bin")),
            Observation::Present(one.clone())
        );
        assert_eq!(found(&root.join("nix/up/again")), Observation::Present(one));
    }

    #[test]
    fn what_leads_nowhere() {
        let (_folder, root, location) = world();
        let gone = ONE.replace("hello", "gone");
        symlink(format!("/nix/store/{gone}"), root.join("old")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(resolve(&location, &root.join("old")), Observation::Absent);
        assert_eq!(
            resolve(&location, &root.join("nothing")),
            Observation::Absent
        );
        for other in ["loop", "nix", "nix/store"] {
            let found = resolve(&location, &root.join(other));
            assert!(found.unknown().is_some(), "{other}: {found:?}");
        }
        std::fs::create_dir(location.folder.join(".links")).unwrap();
        assert!(
            resolve(&location, &location.folder.join(".links/x"))
                .unknown()
                .is_some()
        );
        let raw = std::os::unix::ffi::OsStrExt::as_bytes(root.as_os_str()).to_vec();
        assert!(!raw.is_empty());
        let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"/\xff");
        symlink(odd, root.join("odd")).unwrap();
        assert!(resolve(&location, &root.join("odd")).unknown().is_some());
    }

    #[test]
    fn files_of_paths() {
        let (_folder, root, location) = world();
        let list = root.join("list");
        std::fs::write(
            &list,
            format!("# mine\n\n/nix/store/{ONE}\r\n /nix/store/{ONE}/bin \n"),
        )
        .unwrap();
        assert_eq!(
            list_of_paths(&location, &list).present().map(Vec::len),
            Some(2)
        );
        std::fs::write(&list, format!("/nix/store/{ONE}\nnonsense\n")).unwrap();
        let Observation::Unknown(Why(why)) = list_of_paths(&location, &list) else {
            panic!()
        };
        assert!(why.starts_with("line 2 of"), "{why}");
        std::fs::write(&list, b"\xff\n").unwrap();
        assert!(list_of_paths(&location, &list).unknown().is_some());
        assert_eq!(
            list_of_paths(&location, &root.join("none")),
            Observation::Absent
        );
        assert!(list_of_paths(&location, &root).unknown().is_some());
    }
}
