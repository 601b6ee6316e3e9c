//! Requests: the six verbs and their arguments. Owns how they are written as a query.

use super::Datestamp;

/// The six verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// What the repository says of itself.
    Identify,
    /// Its formats, or those of a record.
    ListMetadataFormats,
    /// Its sets.
    ListSets,
    /// Headers.
    ListIdentifiers,
    /// Records.
    ListRecords,
    /// One record.
    GetRecord,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Identify,
        Self::ListMetadataFormats,
        Self::ListSets,
        Self::ListIdentifiers,
        Self::ListRecords,
        Self::GetRecord,
    ];

    /// As it is written, in requests and as the element of the answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identify => "Identify",
            Self::ListMetadataFormats => "ListMetadataFormats",
            Self::ListSets => "ListSets",
            Self::ListIdentifiers => "ListIdentifiers",
            Self::ListRecords => "ListRecords",
            Self::GetRecord => "GetRecord",
        }
    }
}

/// What a list of headers or records is of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// The format.
    pub metadata_prefix: String,
    /// Only this set.
    pub set: Option<String>,
    /// Not older, this moment included.
    pub from: Option<Datestamp>,
    /// Not newer, this moment included.
    pub until: Option<Datestamp>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// What the repository says of itself.
    Identify,
    /// Its formats, or those of a record.
    ListMetadataFormats {
        /// The record.
        identifier: Option<String>,
    },
    /// Its sets.
    ListSets,
    /// A list of headers, from its beginning.
    ListIdentifiers(Selection),
    /// A list of records, from its beginning.
    ListRecords(Selection),
    /// One record.
    GetRecord {
        /// Its identifier.
        identifier: String,
        /// The format.
        metadata_prefix: String,
    },
    /// A list, from where a token says.
    Resume {
        /// Which list.
        verb: Verb,
        /// The token's value.
        token: String,
    },
}

/// Arguments by name, unescaped, the verb first.
pub type Arguments = Vec<(&'static str, String)>;

impl Request {
    /// Its verb.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Identify => Verb::Identify,
            Self::ListMetadataFormats { .. } => Verb::ListMetadataFormats,
            Self::ListSets => Verb::ListSets,
            Self::ListIdentifiers(_) => Verb::ListIdentifiers,
            Self::ListRecords(_) => Verb::ListRecords,
            Self::GetRecord { .. } => Verb::GetRecord,
            Self::Resume { verb, .. } => *verb,
        }
    }

    /// The arguments, unescaped: whoever writes the URL escapes them.
    #[must_use]
    pub fn arguments(&self) -> Arguments {
        let mut arguments = vec![("verb", self.verb().as_str().to_owned())];
        match self {
            Self::Identify | Self::ListSets => {}
            Self::ListMetadataFormats { identifier } => {
                arguments.extend(identifier.iter().map(|id| ("identifier", id.clone())));
            }
            Self::ListIdentifiers(selection) | Self::ListRecords(selection) => {
                let Selection { metadata_prefix, set, from, until } = selection;
                arguments.push(("metadataPrefix", metadata_prefix.clone()));
                arguments.extend(set.iter().map(|set| ("set", set.clone())));
                arguments.extend(from.iter().map(|from| ("from", from.to_string())));
                arguments.extend(until.iter().map(|until| ("until", until.to_string())));
            }
            Self::GetRecord { identifier, metadata_prefix } => {
                arguments.push(("identifier", identifier.clone()));
                arguments.push(("metadataPrefix", metadata_prefix.clone()));
            }
            // Exclusive: a token carries the rest.
            Self::Resume { token, .. } => arguments.push(("resumptionToken", token.clone())),
        }
        arguments
    }
}
