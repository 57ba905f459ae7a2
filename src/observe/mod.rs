//! How the process is told about: the fields of what it logs.

pub(crate) mod fields;
