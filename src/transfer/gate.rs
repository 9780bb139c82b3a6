//! Who looks at what is about to leave: file by file, while the NAR is made, in the same pass.
//!
//! What it looks for is not known here. Promise: a NAR whose [`Watch`] refuses it is never finished, and where
//! a sink sends before it is finished ([`super::pipeline::Settings::withhold`]) not a byte of it is sent.

use std::io::{Read, Seek as _, SeekFrom, Write as _};

use tempfile::SpooledTempFile;

use super::sink::{Sink, SinkError};
use crate::nix::store_path::StorePath;

/// Lets NARs pass, or not.
pub trait Gate: Send + Sync {
    /// Begins to look at a path.
    fn begin(&self, path: &StorePath) -> Box<dyn Watch + '_>;

    /// Whether it may refuse: then nothing may be sent before it was asked.
    fn may_refuse(&self) -> bool;
}

/// Looks at the files of one NAR, in their order.
pub trait Watch {
    /// A regular file begins; `name` is where it is in the NAR, empty for the root; `size` in bytes.
    fn file(&mut self, name: &[u8], size: u64);

    /// The next bytes of the file.
    fn content(&mut self, bytes: &[u8]);

    /// The NAR is at its end.
    ///
    /// # Errors
    /// It must not leave; the text says why, as a sentence.
    fn verdict(self: Box<Self>) -> Result<(), String>;
}

/// Bytes of a file that are withheld in memory; more go to a temporary file without a name.
const IN_MEMORY: usize = 4 << 20;

/// Withholds the bytes of a file until they may be sent.
pub(super) struct Withheld(SpooledTempFile);

impl Withheld {
    pub(super) fn new() -> Self {
        Self(SpooledTempFile::new(IN_MEMORY))
    }

    /// Sends all of it.
    pub(super) fn send(mut self, sink: &mut dyn Sink) -> Result<(), SinkError> {
        self.0.seek(SeekFrom::Start(0))?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match self.0.read(&mut buffer)? {
                0 => return Ok(()),
                read => sink.write(buffer.get(..read).unwrap_or_default())?,
            }
        }
    }
}

impl Sink for Withheld {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        Ok(self.0.write_all(bytes)?)
    }

    fn finish(self: Box<Self>, _: &super::sink::FileFacts) -> Result<String, SinkError> {
        Err("it was withheld".into())
    }
}
