//! Every table of the file and its fields, gathered once per reading.

use highwater_engine::settings::{JobSettings, NotifySettings, ResourceSettings};
use highwater_episodes::receive::settings::ReceiverSettings;
use highwater_rollup::migrate::MigrateSettings;

use super::fields::{Field, fields_of};
use super::kind::{KINDS, Kind};
use super::top::TopSettings;

/// The tables at the top of the file.
pub(super) const TABLES: [&str; 5] = ["resource", "job", "notify", "migrate", "receiver"];

/// The fields of each table.
pub(super) struct Catalog {
    pub(super) top: Vec<Field>,
    pub(super) resource: Vec<Field>,
    pub(super) job: Vec<Field>,
    pub(super) notify: Vec<Field>,
    pub(super) migrate: Vec<Field>,
    pub(super) receiver: Vec<Field>,
    pub(super) kinds: Vec<(&'static Kind, Vec<Field>)>,
}

impl Catalog {
    pub(super) fn new() -> Self {
        Self {
            top: fields_of::<TopSettings>(),
            resource: fields_of::<ResourceSettings>(),
            job: fields_of::<JobSettings>(),
            notify: fields_of::<NotifySettings>(),
            migrate: fields_of::<MigrateSettings>(),
            receiver: fields_of::<ReceiverSettings>(),
            kinds: KINDS.iter().map(|kind| (kind, (kind.fields)())).collect(),
        }
    }

    /// The tables that take a key, in words, for a key that stands in another.
    pub(super) fn homes_of(&self, key: &str) -> Vec<String> {
        let mut tables = vec![
            ("`[job.NAME]`".to_owned(), &self.job),
            ("`[resource.NAME]`".to_owned(), &self.resource),
            ("the top of the file, above the first table".to_owned(), &self.top),
        ];
        tables
            .extend(self.kinds.iter().map(|(kind, fields)| (format!("`[job.NAME]` of kind `{}`", kind.name), fields)));
        tables.push(("`[[notify]]`".to_owned(), &self.notify));
        tables.push(("`[migrate]`".to_owned(), &self.migrate));
        tables.push(("`[receiver]`".to_owned(), &self.receiver));
        let takes = |fields: &[Field]| fields.iter().any(|field| field.name == key);
        let mut homes = Vec::new();
        for (home, fields) in tables {
            let inner = fields.iter().filter(|field| takes(&field.fields));
            homes.extend(inner.map(|field| format!("`{}` of {home}", field.name)));
            if takes(fields) {
                homes.push(home);
            }
        }
        if homes.is_empty() {
            let lists = self.job.iter().filter(|field| takes(&field.elements));
            homes.extend(lists.map(|field| format!("`[[job.NAME.{}]]`", field.name)));
            let lists = self.receiver.iter().filter(|field| takes(&field.elements));
            homes.extend(lists.map(|field| format!("`[[receiver.{}]]`", field.name)));
        }
        homes
    }

    /// The fields of a kind.
    pub(super) fn of_kind(&self, name: &str) -> &[Field] {
        self.kinds.iter().find(|(kind, _)| kind.name == name).map(|(_, fields)| fields.as_slice()).unwrap_or_default()
    }
}
