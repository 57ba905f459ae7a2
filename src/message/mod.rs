//! The message's own rows: how they are stored, claimed and settled. Nothing here begins or commits
//! a transaction: the caller decides what belongs together.

pub(crate) mod claimed;
pub(crate) mod columns;
pub(crate) mod copy;
pub(crate) mod end;
pub(crate) mod floor;
pub(crate) mod outcome;
pub(crate) mod report;
pub(crate) mod send;
pub(crate) mod settle;
pub(crate) mod written;
