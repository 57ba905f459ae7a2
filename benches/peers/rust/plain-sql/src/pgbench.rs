//! Runs a script in pgbench, which the driver names in `$PGBENCH`.

use peer_protocol::Order;
use std::process::Command;
use std::time::Duration;

/// Runs a script so often in all, over so many connections; returns the time without connecting, as
/// pgbench measured it.
///
/// # Panics
/// When pgbench is not there, or a statement fails.
pub fn run(order: &Order, script: &str, connections: usize, runs: u64) -> Duration {
    let file = std::env::temp_dir().join(format!("peer-{}.sql", std::process::id()));
    std::fs::write(&file, script).expect("a file for the script");
    let each = runs.div_ceil(connections as u64).max(1);
    let output = Command::new(std::env::var_os("PGBENCH").expect("$PGBENCH"))
        .args(["-n", "-M", "prepared", "-j", "2"])
        .args(["-c", &connections.to_string(), "-t", &each.to_string()])
        .arg("-f")
        .arg(&file)
        .arg(&order.url)
        .output()
        .expect("pgbench runs");
    let _ = std::fs::remove_file(&file);
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
