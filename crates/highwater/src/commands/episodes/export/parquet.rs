//! Rows as Apache Parquet. Owns the types of the columns: what is compared and added up elsewhere is a time and a number there, and what a row
//! does not say is null.
//!
//! # Source
//! Apache Parquet format, logical types: STRING, TIMESTAMP (isAdjustedToUTC).

use std::io::{self, Write};
use std::sync::Arc;

use highwater_episodes::index::{Gate, Row};
use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type};

use super::mark;

/// Rows of one group, which are held until all of them are there.
const GROUP_ROWS: usize = 64 * 1024;
/// Largest size that a column of INT64 holds.
const SIZE_BYTES_MAX: u64 = i64::MAX as u64;
const NANOS_A_MICRO: i128 = 1_000;
/// What the schema is called.
const SCHEMA: &str = "episode";
/// Columns whose values are hardly ever there twice, so that a dictionary of them saves nothing.
const UNIQUE: [&str; 4] = ["episode_id", "received_at_wall", "sha256", "content_sha256"];

/// A file that rows are written to; it is one once [`Sheet::end`] was called.
pub(super) struct Sheet<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    rows: Vec<Row>,
}

impl<W: Write + Send> Sheet<W> {
    pub(super) fn begin(to: W) -> io::Result<Self> {
        let mark = KeyValue::new(mark::PARQUET.0.to_owned(), mark::PARQUET.1.to_owned());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(Default::default()))
            .set_key_value_metadata(Some(vec![mark]));
        let unique = |column: &str| ColumnPath::from(column);
        let properties = UNIQUE
            .iter()
            .fold(properties, |properties, column| properties.set_column_dictionary_enabled(unique(column), false));
        let schema = schema().map_err(failed)?;
        let writer = SerializedFileWriter::new(to, Arc::new(schema), Arc::new(properties.build())).map_err(failed)?;
        Ok(Self { writer, rows: Vec::new() })
    }

    /// Adds a row that [has a place](misfit).
    pub(super) fn add(&mut self, row: Row) -> io::Result<()> {
        if let Some(misfit) = misfit(&row) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, misfit));
        }
        self.rows.push(row);
        if self.rows.len() == GROUP_ROWS { self.write() } else { Ok(()) }
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        if !self.rows.is_empty() {
            self.write()?;
        }
        self.writer.into_inner().map_err(failed)?.flush()
    }

    fn write(&mut self) -> io::Result<()> {
        let mut group = self.writer.next_row_group().map_err(failed)?;
        columns(&mut group, &self.rows).and_then(|()| group.close()).map_err(failed)?;
        self.rows.clear();
        Ok(())
    }
}

/// What of a row no column has a number for.
pub(super) fn misfit(row: &Row) -> Option<String> {
    let (host, episode, bytes) = (&row.host_id, &row.episode_id, row.size_bytes);
    let is_too_large = bytes > SIZE_BYTES_MAX;
    is_too_large.then(|| format!("{host}/{episode}: found size_bytes {bytes}, expected at most {SIZE_BYTES_MAX}"))
}

/// What went wrong, as the disk or the reader said it.
fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}

/// The columns, in the order of [`columns`].
fn schema() -> Result<Type, ParquetError> {
    let text = |name, repetition| {
        let column = Type::primitive_type_builder(name, Physical::BYTE_ARRAY).with_repetition(repetition);
        column.with_logical_type(Some(LogicalType::String)).build().map(Arc::new)
    };
    let plain = |name, physical| {
        Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED).build().map(Arc::new)
    };
    let (required, optional) = (Repetition::REQUIRED, Repetition::OPTIONAL);
    let moment = Type::primitive_type_builder("received_at_wall", Physical::INT64)
        .with_repetition(required)
        .with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MICROS)))
        // Readers of before there were logical types know it by this.
        .with_converted_type(ConvertedType::TIMESTAMP_MICROS)
        .build()?;
    let fields = vec![
        text("host_id", required)?,
        text("episode_id", required)?,
        Arc::new(moment),
        plain("size_bytes", Physical::INT64)?,
        text("sha256", required)?,
        text("content_sha256", optional)?,
        text("commit", optional)?,
        text("gate", optional)?,
        plain("backfilled", Physical::BOOLEAN)?,
        text("withdrawn", optional)?,
    ];
    Type::group_type_builder(SCHEMA).with_fields(fields).build()
}

type Group<'g, W> = SerializedRowGroupWriter<'g, W>;

/// The values of a group, column by column in the order of [`schema`].
fn columns<W: Write + Send>(group: &mut Group<'_, W>, rows: &[Row]) -> Result<(), ParquetError> {
    required::<ByteArrayType, _>(group, rows, |row| text(row.host_id.as_str()))?;
    required::<ByteArrayType, _>(group, rows, |row| text(row.episode_id.as_str()))?;
    // The microsecond that it is in, also before 1970: rounded to the next one it may be of another day.
    let micros = |row: &Row| row.received_at_wall.as_nanosecond().div_euclid(NANOS_A_MICRO);
    required::<Int64Type, _>(group, rows, |row| {
        i64::try_from(micros(row)).expect("invariant: a time is of years below 10,000")
    })?;
    required::<Int64Type, _>(group, rows, |row| {
        i64::try_from(row.size_bytes).expect("invariant: a sheet takes no other")
    })?;
    required::<ByteArrayType, _>(group, rows, |row| text(&row.sha256.to_string()))?;
    optional(group, rows, |row| row.content_sha256.map(|sha256| text(&sha256.to_string())))?;
    optional(group, rows, |row| row.commit.as_ref().map(|commit| text(commit.as_str())))?;
    optional(group, rows, |row| row.gate.map(Gate::word).map(text))?;
    required::<BoolType, _>(group, rows, |row| row.backfilled)?;
    optional(group, rows, |row| row.withdrawn.as_deref().map(text))
}

