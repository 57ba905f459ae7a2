//! The fields of log lines, beside their sentences.
//!
//! A line is a sentence that says everything, and fields with the same values for programs that
//! read lines. Where no subscriber of `tracing` listens, `tracing` writes to the crate `log`, and
//! would append all fields to the sentence: then there are none.

use std::fmt::Display;
use tracing::field::{DisplayValue, display};
use tracing::subscriber::NoSubscriber;

/// Returns a value as a field, if somebody reads fields.
pub(crate) fn told<T: Display + ?Sized>(value: &T) -> Option<DisplayValue<&T>> {
    are_read().then(|| display(value))
}

/// Returns a number as a field, if somebody reads fields.
pub(crate) fn number(number: u32) -> Option<u32> {
    are_read().then_some(number)
}

fn are_read() -> bool {
    tracing::dispatcher::get_default(|subscriber| !subscriber.is::<NoSubscriber>())
}
