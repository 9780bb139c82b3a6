//! Any bytes: what reads as a NAR is written back byte for byte.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nanna_cache::nix::nar::{Event, NarError, Reader, Writer};

fn copy(bytes: &[u8]) -> Result<Vec<u8>, NarError> {
    let mut reader = Reader::new(bytes);
    let mut writer = Writer::new(Vec::new());
    let mut buffer = [0; 4096];
    while let Some(event) = reader.next_event()? {
        match event {
            Event::Regular { executable, size } => {
                writer.regular(executable, size)?;
                loop {
                    match reader.content(&mut buffer)? {
                        0 => break,
                        len => writer.content(&buffer[..len])?,
                    }
                }
            }
            Event::Symlink { target } => writer.symlink(&target)?,
            Event::Directory => writer.directory()?,
            Event::Entry { name } => writer.entry(&name)?,
            Event::End => writer.end()?,
        }
    }
    reader.finish()?;
    writer.finish()
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(written) = copy(bytes) {
        assert_eq!(written, bytes);
    }
});
