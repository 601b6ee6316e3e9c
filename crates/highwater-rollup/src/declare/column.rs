//! Names in a declaration: of tables, of columns. Owns that nothing but a name can reach a statement.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::SOURCE;

/// Longest name, as PostgreSQL has it.
pub(super) const IDENT_BYTES_MAX: usize = 63;

/// A name of a column or an alias: letters, digits and `_`, and no digit first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ident(String);

impl Ident {
    /// Reads a name.
    ///
    /// # Errors
    /// In words, what it is instead.
    pub fn new(text: &str) -> Result<Self, String> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        if begins && text.len() <= IDENT_BYTES_MAX && text.bytes().all(word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{text}` is no name: expected at most {IDENT_BYTES_MAX} of the letters a to z and A to Z, digits and `_`, no digit first"
            ))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as SQL quotes it.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl std::borrow::Borrow<str> for Ident {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Ident {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

impl From<Ident> for String {
    fn from(ident: Ident) -> Self {
        ident.0
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A table, with its schema where it is not the session's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName {
    schema: Option<Ident>,
    table: Ident,
}

impl TableName {
    /// The table's own name.
    #[must_use]
    pub fn table(&self) -> &Ident {
        &self.table
    }

    /// A table beside this one.
    pub(crate) fn beside(&self, table: Ident) -> Self {
        Self { schema: self.schema.clone(), table }
    }

    /// The name as SQL quotes it.
    #[must_use]
    pub fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", schema.quoted(), self.table.quoted()),
            None => self.table.quoted(),
        }
    }

    /// The schema's prefix as SQL quotes it, empty where none is named.
    pub(crate) fn schema_prefix(&self) -> String {
        self.schema.as_ref().map(|schema| format!("{}.", schema.quoted())).unwrap_or_default()
    }
}

impl TryFrom<String> for TableName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('.') {
            Some((schema, table)) => Ok(Self { schema: Some(Ident::new(schema)?), table: Ident::new(table)? }),
            None => Ok(Self { schema: None, table: Ident::new(&text)? }),
        }
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.table),
            None => write!(f, "{}", self.table),
        }
    }
}

/// A column of the source, or `ALIAS.COLUMN` of what it joins to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ColumnRef {
    /// [`SOURCE`], or the alias of a join.
    pub table: Ident,
    /// The column.
    pub column: Ident,
}

impl TryFrom<String> for ColumnRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (table, column) = text.split_once('.').unwrap_or((SOURCE, &text));
        Ok(Self { table: Ident::new(table)?, column: Ident::new(column)? })
    }
}

impl From<ColumnRef> for String {
    fn from(column: ColumnRef) -> Self {
        column.to_string()
    }
}

impl fmt::Display for ColumnRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}
