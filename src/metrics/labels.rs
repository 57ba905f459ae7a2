//! Which label a topic has, so that the number of time series is bounded.

use crate::publish::ephemeral;

/// The label of topics that have none of their own, since there are too many. OpenTelemetry uses it
/// where values are left out.
pub const OTHER_TOPICS: &str = "_OTHER";
/// The label of topics that end with their holders, and have a new name each time: those for
/// replies, and those of ephemeral subscriptions.
pub const TEMPORARY_TOPICS: &str = "_TEMPORARY";
/// How many topics have a label of their own, unless somebody says otherwise.
pub const MOST_TOPICS: usize = 200;

/// Returns whether a topic ends with its holder: [`TEMPORARY_TOPICS`] is its label then.
pub fn is_temporary(topic: &str) -> bool {
    ephemeral::is_temporary(topic)
}
