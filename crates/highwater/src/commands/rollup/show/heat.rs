//! A heatmap on the terminal: a row a weekday, two signs an hour. Owns its shades.

use highwater_rollup::show::{HOURS, Heat, Number, Question};

use super::json::WEEKDAYS;
use super::table::figure;
use super::terminal::Terminal;
use super::words::{self, Note};
use crate::table::Facts;

/// From little to much.
const SHADES: [&str; 5] = ["··", "░░", "▒▒", "▓▓", "██"];
const SHADES_ASCII: [&str; 5] = ["..", "--", "==", "##", "@@"];
/// Below zero.
const BELOW: &str = "<<";
/// Nothing is known.
const GAP: &str = "  ";
/// Width of the names of days.
const DAY_WIDTH: usize = 10;
/// Hours between two that are named.
const HOURS_NAMED: usize = 3;

pub(super) fn text(title: &str, question: &Question<'_>, heat: &Heat, notes: &[Note]) -> String {
    drawn(title, question, heat, notes, &Terminal::of_stdout())
}

fn drawn(title: &str, question: &Question<'_>, heat: &Heat, notes: &[Note], terminal: &Terminal) -> String {
    let (first, last) = heat.days;
    let zone = heat.buckets.zone_name();
    let per = words::per_hour(question.kind());
    let mut text = format!("{title}, {per}, by weekday and hour, {first} to {last}, {zone}\n");
    let known = || heat.figures.iter().flatten().flatten();
    let least = known().min_by(|left, right| left.compare(right));
    let most = known().max_by(|left, right| left.compare(right));
    let Some((least, most)) = least.zip(most) else {
        text.push_str("no complete hours with cells\n");
        return text + &facts(notes);
    };
    let hours: String = (0..HOURS).step_by(HOURS_NAMED).map(|hour| format!("{hour:02}    ")).collect();
    text.push_str(&format!("{:DAY_WIDTH$} {}\n", "", hours.trim_end()));
    for (day, figures) in WEEKDAYS.iter().zip(&heat.figures) {
        let shades: String = figures.iter().map(|figure| shade(figure.as_ref(), most, terminal.is_utf8)).collect();
        text.push_str(&format!("{day:DAY_WIDTH$} {}\n", shades.trim_end()));
    }
    let shades = if terminal.is_utf8 { SHADES } else { SHADES_ASCII };
    let below = if least.is_negative() { format!(", {BELOW} below zero") } else { String::new() };
    let [least, most] = [least, most].map(|edge| figure(Some(&edge.shortened(6)), question.kind()));
    text.push_str(&format!("{:DAY_WIDTH$} {} from {least} to {most}{below}\n", "", shades.join(" ")));
    text + &facts(notes)
}

fn facts(notes: &[Note]) -> String {
    let mut facts = Facts::default();
    notes.iter().for_each(|(label, says)| facts.fact(label, says));
    facts.to_string()
}

/// A fifth of the scale each, which begins at zero.
fn shade(figure: Option<&Number>, most: &Number, is_utf8: bool) -> &'static str {
    let Some(figure) = figure else { return GAP };
    if figure.is_negative() {
        return BELOW;
    }
    let share = figure.approximate() / most.approximate();
    let shades = if is_utf8 { SHADES } else { SHADES_ASCII };
    match share {
        share if share.is_nan() => shades[0],
        share => shades[((share * 5.0) as usize).min(4)],
    }
}
