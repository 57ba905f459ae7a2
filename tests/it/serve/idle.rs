//! Connections that do nothing cost next to nothing.

use super::caller::Caller;
use super::{Generation, Serving};
use crate::support::{client, pass_time};
use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// Lets this process and those that it starts have as many files as 1,000 connections need.
fn allow_files() {
    let pid = std::process::id().to_string();
    let limit = Command::new("prlimit")
        .args(["--pid", &pid, "--nofile=8192:"])
        .status();
    assert!(
        limit.is_ok_and(|status| status.success()),
        "prlimit is missing"
    );
}

fn kilobytes(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_thousand_idle_connections_cost_little_memory_and_no_queries() {
    allow_files();
    let serving = Serving::new();
    let mut connection = client(&serving.url);
    // When each connection of the server last began to ask something.
    let mut asked = || -> Vec<(i32, String)> {
        let sql = "SELECT pid, query_start::text FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND query_start IS NOT NULL";
        let rows = connection.query(sql, &[]).unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    serving.call(Generation::WebSocket).get("q");
    let before = kilobytes(serving.pid());

    let mut callers: Vec<_> = (0..1000)
        .map(|_| Caller::connect(serving.address, Generation::WebSocket))
        .collect();
    // All at once: they share the looks at the end of the log.
    callers.iter_mut().for_each(|caller| caller.knock(""));
    callers.iter_mut().for_each(|caller| drop(caller.answer()));
    callers.iter_mut().for_each(|caller| drop(caller.get("q")));

    let cost = kilobytes(serving.pid()).saturating_sub(before);
    assert!(cost < 50 << 10, "{cost} kB");
    println!("a thousand idle connections cost {cost} kB");
    // What was asked for them is over by now.
    pass_time(Duration::from_millis(500));
    let before: HashSet<_> = asked().into_iter().collect();
    let mut queries = HashSet::new();
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(1500) {
        queries.extend(asked().into_iter().filter(|query| !before.contains(query)));
        pass_time(Duration::from_millis(20));
    }
    // The one poll of the process, and what it looks after: not one for each.
    assert!(
        queries.len() <= 20,
        "{} queries in 1.5 s: {queries:?}",
        queries.len()
    );
}
