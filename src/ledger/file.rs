//! Records in files: lines of JSON, packed with zstd or not. What a workflow keeps, and what lies in a cache.

use std::io::Read as _;

/// Largest file of records, unpacked.
pub const LARGEST: u64 = 1 << 30;
/// Largest single record, unpacked.
const LARGEST_LINE: u64 = 64 << 20;
/// What a packed file begins with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Records are small and many; a higher level gains next to nothing.
const LEVEL: i32 = 9;

/// Packs one record.
#[must_use]
pub(super) fn pack_line(line: &str) -> Vec<u8> {
    pack(line)
}

/// Unpacks one record.
///
/// # Errors
/// It is damaged, or too large; as a sentence.
pub(super) fn unpack_line(bytes: &[u8]) -> Result<String, String> {
    unpack_to(bytes, LARGEST_LINE)
}

/// Packs lines of records.
#[must_use]
pub fn pack(lines: &str) -> Vec<u8> {
    zstd::encode_all(lines.as_bytes(), LEVEL).unwrap_or_else(|_| lines.as_bytes().to_vec())
}

/// The lines of a file of records, packed or not.
///
/// # Errors
/// It is damaged, too large, or no text; as a sentence.
pub fn unpack(bytes: &[u8]) -> Result<String, String> {
    unpack_to(bytes, LARGEST)
}

fn unpack_to(bytes: &[u8], limit: u64) -> Result<String, String> {
    let mut text = Vec::new();
    if bytes.starts_with(&MAGIC) {
        let decoder = zstd::stream::read::Decoder::with_buffer(bytes)
            .map_err(|error| format!("unpack records: {error}"))?;
        decoder
            .take(limit + 1)
            .read_to_end(&mut text)
            .map_err(|error| format!("unpack records: {error}"))?;
    } else {
        text.extend_from_slice(bytes);
    }
    if text.len() as u64 > limit {
        return Err(format!("unpack records: they have more than {limit} bytes"));
    }
    String::from_utf8(text).map_err(|_| "read records: this is no text".to_owned())
}
