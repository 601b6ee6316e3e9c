//! What the converters make of documents.
