//! Waiting for what others do, without sleeping.

use crossbeam_channel::{Receiver, after, bounded};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what must happen: long enough for a busy machine, and only a failure
/// waits it out.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long a test watches for what must not happen.
pub(crate) const A_WHILE: Duration = Duration::from_millis(300);

/// Durations that no test waits out.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Waits until `happened` says so; fails after [`PATIENCE`]. For what no channel tells, such as the
/// end of another process.
#[track_caller]
pub(crate) fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(
            started.elapsed() < PATIENCE,
            "{what}: not after {PATIENCE:?}"
        );
        pass_time(Duration::from_millis(20));
    }
}

/// Lets the time pass that a test is about.
pub(crate) fn pass_time(time: Duration) {
    let _ = after(time).recv();
}

/// Returns the next `count` things that are told; fails if one does not come.
#[track_caller]
pub(crate) fn next<T>(told: &Receiver<T>, count: usize) -> Vec<T> {
    (1..=count)
        .map(|number| match told.recv_timeout(PATIENCE) {
            Ok(thing) => thing,
            Err(error) => panic!("{number} of {count}: {error}"),
        })
        .collect()
}

/// Runs `work` on a thread of its own and tells what it returned. Nobody waits for one that does
/// not end.
pub(crate) fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (tell, told) = bounded(1);
    let told_aside = move || tell.send(work());
    thread::Builder::new().spawn(told_aside).unwrap();
    told
}
