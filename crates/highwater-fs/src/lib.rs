//! highwater-fs
