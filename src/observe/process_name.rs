//! By what people know this process.

use std::sync::OnceLock;
use std::{env, fs, process};

/// The longest name of a host, and of a program: the server cuts the name of an application there.
const LONGEST: usize = 63;

/// Returns the host and the id of this process, as in `db7 pid 4711`.
pub(crate) fn process_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| match host() {
        Some(host) => format!("{host} pid {}", process::id()),
        None => format!("pid {}", process::id()),
    })
}

/// Returns the name of this machine or container, if it can be found out without asking anybody.
pub(crate) fn host() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| env::var("HOSTNAME").ok())?;
    Some(fit(name.trim())).filter(|name| !name.is_empty())
}

/// Returns a name as it can be stored and shown.
pub(crate) fn fit(name: &str) -> String {
    let shown = name.chars().filter(|c| !c.is_control());
    shown.take(LONGEST).collect()
}
