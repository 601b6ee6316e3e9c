//! A document that was found, as the ledger pins it. Owns which there are, and the order and the names they come in.

use std::path::Path;
use std::sync::Arc;

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::{Stop, WorkItem};
use highwater_engine::name::ItemKey;
use serde::{Deserialize, Serialize};

use super::Named;
use super::naming::{Names, Naming};
use super::scan::{self, PassedOver, ScanError};
use crate::base::{Home, Snapshot};
use crate::convert;
use crate::document::DocName;
use crate::error::KbError;
use crate::origin::Origin;
use crate::web::Address;
use crate::workshop::failed;

/// A document that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub(super) origin: Origin,
    pub(super) name: DocName,
}

/// What is pinned of one, besides its origin.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    name: DocName,
}

impl WorkItem for Found {
    fn key(&self) -> ItemKey {
        ItemKey::new(self.origin.as_str()).expect("invariant: what is longer than a key is passed over")
    }

    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&Pinned { name: self.name.clone() }).expect("invariant: a name is JSON")
    }

    fn decode(key: &ItemKey, payload: &[u8]) -> Result<Self, String> {
        let Pinned { name } = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
        let origin = Origin::try_from(key.as_str().to_owned()).map_err(|error| error.to_string())?;
        Ok(Self { origin, name })
    }
}

impl Names for Snapshot {
    fn called(&self, origin: &Origin) -> Result<Option<DocName>, KbError> {
        self.document_from(origin)
    }

    fn is_taken(&self, name: &DocName) -> Result<bool, KbError> {
        Ok(self.document_called(&name.folded())?.is_some())
    }
}

/// Tells each document that there is, with its name, until no more is wanted.
pub(super) fn find(
    home: Arc<dyn Home>,
    root: &Path,
    named: &Named,
    passed_over: &mut PassedOver,
    mut each: impl FnMut(Result<Found, Stop>) -> bool,
) -> Result<(), Stop> {
    let base = Snapshot::open(home).map_err(|error| failed(&error))?;
    let mut naming = Naming::default();
    for named in &named.paths {
        let is_document = |path: &Path| convert::Format::is_named(&convert::suffix_of(path));
        let scanned = scan::scan(named, root, is_document, passed_over, |origin| match naming.name(&origin, &base) {
            Ok(name) => each(Ok(Found { origin, name })),
            Err(error) => {
                each(Err(failed(&error)));
                false
            }
        });
        scanned.map_err(|error: ScanError| {
            let next = "correct the path, or take it off the list";
            Stop::Fail(Diagnosis::refusal("HW-KB-020", with_causes(&error), next))
        })?;
    }
    let waits = named.waits.keys().filter(|origin| origin.file().is_some_and(|file| file.symlink_metadata().is_ok()));
    for origin in named.addresses.iter().map(Address::origin).chain(waits.cloned()) {
        let name = naming.name(&origin, &base).map_err(|error| failed(&error))?;
        if !each(Ok(Found { origin, name })) {
            break;
        }
    }
    Ok(())
}
