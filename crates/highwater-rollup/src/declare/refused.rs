//! What is wrong with a declaration, in words.

/// A mistake in a declaration, with the field it is in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// More than there may be.
    #[error("{field}: there are {found}, expected at most {max}")]
    TooMany {
        /// The field.
        field: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// Nothing is aggregated.
    #[error("aggregates: there is none, expected at least one, such as `rows = \"count\"`")]
    NoAggregate,
    /// Nothing tells rows apart, or finds one.
    #[error("{field}: there is no column, expected at least one")]
    NoKey {
        /// The field.
        field: String,
    },
    /// The target is a table that the rollup reads.
    #[error("target: {table} is read by the rollup, expected a table of its own")]
    TargetIsRead {
        /// The table.
        table: String,
    },
    /// A name that means something already.
    #[error("{field}: `{name}` is what the source is called, expected another name")]
    Reserved {
        /// The field.
        field: String,
        /// The name.
        name: &'static str,
    },
    /// A join that needs two tables at once.
    #[error("{field}.on: its columns equal columns of two tables, expected those of one")]
    TwoParents {
        /// The field.
        field: String,
    },
    /// A column of a table that is not there, or comes later.
    #[error("{field}: `{found}` is neither `source` nor a join before this one")]
    UnknownTable {
        /// The field.
        field: String,
        /// What it says.
        found: String,
    },
    /// A name that others are made of is too long.
    #[error("{field}: `{name}` is too long beside `{other}`, expected at most {max} letters")]
    TooLong {
        /// The field.
        field: &'static str,
        /// The name.
        name: String,
        /// What is in the same names.
        other: String,
        /// How long it may be.
        max: usize,
    },
    /// A column of the target whose name is too long, as one of an average may be with its suffix.
    #[error("aggregates: the column `{name}` is too long, expected at most {max} letters")]
    ColumnTooLong {
        /// The name.
        name: String,
        /// How long it may be.
        max: usize,
    },
    /// Two joins with one name, but for its case.
    #[error("join: two tables are called `{name}`, expected a name for each, by more than upper and lower case")]
    JoinedTwice {
        /// The name.
        name: String,
    },
    /// Two columns of the target with one name.
    #[error("target: two columns are called `{name}`, expected a name for each, by more than upper and lower case")]
    Twice {
        /// The name.
        name: String,
    },
}
