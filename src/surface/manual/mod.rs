//! Taking messages by hand under a lease, waiting for them, and settling each by its receipt.

pub(crate) mod delivery;
pub(crate) mod in_session;
pub(crate) mod intake;
pub(crate) mod matching;
pub(crate) mod receipt;
pub(crate) mod receive;
pub(crate) mod settle;
pub(crate) mod sorting;
pub(crate) mod wait;
