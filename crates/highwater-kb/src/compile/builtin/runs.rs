//! Names in scripts without spaces and capitals. Owns the endings by which they are known.

use super::mentions::Mention;
use super::names::{Name, Of};
use crate::prose::{BlockKind, Reading, Shape};

/// A name of fewer characters is none.
const CHARS_MIN: usize = 3;
/// Nor is one of more.
const CHARS_MAX: usize = 12;
/// The mentions of a name that are kept.
const MENTIONS_MAX: usize = 64;

/// What organisations end in.
const ORGANISATIONS: &[&str] = &[
    "大学",
    "研究所",
    "会社",
    "銀行",
    "病院",
    "協会",
    "委員会",
    "学校",
    "气象局",
    "公司",
    "研究院",
    "委员会",
    "医院",
    "气象庁",
    "気象庁",
    "海上保安庁",
    "組合",
];
/// What places end in.
const PLACES: &[&str] = &["市", "県", "町", "村", "港", "湾", "川", "島", "海峡", "半島", "省", "县", "岛", "河", "湖"];

pub(super) fn ranked(reading: &Reading) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for (number, sentence) in reading.sentences.iter().enumerate() {
        if reading.block(sentence).kind == BlockKind::Heading {
            continue;
        }
        for (at, token) in reading.tokens_of(sentence).iter().enumerate() {
            if token.shape != Shape::Run {
                continue;
            }
            let text = reading.surface(sentence, token, token);
            let length = text.chars().count();
            let ends = |endings: &[&str]| endings.iter().any(|end| text.ends_with(end));
            let of = match () {
                () if !(CHARS_MIN..=CHARS_MAX).contains(&length) => continue,
                () if ends(ORGANISATIONS) => Of::Organisation,
                () if ends(PLACES) => Of::Place,
                () => continue,
            };
            let mention = Mention { sentence: number, token: at, words: 1 };
            let full = names.len() >= MENTIONS_MAX;
            if let Some(name) = names.iter_mut().find(|name| name.text == text) {
                name.count += 1;
                if name.mentions.len() < MENTIONS_MAX {
                    name.mentions.push(mention);
                }
            } else if !full {
                names.push(Name { text: text.to_owned(), of, acronym: None, count: 1, mentions: vec![mention] });
            }
        }
    }
    names.sort_by_key(|name| std::cmp::Reverse(name.count));
    names
}
