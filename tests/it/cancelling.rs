//! Messages that are given up.