fn text(text: &str) -> ByteArray {
    ByteArray::from(text)
}

fn required<D: DataType, W: Write + Send>(
    group: &mut Group<'_, W>,
    rows: &[Row],
    value: impl Fn(&Row) -> D::T,
) -> Result<(), ParquetError> {
    let values: Vec<D::T> = rows.iter().map(value).collect();
    let mut column = group.next_column()?.expect("invariant: the schema has this column");
    column.typed::<D>().write_batch(&values, None, None)?;
    column.close()
}

fn optional<W: Write + Send>(
    group: &mut Group<'_, W>,
    rows: &[Row],
    value: impl Fn(&Row) -> Option<ByteArray>,
) -> Result<(), ParquetError> {
    let values: Vec<Option<ByteArray>> = rows.iter().map(value).collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<ByteArray> = values.into_iter().flatten().collect();
    let mut column = group.next_column()?.expect("invariant: the schema has this column");
    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
    column.close()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;
    use parquet::schema::printer::print_schema;

    use super::*;
    use crate::commands::episodes::COLUMNS;

    fn row(n: u64) -> Row {
        let line = format!(
            r#"{{"episode_id":"ep-{n}","host_id":"lab-1","received_at_wall":"2026-11-20T12:00:00.123456Z","schema_version":1,"sha256":"{}","size_bytes":{n}}}"#,
            "ab".repeat(32)
        );
        Row::from_line(line.as_bytes()).unwrap()
    }

    fn written(rows: impl IntoIterator<Item = Row>) -> SerializedFileReader<Bytes> {
        let mut bytes = Vec::new();
        let mut sheet = Sheet::begin(&mut bytes).unwrap();
        rows.into_iter().for_each(|row| sheet.add(row).unwrap());
        sheet.end().unwrap();
        SerializedFileReader::new(Bytes::from(bytes)).unwrap()
    }

    #[test]
    fn the_columns_are_those_of_csv_with_types() {
        let reader = written([]);
        let schema = reader.metadata().file_metadata().schema();
        assert_eq!(schema.get_fields().iter().map(|field| field.name()).collect::<Vec<_>>(), COLUMNS);
        let mut text = Vec::new();
        print_schema(&mut text, schema);
        insta::assert_snapshot!(String::from_utf8(text).unwrap());
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let full = Row {
            backfilled: true,
            commit: Some("a".repeat(40).parse().unwrap()),
            content_sha256: Some("cd".repeat(32).parse().unwrap()),
            gate: Some(Gate::Allowed),
            withdrawn: Some("Linse beschlagen, größtenteils".to_owned()),
            size_bytes: i64::MAX as u64,
            ..row(1)
        };
        let reader = written([full, row(2)]);
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        let fields = |at: usize| rows[at].get_column_iter().map(|(_, field)| field.clone()).collect::<Vec<_>>();
        let text = |text: &str| Field::Str(text.to_owned());
        let at = Field::TimestampMicros(1_795_176_000_123_456);
        let full = [
            text("lab-1"),
            text("ep-1"),
            at.clone(),
            Field::Long(i64::MAX),
            text(&"ab".repeat(32)),
            text(&"cd".repeat(32)),
            text(&"a".repeat(40)),
            text("allowed"),
            Field::Bool(true),
            text("Linse beschlagen, größtenteils"),
        ];
        assert_eq!(fields(0), full);
        let (null, sha256) = (Field::Null, text(&"ab".repeat(32)));
        let bare = [text("lab-1"), text("ep-2"), at, Field::Long(2), sha256, null.clone(), null.clone(), null.clone()];
        assert_eq!(fields(1), [&bare[..], &[Field::Bool(false), null]].concat());
    }

    #[test]
    fn a_time_is_told_by_the_microsecond_that_it_is_in() {
        let times = ["1969-12-31T23:59:59.9999995Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00.0000005Z"];
        let reader = written(times.map(|at| Row { received_at_wall: at.parse().unwrap(), ..row(1) }));
        let at = |row: parquet::record::Row| row.get_column_iter().nth(2).unwrap().1.clone();
        let read: Vec<_> = reader.get_row_iter(None).unwrap().map(|row| at(row.unwrap())).collect();
        assert_eq!(read, [-1, -1, 0].map(Field::TimestampMicros));
    }

    #[test]
    fn many_rows_are_groups_of_so_many() {
        let rows = 2 * GROUP_ROWS + 1;
        let reader = written((0..rows as u64).map(row));
        let groups = reader.metadata().row_groups().iter().map(|group| group.num_rows());
        assert_eq!(groups.collect::<Vec<_>>(), [GROUP_ROWS as i64, GROUP_ROWS as i64, 1]);
        let last = reader.get_row_iter(None).unwrap().last().unwrap().unwrap();
        assert_eq!(last.get_column_iter().nth(3).unwrap().1, &Field::Long(rows as i64 - 1));
    }

    #[test]
    fn a_reader_who_went_away_is_told_as_one() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let told = Sheet::begin(Gone).and_then(|mut sheet| sheet.add(row(1)).and_then(|()| sheet.end()));
        assert_eq!(told.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
