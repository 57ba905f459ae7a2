//! Messages that come after others.
