//! What travels to the database: statements, their values, and the flights that carry several of
//! them. Nothing here opens a connection, or waits.

pub(crate) mod commands;
pub(crate) mod flight;
pub(crate) mod identity;
pub(crate) mod protocol;
pub(crate) mod run;
pub(crate) mod silence;
pub(crate) mod standing;
pub(crate) mod statement;
pub(crate) mod value;

pub(crate) use flight::{CallMode, Flight};
pub(crate) use run::{Params, Run, column, columns, execute, first, query};
pub(crate) use statement::{Statement, sql};
pub(crate) use value::Value;
