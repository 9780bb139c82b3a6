//! Where the bytes of one NAR go on their way to a sink.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::BLOCK;
use crate::nix::hash::Hasher;
use crate::transfer::compress::Compressing;
use crate::transfer::progress::Progress;
use crate::transfer::sink::{Sink, SinkError};

/// Takes the NAR: gathers blocks, hashes and compresses them.
pub(super) struct NarOut<'a, W: Write> {
    pub(super) stream: Compressing<'a, W>,
    pub(super) hasher: Hasher,
    pub(super) block: &'a mut Vec<u8>,
    /// More bytes than these are refused.
    pub(super) limit: u64,
    pub(super) abandoned: &'a AtomicBool,
    pub(super) progress: &'a Progress,
}

impl<W: Write> NarOut<'_, W> {
    pub(super) fn push(&mut self) -> io::Result<()> {
        self.hasher.update(self.block);
        if self.hasher.len() > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.abandoned.load(Ordering::Relaxed) {
            return Err(io::Error::other("given up"));
        }
        self.stream.write(self.block)?;
        // Counted here and not where files are read: totals are sizes of NARs.
        Progress::add(&self.progress.bytes_done, self.block.len() as u64);
        self.block.clear();
        Ok(())
    }
}

impl<W: Write> Write for NarOut<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK - self.block.len();
        let taken = bytes.len().min(room);
        self.block
            .extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if self.block.len() == BLOCK {
            self.push()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes the compressed bytes: hashes them and hands them to the sink.
pub(super) struct FileOut<'a> {
    pub(super) sink: &'a mut dyn Sink,
    pub(super) hasher: Hasher,
    pub(super) failed: &'a mut Option<SinkError>,
    pub(super) progress: &'a Progress,
}

impl Write for FileOut<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        if let Err(error) = self.sink.write(bytes) {
            let text = error.to_string();
            *self.failed = Some(error);
            return Err(io::Error::other(text));
        }
        Progress::add(&self.progress.bytes_written, bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
