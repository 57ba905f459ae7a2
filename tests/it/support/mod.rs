//! The world that all tests share: a server with a database for each, gates and waiting, processes,
//! and what stands between them and the server.

mod child;
mod databases;
mod gate;
mod handlers;
mod ledger;
mod not_checked;
mod place;
mod relay;
mod shrink;
mod signals;
mod statements;
mod tunnel;
mod wait;
mod watcher;
mod wire;

pub(crate) use child::{Child, test_name};
pub(crate) use databases::{database, empty_database};
pub(crate) use gate::Gate;
pub(crate) use handlers::{awaited, done, reject, telling, tracked};
pub(crate) use ledger::{Ledger, WORK};
pub(crate) use not_checked::{not_checked, unshare};
use outtray::testing::Server;
pub(crate) use place::{
    NO_POLLING, Place, await_lock_waits, by_socket, client, deaf_process, make_suspect, process,
    rated_keys, send,
};
pub(crate) use relay::{Relay, carry_all, spawn};
pub(crate) use shrink::shrink;
pub(crate) use signals::{Frozen, signal};
pub(crate) use statements::{statement_names, statement_plan, statement_text};
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::OnceLock;
pub(crate) use tunnel::Tunnel;
pub(crate) use wait::{A_WHILE, DAY, HOUR, MINUTE, PATIENCE, aside, eventually, next, pass_time};
pub(crate) use watcher::{CANARY, Watcher, keep_log, keep_spans, logged, spans, watch};
pub(crate) use wire::{COMMIT, Cut, Wire};

/// Returns the server that all tests share; each makes a database of its own in it.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = Server::start().expect("a PostgreSQL to test with");
        watch(server.url());
        server
    })
}

/// Returns what a process has written into a file so far.
pub(crate) fn text_of(mut file: &File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}
