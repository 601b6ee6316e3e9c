//! A piece of a stream on its way: room of a fixed size, and how much of it is taken.

/// Room for bytes, which is made once and used again.
#[derive(Debug)]
pub(super) struct Chunk {
    bytes: Box<[u8]>,
    len: usize,
}

impl Chunk {
    pub(super) fn new(room_bytes: usize) -> Self {
        Self { bytes: vec![0; room_bytes].into(), len: 0 }
    }

    pub(super) fn taken(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// The whole of it, and how much is taken.
    pub(super) fn parts(&mut self) -> (&mut [u8], usize) {
        (&mut self.bytes, self.len)
    }

    pub(super) fn free(&mut self) -> &mut [u8] {
        &mut self.bytes[self.len..]
    }

    /// Takes the first bytes of what was free.
    pub(super) fn take(&mut self, bytes: usize) {
        self.len += bytes;
        assert!(self.len <= self.bytes.len(), "invariant: no more is taken than is there");
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.free()[..bytes.len()].copy_from_slice(bytes);
        self.take(bytes.len());
    }

    /// Takes so many zeros.
    pub(super) fn zeros(&mut self, bytes: usize) {
        self.free()[..bytes].fill(0);
        self.take(bytes);
    }
}
