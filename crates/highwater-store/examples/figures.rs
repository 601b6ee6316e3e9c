//! What the ledger costs: `cargo run --release --example figures -- DIRECTORY ITEMS`.
//!
//! Pins a worklist, drains it in groups, and prints time, memory and bytes written (as the kernel counts them, checkpoints
//! included) per item; beside the groups, the same number of bare commits, which is what the syncs alone take.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_engine::ledger::{
    Begin, Entry, Fence, Holder, Intent, ItemFilter, ItemOrder, Ledger, Pin, PinMode, Who, Word,
};
use highwater_engine::name::{ItemKey, JobName, ResourceName, WorklistId};
use highwater_engine::outcome::Outcome;
use highwater_engine::worklist::NewItem;
use highwater_store::{Access, SqliteLedger};

const BATCH_ITEMS: u64 = 1000;
const GROUP_ITEMS: u64 = 256;
const ATTEMPTS_MAX: u32 = 5;

type Fallible<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Fallible<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("expected DIRECTORY ITEMS")?;
    let items: u64 = arguments.next().ok_or("expected DIRECTORY ITEMS")?.parse()?;
    let clock = SystemClock::new();
    let path = Path::new(&directory).join("figures.db");
    let ledger = SqliteLedger::open(&path, clock.now(), Access::ReadWrite)?;
    let job = JobName::new("figures")?;
    let fence = begin(&ledger, &clock, &job).await?;

    let (start, written, busy) = (clock.elapsed(), bytes_written()?, cpu()?);
    let worklist = pin(&ledger, &clock, &fence, &job, items).await?;
    let took = clock.elapsed() - start;
    println!(
        "pin: {items} items in {took:.2?} ({:.2?} of processor), {} B written an item, {} B an item in the file, {} MB of memory at most",
        cpu()? - busy,
        (bytes_written()? - written) / items,
        fs::metadata(&path)?.len() / items,
        peak_memory_kib()? / 1024,
    );

    drain(&ledger, &clock, &fence, worklist, items).await?;
    bare_commits(Path::new(&directory), &clock, items.div_ceil(GROUP_ITEMS))?;
    reads(&ledger, &clock, &job, worklist, items).await?;
    println!("memory at most: {} MB", peak_memory_kib()? / 1024);
    let start = clock.elapsed();
    let wrong = ledger.check().await?.into_iter().filter(|line| !line.ok).count();
    println!("check: {:.2?}, {wrong} findings", clock.elapsed() - start);
    let (start, busy) = (clock.elapsed(), cpu()?);
    let word = Word { at: clock.now(), who: Who("figures".into()), why: "figures".into() };
    let retried = ledger.retry_items(&job, &ItemFilter::Outcome("done".into()), &word).await?;
    println!("retry: {retried} items in {:.2?} ({:.2?} of processor)", clock.elapsed() - start, cpu()? - busy);
    ledger.close().await?;
    let start = clock.elapsed();
    let ledger = SqliteLedger::open(&path, clock.now(), Access::ReadWrite)?;
    ledger.job(&job).await?;
    println!("open, and read the job: {:.2?}", clock.elapsed() - start);
    Ok(())
}

async fn begin(ledger: &dyn Ledger, clock: &SystemClock, job: &JobName) -> Fallible<Fence> {
    let begin = Begin {
        job: job.clone(),
        at: clock.now(),
        host: "here".into(),
        pid: 1,
        who: Who("figures".into()),
        budget_items: None,
    };
    let pass = ledger.begin_pass(&begin).await?;
    let holder = Holder { host: begin.host, pid: 1, since: begin.at, job: job.clone(), pass };
    Ok(ledger.take_epochs(pass, &[ResourceName::of_job(job)], &holder).await?)
}

async fn pin(
    ledger: &dyn Ledger,
    clock: &SystemClock,
    fence: &Fence,
    job: &JobName,
    items: u64,
) -> Fallible<WorklistId> {
    let worklist = ledger.begin_worklist(fence, job, PinMode::Begin, clock.now()).await?;
    for first in (0..items).step_by(usize::try_from(BATCH_ITEMS)?) {
        let batch = (first..items.min(first + BATCH_ITEMS)).map(new_item).collect::<Fallible<Vec<_>>>()?;
        ledger.append_items(fence, worklist, &batch).await?;
    }
    let word = Word { at: clock.now(), who: Who("figures".into()), why: "figures".into() };
    ledger.pin(fence, worklist, &Pin { input: None, sha256: String::new(), mode: PinMode::Begin }, &word).await?;
    Ok(worklist)
}

