//! Signals to processes, and processes that stand still.

use super::eventually;
use outtray::testing::Server;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Sends a signal to a process, which may have died meanwhile; after "STOP" it stands still.
pub(crate) fn signal(pid: i32, name: &str) {
    let _ = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .stderr(Stdio::null())
        .status();
    if name == "STOP" {
        stand_still(&pid.to_string());
    }
}

/// The processes of a server that stand still: the postmaster, and its children.
pub(crate) struct Frozen {
    processes: Vec<String>,
    /// What becomes of them when this is dropped.
    in_the_end: &'static str,
}

impl Frozen {
    /// Has a server stand still until this is dropped.
    pub(crate) fn server(server: &Server) -> Frozen {
        let file = server.data_dir().unwrap().join("postmaster.pid");
        let text = fs::read_to_string(file).unwrap();
        let postmaster = text.lines().next().unwrap().to_owned();
        let mut frozen = Frozen {
            processes: vec![postmaster.clone()],
            in_the_end: "kill -CONT \"$@\" 2>/dev/null",
        };
        // First, so that it has no more children than are found next. A signal does not interrupt a
        // fork that has begun, so that the child of it may be missing until its parent stands.
        assert!(frozen.run("kill -STOP \"$1\""));
        stand_still(&postmaster);
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let children = children.split_whitespace().map(str::to_owned);
        frozen.processes.extend(children);
        // One of them may have ended meanwhile; the server has not.
        assert!(frozen.run("kill -STOP \"$@\" 2>/dev/null; kill -0 \"$1\""));
        frozen.processes.iter().for_each(|it| stand_still(it));
        frozen
    }

    /// Has it die when this is dropped.
    pub(crate) fn doomed(mut self) -> Frozen {
        self.in_the_end = "kill -QUIT \"$1\"; kill -CONT \"$@\"";
        self
    }

    fn run(&self, script: &str) -> bool {
        let mut shell = Command::new("sh");
        let ran = shell.args(["-c", script, "kill"]).args(&self.processes);
        ran.status().unwrap().success()
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.run(self.in_the_end);
    }
}

/// Returns when no thread of a process runs any more.
fn stand_still(process: &str) {
    eventually("it stands still", || {
        let threads = fs::read_dir(format!("/proc/{process}/task"));
        let mut threads = threads.into_iter().flatten().flatten();
        !threads.any(|thread| runs(&thread.path()))
    });
}

/// Tells whether a thread neither stands still nor has ended.
fn runs(thread: &Path) -> bool {
    let stat = fs::read_to_string(thread.join("stat")).unwrap_or_default();
    // The name before the state may hold anything, brackets too.
    let state = stat.rsplit_once(") ").map(|(_, rest)| &rest[..1]);
    !matches!(state, None | Some("T" | "Z" | "X"))
}
