//! Where a message stands in its topic.

/// Where a message stands in claim order; with the topic, its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClaimPlace {
    pub(crate) rank: i16,
    pub(crate) seq: i64,
}
