//! The keys of a worklist that is being discovered, to find those that are given twice.
//!
//! Owns why pinning is fast: a hash has no order, so an index that is kept up item by item rewrites one page of the ledger for
//! each, through its log (measured: 7 KB an item at a million items). The keys go to a scratch database instead, which is never
//! synced and is gone with the connection, and into the ledger's index in the order of the hash, when all are known (60 bytes
//! an item). What a crash loses of them is read again from the items.

use highwater_engine::ledger::Fence;
use highwater_engine::name::{ItemKey, WorklistId};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use sha2::{Digest as _, Sha256};

use super::column::{Count, Name, Number, limit};
use super::fault::Step;
use super::fence;

/// Bytes of a key's SHA-256 that stand for it; no two keys are known to agree in them, and a key that is found is compared.
pub(super) const HASH_BYTES: usize = 16;
/// Entries that go into the ledger's index in one transaction.
const INDEX_BATCH_ITEMS: usize = 20_000;
/// Page cache of the scratch database: a million keys; what does not fit is in a file.
const SCRATCH_CACHE_KIB: u32 = 40 * 1024;

/// What stands for a key in an index.
pub(super) type KeyHash = [u8; HASH_BYTES];

pub(super) fn hash(key: &str) -> KeyHash {
    let digest = Sha256::digest(key);
    let mut hash = KeyHash::default();
    hash.copy_from_slice(&digest[..HASH_BYTES]);
    hash
}

/// Attaches the scratch database, if it is not. Not within a transaction.
pub(super) fn attach(connection: &Connection) -> Step<()> {
    if is_attached(connection)? {
        return Ok(());
    }
    // An empty name is a file of SQLite's own, which nobody else sees and which goes when it is detached.
    connection.execute_batch("ATTACH DATABASE '' AS scratch")?;
    let set_up = connection.execute_batch(&format!(
        "PRAGMA scratch.synchronous = OFF;
         PRAGMA scratch.journal_mode = MEMORY;
         PRAGMA scratch.cache_size = -{SCRATCH_CACHE_KIB};
         {}",
        include_str!("seen/schema.sql")
    ));
    if set_up.is_err() {
        connection.execute_batch("DETACH DATABASE scratch")?;
    }
    Ok(set_up?)
}

fn is_attached(connection: &Connection) -> Step<bool> {
    Ok(connection.prepare_cached(include_str!("seen/attached.sql"))?.exists([])?)
}

/// Holds the scratch database to the ledger: `unpinned` items of the worklist, from position `first` on. They differ when
/// another process, or this one before, wrote the items.
pub(super) fn bring_up_to_date(db: &Connection, worklist: WorklistId, first: u64, unpinned: u64) -> Step<()> {
    let mut known = db.prepare_cached(include_str!("seen/items.sql"))?;
    let known = known.query_row([Number(worklist)], |row| row.get::<_, Count>(0)).optional()?;
    if known.is_some_and(|items| items.0 == unpinned) || (known.is_none() && unpinned == 0) {
        return Ok(());
    }
    db.prepare_cached(include_str!("seen/forget.sql"))?.execute([Number(worklist)])?;
    let mut keys = db.prepare_cached(include_str!("pin/keys_from.sql"))?;
    let mut rows = keys.query(params![Number(worklist), Count(first)])?;
    while let Some(row) = rows.next()? {
        add(db, worklist, &hash(row.get::<_, Name<ItemKey>>(1)?.0.as_str()), row.get::<_, Count>(0)?.0)?;
    }
    set_items(db, worklist, unpinned)
}

/// Adds a key, or returns the position of the item that has it.
pub(super) fn add(db: &Connection, worklist: WorklistId, hash: &KeyHash, position: u64) -> Step<Option<u64>> {
    let mut insert = db.prepare_cached(include_str!("seen/add.sql"))?;
    if insert.execute(params![Number(worklist), hash, Count(position)])? > 0 {
        return Ok(None);
    }
    let mut there = db.prepare_cached(include_str!("seen/position.sql"))?;
    Ok(Some(there.query_row(params![Number(worklist), hash], |row| row.get::<_, Count>(0))?.0))
}

pub(super) fn set_items(db: &Connection, worklist: WorklistId, items: u64) -> Step<()> {
    db.prepare_cached(include_str!("seen/set_items.sql"))?.execute(params![Number(worklist), Count(items)])?;
    Ok(())
}

/// Puts the next batch after the hash `after` into the ledger's index; returns its last hash, `None` when there was none left.
pub(super) fn index_batch(
    connection: &mut Connection,
    fence: &Fence,
    worklist: WorklistId,
    after: &[u8],
) -> Step<Option<Vec<u8>>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    fence::check(&transaction, fence)?;
    let last: Option<Vec<u8>> = transaction
        .prepare_cached(include_str!("seen/last_of_batch.sql"))?
        .query_row(params![Number(worklist), after, limit(INDEX_BATCH_ITEMS)], |row| row.get(0))?;
    if let Some(last) = &last {
        let mut index = transaction.prepare_cached(include_str!("seen/index_batch.sql"))?;
        index.execute(params![Number(worklist), after, last])?;
    }
    transaction.commit()?;
    Ok(last)
}

/// Forgets the keys of a worklist; with the last one the scratch database goes. Not within a transaction.
pub(super) fn forget(connection: &Connection, worklist: WorklistId) -> Step<()> {
    if !is_attached(connection)? {
        return Ok(());
    }
    connection.prepare_cached(include_str!("seen/forget_worklist.sql"))?.execute([Number(worklist)])?;
    let others: i64 = connection.prepare_cached(include_str!("seen/worklists.sql"))?.query_row([], |row| row.get(0))?;
    if others == 0 {
        connection.execute_batch("DETACH DATABASE scratch")?;
    } else {
        connection.prepare_cached(include_str!("seen/forget.sql"))?.execute([Number(worklist)])?;
    }
    Ok(())
}
