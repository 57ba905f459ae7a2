//! Reaps orphans. Whoever is process 1 of a container, or asked for them, becomes the parent of all
//! processes whose own parents are gone: what a command left running in the background. Nobody else
//! waits for them, and they would stay as zombies.

use crate::child::Children;
use crate::failure::CommandFailure;
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use rustix::process::Pid;
use std::convert::Infallible;
use std::fs;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Reaps as long as it lives.
pub(crate) struct Reaper {
    stop: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    /// Starts, if orphans come to this process at all.
    pub(crate) fn start(children: &Arc<Children>) -> Result<Option<Self>, CommandFailure> {
        if !gets_orphans() {
            return Ok(None);
        }
        let (stop, stopped) = bounded(0);
        let children = Arc::clone(children);
        let reap = move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                children.reap_orphans(zombies());
            }
        };
        let thread = Builder::new().name("outtray-reaper".to_owned()).spawn(reap);
        let thread = thread.map_err(|error| {
            CommandFailure::failed(format!("cannot start a thread that reaps orphans: {error}"))
        })?;
        Ok(Some(Reaper {
            stop: Some(stop),
            thread: Some(thread),
        }))
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.stop.take();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Returns the children of this process that have ended and were not reaped.
fn zombies() -> impl Iterator<Item = Pid> {
    let me = std::process::id().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(move |process| {
        let stat = fs::read_to_string(process.path().join("stat")).ok()?;
        // The name of the program comes before, in parentheses, and may hold anything.
        let (number, rest) = stat.split_once(' ')?;
        let mut words = rest.rsplit_once(')')?.1.split_ascii_whitespace();
        let is_mine = words.next() == Some("Z") && words.next() == Some(me.as_str());
        is_mine.then(|| number.parse().ok().and_then(Pid::from_raw))?
    })
}

fn gets_orphans() -> bool {
    #[cfg(target_os = "linux")]
    if matches!(rustix::process::child_subreaper(), Ok(Some(_))) {
        return true;
    }
    std::process::id() == 1
}
