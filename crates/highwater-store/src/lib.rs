//! highwater-store
