//! The workflows of a repository: reads `.github/workflows` and `.github/actions`, writes nothing.
//!
//! Promises: symbolic links are not followed, what is no file is not opened, and no more than a bounded number of
//! bytes is read. What is wrong with one file is told with that file and hides no other.

use std::io::ErrorKind;

use camino::{Utf8Path, Utf8PathBuf};

use crate::insight::workflows::File;
use crate::sys::file;
use crate::text::yaml::MAX_BYTES;

/// Every workflow and composite action of the repository at `root`, in the order of names.
///
/// # Errors
/// A folder is there and cannot be listed: what it holds is unknown.
pub fn files(root: &Utf8Path) -> Result<Vec<File>, String> {
    let mut names: Vec<Utf8PathBuf> = list(root, ".github/workflows")?
        .into_iter()
        .filter(|name| matches!(name.extension(), Some("yml" | "yaml")))
        .collect();
    for action in list(root, ".github/actions")? {
        for file in ["action.yml", "action.yaml"] {
            let name = action.join(file);
            if root.join(&name).symlink_metadata().is_ok() {
                names.push(name);
            }
        }
    }
    names.sort();
    Ok(names
        .into_iter()
        .map(|name| File {
            content: read(&root.join(&name)),
            name: name.into_string(),
        })
        .collect())
}

/// The entries of a folder, relative to `root`; none, if there is no such folder.
fn list(root: &Utf8Path, folder: &str) -> Result<Vec<Utf8PathBuf>, String> {
    let fail = |error: std::io::Error| format!("list `{folder}`: {error}");
    let entries = match root.join(folder).read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(fail(error)),
    };
    entries
        .map(|entry| Ok(Utf8Path::new(folder).join(entry.map_err(fail)?.file_name())))
        .collect()
}

fn read(path: &Utf8Path) -> Result<Vec<u8>, String> {
    let facts = path.symlink_metadata().map_err(|error| error.to_string())?;
    if facts.is_symlink() {
        return Err("it is a symbolic link, which is not followed".to_owned());
    }
    if !facts.is_file() {
        return Err("it is no file".to_owned());
    }
    file::read(path.as_std_path(), MAX_BYTES as u64).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_read_and_links_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        assert_eq!(files(root), Ok(Vec::new()), "a repository without any");
        for name in [".github/workflows", ".github/actions/nix"] {
            std::fs::create_dir_all(root.join(name)).expect("made");
        }
        let write = |name: &str, bytes: &[u8]| std::fs::write(root.join(name), bytes);
        write(".github/workflows/b.yml", b"jobs: {}").expect("written");
        write(".github/workflows/notes.md", b"no").expect("written");
        write(".github/workflows/huge.yml", &vec![b'#'; MAX_BYTES + 1]).expect("written");
        write(".github/actions/nix/action.yml", b"runs: {}").expect("written");
        std::fs::create_dir(root.join(".github/workflows/d.yaml")).expect("made");
        std::os::unix::fs::symlink("/etc/passwd", root.join(".github/workflows/l.yml"))
            .expect("linked");
        let found = files(root).expect("listed");
        let names: Vec<&str> = found.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            [
                ".github/actions/nix/action.yml",
                ".github/workflows/b.yml",
                ".github/workflows/d.yaml",
                ".github/workflows/huge.yml",
                ".github/workflows/l.yml",
            ]
        );
        assert_eq!(found[0].content, Ok(b"runs: {}".to_vec()));
        assert_eq!(found[2].content, Err("it is no file".to_owned()));
        assert!(found[3].content.is_err(), "{:?}", found[3].name);
        let link = found[4].content.as_ref().expect_err("a link");
        assert!(link.contains("symbolic link"), "{link}");
    }
}
