//! The tables, the functions, and the migrations that make them.

pub(crate) mod commands;
pub(crate) mod distributed;
pub(crate) mod dropping;
pub(crate) mod functions;
pub(crate) mod migrate;
pub(crate) mod name;
pub(crate) mod sequences;
pub(crate) mod turn;
