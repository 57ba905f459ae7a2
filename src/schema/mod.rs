//! The tables, and how a database gets them.

pub(crate) mod dropping;
pub(crate) mod migrate;
pub(crate) mod name;
pub(crate) mod sequences;
