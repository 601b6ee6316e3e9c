//! highwater-db
