//! The compressed files, and what is in them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use nanna_cache::nix::hash::{Hasher, Sha256};
use nanna_cache::nix::nar::{Event, Reader};

use super::stand_in::Shared;

/// Where a file lies.
pub fn path(shared: &Shared, file_name: &str) -> PathBuf {
    shared.folder.join("nar").join(file_name)
}

fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    Ok(match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("xz") => Box::new(liblzma::read::XzDecoder::new_multi_decoder(file)),
        _ => Box::new(zstd::Decoder::new(file)?),
    })
}

/// The hash and the size of the NAR in a file, or why there is none.
pub fn digest(path: &Path) -> Result<(Sha256, u64), String> {
    let mut input = open(path).map_err(|error| error.to_string())?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = input.read(&mut buffer).map_err(|error| error.to_string())?;
        if read == 0 {
            let size = hasher.len();
            return Ok((hasher.finish(), size));
        }
        hasher.update(&buffer[..read]);
    }
}

/// The content of one regular file in the NAR of a file.
pub fn content(path: &Path, wanted: &str) -> Option<Vec<u8>> {
    let mut reader = Reader::new(open(path).ok()?);
    let mut here: Vec<String> = Vec::new();
    while let Ok(Some(event)) = reader.next_event() {
        match event {
            Event::Entry { name } => here.push(String::from_utf8_lossy(&name).into_owned()),
            Event::Directory => {}
            Event::End | Event::Symlink { .. } => {
                here.pop();
            }
            Event::Regular { size, .. } => {
                if here.join("/") == wanted {
                    let mut bytes = vec![0; usize::try_from(size).ok()?];
                    let mut at = 0;
                    while at < bytes.len() {
                        at += reader
                            .content(&mut bytes[at..])
                            .ok()
                            .filter(|&read| read > 0)?;
                    }
                    return Some(bytes);
                }
                here.pop();
            }
        }
    }
    None
}
