//! What the figures were measured on, as the kernel tells it.

use crate::bed::{Bed, SETTINGS};
use crate::failure::Result;
use std::path::Path;
use std::process::Command;

/// The machine and the server.
pub struct Machine {
    pub date: String,
    pub cores: usize,
    pub memory_gib: f64,
    pub cpu: String,
    pub kernel: String,
    /// Of the server's data; on one in memory, durability costs nothing.
    pub file_system: String,
    pub postgresql: String,
    pub settings: Vec<String>,
}

impl Machine {
    /// Looks.
    pub fn look(bed: &mut Bed) -> Result<Machine> {
        let mut settings = Vec::new();
        let durability = ["fsync", "synchronous_commit", "full_page_writes"];
        for name in durability.into_iter().chain(SETTINGS.map(|(name, _)| name)) {
            settings.push(format!("{name} = {}", bed.show(name)?));
        }
        Ok(Machine {
            date: bed.today()?,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: field("/proc/meminfo", "MemTotal")
                .and_then(kibibytes)
                .unwrap_or_default(),
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            file_system: file_system(&bed.data()),
            postgresql: bed.show("server_version")?,
            settings,
        })
    }
}

/// Returns what follows the first `name:` in a file.
fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kibibytes(text: String) -> Option<f64> {
    let number: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(number / f64::from(1 << 20))
}

fn first_line(file: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn file_system(folder: &Path) -> String {
    let output = Command::new("stat")
        .args(["-f", "-c", "%T"])
        .arg(folder)
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".to_owned())
}
