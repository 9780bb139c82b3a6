//! Patterns of paths: `*` and `?` stand for parts of one name, never for a slash.

use camino::{Utf8Path, Utf8PathBuf};
use regex::Regex;

/// The paths that a pattern means, sorted. Hidden names only where the pattern begins with a dot.
///
/// # Errors
/// A sentence on what could not be read.
pub(super) fn expand(pattern: &Utf8Path) -> Result<Vec<Utf8PathBuf>, String> {
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
            next.extend(entries(folder, part.starts_with('.'), &matcher)?);
        }
        next.sort();
        found = next;
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    Ok(found)
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

fn entries(folder: &Utf8Path, hidden: bool, matcher: &Regex) -> Result<Vec<Utf8PathBuf>, String> {
    let list = match std::fs::read_dir(folder) {
        Ok(list) => list,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("`{folder}` cannot be listed: {error}")),
    };
    let mut found = Vec::new();
    for entry in list {
        let entry = entry.map_err(|error| format!("`{folder}` cannot be listed: {error}"))?;
        let name = entry.file_name().into_string().map_err(|name| {
            format!(
                "`{}` in `{folder}` is not UTF-8, so it cannot become a store path",
                name.to_string_lossy()
            )
        })?;
        if (hidden || !name.starts_with('.')) && matcher.is_match(&name) {
            found.push(folder.join(name));
        }
    }
    Ok(found)
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
            let found = expand(&root.join(pattern)).unwrap();
            found
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
    }
}
