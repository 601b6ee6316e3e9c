//! The name that a person probably meant. Owns how near is near enough.

/// Least similarity (Jaro-Winkler, 0 to 1) of a name that is suggested.
const SIMILARITY_MIN: f64 = 0.8;
/// Most names that are listed where none is near.
const LISTED_MAX: usize = 12;

/// The known name nearest to the one that was found, if one is near.
pub(super) fn nearest<'k>(found: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |name: &str| name.to_lowercase();
    let scored = known.map(|name| (strsim::jaro_winkler(&plain(found), &plain(name)), name));
    scored.filter(|(score, _)| *score >= SIMILARITY_MIN).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// What to do about a name that is not there: the near one, else those that are there.
pub(super) fn instead<'k>(found: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    if let Some(name) = nearest(found, known.clone()) {
        return format!("did you mean `{name}`?");
    }
    let names: Vec<String> = known.clone().take(LISTED_MAX).map(|name| format!("`{name}`")).collect();
    let more = known.skip(LISTED_MAX).count();
    match (names.is_empty(), more) {
        (true, _) => "correct the name, or make what it names".to_owned(),
        (false, 0) => format!("there are {}: name one of them", names.join(", ")),
        (false, more) => format!("there are {} and {more} more: name one of them", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_suggested_and_otherwise_what_is_there_is_listed() {
        let known = ["id", "task_id", "model", "Created_At"];
        assert_eq!(instead("modle", known.into_iter()), "did you mean `model`?");
        assert_eq!(instead("created_at", known.into_iter()), "did you mean `Created_At`?");
        assert_eq!(instead("tokens", known.into_iter().take(2)), "there are `id`, `task_id`: name one of them");
        assert_eq!(instead("tokens", [].into_iter()), "correct the name, or make what it names");
        let many: Vec<String> = (0..20).map(|at| format!("x{at}")).collect();
        assert!(instead("tokens", many.iter().map(String::as_str)).contains("and 8 more"));
    }
}
