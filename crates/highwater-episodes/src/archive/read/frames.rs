//! The bytes of an archive as they come, and what they unpack to: hashed, counted, limited. Owns the buffers and zstd's context;
//! what is unpacked lies in one of them and is never copied out as a whole.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use super::{Limits, RATIO_FLOOR_BYTES, ReadError};
use crate::digest::Sha256Digest;

/// How much is read at a time, in bytes.
const INPUT_BYTES: usize = 128 << 10;
/// How much is unpacked at a time, in bytes: a block of zstd.
const OUTPUT_BYTES: usize = 128 << 10;
/// What zstd says of a frame whose window is larger than it may be.
const WINDOW_FAULT: &str = "Frame requires too much memory for decoding";
/// What it says without memory.
const MEMORY_FAULT: &str = "Allocation error : not enough memory";

/// What is made once and used for one archive after the other.
pub(super) struct Room {
    decoder: Decoder<'static>,
    input: Box<[u8]>,
    output: Box<[u8]>,
}

impl Room {
    pub(super) fn new(window_log: u32) -> Result<Self, ReadError> {
        let mut decoder = Decoder::new().map_err(ReadError::Memory)?;
        decoder.set_parameter(DParameter::WindowLogMax(window_log)).map_err(ReadError::Memory)?;
        Ok(Self { decoder, input: vec![0; INPUT_BYTES].into(), output: vec![0; OUTPUT_BYTES].into() })
    }
}

/// The frames of an archive.
pub(super) struct Frames<'r, R> {
    source: R,
    room: &'r mut Room,
    limits: Limits,
    size_bytes: Option<u64>,
    hash: Sha256,
    read: u64,
    unpacked: u64,
    /// What of each buffer is still to be used.
    input: std::ops::Range<usize>,
    output: std::ops::Range<usize>,
    /// Whether the source is at its end.
    ended: bool,
    /// Whether a frame has begun that has not ended.
    within: bool,
}

impl<'r, R: Read> Frames<'r, R> {
    pub(super) fn begin(
        source: R,
        room: &'r mut Room,
        limits: Limits,
        size_bytes: Option<u64>,
    ) -> Result<Self, ReadError> {
        room.decoder.reinit().map_err(ReadError::Memory)?;
        Ok(Self {
            source,
            room,
            limits,
            size_bytes,
            hash: Sha256::new(),
            read: 0,
            unpacked: 0,
            input: 0..0,
            output: 0..0,
            ended: false,
            // An archive of no bytes is one that was cut off.
            within: true,
        })
    }

    /// What is unpacked and not yet used; empty only at the end. `entry` is the one that is being read.
    pub(super) fn peek(&mut self, entry: u64) -> Result<&[u8], ReadError> {
        while self.output.is_empty() {
            if self.input.is_empty() && !self.ended {
                self.fetch()?;
            }
            if self.input.is_empty() && !self.within {
                break;
            }
            self.unpack(entry)?;
        }
        Ok(&self.room.output[self.output.clone()])
    }

    pub(super) fn used(&mut self, bytes: usize) {
        self.output.start += bytes;
        assert!(self.output.start <= self.output.end, "invariant: no more is used than was seen");
    }

    /// The digest of all bytes and how many they are, once the end was seen.
    pub(super) fn finish(self) -> (Sha256Digest, u64) {
        (Sha256Digest::new(self.hash.finalize().into()), self.read)
    }

    pub(super) fn at(&self) -> u64 {
        self.read
    }

    fn fetch(&mut self) -> Result<(), ReadError> {
        let read = loop {
            match self.source.read(&mut self.room.input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(ReadError::Io)?,
            }
        };
        self.hash.update(&self.room.input[..read]);
        self.read += read as u64;
        self.input = 0..read;
        self.ended = read == 0;
        Ok(())
    }

    fn unpack(&mut self, entry: u64) -> Result<(), ReadError> {
        let mut input = InBuffer::around(&self.room.input[self.input.clone()]);
        let mut output = OutBuffer::around(&mut *self.room.output);
        let left = self.room.decoder.run(&mut input, &mut output);
        let (taken, made) = (input.pos(), output.pos());
        let left = left.map_err(|error| match error.to_string() {
            fault if fault == WINDOW_FAULT => ReadError::Window { log: self.limits.window_log },
            fault if fault == MEMORY_FAULT => ReadError::Memory(error),
            fault => ReadError::Zstd { at: self.read - self.input.len() as u64, fault },
        })?;
        self.input.start += taken;
        self.output = 0..made;
        self.unpacked += made as u64;
        if self.unpacked > self.limits.bytes {
            return Err(ReadError::Bytes { limit: self.limits.bytes });
        }
        let size = self.size_bytes.unwrap_or_default().max(self.read - self.input.len() as u64);
        if self.unpacked > RATIO_FLOOR_BYTES && self.unpacked > size.saturating_mul(self.limits.ratio) {
            return Err(ReadError::Ratio { limit: self.limits.ratio });
        }
        self.within = left != 0;
        if taken == 0 && made == 0 && self.within && self.ended {
            return Err(ReadError::Truncated { at: self.read, entry });
        }
        Ok(())
    }
}
