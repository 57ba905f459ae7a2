//! The tables, and the migrations that make them.

pub(crate) mod dropping;
pub(crate) mod migrate;
pub(crate) mod name;
pub(crate) mod sequences;
