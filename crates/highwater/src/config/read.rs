//! Tables of the file into settings structs, value by value, so that every mistake is told and each with its line.
//! Owns the wording of a wrong value; the structs own what they take.

use highwater_engine::diagnosis::Diagnosis;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Error, ValueDeserializer};

use super::catalog::Catalog;
use super::codes;
use super::fields::Field;
use super::interpolate::Interpolated;
use super::source::{Entries, Entry, FieldPath, SourceFile, to_json};
use super::suggest::{completed, one_of, suggestion};

/// Most keys that an error lists.
const KEYS_SHOWN_MAX: usize = 12;

/// Reads one file; gathers what it found and what is wrong.
pub(super) struct Reader<'f> {
    pub(super) file: &'f SourceFile,
    pub(super) catalog: &'f Catalog,
    pub(super) interpolated: Interpolated,
    pub(super) entries: Entries,
    pub(super) errors: Vec<Diagnosis>,
}

impl<'f> Reader<'f> {
    pub(super) fn new(file: &'f SourceFile, catalog: &'f Catalog) -> Self {
        Self { file, catalog, interpolated: Interpolated::default(), entries: Entries::default(), errors: Vec::new() }
    }

    /// Tells an error at a line of the file.
    pub(super) fn tell(
        &mut self,
        code: &'static str,
        line: u64,
        at: &FieldPath,
        message: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.errors.push(self.file.refusal(code, line, at.as_str(), message, next));
    }

    /// The line of a key.
    pub(super) fn line_of<T>(&self, spanned: &Spanned<T>) -> u64 {
        self.file.line(spanned.span().start)
    }

    /// Refuses every key of `table` that is not in `fields`, in tables within it too.
    pub(super) fn refuse_unknown(&mut self, table: &DeTable<'_>, fields: &[&Field], at: &FieldPath) {
        for (key, value) in table {
            match fields.iter().find(|field| field.name == key.get_ref().as_ref()) {
                None => self.unknown_key(key, fields.iter().map(|field| field.name.as_str()), at),
                Some(field) => {
                    if let (false, DeValue::Table(inner)) = (field.fields.is_empty(), value.get_ref()) {
                        let nested: Vec<_> = field.fields.iter().collect();
                        self.refuse_unknown(inner, &nested, &at.join(key.get_ref()));
                    }
                    for (index, element) in elements(field, value) {
                        let nested: Vec<_> = field.elements.iter().collect();
                        self.refuse_unknown(element, &nested, &at.join(key.get_ref()).element(index));
                    }
                }
            }
        }
    }

