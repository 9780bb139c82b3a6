//! Building again: in which files two trees differ, and how often a path was reproduced.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::nix::hash::{Hasher, Sha256};
use crate::nix::nar::{Event, NarError, Reader};
use crate::nix::store_path::StorePath;
use crate::plan::time::Time;

/// Version of the lines that say how builds went.
pub const REBUILD_FORMAT: u32 = 1;

/// A node of a tree, as far as a NAR knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Whether it may be executed.
        executable: bool,
        /// Bytes.
        size: u64,
        /// Hash of its content.
        hash: Sha256,
    },
    /// A symlink to this.
    Symlink(Vec<u8>),
}

/// The nodes of a NAR by their paths in it; the root is the empty path.
///
/// # Errors
/// It is no NAR, or the stream failed.
pub fn listing(nar: impl Read) -> Result<BTreeMap<String, Node>, NarError> {
    let mut reader = Reader::new(nar);
    let mut nodes = BTreeMap::new();
    let mut at: Vec<String> = Vec::new();
    let mut open = 0_usize;
    let mut buffer = vec![0; 128 * 1024];
    while let Some(event) = reader.next_event()? {
        let node = match event {
            Event::Entry { name } => {
                at.push(String::from_utf8_lossy(&name).into_owned());
                continue;
            }
            Event::End => {
                open -= 1;
                if open > 0 {
                    at.pop();
                }
                continue;
            }
            Event::Directory => {
                nodes.insert(at.join("/"), Node::Directory);
                open += 1;
                continue;
            }
            Event::Symlink { target } => Node::Symlink(target),
            Event::Regular { executable, size } => {
                let mut hasher = Hasher::new();
                loop {
                    let read = reader.content(&mut buffer)?;
                    if read == 0 {
                        break;
                    }
                    hasher.update(buffer.get(..read).unwrap_or_default());
                }
                let hash = hasher.finish();
                Node::File {
                    executable,
                    size,
                    hash,
                }
            }
        };
        nodes.insert(at.join("/"), node);
        if open > 0 {
            at.pop();
        }
    }
    reader.finish()?;
    Ok(nodes)
}

/// One file that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its path in the tree; empty: the tree itself.
    pub file: String,
    /// What is different.
    pub text: String,
}

/// In what two trees differ, by path.
#[must_use]
pub fn differences(
    before: &BTreeMap<String, Node>,
    after: &BTreeMap<String, Node>,
) -> Vec<Difference> {
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let text = |file: &String| match (before.get(file), after.get(file)) {
        (Some(before), Some(after)) if before == after => None,
        (Some(_), None) => Some("only in the first build".to_owned()),
        (None, Some(_)) => Some("only in the second build".to_owned()),
        (
            Some(Node::File {
                size: was,
                executable: x,
                ..
            }),
            Some(Node::File {
                size: is,
                executable: y,
                ..
            }),
        ) => Some(match (was == is, x == y) {
            (false, _) => format!("{was} bytes, then {is}"),
            (true, true) => format!("{is} bytes both times, with other content"),
            (true, false) => "may be executed in one build only".to_owned(),
        }),
        (Some(Node::Symlink(_)), Some(Node::Symlink(_))) => Some("leads elsewhere".to_owned()),
        _ => Some("another kind of file".to_owned()),
    };
    all.into_iter()
        .filter_map(|file| {
            Some(Difference {
                text: text(file)?,
                file: file.clone(),
            })
        })
        .collect()
}

/// How building a path again went; one line of JSON in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuild {
    /// [`REBUILD_FORMAT`].
    pub format: u32,
    /// When it ended.
    pub time: Time,
    /// Which machine built it: stands for it without naming it.
    pub machine: String,
    /// The output that was asked for.
    pub output: String,
    /// The path.
    pub path: StorePath,
    /// NAR hash of the path that was there.
    pub nar_hash: Sha256,
    /// Whether the second build gave the same.
    pub same: bool,
    /// In what they differ; empty also where nobody knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// How often a path was built again, with which result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Builds that gave the same.
    pub same: u64,
    /// By how many machines.
    pub machines: u64,
    /// Builds that gave something else.
    pub different: u64,
}

