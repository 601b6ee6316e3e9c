//! A nightly pg_dump: it holds a transaction open for as long as it takes, and only reads.

use std::process::{Child, Command, Stdio};

use super::{Months, rows, server};
use crate::rig::{end, wait_until};

/// A pg_dump that waits for a table that somebody has locked, its transaction open.
struct Dump {
    child: Child,
    pid: String,
}

fn dump(months: &Months, url: &str) -> Dump {
    let child = Command::new(server().program("pg_dump"))
        .args(["--dbname", url, "--file", "dump.sql"])
        .current_dir(months.rig.dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let open = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pg_dump' AND datname = current_database()
                AND xact_start IS NOT NULL AND wait_event_type = 'Lock'";
    wait_until("pg_dump in its transaction", || !rows(url, open).is_empty());
    Dump { child, pid: rows(url, open)[0][0].clone().unwrap() }
}

#[test]
fn r07_a_nightly_dump_holds_the_watermark_and_is_named_and_does_not_where_it_is_ignored() {
    let months = Months::postgres("");
    let super::Database::Postgres(url) = &months.database else { panic!() };
    months.usage(1, 2, "'large'", 1);
    months.sql("CREATE TABLE large (id bigint)");
    months.seed();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let locker = runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        // It only reads, too, as far as the watermark is concerned: so that the dump is what holds it.
        client.batch_execute("SET application_name = 'locker'; BEGIN; LOCK TABLE large").await.unwrap();
        client
    });
    let config = months.rig.read("highwater.toml");
    months.rig.write("highwater.toml", &format!("{config}\nbound-ignores = [\"locker\"]\n"));
    let dump = dump(&months, url);
    months.usage(2, 1, "'large'", 2);
    let watermark = || months.one("SELECT watermark FROM hourly_state");
    let ended = months.pass(0);
    let text = format!("{}{}", ended.stdout, ended.stderr);
    let named =
        format!("the transaction of process {} (application pg_dump, role postgres) is open since then", dump.pid);
    assert!(text.contains(&named) && text.contains("`bound-ignores` may name it"), "{text}");
    let held = watermark();
    assert_eq!(months.tokens(), ["1"], "what came since waits");
    months.pass(0);
    assert_eq!(watermark(), held, "it goes no further");

    months.rig.write("highwater.toml", &format!("{config}\nbound-ignores = [\"locker\", \"pg_dump\"]\n"));
    let ended = months.pass(0);
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("open since"), "{ended:?}");
    assert!(watermark() > held);
    assert_eq!(months.tokens(), ["1", "2"]);
    months.call(&["verify", "usage"], 0);
    runtime.block_on(locker.batch_execute("COMMIT")).unwrap();
    let ended = end(dump.child);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(months.rig.read("dump.sql").contains("hourly_source_truncate"), "the rollup is in the dump");
}