fn new_item(n: u64) -> Fallible<NewItem> {
    let payload = format!(r#"{{"size":{n},"mtime":1700000000}}"#).into_bytes();
    Ok(NewItem { key: ItemKey::new(format!("/data/episodes/lab-{n:09}.json"))?, payload })
}

async fn drain(
    ledger: &dyn Ledger,
    clock: &SystemClock,
    fence: &Fence,
    worklist: WorklistId,
    items: u64,
) -> Fallible<()> {
    let (start, from, busy) = (clock.elapsed(), bytes_written()?, cpu()?);
    let (mut longest, mut marks) = (Duration::ZERO, vec![from]);
    for first in (0..items).step_by(usize::try_from(GROUP_ITEMS)?) {
        // A group of a fast job: outcomes of those in hand, intents of the next.
        let group = first..items.min(first + GROUP_ITEMS);
        let mut entries: Vec<Entry> =
            group.clone().map(|position| Entry::Outcome { position, outcome: Outcome::done() }).collect();
        entries.extend(
            (group.end..items.min(group.end + 4)).map(|position| Entry::Intent { position, intent: Intent::Started }),
        );
        let before = clock.elapsed();
        ledger.record(fence, worklist, clock.now(), ATTEMPTS_MAX, entries).await?;
        longest = longest.max(clock.elapsed() - before);
        marks.push(bytes_written()?);
    }
    let (took, groups) = (clock.elapsed() - start, marks.len() - 1);
    let (n, thousand) = (marks.len(), 4);
    println!(
        "record: {items} outcomes in {took:.2?}, {:.0} /s, {:.2?} a group of {GROUP_ITEMS} ({:.2?} of processor), the longest {longest:.2?}",
        items as f64 / took.as_secs_f64(),
        took / u32::try_from(groups)?,
        (cpu()? - busy) / u32::try_from(groups)?,
    );
    if groups > 2 * thousand {
        println!(
            "bytes written an item: first thousand {}, last thousand {}, all {}",
            (marks[thousand] - from) / (thousand as u64 * GROUP_ITEMS),
            (marks[n - 2] - marks[n - 2 - thousand]) / (thousand as u64 * GROUP_ITEMS),
            (marks[n - 1] - from) / items,
        );
        let tenth = groups / 10;
        let tenths = (0..10).map(|i| (marks[(i + 1) * tenth] - marks[i * tenth]) / (tenth as u64 * GROUP_ITEMS));
        println!("bytes written an item, by tenths: {:?}", tenths.collect::<Vec<_>>());
    }
    Ok(())
}

/// One row a commit, synced as the ledger's are.
fn bare_commits(directory: &Path, clock: &SystemClock, commits: u64) -> Fallible<()> {
    let bare = rusqlite::Connection::open(directory.join("bare.db"))?;
    bare.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER)",
    )?;
    let start = clock.elapsed();
    for n in 0..commits {
        bare.execute("INSERT INTO t (b) VALUES (?1)", [i64::try_from(n)?])?;
    }
    let took = clock.elapsed() - start;
    println!("bare: {commits} commits of one row in {took:.2?}, {:.2?} each", took / u32::try_from(commits)?);
    let start = clock.elapsed();
    let mut n: i64 = 0;
    for _ in 0..commits {
        bare.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..GROUP_ITEMS {
            n += 1;
            bare.prepare_cached("INSERT INTO t (b) VALUES (?1)")?.execute([n])?;
        }
        bare.execute_batch("COMMIT")?;
    }
    let took = clock.elapsed() - start;
    println!(
        "bare: {commits} commits of {GROUP_ITEMS} rows in {took:.2?}, {:.2?} each, {:.0} rows /s",
        took / u32::try_from(commits)?,
        (commits * GROUP_ITEMS) as f64 / took.as_secs_f64(),
    );
    Ok(())
}

async fn reads(
    ledger: &dyn Ledger,
    clock: &SystemClock,
    job: &JobName,
    worklist: WorklistId,
    items: u64,
) -> Fallible<()> {
    let resources = [ResourceName::of_job(job)];
    let start = clock.elapsed();
    const CALLS: u32 = 10_000;
    for _ in 0..CALLS {
        ledger.control(job, &resources).await?;
    }
    println!("control: {:.2?} when nothing changed", (clock.elapsed() - start) / CALLS);
    let start = clock.elapsed();
    let record = ledger.job(job).await?.ok_or("the job is gone")?;
    println!("job: {:.2?}", clock.elapsed() - start);
    drop(record);
    let start = clock.elapsed();
    let page = ledger.items(worklist, &ItemFilter::All, ItemOrder::Recorded, Some(items / 2), 1000).await?;
    println!("items: a page of {} in {:.2?}", page.len(), clock.elapsed() - start);
    let start = clock.elapsed();
    let open = ledger.open_items(worklist, highwater_engine::name::PassId(0), None, 1000).await?;
    println!("open items of a drained list: {} in {:.2?}", open.len(), clock.elapsed() - start);
    Ok(())
}

/// Processor time of all threads of this process, user's and kernel's.
fn cpu() -> Fallible<Duration> {
    const TICKS_A_SEC: f64 = 100.0;
    let text = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = text.rsplit_once(')').ok_or("this kernel does not say")?.1.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(Duration::from_secs_f64(ticks / TICKS_A_SEC))
}

/// Bytes that this process handed to the kernel to write.
fn bytes_written() -> Fallible<u64> {
    proc_figure("/proc/self/io", "wchar:")
}

fn peak_memory_kib() -> Fallible<u64> {
    proc_figure("/proc/self/status", "VmHWM:")
}

fn proc_figure(file: &str, name: &str) -> Fallible<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("this kernel does not say")?;
    Ok(line.split_whitespace().next().ok_or("this kernel does not say")?.parse()?)
}
