//! The writer's thread: order, back-pressure, panics, and the end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use highwater_db::sqlite::rusqlite::Connection;
use highwater_db::sqlite::writer::QUEUE_TASKS_MAX;
use highwater_db::sqlite::{Writer, WriterError};

use super::scratch::Scratch;

fn writer(scratch: &Scratch) -> Writer {
    let connection = scratch.database.read_write().unwrap();
    connection.execute_batch("CREATE TABLE t (x INTEGER NOT NULL) STRICT").unwrap();
    Writer::start(connection).unwrap()
}

fn insert(x: i64) -> impl FnOnce(&mut Connection) -> usize + Send + 'static {
    move |connection| connection.execute("INSERT INTO t VALUES (?1)", [x]).unwrap()
}

fn rows(connection: &Connection) -> Vec<i64> {
    let mut statement = connection.prepare("SELECT x FROM t ORDER BY rowid").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn work_is_done_in_the_order_it_is_handed_in() {
    let scratch = Scratch::new();
    let writer = writer(&scratch);
    // Polled in order, so handed in in order.
    let all = (0..100).map(|x| writer.run(insert(x)));
    let mut all: Vec<_> = all.map(Box::pin).collect();
    for one in &mut all {
        assert_eq!(one.await.unwrap(), 1);
    }
    assert_eq!(writer.run(|connection| rows(connection)).await.unwrap(), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn results_come_back_typed() {
    let scratch = Scratch::new();
    let writer = writer(&scratch);
    let refused = writer.run(|connection| connection.execute("INSERT INTO nowhere VALUES (1)", [])).await.unwrap();
    assert!(refused.unwrap_err().to_string().contains("no such table: nowhere"));
}

#[tokio::test]
async fn a_panic_is_the_callers_and_rolled_back_and_the_writer_goes_on() {
    let scratch = Scratch::new();
    let writer = writer(&scratch);
    let panicked = writer
        .run(|connection| {
            // Not through a guard, so that nothing but the writer can undo it.
            connection.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (13)").unwrap();
            assert_eq!(1 + 1, 3, "arithmetic");
        })
        .await;
    let Err(WriterError::Panicked { message, .. }) = panicked else { panic!("{panicked:?}") };
    assert!(message.contains("arithmetic"), "{message}");
    writer.run(insert(1)).await.unwrap();
    assert_eq!(writer.run(|connection| rows(connection)).await.unwrap(), [1]);
}

#[tokio::test]
async fn a_transaction_left_open_is_an_error_and_rolled_back() {
    let scratch = Scratch::new();
    let writer = writer(&scratch);
    let left = writer.run(|connection| connection.execute_batch("BEGIN; INSERT INTO t VALUES (13)").unwrap()).await;
    assert!(matches!(left, Err(WriterError::TransactionLeftOpen { .. })), "{left:?}");
    assert_eq!(writer.run(|connection| rows(connection)).await.unwrap(), Vec::<i64>::new());
}

#[tokio::test]
async fn stopping_drains_the_queue_and_empties_the_log() {
    let scratch = Scratch::new();
    let writer = Arc::new(writer(&scratch));
    let (open_gate, gate) = mpsc::channel::<()>();
    let (entered, inside) = tokio::sync::oneshot::channel();
    let spawn = |work: Box<dyn FnOnce(&mut Connection) -> usize + Send>| {
        let writer = Arc::clone(&writer);
        tokio::spawn(async move { writer.run(work).await })
    };
    let first = spawn(Box::new(move |connection| {
        entered.send(()).unwrap();
        gate.recv().unwrap();
        insert(0)(connection)
    }));
    inside.await.unwrap();
    let queued: Vec<_> = (1..10).map(|x| spawn(Box::new(insert(x)))).collect();
    // On a current-thread runtime, yielding lets every one of them hand in its work before the stop does.
    tokio::task::yield_now().await;
    let stopping = tokio::spawn({
        let writer = Arc::clone(&writer);
        async move { writer.stop().await }
    });
    tokio::task::yield_now().await;
    open_gate.send(()).unwrap();
    stopping.await.unwrap().unwrap();
    for done in std::iter::once(first).chain(queued) {
        assert_eq!(done.await.unwrap().unwrap(), 1);
    }

    let late = writer.run(insert(99)).await;
    assert!(matches!(late, Err(WriterError::Stopped { .. })), "{late:?}");
    writer.stop().await.unwrap();
    assert_eq!(scratch.names(), ["ledger.db"], "the log is in the file");
    assert_eq!(rows(&scratch.database.read_only().unwrap()), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn dropping_the_writer_drains_it_too() {
    let scratch = Scratch::new();
    let writer = writer(&scratch);
    let mut handed_in: Vec<_> = (0..10).map(|x| Box::pin(writer.run(insert(x)))).collect();
    for one in &mut handed_in {
        // Polled once, so handed in, and then nobody waits for it.
        let _ = poll_once(one).await;
    }
    drop(handed_in);
    drop(writer);
    assert_eq!(scratch.names(), ["ledger.db"]);
    assert_eq!(rows(&scratch.database.read_only().unwrap()), (0..10).collect::<Vec<_>>());
}

/// Polls once and goes on, whatever came of it.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_ready())).await
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let scratch = Scratch::new();
    let writer = writer(&scratch);
    let (open_gate, gate) = mpsc::channel::<()>();
    let (entered, inside) = tokio::sync::oneshot::channel();
    let mut blocker = Box::pin(writer.run(move |_| {
        entered.send(()).unwrap();
        gate.recv().unwrap();
    }));
    poll_once(&mut blocker).await;
    inside.await.unwrap();

    static RUN: AtomicUsize = AtomicUsize::new(0);
    let more = 10;
    let mut waiting: Vec<_> =
        (0..QUEUE_TASKS_MAX + more).map(|_| Box::pin(writer.run(|_| RUN.fetch_add(1, Ordering::Relaxed)))).collect();
    for one in &mut waiting {
        // The runtime would have a task pause after so many.
        tokio::task::unconstrained(poll_once(one)).await;
    }
    // Those that were let in run though nobody waits; those that were not are gone with their callers.
    drop(waiting);
    open_gate.send(()).unwrap();
    blocker.await.unwrap();
    writer.stop().await.unwrap();
    assert_eq!(RUN.load(Ordering::Relaxed), QUEUE_TASKS_MAX);
}

#[tokio::test]
async fn the_last_handle_may_go_within_its_own_work() {
    let scratch = Scratch::new();
    let writer = Arc::new(writer(&scratch));
    let inner = Arc::clone(&writer);
    let (open_gate, gate) = mpsc::channel::<()>();
    let (done, end) = tokio::sync::oneshot::channel();
    let mut work = Box::pin(async move {
        let handle = Arc::clone(&inner);
        inner
            .run(move |connection| {
                gate.recv().unwrap();
                insert(1)(connection);
                drop(handle);
                done.send(()).unwrap();
            })
            .await
    });
    poll_once(&mut work).await;
    drop(work);
    drop(writer);
    open_gate.send(()).unwrap();
    end.await.unwrap();
    assert_eq!(rows(&scratch.database.read_only().unwrap()), [1]);
}
