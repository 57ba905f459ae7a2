//! Crashes: processes that died without signing off, and how deliveries of what they had in hand
//! are counted before they are tried again.

pub(crate) mod attempt;
pub(crate) mod idle;
pub(crate) mod liveness;
pub(crate) mod mine;
pub(crate) mod newcomer;
pub(crate) mod presence;
pub(crate) mod quarantine;
pub(crate) mod round;
pub(crate) mod suspicion;
