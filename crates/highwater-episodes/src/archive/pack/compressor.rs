//! zstd as an archive wants it: one frame with a checksum, from a context that is made once. Owns what the settings mean to zstd.

use std::io;

use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation as _, OutBuffer};

use super::PackError;
use super::chunk::Chunk;
use crate::archive::{CompressionSettings, WINDOW_LOG_MAX};

/// From this level on zstd's own windows may be larger than ours.
const WIDE_LEVEL: u64 = 20;
/// What all threads compress at a time, in bytes; zstd holds that twice.
const JOBS_BYTES: u32 = 12 << 20;
/// What one thread compresses at a time, at most, in bytes.
const JOB_BYTES_MAX: u32 = 4 << 20;

/// Compresses one stream after the other.
pub(super) struct Compressor(Encoder<'static>);

impl Compressor {
    pub(super) fn new(settings: &CompressionSettings) -> io::Result<Self> {
        let level = i32::try_from(settings.level.get()).expect("invariant: levels are small");
        let mut encoder = Encoder::new(level)?;
        encoder.set_parameter(CParameter::ChecksumFlag(true))?;
        let threads = u32::try_from(settings.threads.get()).expect("invariant: threads are few");
        if threads > 0 {
            encoder.set_parameter(CParameter::NbWorkers(threads))?;
            if settings.long.is_none() && settings.level.get() < WIDE_LEVEL {
                encoder.set_parameter(CParameter::JobSize((JOBS_BYTES / threads).min(JOB_BYTES_MAX)))?;
            }
        }
        if let Some(long) = settings.long {
            let log = u32::try_from(long.get()).expect("invariant: windows are bounded");
            encoder.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
            encoder.set_parameter(CParameter::WindowLog(log))?;
        } else if settings.level.get() >= WIDE_LEVEL {
            encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG_MAX))?;
        }
        Ok(Self(encoder))
    }

    /// Begins a stream, and forgets one that did not come to its end.
    pub(super) fn begin(&mut self) -> Result<(), PackError> {
        self.0.reinit().map_err(PackError::Zstd)
    }

    /// Compresses these bytes into `piece`, and hands it on whenever it is full.
    pub(super) fn add(
        &mut self,
        bytes: &[u8],
        piece: &mut Chunk,
        mut full: impl FnMut(&mut Chunk) -> Result<(), PackError>,
    ) -> Result<(), PackError> {
        let mut input = InBuffer::around(bytes);
        while input.pos() < bytes.len() {
            self.step(piece, &mut full, |encoder, output| encoder.run(&mut input, output))?;
        }
        Ok(())
    }

    /// Ends the stream; the last piece is handed on too.
    pub(super) fn end(
        &mut self,
        piece: &mut Chunk,
        mut full: impl FnMut(&mut Chunk) -> Result<(), PackError>,
    ) -> Result<(), PackError> {
        while self.step(piece, &mut full, |encoder, output| encoder.finish(output, true))? > 0 {}
        full(piece)
    }

    fn step(
        &mut self,
        piece: &mut Chunk,
        full: &mut impl FnMut(&mut Chunk) -> Result<(), PackError>,
        act: impl FnOnce(&mut Encoder<'static>, &mut OutBuffer<'_, [u8]>) -> io::Result<usize>,
    ) -> Result<usize, PackError> {
        let (room, taken) = piece.parts();
        let mut output = OutBuffer::around_pos(room, taken);
        let left = act(&mut self.0, &mut output).map_err(PackError::Zstd)?;
        let made = output.pos() - taken;
        piece.take(made);
        if piece.free().is_empty() {
            full(piece)?;
        }
        Ok(left)
    }
}