    /// Refuses a key that nothing takes.
    pub(super) fn unknown_key<'k>(
        &mut self,
        key: &Spanned<impl AsRef<str>>,
        known: impl Iterator<Item = &'k str> + Clone,
        at: &FieldPath,
    ) {
        let name = key.get_ref().as_ref();
        let homes = self.catalog.homes_of(name);
        // What is a key of another table too may only be cut short here.
        let next = match completed(name, known.clone())
            .or_else(|| suggestion(name, known.clone()).filter(|_| homes.is_empty()))
        {
            None if !homes.is_empty() => format!("move it to {}", homes.join(" or to ")),
            Some(known) => format!("did you mean `{known}`?"),
            None if known.clone().count() <= KEYS_SHOWN_MAX => {
                format!("remove it; expected {}", one_of(known))
            }
            None => "remove it; `highwater config schema` lists every key".to_owned(),
        };
        let line = self.line_of(key);
        self.tell(codes::UNKNOWN_KEY, line, &at.join(name), "found a key that is not known here", next);
    }

    /// Reads the fields of a struct from the keys of `table` that are `fields`; others are left alone. `line` is the
    /// table's own.
    pub(super) fn read<T: DeserializeOwned>(
        &mut self,
        fields: &[Field],
        table: DeTable<'_>,
        at: &FieldPath,
        line: u64,
    ) -> Option<T> {
        let errors_before = self.errors.len();
        let misspelt: Vec<_> = fields.iter().filter(|field| misspelt_in(&table, field, fields)).collect();
        let misspelt_within = self.check_elements(&table, fields, at);
        let owned = own_keys(table, fields);
        self.check_values::<T>(fields, &owned, at, &mut Vec::new());
        for field in fields.iter().filter(|field| field.required && !owned.contains_key(field.name.as_str())) {
            if !misspelt.iter().any(|other| other.name == field.name) {
                self.missing_key(field, at, line);
            }
        }
        let failed = misspelt_within
            || !misspelt.is_empty()
            || owned.iter().any(|(_, value)| self.interpolated.failed_in(value));
        if self.errors.len() > errors_before || failed {
            return None;
        }
        match deserialize(owned) {
            Ok(settings) => Some(settings),
            Err(error) => {
                let message = worded(error.message());
                self.tell(
                    codes::WRONG_VALUE,
                    line,
                    at,
                    message,
                    "correct the table; `highwater config schema` describes it",
                );
                None
            }
        }
    }

    /// Tells the keys that tables of lists must have and lack; gives whether one of them is probably there by another name.
    fn check_elements(&mut self, table: &DeTable<'_>, fields: &[Field], at: &FieldPath) -> bool {
        let mut is_misspelt = false;
        for (key, value) in table {
            let Some(field) = fields.iter().find(|field| field.name == key.get_ref().as_ref()) else {
                continue;
            };
            let lines = value.get_ref().as_array().into_iter().flat_map(|array| array.iter());
            let lines: Vec<_> = lines.map(|element| self.line_of(element)).collect();
            for ((index, element), line) in elements(field, value).zip(lines) {
                let missing = |f: &&Field| f.required && !element.contains_key(f.name.as_str());
                for missing in field.elements.iter().filter(missing) {
                    if misspelt_in(element, missing, &field.elements) {
                        is_misspelt = true;
                    } else {
                        self.missing_key(missing, &at.join(&field.name).element(index), line);
                    }
                }
            }
        }
        is_misspelt
    }

    /// Tells a key that must be there.
    fn missing_key(&mut self, field: &Field, at: &FieldPath, line: u64) {
        let wanted = field.type_text();
        let wanted = if wanted.starts_with("one of ") { wanted } else { article(&wanted) };
        let message = format!("found no `{}`, expected {wanted}", field.name);
        let next = format!("add `{} = …`. {}", field.name, field.about);
        self.tell(codes::MISSING_KEY, line, &at.join(&field.name), message, next);
    }

    /// Reads each value on its own, within otherwise empty tables, and tells each that does not fit.
    fn check_values<T: DeserializeOwned>(
        &mut self,
        fields: &[Field],
        table: &DeTable<'_>,
        at: &FieldPath,
        within: &mut Vec<Within>,
    ) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let Some(field) = fields.iter().find(|field| field.name == name) else {
                continue;
            };
            let at = at.join(name);
            match value.get_ref() {
                DeValue::Table(inner) if !field.fields.is_empty() => {
                    within.push(Within::Table(name.to_owned()));
                    self.check_values::<T>(&field.fields, inner, &at, within);
                    within.pop();
                    let line = self.line_of(key);
                    for missing in field.fields.iter().filter(|f| f.required && !inner.contains_key(f.name.as_str())) {
                        self.missing_key(missing, &at, line);
                    }
                }
                DeValue::Array(_) if is_list_of_tables(field, value) => {
                    within.push(Within::List(name.to_owned()));
                    for (index, element) in elements(field, value) {
                        self.check_values::<T>(&field.elements, element, &at.element(index), within);
                    }
                    within.pop();
                }
                _ => {
                    self.remember(key, value, &at);
                    if !self.interpolated.failed_in(value) {
                        self.check_value::<T>(field, key, value, &at, within);
                    }
                }
            }
        }
    }

    fn check_value<T: DeserializeOwned>(
        &mut self,
        field: &Field,
        key: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
        at: &FieldPath,
        within: &[Within],
    ) {
        let alone = within.iter().rev().fold(single(&field.name, value.clone()), |inner, within| {
            let table = Spanned::new(value.span(), DeValue::Table(inner));
            match within {
                Within::Table(name) => single(name, table),
                Within::List(name) => {
                    let mut list = DeArray::new();
                    list.push(table);
                    single(name, Spanned::new(value.span(), DeValue::Array(list)))
                }
            }
        });
        let Err(error) = deserialize::<T>(alone) else {
            return;
        };
        // A struct with required fields also misses them here; that error lies outside the value.
        let whole = value.span();
        let Some(span) = error.span().filter(|span| whole.start <= span.start && span.end <= whole.end) else {
            return;
        };
        if error.message().starts_with("missing field") {
            return;
        }
        let secret = self.interpolated.secret_in(value);
        let message = match (secret, field.fields.is_empty()) {
            (Some(raw), _) => worded_secret(raw, error.message()),
            (None, true) if !field.elements.is_empty() => {
                format!("found {}, expected a list of tables", article(value.get_ref().type_str()))
            }
            (None, true) => worded(error.message()),
            (None, false) => format!("found {}, expected a table", article(value.get_ref().type_str())),
        };
        let next = match misspelt(error.message()).filter(|_| secret.is_none()) {
            Some(known) => format!("did you mean `{known}`?"),
            None if !field.fields.is_empty() => {
                format!("write its keys below `[{at}]`, or remove `{}`", field.name)
            }
            None if !field.elements.is_empty() => {
                format!("write `[[{at}]]`, with two brackets, above the keys of each")
            }
            None => repair(field),
        };
        let line = if span == whole { self.line_of(key) } else { self.file.line(span.start) };
        self.tell(codes::WRONG_VALUE, line, at, message, next);
    }

    /// Keeps where a value stands and what it was before `${NAME}` was replaced.
    pub(super) fn remember(&mut self, key: &Spanned<impl AsRef<str>>, value: &Spanned<DeValue<'_>>, at: &FieldPath) {
        let entry = Entry {
            line: self.line_of(key),
            raw: to_json(value, &|span| self.interpolated.raw(span)),
            secret: self.interpolated.secret_in(value).is_some(),
        };
        self.entries.insert(at.as_str().to_owned(), entry);
    }
}

