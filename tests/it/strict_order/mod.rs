//! Topics in strict order.

mod one_after_the_other;
mod passing_on;
mod together;
