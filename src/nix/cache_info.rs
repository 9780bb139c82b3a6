//! `nix-cache-info`: what a binary cache says about itself.
//!
//! Lines of `Key: value`; unknown keys and lines without a colon are ignored, and kept as they
//! are when a value is changed. Promise: what was not changed prints back byte for byte.

use std::fmt;

use super::store_path::StoreDir;

/// Why a cache info makes its cache unusable to Nix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CacheInfoError {
    /// A `Priority` that C's `stoi` cannot read: Nix then drops the cache.
    #[error("`Priority: {0}` is not an integer, which makes Nix drop the cache")]
    Priority(String),
}

/// A cache info, with its lines as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInfo {
    /// Each line with its line break.
    lines: Vec<String>,
    store_dir: Option<String>,
    want_mass_query: bool,
    priority: Option<i32>,
}

/// Nix's white space.
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

impl CacheInfo {
    /// A cache info of our own.
    #[must_use]
    pub fn new(store_dir: &StoreDir, want_mass_query: bool, priority: i32) -> Self {
        let lines = vec![
            format!("StoreDir: {store_dir}\n"),
            format!("WantMassQuery: {}\n", u8::from(want_mass_query)),
            format!("Priority: {priority}\n"),
        ];
        let store_dir = Some(store_dir.to_string());
        Self {
            lines,
            store_dir,
            want_mass_query,
            priority: Some(priority),
        }
    }

    /// Reads a cache info as Nix does: of a repeated key the last one counts.
    ///
    /// # Errors
    ///
    /// A `Priority` that is no integer.
    pub fn parse(text: &str) -> Result<Self, CacheInfoError> {
        let mut info = Self {
            lines: text.split_inclusive('\n').map(str::to_owned).collect(),
            store_dir: None,
            want_mass_query: false,
            priority: None,
        };
        for line in text.split('\n') {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim_matches(BLANKS);
            match key {
                "StoreDir" => info.store_dir = Some(value.to_owned()),
                "WantMassQuery" => info.want_mass_query = value == "1",
                "Priority" => {
                    let wrong = || CacheInfoError::Priority(value.chars().take(40).collect());
                    info.priority = Some(stoi(value).ok_or_else(wrong)?);
                }
                _ => {}
            }
        }
        Ok(info)
    }

    /// The store directory of the cache's paths. Nix refuses a cache whose directory is another
    /// than its own; a cache that says nothing is taken to have the same.
    #[must_use]
    pub fn store_dir(&self) -> Option<&str> {
        self.store_dir.as_deref()
    }

    /// Whether the cache wants to be asked about many paths at once.
    #[must_use]
    pub const fn want_mass_query(&self) -> bool {
        self.want_mass_query
    }

    /// The number by which Nix sorts caches, lower is asked first. Nix takes a missing one as 0,
    /// that is: before every cache that says something sensible.
    #[must_use]
    pub const fn priority(&self) -> Option<i32> {
        self.priority
    }

    /// Sets the priority: in the line that counts, or in a new last line.
    pub fn set_priority(&mut self, priority: i32) {
        self.priority = Some(priority);
        self.set("Priority", &priority.to_string());
    }

    /// Sets whether the cache wants to be asked about many paths at once.
    pub fn set_want_mass_query(&mut self, want: bool) {
        self.want_mass_query = want;
        self.set("WantMassQuery", if want { "1" } else { "0" });
    }

    /// Sets the store directory.
    pub fn set_store_dir(&mut self, store_dir: &StoreDir) {
        self.store_dir = Some(store_dir.to_string());
        self.set("StoreDir", store_dir.as_str());
    }

    fn set(&mut self, key: &str, value: &str) {
        let is_key = |line: &&mut String| line.split_once(':').is_some_and(|(k, _)| k == key);
        if let Some(line) = self.lines.iter_mut().rev().find(is_key) {
            let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
            *line = format!("{key}: {value}{end}");
            return;
        }
        if let Some(last) = self.lines.last_mut().filter(|line| !line.ends_with('\n')) {
            last.push('\n');
        }
        self.lines.push(format!("{key}: {value}\n"));
    }
}

impl fmt::Display for CacheInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| f.write_str(line))
    }
}

/// C's `stoi`: blanks, a sign, digits; what follows is ignored.
fn stoi(text: &str) -> Option<i32> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    text[..sign + digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_what_a_good_cache_says() {
        let info = CacheInfo::new(&StoreDir::default(), true, 41);
        let text = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 41\n";
        assert_eq!(info.to_string(), text);
        assert_eq!(CacheInfo::parse(text), Ok(info));
    }

    #[test]
    fn reads_priorities_as_c_does() {
        for (value, wanted) in [
            ("40", Some(40)),
            (" 1.5", Some(1)),
            ("-3", Some(-3)),
            ("+7x", Some(7)),
            ("\t8\r", Some(8)),
            ("0x10", Some(0)),
            ("", None),
            ("high", None),
            ("- 1", None),
            ("2147483647", Some(i32::MAX)),
            ("2147483648", None),
        ] {
            let parsed = CacheInfo::parse(&format!("Priority:{value}\n"));
            assert_eq!(
                parsed.ok().and_then(|info| info.priority()),
                wanted,
                "{value:?}"
            );
        }
    }

    #[test]
    fn changes_only_what_is_set() {
        let text = "# ours\nStoreDir: /nix/store\r\nPriority: 1\nFoo: bar\nPriority: 2\r\nlast";
        let mut info = CacheInfo::parse(text).unwrap();
        assert_eq!(info.priority(), Some(2));
        assert_eq!(info.store_dir(), Some("/nix/store"));
        info.set_priority(30);
        info.set_want_mass_query(true);
        assert_eq!(
            info.to_string(),
            "# ours\nStoreDir: /nix/store\r\nPriority: 1\nFoo: bar\nPriority: 30\r\nlast\nWantMassQuery: 1\n"
        );
        info.set_store_dir(&StoreDir::new("/x").unwrap());
        let again = CacheInfo::parse(&info.to_string()).unwrap();
        assert_eq!(
            (again.priority(), again.want_mass_query()),
            (Some(30), true)
        );
        assert_eq!(again.store_dir(), Some("/x"));
    }

    proptest! {
        #[test]
        fn prints_back_any_text(text in "(Priority|StoreDir|[a-z]|:| |\n|\r\n|[0-9]){0,20}") {
            if let Ok(info) = CacheInfo::parse(&text) {
                prop_assert_eq!(info.to_string(), text);
            }
        }

        #[test]
        fn what_is_set_is_read(text in "(Priority: 1|[a-z]|:| |\n|\r\n){0,20}", priority: i32) {
            let mut info = CacheInfo::parse(&text).unwrap();
            info.set_priority(priority);
            let again = CacheInfo::parse(&info.to_string()).unwrap();
            prop_assert_eq!(again.priority(), Some(priority));
        }
    }
}