/// What a value stands in.
enum Within {
    /// The table of this name.
    Table(String),
    /// A table of the list of this name.
    List(String),
}

/// Whether a value is what a list of tables should be: a list, all of tables.
fn is_list_of_tables(field: &Field, value: &Spanned<DeValue<'_>>) -> bool {
    !field.elements.is_empty()
        && value.get_ref().as_array().is_some_and(|array| array.iter().all(|element| element.get_ref().is_table()))
}

/// The tables of a list of them; none where it is something else, which is told when it is read.
fn elements<'v, 'i>(field: &Field, value: &'v Spanned<DeValue<'i>>) -> impl Iterator<Item = (usize, &'v DeTable<'i>)> {
    let list = value.get_ref().as_array().filter(|_| is_list_of_tables(field, value));
    list.into_iter().flat_map(|array| array.iter()).filter_map(|element| element.get_ref().as_table()).enumerate()
}

/// Whether a field is probably there under a name that is not known; that name is told.
fn misspelt_in(table: &DeTable<'_>, field: &Field, fields: &[Field]) -> bool {
    let known = |key: &str| fields.iter().any(|field| field.name == key);
    let names = || fields.iter().map(|field| field.name.as_str());
    let keys = table.keys().map(|key| key.get_ref().as_ref());
    field.required
        && !table.contains_key(field.name.as_str())
        && keys.into_iter().any(|key| !known(key) && suggestion(key, names()) == Some(field.name.as_str()))
}

fn own_keys<'i>(table: DeTable<'i>, fields: &[Field]) -> DeTable<'i> {
    let known = |name: &str| fields.iter().find(|field| field.name == name);
    let mut owned = DeTable::new();
    for (key, value) in table {
        let Some(field) = known(key.get_ref()) else {
            continue;
        };
        let span = value.span();
        let value = match value.into_inner() {
            DeValue::Table(inner) if !field.fields.is_empty() => DeValue::Table(own_keys(inner, &field.fields)),
            DeValue::Array(array) if !field.elements.is_empty() => {
                let mut own = DeArray::new();
                for element in array {
                    let span = element.span();
                    own.push(match element.into_inner() {
                        DeValue::Table(table) => Spanned::new(span, DeValue::Table(own_keys(table, &field.elements))),
                        other => Spanned::new(span, other),
                    });
                }
                DeValue::Array(own)
            }
            other => other,
        };
        owned.insert(key, Spanned::new(span, value));
    }
    owned
}

fn single<'i>(name: &str, value: Spanned<DeValue<'i>>) -> DeTable<'i> {
    let mut table = DeTable::new();
    table.insert(Spanned::new(value.span(), name.to_owned().into()), value);
    table
}

fn deserialize<T: DeserializeOwned>(table: DeTable<'_>) -> Result<T, Error> {
    // An empty span: an error of the table itself lies within no value.
    T::deserialize(ValueDeserializer::from(Spanned::new(0..0, DeValue::Table(table))))
}

/// Serde's words in this program's.
fn worded(message: &str) -> String {
    let message = message.trim_end();
    let found = ["invalid type: ", "invalid value: ", "unknown variant "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .map(|rest| format!("found {rest}"));
    let words = found.unwrap_or_else(|| message.to_owned());
    words.replace("expected a map", "expected a table").replace("expected a sequence", "expected a list")
}

/// The same without what was found, which is a secret.
fn worded_secret(raw: &str, message: &str) -> String {
    let message = worded(message);
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => {
            format!("found {raw:?}, whose value does not fit; expected {expected}")
        }
        None => format!("found {raw:?}, whose value does not fit"),
    }
}

/// The word that was probably meant, when serde names the ones there are.
fn misspelt(message: &str) -> Option<&str> {
    let quoted = message.strip_prefix("unknown variant ")?;
    let mut words = quoted.split('`').skip(1).step_by(2);
    let found = words.next()?;
    suggestion(found, words)
}

fn repair(field: &Field) -> String {
    let name = &field.name;
    match &field.default {
        Some(default) => {
            format!("correct the value, or remove `{name}` for the default, `{}`", super::show::toml_text(default))
        }
        _ if field.required => "correct the value".to_owned(),
        _ => format!("correct the value, or remove `{name}`"),
    }
}

/// A TOML type with its article.
pub(super) fn article(type_name: &str) -> String {
    let vowel = type_name.starts_with(['a', 'i']);
    format!("{} {type_name}", if vowel { "an" } else { "a" })
}
