//! Messages taken under a lease: exclusive for a time, without a transaction.

mod batches;
mod defaults;
mod deliveries;
mod drains;
mod ends;
mod failing;
mod failures;
mod interrupts;
mod kept;
mod matching;
mod put_off;
mod receivers;
mod settling;
mod together;
mod troubled;
mod unknown_commits;
mod waiting;

use outtray::Result;

#[track_caller]
fn check_lost<T: std::fmt::Debug>(result: Result<T>) {
    assert_eq!(result.unwrap_err().kind(), outtray::ErrorKind::LeaseLost);
}
