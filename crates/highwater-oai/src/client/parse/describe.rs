//! What a repository says of itself, its sets and its formats. Owns which fields are needed and what stands in for those that
//! repositories leave out.

use super::element::{Element, Ill, Leaf};
use super::markup::local;
use crate::protocol::{Datestamp, DeletedRecord, Granularity, Identify, MetadataFormat, SetInfo};

/// No record is older: what stands in for an earliest datestamp that is none.
const EARLIEST: &str = "1970-01-01";

/// Reads the children of `Identify`.
///
/// What is missing or unreadable is read as what promises least: granularity a day, deleted records forgotten, the earliest
/// datestamp long ago.
pub(in crate::client) fn identify(children: &[String]) -> Identify {
    let mut identify = Identify {
        repository_name: String::new(),
        base_url: String::new(),
        earliest: Datestamp::parse(EARLIEST).expect("invariant: it is a date"),
        deleted_record: DeletedRecord::No,
        granularity: Granularity::Day,
        admin_emails: Vec::new(),
    };
    for child in children {
        let (Some(name), Ok(leaf)) = (name(child), Leaf::read(child)) else { continue };
        match name {
            "repositoryName" => identify.repository_name = leaf.content,
            "baseURL" => identify.base_url = leaf.content,
            "adminEmail" => identify.admin_emails.push(leaf.content),
            "earliestDatestamp" => identify.earliest = Datestamp::parse(&leaf.content).unwrap_or(identify.earliest),
            "granularity" if leaf.content.eq_ignore_ascii_case(Granularity::Second.as_str()) => {
                identify.granularity = Granularity::Second;
            }
            "deletedRecord" => {
                let all = [DeletedRecord::No, DeletedRecord::Transient, DeletedRecord::Persistent];
                let known = all.into_iter().find(|known| leaf.content.eq_ignore_ascii_case(known.as_str()));
                identify.deleted_record = known.unwrap_or(DeletedRecord::No);
            }
            _ => {}
        }
    }
    identify
}

/// Reads a `set`; `None` for anything else, and for one without a name for requests.
pub(in crate::client) fn set(child: &str) -> Option<SetInfo> {
    let [spec, name] = fields(child, "set", ["setSpec", "setName"]).ok()?;
    (!spec.is_empty()).then_some(SetInfo { spec, name })
}

/// Reads a `metadataFormat`; `None` for anything else, and for one without a name for requests.
pub(in crate::client) fn format(child: &str) -> Option<MetadataFormat> {
    let names = ["metadataPrefix", "schema", "metadataNamespace"];
    let [prefix, schema, namespace] = fields(child, "metadataFormat", names).ok()?;
    (!prefix.is_empty()).then_some(MetadataFormat { prefix, schema, namespace })
}

fn name(child: &str) -> Option<&str> {
    let (_, tag) = Element::open(child).ok()?;
    Some(local(&child[1..=tag.name().0.len()]))
}

fn fields<const N: usize>(child: &str, expected: &str, names: [&str; N]) -> Result<[String; N], Ill> {
    let (mut element, tag) = Element::open(child)?;
    if local(tag.name().0) != expected {
        return Err(format!("`{}` is no {expected}", tag.name().0));
    }
    let mut values = [const { String::new() }; N];
    while let Some(field) = element.child()? {
        let content = element.content()?;
        if let Some(place) = names.iter().position(|name| *name == local(field.name().0)) {
            values[place] = content;
        }
    }
    Ok(values)
}
