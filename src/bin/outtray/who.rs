//! Who runs the command, for the list of changes.

use outtray::Operator;
use std::env;

/// Returns in whose name changes are made: as `--operator` says, or the user of the system; from
/// this host.
pub(crate) fn operator(named: Option<&str>) -> Operator {
    let name = named.map_or_else(user, str::to_owned);
    let host = rustix::system::uname();
    Operator::new(name).address(host.nodename().to_string_lossy())
}

fn user() -> String {
    let named = ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| env::var(name).ok());
    let named = named.filter(|name| !name.is_empty());
    named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
