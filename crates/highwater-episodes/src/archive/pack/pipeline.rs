//! The three steps of packing at once, for episodes that are worth two threads: reading and hashing files, compressing, hashing
//! and writing what came of it. Owns the threads and the bounded room between them; the bytes are those of one thread.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle, scope};

use super::chunk::Chunk;
use super::compressor::Compressor;
use super::tape::Tape;
use super::{CHUNK_BYTES, PIECE_BYTES, PackError};

/// How much room there is between two steps, in chunks or pieces; what a step holds itself is beside that.
const ROOM_CHUNKS: usize = 4;

/// One direction of a belt that carries full room there and empty room back.
struct Belt {
    full: (SyncSender<Chunk>, Receiver<Chunk>),
    empty: (SyncSender<Chunk>, Receiver<Chunk>),
}

impl Belt {
    fn new(room_bytes: usize) -> Self {
        let (full, empty) = (sync_channel(ROOM_CHUNKS), sync_channel(ROOM_CHUNKS));
        for _ in 0..ROOM_CHUNKS {
            empty.0.send(Chunk::new(room_bytes)).expect("invariant: its other end is here");
        }
        Self { full, empty }
    }
}

/// Packs the rest of the tape; `write` gets each piece of the compressed stream, in order.
pub(super) fn run(
    tape: &mut Tape<'_>,
    compressor: &mut Compressor,
    piece: &mut Chunk,
    mut write: impl FnMut(&Chunk) -> Result<(), PackError>,
) -> Result<(), PackError> {
    let (chunks, pieces) = (Belt::new(CHUNK_BYTES), Belt::new(PIECE_BYTES));
    scope(|scope| {
        // Whoever fails lets go of its ends of the belts, which ends the others; a failed send is never the first failure.
        let (full, empty) = (chunks.full.0, chunks.empty.1);
        let reads = step(scope, "pack-read", move || {
            while let Ok(mut chunk) = empty.recv() {
                let more = tape.fill(&mut chunk)?;
                if full.send(chunk).is_err() || !more {
                    break;
                }
            }
            Ok(())
        })?;
        let (full, empty) = (chunks.full.1, chunks.empty.0);
        let (out, back) = (pieces.full.0, pieces.empty.1);
        let compresses = step(scope, "pack-compress", move || {
            let mut hand_on = |piece: &mut Chunk| -> Result<(), PackError> {
                let Ok(mut next) = back.recv() else { return Err(PackError::Ended) };
                next.clear();
                std::mem::swap(piece, &mut next);
                out.send(next).map_err(|_| PackError::Ended)
            };
            for chunk in full {
                compressor.add(chunk.taken(), piece, &mut hand_on)?;
                // The reader may be at its end, and wants no room any more.
                _ = empty.send(chunk);
            }
            compressor.end(piece, &mut hand_on)
        })?;
        let (full, empty) = (pieces.full.1, pieces.empty.0);
        let written = full.into_iter().try_for_each(|piece| {
            write(&piece)?;
            _ = empty.send(piece);
            Ok(())
        });
        drop(empty);
        let (read, compressed) = (join(reads), join(compresses));
        read?;
        written?;
        compressed
    })
}

type Step<'s> = ScopedJoinHandle<'s, Result<(), PackError>>;

fn step<'s>(
    scope: &'s Scope<'s, '_>,
    name: &str,
    act: impl FnOnce() -> Result<(), PackError> + Send + 's,
) -> Result<Step<'s>, PackError> {
    Builder::new().name(name.to_owned()).spawn_scoped(scope, act).map_err(PackError::Thread)
}

fn join(step: Step<'_>) -> Result<(), PackError> {
    step.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
