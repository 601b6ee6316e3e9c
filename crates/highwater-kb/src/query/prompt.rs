//! What a model is asked. Owns the words, and how much of what was said before goes with a question.

use super::{Before, Passage, turns};
use crate::llm::{Form, LlmSettings, MATERIAL, Message, Request, Role, between, tokens};

/// What is asked of every question.
const ASKED: &str = include_str!("asked.txt");
/// Tokens that are kept free besides: for lines, numbers and marks.
const SPARE_TOKENS: u64 = 200;
/// With less room than this nothing is read.
const ROOM_TOKENS_MIN: u64 = 256;
/// The most turns of a conversation that go with a question.
const TURNS_MAX: usize = 12;
/// What the protocol adds to each turn, in tokens.
const TURN_TOKENS: u64 = 16;

/// How many tokens of passages a request has room for.
pub(super) fn room(settings: &LlmSettings, question: &str, before: &[Before]) -> u64 {
    let said: u64 = turns(before).map(|(_, words)| tokens::estimate(words)).sum();
    let turns = TURN_TOKENS * before.len() as u64;
    let taken = settings.answer_tokens_max()
        + tokens::estimate(ASKED)
        + tokens::estimate(MATERIAL)
        + tokens::estimate(question)
        + said
        + turns;
    settings.context.saturating_sub(taken + SPARE_TOKENS).max(ROOM_TOKENS_MIN)
}

/// The last turns, as many as have at most so many tokens; of the last one the answer is cut where it is long.
pub(super) fn lately(before: &[Before], tokens_max: u64) -> Vec<Before> {
    let mut left = tokens_max;
    let mut kept = Vec::new();
    for turn in before.iter().rev().take(TURNS_MAX) {
        let asked = tokens::estimate(&turn.question) + TURN_TOKENS;
        let all = asked + tokens::estimate(&turn.answer);
        if all > left && !(kept.is_empty() && asked < left) {
            break;
        }
        let answer = tokens::cut(&turn.answer, left.saturating_sub(asked)).to_owned();
        left = left.saturating_sub(all);
        kept.push(Before { question: turn.question.clone(), answer });
    }
    kept.reverse();
    kept
}

/// A question, with what the base says of it.
pub(super) fn asked(question: &str, before: &[Before], passages: &[Passage]) -> Request {
    let told = passages
        .iter()
        .zip(1_u32..)
        .map(|(passage, number)| format!("[{number}] {} ({})\n\n{}", passage.place(), passage.page, passage.text));
    let told = told.collect::<Vec<_>>().join("\n\n---\n\n");
    let mut messages = vec![Message::new(Role::System, format!("{ASKED}\n{MATERIAL}"))];
    messages.extend(turns(before).map(|(role, words)| Message::new(role, words)));
    messages.push(Message::new(Role::User, format!("The passages:\n\n{}\n\nThe question: {question}", between(&told))));
    Request { messages, form: Form::Words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{PageKind, PageName};

    fn turn(n: usize, words: usize) -> Before {
        Before { question: format!("q{n}"), answer: "word ".repeat(words) }
    }

    #[test]
    fn of_what_was_said_before_the_last_goes_with_a_question() {
        let before: Vec<Before> = (0..30).map(|n| turn(n, 10)).collect();
        let lately =
            |tokens| super::lately(&before, tokens).iter().map(|turn| turn.question.clone()).collect::<Vec<_>>();
        assert_eq!(lately(100_000).len(), TURNS_MAX);
        assert_eq!(lately(80), ["q28", "q29"]);
        assert!(lately(0).is_empty());
        let cut = super::lately(&[turn(1, 10_000)], 100);
        assert!(cut[0].answer.len() > 100 && cut[0].answer.len() < 300, "{cut:?}");
    }

    #[test]
    fn a_question_with_its_passages_fits_into_the_context() {
        let mut settings = LlmSettings::new("http://h/v1".parse().unwrap(), "m");
        settings.context = 4_096;
        let question = tokens::cut(&"why ".repeat(9_999), settings.context / 4).to_owned();
        let before = lately(&(0..30).map(|n| turn(n, 60)).collect::<Vec<_>>(), settings.context / 4);
        let room = room(&settings, &question, &before);
        let text = tokens::cut(&"tide ".repeat(9_999), room).to_owned();
        let page = PageName::of_title(PageKind::Concept, "x");
        let passage = Passage { page, title: "x".into(), heading: "x".into(), lines: None, pages: None, text };
        let request = asked(&question, &before, &[passage]);
        assert!(request.tokens() + settings.answer_tokens_max() <= settings.context, "{}", request.tokens());
    }
}
