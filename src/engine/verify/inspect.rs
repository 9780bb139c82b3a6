//! Reading a NAR file once: its hash, whether it decompresses, whether it is a NAR by the letter, its hash, and
//! the store paths that it names. One block of memory per file.

use std::collections::HashSet;
use std::io::{self, Read};

use crate::insight::verify::{NarFacts, NarState, Scanner};
use crate::nix::hash::{Hasher, Sha256};
use crate::nix::nar::{Event, NarError, Reader};
use crate::nix::narinfo::NarInfo;
use crate::nix::store_path::HashPart;
use crate::transfer::compress::decompress;
use crate::transfer::progress::Progress;

/// Bytes that are read at once.
const BLOCK: usize = 256 * 1024;

/// Reads the NAR file of a narinfo to its end.
///
/// # Errors
/// The file itself cannot be read, or the work was asked to stop. What is wrong in it is in the facts.
pub(super) fn inspect(
    file: Box<dyn Read + Send>,
    info: &NarInfo,
    wanted: &HashSet<HashPart>,
    progress: &Progress,
) -> io::Result<NarFacts> {
    let mut file = Tee::new(file, None, u64::MAX, progress);
    let mut facts = NarFacts {
        file_size: 0,
        file_hash: Sha256([0; 32]),
        state: NarState::Unreadable,
        nar_size: 0,
        nar_hash: Sha256([0; 32]),
        flat: None,
        named: std::collections::BTreeSet::new(),
    };
    let mut buffer = vec![0; BLOCK];
    if let Some(stream) = decompress(&info.compression, &mut file)? {
        let mut nar = Tee::new(stream, Some(Scanner::new(wanted)), info.nar_size, progress);
        let read = walk(&mut nar, &mut buffer);
        // Whatever was wrong, the hash is that of all that is in it.
        let rest = drain(&mut nar, &mut buffer);
        let broken = nar.broken.take();
        facts.state = match (read, rest) {
            _ if nar.longer => NarState::Longer,
            (Ok(flat), Ok(())) => {
                facts.flat = flat;
                NarState::Canonical
            }
            (Err(_), _) | (_, Err(_)) if broken.is_some() => {
                NarState::Undecodable(broken.unwrap_or_default())
            }
            (Err(error), _) => NarState::Malformed(error.to_string()),
            (Ok(_), Err(error)) => NarState::Undecodable(error.to_string()),
        };
        facts.nar_size = nar.hasher.len();
        facts.nar_hash = nar.hasher.finish();
        facts.named = nar.scanner.map(Scanner::finish).unwrap_or_default();
    }
    let rest = drain(&mut file, &mut buffer);
    if let Some(why) = file.broken.take() {
        return Err(io::Error::other(why));
    }
    rest?;
    if progress.is_stopped() {
        return Err(io::Error::other("it was stopped"));
    }
    facts.file_size = file.hasher.len();
    facts.file_hash = file.hasher.finish();
    Ok(facts)
}

/// Reads the NAR by its grammar; gives the hash of its content where it is one regular file.
fn walk(nar: &mut Tee<'_, '_>, buffer: &mut [u8]) -> Result<Option<Sha256>, NarError> {
    let mut reader = Reader::new(nar);
    let mut flat = None;
    if let Some(Event::Regular { .. }) = reader.next_event()? {
        let mut hasher = Hasher::new();
        loop {
            let read = reader.content(buffer)?;
            if read == 0 {
                break;
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        flat = Some(hasher.finish());
    }
    reader.finish()?;
    Ok(flat)
}

fn drain(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        match input.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Hashes what passes through, and looks for names in it.
struct Tee<'a, 'w> {
    input: Box<dyn Read + Send + 'a>,
    hasher: Hasher,
    scanner: Option<Scanner<'w>>,
    /// More than so many bytes are not read.
    limit: u64,
    /// Whether there were more.
    longer: bool,
    /// Why the input failed; it is not asked again.
    broken: Option<String>,
    ended: bool,
    progress: &'a Progress,
}

impl<'a, 'w> Tee<'a, 'w> {
    fn new(
        input: Box<dyn Read + Send + 'a>,
        scanner: Option<Scanner<'w>>,
        limit: u64,
        progress: &'a Progress,
    ) -> Self {
        Self {
            input,
            hasher: Hasher::new(),
            scanner,
            limit,
            longer: false,
            broken: None,
            ended: false,
            progress,
        }
    }
}

impl Read for Tee<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || self.progress.is_stopped() {
            return Ok(0);
        }
        let read = match self.input.read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                self.ended = true;
                self.broken = Some(error.to_string());
                return Err(error);
            }
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        self.hasher.update(bytes);
        if let Some(scanner) = &mut self.scanner {
            scanner.update(bytes);
            Progress::add(&self.progress.bytes_done, read as u64);
        }
        self.ended = read == 0;
        if self.hasher.len() > self.limit {
            self.longer = true;
            self.ended = true;
            return Ok(0);
        }
        Ok(read)
    }
}
