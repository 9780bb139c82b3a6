//! NARs: file trees as one stream of bytes, the same on every machine.
//!
//! [`Writer`] encodes and [`Reader`] decodes as streams; neither holds more than one token.
//! Both enforce the format to the letter: names ascending by bytes and each once, no name that
//! leads elsewhere, zero padding, and the limits of the newer versions of Nix. The size of a NAR
//! follows from metadata alone ([`size_of_nar`] and its companions).
//!
//! Every token is a string: its length in 8 bytes, little-endian; its bytes; zeros up to a
//! multiple of 8.

mod read;
mod write;

pub use read::{Event, Reader};
pub use write::Writer;

/// Nesting that newer versions of Nix refuse: a node may have at most one less above it.
pub const MAX_DEPTH: usize = 64;
/// The longest name of a directory entry, in bytes.
pub const MAX_NAME_LEN: usize = 255;
/// The longest target of a symlink, in bytes.
pub const MAX_TARGET_LEN: usize = 4095;

/// The first token.
const MAGIC: &[u8] = b"nix-archive-1";

/// What is wrong with a NAR, or with the tree that should become one.
#[derive(Debug, thiserror::Error)]
pub enum NarError {
    /// The stream below failed. On reading, an early end is [`NarError::Truncated`] instead.
    #[error("the stream failed")]
    Io(#[from] std::io::Error),
    /// The stream ended within the NAR.
    #[error("cut off after {at} bytes")]
    Truncated {
        /// Bytes read.
        at: u64,
    },
    /// Another token than the format has here.
    #[error("not a NAR at byte {at}: expected {wanted}")]
    Token {
        /// Where the token begins.
        at: u64,
        /// What should be there.
        wanted: &'static str,
    },
    /// Padding that is not zero.
    #[error("padding that is not zero before byte {at}")]
    Padding {
        /// Where the padding ends.
        at: u64,
    },
    /// Bytes after the end.
    #[error("bytes after the end at byte {at}")]
    Trailing {
        /// Where the NAR ended.
        at: u64,
    },
    /// A name that is empty, `.` or `..`, or holds a slash or a NUL, or is too long.
    #[error("the name {0:?} cannot be in a NAR")]
    Name(String),
    /// An entry that does not come after the one before it.
    #[error("the entry {name:?} does not come after {before:?}")]
    Unsorted {
        /// The entry before.
        before: String,
        /// The entry.
        name: String,
    },
    /// A target that is empty, holds a NUL, or is too long.
    #[error("a symlink target of {len} bytes cannot be in a NAR")]
    Target {
        /// Its length.
        len: u64,
    },
    /// Directories nested too deep.
    #[error("nested {MAX_DEPTH} deep or deeper")]
    Depth,
    /// A file that is shorter or longer than it was announced to be.
    #[error("a file of {announced} bytes gave {given} bytes")]
    Size {
        /// The size announced.
        announced: u64,
        /// Bytes given, at least.
        given: u64,
    },
    /// The caller's calls do not make a tree, or go on after an error.
    #[error("{0}")]
    Misuse(&'static str),
}

/// Checks the name of a directory entry.
fn check_name(name: &[u8]) -> Result<(), NarError> {
    let wrong = name.is_empty()
        || name.len() > MAX_NAME_LEN
        || name == b"."
        || name == b".."
        || name.iter().any(|byte| matches!(byte, 0 | b'/'));
    if wrong {
        Err(NarError::Name(lossy(name)))
    } else {
        Ok(())
    }
}

/// Checks that `name` may follow `before` in a directory.
fn check_order(before: Option<&[u8]>, name: &[u8]) -> Result<(), NarError> {
    match before {
        Some(before) if before >= name => Err(NarError::Unsorted {
            before: lossy(before),
            name: lossy(name),
        }),
        _ => Ok(()),
    }
}

/// Checks the target of a symlink.
fn check_target(target: &[u8]) -> Result<(), NarError> {
    let wrong = target.is_empty() || target.len() > MAX_TARGET_LEN || target.contains(&0);
    if wrong {
        Err(NarError::Target {
            len: target.len() as u64,
        })
    } else {
        Ok(())
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How many zeros follow `len` bytes.
const fn padding(len: u64) -> u64 {
    len.wrapping_neg() % 8
}

/// The size of a token of `len` bytes.
const fn size_of_token(len: u64) -> u64 {
    len.saturating_add(padding(len)).saturating_add(8)
}

/// The size of a regular file's node, in bytes.
#[must_use]
pub const fn size_of_regular(len: u64, executable: bool) -> u64 {
    // "(" "type" "regular" ["executable" ""] "contents" BYTES ")"
    let frame = 5 * 16 + if executable { 24 + 8 } else { 0 };
    size_of_token(len).saturating_add(frame)
}

/// The size of a symlink's node, in bytes; `target_len` in bytes.
#[must_use]
pub const fn size_of_symlink(target_len: u64) -> u64 {
    // "(" "type" "symlink" "target" BYTES ")"
    size_of_token(target_len).saturating_add(5 * 16)
}

/// The size of an empty directory's node, in bytes. Its entries ([`size_of_entry`]) are added.
pub const SIZE_OF_DIRECTORY: u64 = 3 * 16 + 24;

/// What an entry adds to its directory's node, in bytes: its name and its own node.
#[must_use]
pub const fn size_of_entry(name_len: u64, node_size: u64) -> u64 {
    // "entry" "(" "name" BYTES "node" NODE ")"
    size_of_token(name_len)
        .saturating_add(node_size)
        .saturating_add(5 * 16)
}

/// The size of the NAR with the root node of `node_size` bytes.
#[must_use]
pub const fn size_of_nar(node_size: u64) -> u64 {
    node_size.saturating_add(24)
}

#[cfg(test)]
mod tests;
