//! What every bench ends in: the figure of its rounds, and its limits. A limit that is missed fails the bench.

use std::process::ExitCode;

/// The middle of an odd number of rounds: neither the lucky one nor the unlucky.
pub(crate) fn median(rounds: impl IntoIterator<Item = f64>) -> f64 {
    let mut rounds: Vec<f64> = rounds.into_iter().collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// Names each limit that was missed, in one line.
pub(crate) fn verdict(limits: &[(bool, String)]) -> ExitCode {
    let missed: Vec<&str> = limits.iter().filter(|(kept, _)| !kept).map(|(_, limit)| limit.as_str()).collect();
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("missed: {}", missed.join("; "));
    ExitCode::FAILURE
}
