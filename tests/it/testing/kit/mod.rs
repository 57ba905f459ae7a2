//! The kit for the tests of those who use the library.

mod databases;
mod faults;
mod running;
mod sent;
mod time;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns what `body` panics with, which has to.
#[track_caller]
fn complaint(body: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(body)).expect_err("it does not hold");
    *panic.downcast::<String>().expect("a text")
}
