//! `certificates DIRECTORY HOST…`: an authority, a receiver and hosts, as the demo and whoever tries a receiver need them. They are good
//! for as long as nobody trusts the authority with anything else: its key is thrown away.

use std::error::Error;
use std::path::Path;

use highwater_testkit::certificates::issue;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("usage: certificates DIRECTORY HOST…")?;
    Ok(issue(Path::new(&directory), arguments)?)
}
