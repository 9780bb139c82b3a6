//! Compression of NARs, block by block, with contexts that are used again.

use std::io::{self, Read, Write};

use liblzma::stream::{Check, MtStreamBuilder, Stream};
use liblzma::write::XzEncoder;
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};

use crate::config::model::{Compression, Method};
use crate::nix::narinfo;

/// From this size on a NAR is compressed in blocks that several threads can share. Whether they
/// do makes no difference to the bytes, so the same NAR gives the same file on every machine.
pub const SHARED_FROM: u64 = 32 << 20;

/// Bytes of a block of a shared xz stream.
const XZ_BLOCK: u64 = 16 << 20;

/// Log of the largest window that every Nix reads.
const WINDOW_LOG_LIMIT: u32 = 27;

/// The word of a narinfo for a method.
#[must_use]
pub const fn word(method: Method) -> narinfo::Compression {
    match method {
        Method::Zstd => narinfo::Compression::Zstd,
        Method::Xz => narinfo::Compression::Xz,
        Method::None => narinfo::Compression::None,
    }
}

/// Compresses one NAR after another.
pub struct Compressor {
    how: Compression,
    zstd: Option<Encoder<'static>>,
    out: Vec<u8>,
}

/// One NAR that is being compressed; what comes out goes to `W`.
pub struct Compressing<'a, W: Write> {
    kind: Kind<'a, W>,
}

enum Kind<'a, W: Write> {
    Zstd {
        encoder: &'a mut Encoder<'static>,
        buffer: &'a mut Vec<u8>,
        out: W,
    },
    Xz(Box<XzEncoder<W>>),
    None(W),
}

impl Compressor {
    /// A compressor of this method and level.
    #[must_use]
    pub fn new(how: Compression) -> Self {
        Self {
            how,
            zstd: None,
            out: vec![0; 256 * 1024],
        }
    }

    /// Begins a NAR of exactly `size` bytes, with up to `threads` threads of its own.
    ///
    /// # Errors
    /// The level is not one of the method, or there is not enough memory.
    pub fn begin<W: Write>(
        &mut self,
        size: u64,
        threads: u32,
        out: W,
    ) -> io::Result<Compressing<'_, W>> {
        let shared = size >= SHARED_FROM;
        let kind = match self.how.method {
            Method::Zstd => {
                let encoder = match &mut self.zstd {
                    Some(encoder) => {
                        encoder.reinit()?;
                        encoder
                    }
                    none => {
                        let mut encoder = Encoder::new(self.how.level)?;
                        if self.how.level >= 20 {
                            encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG_LIMIT))?;
                        }
                        none.insert(encoder)
                    }
                };
                encoder.set_parameter(CParameter::NbWorkers(if shared {
                    threads.max(1)
                } else {
                    0
                }))?;
                if shared && self.how.level < 10 {
                    // The default of four windows would do too; smaller jobs need less memory.
                    encoder.set_parameter(CParameter::JobSize(4 << 20))?;
                }
                encoder.set_pledged_src_size(Some(size))?;
                Kind::Zstd {
                    encoder,
                    buffer: &mut self.out,
                    out,
                }
            }
            Method::Xz => {
                let preset = u32::try_from(self.how.level.clamp(0, 9)).unwrap_or(6);
                let stream = if shared {
                    MtStreamBuilder::new()
                        .threads(threads.max(1))
                        .block_size(XZ_BLOCK)
                        .preset(preset)
                        .check(Check::Crc64)
                        .encoder()
                } else {
                    Stream::new_easy_encoder(preset, Check::Crc64)
                };
                Kind::Xz(Box::new(XzEncoder::new_stream(
                    out,
                    stream.map_err(io::Error::other)?,
                )))
            }
            Method::None => Kind::None(out),
        };
        Ok(Compressing { kind })
    }
}

