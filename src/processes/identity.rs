//! By what people know a process: its host, its number there, its name and its version.

use std::{env, fs};

/// The longest name of a host, and of a program: the server cuts the name of an application there.
const LONGEST: usize = 63;

/// What is written of a process beside each of its receivers.
#[derive(Debug, Clone)]
pub(crate) struct ProcessIdentity {
    /// What tells it from all others, for ever.
    pub(crate) process: String,
    pub(crate) host: Option<String>,
    pub(crate) pid: i64,
    /// The name of the application, as its connections give it.
    pub(crate) program: String,
}

/// The version of outtray that runs here.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

impl ProcessIdentity {
    /// Looks at this process.
    pub(crate) fn new(process: String, program: &str) -> Self {
        ProcessIdentity {
            process,
            host: host(),
            pid: i64::from(std::process::id()),
            program: fit(program),
        }
    }
}

/// Returns the name of this machine or container, if it can be found out without asking anybody.
fn host() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| env::var("HOSTNAME").ok())?;
    Some(fit(name.trim())).filter(|name| !name.is_empty())
}

/// Returns a name as it can be stored and shown.
fn fit(name: &str) -> String {
    let shown = name.chars().filter(|c| !c.is_control());
    shown.take(LONGEST).collect()
}
