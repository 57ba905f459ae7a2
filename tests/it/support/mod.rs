//! What several modules of tests need: the server they share, and the test program as a child
//! process.

mod child;
mod databases;
mod gate;
mod ledger;
mod log_lines;
mod place;
mod shrink;
mod statements;
mod tunnel;
mod wire;

pub(crate) use child::{Child, test_name};
use crossbeam_channel::{Receiver, after, bounded};
pub(crate) use databases::{database, empty_database};
pub(crate) use gate::Gate;
pub(crate) use ledger::{Ledger, WORK};
pub(crate) use log_lines::{keep_log, logged};
use outtray::testing::Server;
pub(crate) use place::{
    NO_POLLING, Place, by_socket, client, make_suspect, process, rated_keys, send,
};
pub(crate) use shrink::shrink;
pub(crate) use statements::{statement_names, statement_plan, statement_text};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};
pub(crate) use tunnel::Tunnel;
pub(crate) use wire::{COMMIT, Cut, Wire};

/// How long a test waits for what must happen: long enough for a busy machine, and only a failure
/// waits it out.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Returns the server that all tests share; each makes a database of its own in it.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start().expect("a PostgreSQL to test with"))
}

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
        let _ = after(Duration::from_millis(20)).recv();
    }
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
