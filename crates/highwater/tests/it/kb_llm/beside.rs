//! What others do to a base while an addition waits for its model.

use std::sync::mpsc;

use super::Desk;
use super::endpoint::{Endpoint, pages, said};
use crate::rig::{end, wait_until};

#[test]
fn rows_are_made_again_while_an_addition_waits_to_commit() {
    let (asks, asked) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let desk = Desk::new(
        1,
        Endpoint::start(move |asked| {
            asks.send(()).unwrap();
            answers.recv().unwrap();
            said(&pages(&asked.document()))
        }),
    );
    let url = desk.endpoint.url();
    let adds = desk.command(&desk.args(&["kb", "add", "in"], &url, &[])).spawn().unwrap();
    // It has looked at the rows by then, and keeps them open.
    asked.recv().unwrap();
    let rebuilds = desk.rig.start(&["kb", "rebuild", "--kb", "notes", "--force"]);
    // Which waits, under the base lock, until nobody has them open.
    wait_until("the rows", || desk.rig.path("notes/.highwater/kb.db.anew").exists());
    answer.send(()).unwrap();
    let rebuilt = end(rebuilds);
    assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
    let added = end(adds);
    assert_eq!(added.code, 0, "{added:?}");
    assert_eq!(desk.listed().len(), 1);
    desk.rig.ok(&["kb", "lint", "--kb", "notes", "--verify"]);
}
