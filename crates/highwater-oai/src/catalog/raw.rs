//! A record's metadata as it came, compressed. Owns the form in which it lies in the database.
//!
//! Records of a repository begin alike, and are small: so they are compressed against a text that has what they have in
//! common. That text is part of the format and never changes; another one would be another column.

use std::io;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::CParameter;

/// What records have in common.
const DICTIONARY: &[u8] = include_bytes!("raw/dictionary.xml");
const LEVEL: i32 = 3;
/// Nothing longer is unpacked: no page of a repository is as long, so it would be damage.
const BYTES_MAX: usize = 256 * 1024 * 1024;

static ENCODER: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

/// Packs one record after the other.
pub(super) struct Packer(Compressor<'static>);

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        let mut compressor = Compressor::with_prepared_dictionary(&ENCODER)?;
        // Damage is noticed when it is read.
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self(compressor))
    }

    pub(super) fn pack(&mut self, metadata: &str) -> io::Result<Vec<u8>> {
        self.0.compress(metadata.as_bytes())
    }
}

/// Unpacks one record after the other.
pub(super) struct Unpacker(Decompressor<'static>);

impl Unpacker {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Decompressor::with_prepared_dictionary(&DECODER)?))
    }

    /// The metadata, or `None` where it is damaged.
    pub(super) fn unpack(&mut self, packed: &[u8], bytes: i64) -> Option<String> {
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= BYTES_MAX)?;
        let metadata = self.0.decompress(packed, bytes).ok().filter(|metadata| metadata.len() == bytes)?;
        String::from_utf8(metadata).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let (mut packer, mut unpacker) = (Packer::new().unwrap(), Unpacker::new().unwrap());
        for metadata in ["", "<a/>", &"<dc:title>ü</dc:title>".repeat(1000)] {
            let packed = packer.pack(metadata).unwrap();
            assert_eq!(unpacker.unpack(&packed, metadata.len() as i64).as_deref(), Some(metadata));
        }
    }

    #[test]
    fn r14_every_flipped_bit_is_damage_and_none_a_panic() {
        let (mut packer, mut unpacker) = (Packer::new().unwrap(), Unpacker::new().unwrap());
        let metadata = "<dc:title>Wirtschaftspolitik</dc:title>";
        let packed = packer.pack(metadata).unwrap();
        for bit in 0..packed.len() * 8 {
            let mut damaged = packed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let unpacked = unpacker.unpack(&damaged, metadata.len() as i64);
            assert!(unpacked.is_none() || unpacked.as_deref() == Some(metadata), "bit {bit}: {unpacked:?}");
        }
        for bytes in [-1, 0, metadata.len() as i64 + 1, i64::MAX] {
            assert_eq!(unpacker.unpack(&packed, bytes), None, "{bytes}");
        }
    }

    #[test]
    fn the_dictionary_never_changes() {
        assert_eq!(
            hex::encode(Sha256::digest(DICTIONARY)),
            "e1a25fbb008dd62cd8ac54ba86256c6ecd5f480e0549879db12a19cbc802e952"
        );
    }
}
