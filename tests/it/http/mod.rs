//! `--http`: health and metrics of the command, for machines that ask.

mod clients;
mod counters;
mod documents;
mod health;
mod pages;
mod recording;
mod tokens;

use crate::support::{PATIENCE, Place, database, pass_time, signal, text_of};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A process of the command that serves HTTP. Killed when dropped.
struct Serving {
    address: SocketAddr,
    process: Child,
    log: File,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Serving {
    /// Starts `outtray serve --http` on a database of its own.
    fn new() -> Serving {
        Serving::over(&database(), &[])
    }

    fn over(url: &str, options: &[&str]) -> Serving {
        let mut arguments = vec!["serve", "--http", "127.0.0.1:0"];
        arguments.extend(options);
        Serving::start(url, &arguments)
    }

    /// Starts a command, and waits until it says where it listens.
    fn start(url: &str, arguments: &[&str]) -> Serving {
        let log = tempfile::tempfile().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_outtray"))
            .args(arguments)
            .env("DATABASE_URL", url)
            .env_remove("OUTTRAY_SCHEMA")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        let started = Instant::now();
        let address = loop {
            if let Some(address) = listens(&log) {
                break address;
            }
            let has_ended = process.try_wait().unwrap().is_some();
            assert!(
                !has_ended && started.elapsed() < PATIENCE,
                "{}",
                text_of(&log)
            );
            pass_time(Duration::from_millis(10));
        };
        Serving {
            address,
            process,
            log,
        }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    /// Sends a request as it is, and returns the answer.
    fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        answer(&mut stream)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Returns the metrics: the value of each series, by its name with its labels.
    #[track_caller]
    fn metrics(&self) -> BTreeMap<String, f64> {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        series(&answer.body)
    }

    fn signal(&self, name: &str) {
        signal(i32::try_from(self.process.id()).unwrap(), name);
    }

    /// Waits for its end; returns the exit code.
    fn end(mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < PATIENCE, "it does not end");
            pass_time(Duration::from_millis(10));
        }
    }
}

/// Has the log `ledger` have a reader that has read nothing.
fn begin_reader(place: &mut Place) {
    place.sql(
        "INSERT INTO outtray.log_reader (topic, reader, lanes) VALUES ('ledger', 'slow', 1);
         INSERT INTO outtray.log_lane (topic, reader, lane) VALUES ('ledger', 'slow', 0);
         INSERT INTO outtray.log_place (topic, reader, lane, moved, tick, seq) VALUES ('ledger', 'slow', 0, 1, 1, 0)",
    );
}

/// Returns where a process listens, once it says so.
fn listens(log: &File) -> Option<SocketAddr> {
    let text = text_of(log);
    let mut lines = text.lines();
    let address = lines.find_map(|line| line.strip_prefix("http listens on "))?;
    Some(address.parse().unwrap())
}

/// Reads an answer to its end.
fn answer(stream: &mut TcpStream) -> Answer {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(
            reader.read_line(&mut head).unwrap() > 0,
            "no answer: {head:?}"
        );
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = String::new();
    reader.read_to_string(&mut body).unwrap();
    Answer { status, head, body }
}

fn series(text: &str) -> BTreeMap<String, f64> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn of(name: &str, topic: &str) -> String {
    format!("{name}{{messaging_destination_name=\"{topic}\"}}")
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("{}", text_of(&self.log));
        }
    }
}
