//! The codes of configuration errors; each has a page in `docs/errors/`.

/// No configuration was found.
pub(crate) const NOT_FOUND: &str = "HW-CFG-001";
/// The configuration cannot be read.
pub(crate) const UNREADABLE: &str = "HW-CFG-002";
/// The file is not TOML.
pub(crate) const SYNTAX: &str = "HW-CFG-003";
/// A key that nothing takes.
pub(crate) const UNKNOWN_KEY: &str = "HW-CFG-004";
/// A value of another type, or out of bounds.
pub(crate) const WRONG_VALUE: &str = "HW-CFG-005";
/// A key that must be there.
pub(crate) const MISSING_KEY: &str = "HW-CFG-006";
/// A kind of job that this binary does not have.
pub(crate) const UNKNOWN_KIND: &str = "HW-CFG-007";
/// A `${NAME}` that cannot be replaced.
pub(crate) const VARIABLE: &str = "HW-CFG-008";
/// A resource that is not declared.
pub(crate) const UNDECLARED_RESOURCE: &str = "HW-CFG-009";
/// Two resources with one lock.
pub(crate) const SHARED_LOCK: &str = "HW-CFG-010";
/// Fields that do not go together.
pub(crate) const CONTRADICTION: &str = "HW-CFG-011";
/// A log file in a directory that does not exist.
pub(crate) const LOG_DIRECTORY: &str = "HW-CFG-012";
/// A job or resource with a name that cannot be one.
pub(crate) const BAD_NAME: &str = "HW-CFG-013";
/// A job or resource on the command line that the configuration does not have.
pub(crate) const NO_SUCH_NAME: &str = "HW-CFG-014";
/// `init` would overwrite a file.
pub(crate) const INIT_EXISTS: &str = "HW-CFG-015";
/// `init` cannot write.
pub(crate) const INIT_FAILED: &str = "HW-CFG-016";
/// Two jobs with one directory of markers.
pub(crate) const SHARED_MARKERS: &str = "HW-CFG-017";
/// A command that is not there (a warning of `config check`).
pub(crate) const COMMAND_NOT_FOUND: &str = "HW-CFG-018";
/// A resource that no job names (a warning of `config check`).
pub(crate) const UNUSED_RESOURCE: &str = "HW-CFG-019";
/// `migrate` of a configuration without migrations.
pub(crate) const NO_MIGRATE: &str = "HW-CFG-020";
/// `receive` of a configuration without a receiver.
pub(crate) const NO_RECEIVER: &str = "HW-CFG-021";

/// Every code, in order.
#[cfg(test)]
pub(crate) const ALL: [&str; 21] = [
    NOT_FOUND,
    UNREADABLE,
    SYNTAX,
    UNKNOWN_KEY,
    WRONG_VALUE,
    MISSING_KEY,
    UNKNOWN_KIND,
    VARIABLE,
    UNDECLARED_RESOURCE,
    SHARED_LOCK,
    CONTRADICTION,
    LOG_DIRECTORY,
    BAD_NAME,
    NO_SUCH_NAME,
    INIT_EXISTS,
    INIT_FAILED,
    SHARED_MARKERS,
    COMMAND_NOT_FOUND,
    UNUSED_RESOURCE,
    NO_MIGRATE,
    NO_RECEIVER,
];
