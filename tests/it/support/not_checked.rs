//! What tests need of the system, and what they say where it is missing.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::{env, thread};

/// Says loudly that the current test leaves something out, and why; in CI that is a failure.
#[track_caller]
pub(crate) fn not_checked(why: &str) {
    assert!(env::var_os("CI").is_none(), "{why}");
    let name = thread::current().name().unwrap_or_default().to_owned();
    // Past the test harness, which shows the output of failed tests only.
    let _ = writeln!(std::io::stderr(), "!!! NOT CHECKED: {name}: {why}");
}

/// Returns a command that runs another one in name spaces of its own: as root, or as anybody where
/// the system lets users have some. Where it lets nobody, that is said.
pub(crate) fn unshare(options: &[&str]) -> Option<Command> {
    let with = |more: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(more).args(options);
        command
    };
    let works = |more: &&[&str]| {
        let tried = with(more).arg("true").stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let found = [&[][..], &["--map-root-user"]].into_iter().find(works);
    if found.is_none() {
        not_checked(&format!("unshare {} is refused", options.join(" ")));
    }
    found.map(with)
}
