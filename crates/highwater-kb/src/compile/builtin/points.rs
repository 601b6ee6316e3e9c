//! The key points of a document. Owns which sentences they are: those that say most of what the document says most, each of something
//! else.

use crate::prose::{Reading, counts, weigh};

/// The most key points of a document.
const POINTS_MAX: usize = 7;
/// The fewest, where there are as many sentences.
const POINTS_MIN: usize = 3;
/// One more point for so many words.
const WORDS_PER_POINT: u64 = 60;
/// The most of one section.
const PER_SECTION_MAX: usize = 2;
/// What is said already weighs so much less.
const SAID_DIVISOR: u32 = 5;

/// The numbers of the sentences, in the document's order; none that `taken` has.
pub(super) fn of(reading: &Reading, title: &str, taken: &[usize]) -> Vec<usize> {
    let wanted =
        usize::try_from(reading.word_count() / WORDS_PER_POINT).unwrap_or(POINTS_MAX).clamp(POINTS_MIN, POINTS_MAX);
    let mut counts = counts(reading);
    for at in taken {
        said(reading, *at, &mut counts);
    }
    let mut points: Vec<usize> = Vec::new();
    while points.len() < wanted {
        let weights = weigh(reading, title, &counts);
        let section = |at: usize| reading.block(&reading.sentences[at]).heading;
        let full = |at: usize| {
            section(at).is_some()
                && points.iter().filter(|point| section(**point) == section(at)).count() >= PER_SECTION_MAX
        };
        let best = (0..weights.len())
            .filter(|at| weights[*at] > 1 && !taken.contains(at) && !points.contains(at) && !full(*at))
            .filter(|at| !reading.sentences[*at].leans || points.is_empty())
            .filter(|at| !points.iter().chain(taken).any(|said| same(reading, *said, *at)))
            .max_by_key(|at| (weights[*at], std::cmp::Reverse(*at)));
        let Some(best) = best else { break };
        said(reading, best, &mut counts);
        points.push(best);
    }
    points.sort_unstable();
    points
}

fn said(reading: &Reading, at: usize, counts: &mut [u32]) {
    for token in reading.tokens_of(&reading.sentences[at]) {
        counts[token.word.0 as usize] /= SAID_DIVISOR;
    }
}

fn same(reading: &Reading, one: usize, other: usize) -> bool {
    reading.text(&reading.sentences[one]) == reading.text(&reading.sentences[other])
}
