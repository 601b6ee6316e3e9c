//! The answer as CSV (RFC 4180). Owns that NULL, an empty field, is told from an empty text, a quoted one, and that a file holds
//! the rows until they are whole, so that no reader keeps the database waiting.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use csv_core::{Writer, quote};
use highwater_db::session::Session;
use highwater_engine::diagnosis::Diagnosis;
use highwater_rollup::show::{self, Heat, Question, Refused, Standing};

use super::json::{WEEKDAYS, moment};
use super::{Look, unkept};

/// Rows of CSV. The csv crate's writer has one rule of quoting for a whole file, and NULL is told from an empty text by nothing
/// but quotes; what is below it can be asked field by field.
struct Rows {
    to: BufWriter<File>,
    rule: Writer,
    field: Vec<u8>,
}

/// A field.
#[derive(Clone, Copy)]
enum Field<'f> {
    /// One of ours; absent where nothing is known.
    Plain(&'f str),
    /// One of somebody else's; `None` is NULL.
    Own(Option<&'f str>),
}

impl Rows {
    fn new() -> io::Result<Self> {
        Ok(Self { to: BufWriter::new(tempfile::tempfile()?), rule: Writer::new(), field: Vec::new() })
    }

    fn row(&mut self, fields: &[Field<'_>]) -> io::Result<()> {
        for (at, field) in fields.iter().enumerate() {
            let (text, is_quoted) = match field {
                Field::Plain(text) => (*text, self.rule.should_quote(text.as_bytes())),
                Field::Own(None) => ("", false),
                Field::Own(Some(text)) => (*text, text.is_empty() || self.rule.should_quote(text.as_bytes())),
            };
            if is_quoted {
                // At worst every byte of it is a quote.
                self.field.resize(text.len() * 2, 0);
                let (_, _, written) = quote(text.as_bytes(), &mut self.field, b'"', b'"', true);
                self.to.write_all(b"\"")?;
                self.to.write_all(&self.field[..written])?;
                self.to.write_all(b"\"")?;
            } else {
                self.to.write_all(text.as_bytes())?;
            }
            self.to.write_all(if at + 1 < fields.len() { b"," } else { b"\n" })?;
        }
        Ok(())
    }

    fn finish(self) -> Result<File, Diagnosis> {
        self.to.into_inner().map_err(|error| unkept(error.error()))
    }
}

/// Why the rows end.
enum Ended {
    Refused(Refused),
    Kept(io::Error),
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// A row for each bucket and key that has cells.
pub(super) async fn rows(
    look: &Look<'_>,
    session: &mut dyn Session,
    question: &Question<'_>,
    standing: &Standing,
) -> Result<File, Diagnosis> {
    let mut csv = Rows::new().map_err(|error| unkept(&error))?;
    let has_key = question.by().is_some();
    let titles = ["since", "until", question.by().unwrap_or_default(), question.value(), "complete"];
    csv.row(&shown(titles.map(Field::Plain), has_key)).map_err(|error| unkept(&error))?;
    let each = |buckets: &show::Buckets, row: show::Row| {
        let [since, until] = [row.since, row.until].map(|time| moment(buckets, time));
        let value = row.value.map(|value| value.to_string()).unwrap_or_default();
        let complete = if row.complete { "true" } else { "false" };
        let key = Field::Own(row.key.as_deref());
        let [since, until, value, complete] = [&since, &until, &value, complete].map(Field::Plain);
        csv.row(&shown([since, until, key, value, complete], has_key)).map_err(Ended::Kept)
    };
    match show::rows(session, question, standing, each).await {
        Ok(_) => csv.finish(),
        Err(Ended::Refused(refused)) => Err(look.refused(refused)),
        Err(Ended::Kept(error)) => Err(unkept(&error)),
    }
}

/// The fields of a row, of which the third is the key.
fn shown(fields: [Field<'_>; 5], has_key: bool) -> Vec<Field<'_>> {
    fields.into_iter().enumerate().filter(|(at, _)| *at != 2 || has_key).map(|(_, field)| field).collect()
}

/// A row for each hour of each weekday.
pub(super) fn heat(question: &Question<'_>, heat: &Heat) -> Result<File, Diagnosis> {
    let mut csv = Rows::new().map_err(|error| unkept(&error))?;
    let titles = ["weekday", "hour", question.value(), "hours"];
    let mut row = |fields: [&str; 4]| csv.row(&fields.map(Field::Plain)).map_err(|error| unkept(&error));
    row(titles)?;
    for (day, (figures, counts)) in heat.figures.iter().zip(&heat.hours).enumerate() {
        for (hour, (figure, count)) in figures.iter().zip(counts).enumerate() {
            let figure = figure.as_ref().map(ToString::to_string).unwrap_or_default();
            row([WEEKDAYS[day], &hour.to_string(), &figure, &count.to_string()])?;
        }
    }
    csv.finish()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn null_is_nothing_an_empty_text_is_two_quotes_and_every_byte_is_kept() {
        let mut csv = Rows::new().unwrap();
        let odd = "a,\"b\"\n\u{1b}c";
        csv.row(&[Field::Plain("since"), Field::Own(Some("model"))]).unwrap();
        csv.row(&[Field::Plain(""), Field::Own(None)]).unwrap();
        csv.row(&[Field::Plain("1"), Field::Own(Some(""))]).unwrap();
        csv.row(&[Field::Plain("2"), Field::Own(Some(odd))]).unwrap();
        csv.row(&[Field::Plain("3"), Field::Own(Some("\"\"\""))]).unwrap();
        let mut text = String::new();
        let mut file = csv.finish().unwrap();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        let expected = "since,model\n,\n1,\"\"\n2,\"a,\"\"b\"\"\n\u{1b}c\"\n3,\"\"\"\"\"\"\"\"\n";
        assert_eq!(text, expected);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let read: Vec<_> = reader.records().map(|record| record.unwrap()[1].to_owned()).collect();
        assert_eq!(read, ["", "", odd, "\"\"\""]);
    }
}
