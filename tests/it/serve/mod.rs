//! `outtray serve`: clients that speak the wire of dsmq, in any of its three generations.

mod caller;
mod errors;
mod idle;
mod limits;
mod lost_database;
mod pace;
mod packages;
mod readers;
mod stopping;
mod tokens;
mod troubled_log;
mod wire;

use crate::support::{PATIENCE, database, signal, text_of};
use caller::{Caller, Generation};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

const GENERATIONS: [Generation; 3] = [Generation::Bare, Generation::Framed, Generation::WebSocket];

/// A server of the wire. Killed when dropped.
struct Serving {
    url: String,
    address: SocketAddr,
    process: Child,
    /// Its log, in a file, so that it never waits for us.
    log: File,
}

impl Serving {
    /// Starts one on a database of its own.
    fn new() -> Serving {
        Serving::with(&[])
    }

    fn with(options: &[&str]) -> Serving {
        Serving::over(&database(), "127.0.0.1:0", options)
    }

    fn over(url: &str, address: &str, options: &[&str]) -> Serving {
        let log = tempfile::tempfile().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_outtray"))
            .args(["serve", "--dsmq", address])
            .args(options)
            .env("DATABASE_URL", url)
            .env_remove("OUTTRAY_SCHEMA")
            .env("RUST_LOG", "debug,tokio_postgres=warn")
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let listens = line.trim_end().strip_prefix("dsmq listens on ");
        let Some(address) = listens.map(|address| address.parse().unwrap()) else {
            panic!("it does not listen: {}", text_of(&log));
        };
        let url = url.to_owned();
        Serving {
            url,
            address,
            process,
            log,
        }
    }

    fn call(&self, generation: Generation) -> Caller {
        Caller::call(self.address, generation)
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).unwrap()
    }

    fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for its end; returns the exit code and the log.
    fn end(mut self) -> (Option<i32>, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "it does not end");
            crate::support::pass_time(std::time::Duration::from_millis(10));
        };
        (status.code(), self.said())
    }

    /// Returns its log.
    fn said(&self) -> String {
        text_of(&self.log)
    }

    /// Stops it; returns the exit code and the log.
    fn stop(self) -> (Option<i32>, String) {
        self.signal("TERM");
        self.end()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            let log = self.said();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}