/// What the record says of a path with this content.
#[must_use]
pub fn tally(records: &[Rebuild], path: &StorePath, nar_hash: Sha256) -> Tally {
    let of = |record: &&Rebuild| record.path == *path && record.nar_hash == nar_hash;
    let (same, different): (Vec<&Rebuild>, Vec<&Rebuild>) =
        records.iter().filter(of).partition(|record| record.same);
    let machines: BTreeSet<&str> = same.iter().map(|record| record.machine.as_str()).collect();
    Tally {
        same: same.len() as u64,
        machines: machines.len() as u64,
        different: different.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nix::nar::Writer;

    fn tree(content: &[u8], executable: bool, target: &[u8], more: bool) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        writer.directory().unwrap();
        writer.entry(b"a").unwrap();
        writer.directory().unwrap();
        writer.entry(b"file").unwrap();
        writer.regular(executable, content.len() as u64).unwrap();
        writer.content(content).unwrap();
        writer.end().unwrap();
        writer.entry(b"link").unwrap();
        writer.symlink(target).unwrap();
        if more {
            writer.entry(b"more").unwrap();
            writer.directory().unwrap();
            writer.end().unwrap();
        }
        writer.end().unwrap();
        writer.finish().unwrap()
    }

    fn compare(before: &[u8], after: &[u8]) -> Vec<(String, String)> {
        let (before, after) = (listing(before).unwrap(), listing(after).unwrap());
        let found = differences(&before, &after).into_iter();
        found.map(|one| (one.file, one.text)).collect()
    }

    #[test]
    fn differences_are_named_by_file() {
        let plain = tree(b"one", false, b"x", false);
        let named = listing(plain.as_slice()).unwrap();
        assert_eq!(
            named.keys().collect::<Vec<_>>(),
            ["", "a", "a/file", "link"]
        );
        assert_eq!(compare(&plain, &plain), []);
        let one = |file: &str, text: &str| vec![(file.to_owned(), text.to_owned())];
        let other = tree(b"two", false, b"x", false);
        assert_eq!(
            compare(&plain, &other),
            one("a/file", "3 bytes both times, with other content")
        );
        let other = tree(b"three", false, b"x", false);
        assert_eq!(compare(&plain, &other), one("a/file", "3 bytes, then 5"));
        let other = tree(b"one", true, b"x", false);
        assert_eq!(
            compare(&plain, &other),
            one("a/file", "may be executed in one build only")
        );
        let other = tree(b"one", false, b"y", false);
        assert_eq!(compare(&plain, &other), one("link", "leads elsewhere"));
        let other = tree(b"one", false, b"x", true);
        assert_eq!(
            compare(&plain, &other),
            one("more", "only in the second build")
        );
        assert_eq!(
            compare(&other, &plain),
            one("more", "only in the first build")
        );
    }

    #[test]
    fn a_tally_counts_machines_once() {
        let path: StorePath = "0123456789abcdfghijklmnpqrsvwxyz-a".parse().unwrap();
        let record = |machine: &str, same| Rebuild {
            format: REBUILD_FORMAT,
            time: Time(0),
            machine: machine.to_owned(),
            output: ".#a".to_owned(),
            path: path.clone(),
            nar_hash: Sha256::of(b"a"),
            same,
            differences: Vec::new(),
        };
        let mut records = vec![
            record("x", true),
            record("x", true),
            record("y", true),
            record("z", false),
        ];
        records.push(Rebuild {
            nar_hash: Sha256::of(b"b"),
            ..record("w", true)
        });
        let found = tally(&records, &path, Sha256::of(b"a"));
        assert_eq!((found.same, found.machines, found.different), (3, 2, 1));
    }
}
