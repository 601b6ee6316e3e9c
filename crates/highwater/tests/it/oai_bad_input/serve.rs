//! `oai serve`: what cannot be served, and where.

use std::net::TcpListener;

use crate::oai_targets::kept::refused;
use crate::rig::Rig;

#[test]
fn what_can_go_wrong_on_purpose_is_listed_without_a_catalogue() {
    let listed = Rig::new("").ok(&["oai", "serve", "--faults"]).stdout;
    assert!(listed.starts_with("faults:\n  429[=WAIT]") && listed.contains("verb:VERB"), "{listed}");
}

#[test]
fn r15_serving_what_cannot_be_served() {
    let rig = Rig::new("");
    let serve = |more: &[&str]| {
        let args = [&["oai", "serve", "--generated", "9", "--listen", "127.0.0.1:0"], more].concat();
        refused(&rig, 2, &args)
    };
    insta::assert_snapshot!(serve(&["--fault", "teapot@3"]), @r#"
    error[HW-CMD-024]: --fault: the fault "teapot@3" has no name that is known (429, 503, 500, 403, 404, html, redirect, hang, drop, cut, truncate, slow, endless, expired-token, repeat-token, odd-token, repeat-page, overlap, empty-last-page, short-list, no-total, wrong-total, cursor-pages, unordered, finer-datestamps, second-prolog, leading-newline, control-chars, bad-utf8, dtd-entity, wrong-namespace, poison-xml, poison-500); it is written NAME[=ARGUMENT][@WHEN], for instance 429=30@5 or hang@verb:GetRecord,2..4
      next: `highwater oai serve --faults` prints all that there is
    "#);
    insta::assert_snapshot!(serve(&["--fault", "html@soon"]), @r#"
    error[HW-CMD-024]: --fault: the fault "html@soon" strikes at "soon", which is none of N, N..M, *N, verb:VERB, id:SUFFIX and token; it is written NAME[=ARGUMENT][@WHEN], for instance 429=30@5 or hang@verb:GetRecord,2..4
      next: `highwater oai serve --faults` prints all that there is
    "#);
    insta::assert_snapshot!(serve(&["--page-size", "0"]), @"
    error: invalid value '0' for '--page-size <N>': expected 1 to 10000

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(serve(&["--rate", "0"]), @"
    error: invalid value '0' for '--rate <N>': expected a whole number from 1 to 4294967295

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "serve", "--listen", "127.0.0.1:0"]), @"
    error: the following required arguments were not provided:
      <--catalog <FILE>|--generated <N>|--faults>

    Usage: highwater oai serve --listen <ADDRESS> <--catalog <FILE>|--generated <N>|--faults>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "serve", "--generated", "9", "--listen", "localhost"]), @"
    error: invalid value 'localhost' for '--listen <ADDRESS>': expected an address and a port, such as 127.0.0.1:8411 or [::1]:8411

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "serve", "--catalog", "books.db"]), @"
    error[HW-OAI-009]: [DIR]/books.db: there is no catalogue; expected one that was loaded
      next: run a harvest or a backfill first, or `highwater catalog load FILE…`, or correct `--catalog`
    ");
    insta::assert_snapshot!(
        refused(&rig, 1, &["oai", "serve", "--generated", "9", "--listen", "127.0.0.1:0", "--access-log", "no/where.log"]),
        @"
    error[HW-LOG-001]: no/where.log: --access-log: the access log cannot be opened: No such file or directory (os error 2)
      next: make its directory
    "
    );
}

#[test]
fn r15_an_address_that_is_taken() {
    let rig = Rig::new("");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&rig, 1, &["oai", "serve", "--generated", "9", "--listen", &address]);
    insta::assert_snapshot!(said.replace(&address, "[ADDRESS]"), @"
    error[HW-CMD-023]: --listen: [ADDRESS] cannot be listened at: Address already in use (os error 98)
      next: name a free port and an address of this machine, or port 0
    ");
}
