//! Runs a script in pgbench, which the driver names in `$PGBENCH`; the database is in the
//! environment, too.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs a script so often in all, over so many connections; returns the time without connecting, as
/// pgbench measured it.
///
/// # Panics
/// When pgbench is not there, or a statement fails.
pub fn run(script: &str, connections: usize, runs: u64) -> Duration {
    let each = runs.div_ceil(connections as u64).max(1);
    let mut pgbench = Command::new(std::env::var_os("PGBENCH").expect("$PGBENCH"))
        .args(["-n", "-M", "prepared", "-j", "2", "-f", "-"])
        .args(["-c", &connections.to_string(), "-t", &each.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("pgbench runs");
    let mut input = pgbench.stdin.take().expect("it is piped");
    input
        .write_all(script.as_bytes())
        .expect("pgbench reads the script");
    drop(input);
    let output = pgbench.wait_with_output().expect("pgbench ends");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let tps: f64 = tps
        .and_then(|tps| tps.split_whitespace().next())
        .and_then(|tps| tps.parse().ok())
        .expect("pgbench tells its transactions per second");
    Duration::from_secs_f64((each * connections as u64) as f64 / tps)
}
