//! Every table of the file and its fields, gathered once per reading.

use highwater_engine::settings::{JobSettings, NotifySettings, ResourceSettings};

use super::fields::{Field, fields_of};
use super::kind::{KINDS, Kind};
use super::top::TopSettings;

/// The tables at the top of the file.
pub(super) const TABLES: [&str; 3] = ["resource", "job", "notify"];

/// The fields of each table.
pub(super) struct Catalog {
    pub(super) top: Vec<Field>,
    pub(super) resource: Vec<Field>,
    pub(super) job: Vec<Field>,
    pub(super) notify: Vec<Field>,
    pub(super) kinds: Vec<(&'static Kind, Vec<Field>)>,
}

impl Catalog {
    pub(super) fn new() -> Self {
        Self {
            top: fields_of::<TopSettings>(),
            resource: fields_of::<ResourceSettings>(),
            job: fields_of::<JobSettings>(),
            notify: fields_of::<NotifySettings>(),
            kinds: KINDS.iter().map(|kind| (kind, (kind.fields)())).collect(),
        }
    }

    /// The table that takes a key, in words, for a key that stands in another.
    pub(super) fn home_of(&self, key: &str) -> Option<String> {
        let kinds = self.kinds.iter().map(|(_, fields)| ("job.NAME", fields));
        let tables = [("job.NAME", &self.job), ("resource.NAME", &self.resource)].into_iter().chain(kinds);
        let nested = tables.clone().flat_map(|(table, fields)| {
            let inner = fields.iter().filter(|field| !field.fields.is_empty());
            inner.map(move |field| (format!("[{table}.{}]", field.name), &field.fields))
        });
        let single = tables.map(|(table, fields)| (format!("[{table}]"), fields));
        let every = single.chain(nested).chain([("[[notify]]".to_owned(), &self.notify)]);
        let at_top = ("the top of the file, above the first table".to_owned(), &self.top);
        let takes = |fields: &[Field]| fields.iter().any(|field| field.name == key);
        every
            .map(|(table, fields)| (format!("`{table}`"), fields))
            .chain([at_top])
            .find(|(_, fields)| takes(fields))
            .map(|(home, _)| home)
    }

    /// The fields of a kind.
    pub(super) fn of_kind(&self, name: &str) -> &[Field] {
        self.kinds.iter().find(|(kind, _)| kind.name == name).map(|(_, fields)| fields.as_slice()).unwrap_or_default()
    }
}
