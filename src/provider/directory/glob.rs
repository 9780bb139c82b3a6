//! Patterns of paths: `*` and `?` stand for parts of one name, never for a slash.

use camino::{Utf8Path, Utf8PathBuf};
use regex::Regex;

/// What a pattern means.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    /// The paths, sorted.
    pub(super) found: Vec<Utf8PathBuf>,
    /// What could not be read, or named, and why.
    pub(super) unseen: Vec<(String, String)>,
}

/// The paths that a pattern means. Hidden names only where the pattern begins with a dot.
///
/// # Errors
/// It is no pattern.
pub(super) fn expand(pattern: &Utf8Path) -> Result<Expanded, String> {
    let mut unseen = Vec::new();
    let mut found = vec![Utf8PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_str();
        if !part.contains(['*', '?']) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let matcher = matcher(part)?;
        let mut next = Vec::new();
        for folder in &found {
            next.extend(entries(
                folder,
                part.starts_with('.'),
                &matcher,
                &mut unseen,
            ));
        }
        next.sort();
        found = next;
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    Ok(Expanded { found, unseen })
}

fn matcher(part: &str) -> Result<Regex, String> {
    let mut text = String::from("^(?s:");
    for c in part.chars() {
        match c {
            '*' => text.push_str(".*"),
            '?' => text.push('.'),
            other => text.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    text.push_str(")$");
    Regex::new(&text).map_err(|error| error.to_string())
}

fn entries(
    folder: &Utf8Path,
    hidden: bool,
    matcher: &Regex,
    unseen: &mut Vec<(String, String)>,
) -> Vec<Utf8PathBuf> {
    use std::io::ErrorKind;
    let mut fail = |what: String, why: String| unseen.push((what, why));
    let list = match std::fs::read_dir(folder) {
        Ok(list) => list,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Vec::new();
        }
        Err(error) => {
            fail(folder.to_string(), format!("it cannot be listed: {error}"));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for entry in list {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                fail(folder.to_string(), format!("it cannot be listed: {error}"));
                continue;
            }
        };
        match entry.file_name().into_string() {
            Ok(name) if (hidden || !name.starts_with('.')) && matcher.is_match(&name) => {
                found.push(folder.join(name));
            }
            Ok(_) => {}
            // What other bytes mean to a pattern is not defined: it counts as meant.
            Err(name) => fail(
                folder.join(name.to_string_lossy().as_ref()).to_string(),
                "its name is not UTF-8, so it cannot become a store path".to_owned(),
            ),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        for path in ["models/a", "models/b.d/c", "models/.hidden", "other/a"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            let expanded = expand(&root.join(pattern)).unwrap();
            assert!(expanded.unseen.is_empty(), "{:?}", expanded.unseen);
            expanded
                .found
                .iter()
                .map(|path| path.strip_prefix(root).unwrap().to_string())
                .collect()
        };
        assert_eq!(names("models/*"), ["models/a", "models/b.d"]);
        assert_eq!(names("*/a"), ["models/a", "other/a"]);
        assert_eq!(names("models/b?d/*"), ["models/b.d/c"]);
        assert_eq!(names("models/.*"), ["models/.hidden"]);
        assert_eq!(names("models/a"), ["models/a"]);
        assert!(names("nowhere/*").is_empty());
        std::fs::write(root.join("models/notes"), "").unwrap();
        assert_eq!(names("models/*/*"), ["models/b.d/c"]);
    }
}
