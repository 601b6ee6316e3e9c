//! What bytes are called: their BLAKE3 hash. Owns its two shapes, 64 hexadecimal digits for people and JSON, 32 bytes for rows.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use highwater_db::sqlite::rusqlite;
use highwater_db::sqlite::rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How much of a stream is held while it is hashed.
const BUFFER_BYTES: usize = 64 * 1024;

/// The BLAKE3 hash of some bytes, which is what a base calls them.
///
/// # Source
/// <https://github.com/BLAKE3-team/BLAKE3-specs>
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId([u8; 32]);

impl ContentId {
    /// What these bytes are called.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// What bytes are called that were hashed elsewhere.
    pub(crate) fn of_hash(hash: &blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }

    /// What the bytes of a stream are called, and how many they are.
    ///
    /// # Errors
    /// What the stream says.
    pub fn of_stream(mut stream: impl Read) -> io::Result<(Self, u64)> {
        let (mut hasher, mut buffer, mut bytes) = (blake3::Hasher::new(), vec![0; BUFFER_BYTES], 0);
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok((Self(*hasher.finalize().as_bytes()), bytes)),
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                    bytes += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({self})")
    }
}

/// What was read is no content id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct NoContentId;

impl FromStr for ContentId {
    type Err = NoContentId;

    fn from_str(text: &str) -> Result<Self, NoContentId> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NoContentId)?;
        Ok(Self(bytes))
    }
}

impl Serialize for ContentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl ToSql for ContentId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_slice()))
    }
}

impl FromSql for ContentId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| FromSqlError::InvalidBlobSize { expected_size: 32, blob_size: bytes.len() })
    }
}