impl<W: Write> Compressing<'_, W> {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Compression or the output failed.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.kind {
            Kind::Zstd {
                encoder,
                buffer,
                out,
            } => {
                let mut input = InBuffer::around(bytes);
                while input.pos() < bytes.len() {
                    let mut output = OutBuffer::around(buffer.as_mut_slice());
                    encoder.run(&mut input, &mut output)?;
                    out.write_all(output.as_slice())?;
                }
                Ok(())
            }
            Kind::Xz(encoder) => encoder.write_all(bytes),
            Kind::None(out) => out.write_all(bytes),
        }
    }

    /// Writes what is left, and gives the output back.
    ///
    /// # Errors
    /// Compression or the output failed.
    pub fn finish(self) -> io::Result<W> {
        match self.kind {
            Kind::Zstd {
                encoder,
                buffer,
                mut out,
            } => loop {
                let mut output = OutBuffer::around(buffer.as_mut_slice());
                let left = encoder.finish(&mut output, true)?;
                out.write_all(output.as_slice())?;
                if left == 0 {
                    return Ok(out);
                }
            },
            Kind::Xz(encoder) => encoder.finish(),
            Kind::None(out) => Ok(out),
        }
    }
}

/// A stream of the bytes that `input` holds compressed; `None`: we cannot read this method.
///
/// # Errors
/// There is not enough memory.
pub fn decompress<'a>(
    method: &narinfo::Compression,
    input: impl Read + Send + 'a,
) -> io::Result<Option<Box<dyn Read + Send + 'a>>> {
    Ok(match method {
        narinfo::Compression::None => Some(Box::new(input)),
        narinfo::Compression::Zstd => {
            let mut decoder = zstd::Decoder::new(input)?;
            decoder.window_log_max(WINDOW_LOG_LIMIT)?;
            Some(Box::new(decoder))
        }
        narinfo::Compression::Xz => {
            Some(Box::new(liblzma::read::XzDecoder::new_multi_decoder(input)))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(method: Method, level: i32, bytes: &[u8], threads: u32) -> Vec<u8> {
        let mut compressor = Compressor::new(Compression { method, level });
        // The second use of a context must give the same as the first.
        for _ in 0..2 {
            let mut stream = compressor
                .begin(bytes.len() as u64, threads, Vec::new())
                .unwrap();
            for piece in bytes.chunks(100_000) {
                stream.write(piece).unwrap();
            }
            let packed = stream.finish().unwrap();
            let mut back = Vec::new();
            let mut reader = decompress(&word(method), packed.as_slice())
                .unwrap()
                .unwrap();
            reader.read_to_end(&mut back).unwrap();
            assert_eq!(back, bytes, "{method:?}");
        }
        let mut stream = compressor
            .begin(bytes.len() as u64, threads, Vec::new())
            .unwrap();
        stream.write(bytes).unwrap();
        stream.finish().unwrap()
    }

    #[test]
    fn every_method_round_trips_and_shared_work_gives_the_same_bytes() {
        let small: Vec<u8> = (0..300_000u32)
            .map(|i| (i.wrapping_mul(i) >> 7).to_le_bytes()[0])
            .collect();
        for (method, level) in [
            (Method::Zstd, 3),
            (Method::Zstd, 20),
            (Method::Xz, 1),
            (Method::None, 0),
        ] {
            assert_eq!(
                packed(method, level, &small, 1),
                packed(method, level, &small, 4)
            );
            assert!(!packed(method, level, &[], 1).is_empty() || method == Method::None);
        }
        let large: Vec<u8> = small.iter().copied().cycle().take(33 << 20).collect();
        assert_eq!(
            packed(Method::Zstd, 1, &large, 1),
            packed(Method::Zstd, 1, &large, 3)
        );
        assert_eq!(
            packed(Method::Xz, 0, &large, 1),
            packed(Method::Xz, 0, &large, 3)
        );
    }

    #[test]
    fn a_size_that_was_not_kept_is_an_error() {
        let mut compressor = Compressor::new(Compression {
            method: Method::Zstd,
            level: 3,
        });
        let mut stream = compressor.begin(10, 1, Vec::new()).unwrap();
        let failed = stream.write(b"eleven byte").is_err() || stream.finish().is_err();
        assert!(failed);
        // The context is still of use.
        let mut stream = compressor.begin(2, 1, Vec::new()).unwrap();
        stream.write(b"ok").unwrap();
        stream.finish().unwrap();
    }
}
