//! What pages stand on: what they are given and return, the threads that make them, what is kept
//! between them, and the parts that they are made of.

pub(crate) mod chart;
pub(crate) mod hour;
pub(crate) mod in_use;
pub(crate) mod minutes;
pub(crate) mod numbers;
pub(crate) mod parts;
pub(crate) mod site;
pub(crate) mod stuck_keys;
pub(crate) mod view;
