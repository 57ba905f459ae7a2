//! Ctrl-C, SIGTERM and the end of the terminal, as messages on a channel, or as something that can
//! be waited for beside an input.
//!
//! A handler may do next to nothing; so a thread takes the signals and passes them on to whoever
//! waits for several things at once.

use crate::failure::CommandFailure;
use crossbeam_channel::{Receiver, bounded};
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::{flag, low_level};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};

/// More at once than this are not worth telling apart.
const MOST_PENDING: usize = 8;

/// The signals that ask a process to end, which do not end it as long as this lives.
#[derive(Debug)]
pub(crate) struct Interrupts {
    received: Receiver<Signal>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Interrupts {
    pub(crate) fn catch() -> Result<Self, CommandFailure> {
        let mut signals = Signals::new(endings()).map_err(cannot)?;
        let handle = signals.handle();
        let (sender, received) = bounded(MOST_PENDING);
        let pass_on = move || {
            for signal in signals.forever() {
                let _ = sender.try_send(named(signal));
            }
        };
        let thread = Builder::new()
            .name("outtray-signals".to_owned())
            .spawn(pass_on)
            .map_err(cannot)?;
        Ok(Interrupts {
            received,
            handle,
            thread: Some(thread),
        })
    }

    /// Returns the channel on which they arrive.
    pub(crate) fn received(&self) -> &Receiver<Signal> {
        &self.received
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The first of these signals, as a file that becomes readable. The second ends the process, as it
/// would have.
#[derive(Debug)]
pub(crate) struct Alarm {
    file: UnixStream,
    signal: Arc<AtomicUsize>,
}

impl Alarm {
    pub(crate) fn set() -> Result<Self, CommandFailure> {
        Alarm::try_set().map_err(cannot)
    }

    fn try_set() -> io::Result<Self> {
        let (file, told) = UnixStream::pair()?;
        let signal = Arc::new(AtomicUsize::new(0));
        let is_second = Arc::new(AtomicBool::new(false));
        for ending in endings() {
            flag::register_conditional_shutdown(ending, 128 + ending, Arc::clone(&is_second))?;
            flag::register(ending, Arc::clone(&is_second))?;
            flag::register_usize(ending, Arc::clone(&signal), ending as usize)?;
            low_level::pipe::register(ending, told.try_clone()?)?;
        }
        Ok(Alarm { file, signal })
    }

    /// Returns which signal came, if any did.
    pub(crate) fn signal(&self) -> Option<u8> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            signal => u8::try_from(signal).ok(),
        }
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn cannot(error: io::Error) -> CommandFailure {
    CommandFailure::failed(format!("cannot catch signals: {error}"))
}

/// Returns the signals that ask a process to end. The end of its terminal is none to one that was
/// started by `nohup`.
fn endings() -> Vec<i32> {
    let mut endings = vec![SIGINT, SIGTERM, SIGQUIT];
    if !is_ignored(SIGHUP) {
        endings.push(SIGHUP);
    }
    endings
}

/// Returns whether a signal is ignored, as far as that can be known: where there is no `/proc` it
/// counts as not.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// Returns one of the signals that are caught under the name that it is sent by.
pub(crate) fn named(signal: i32) -> Signal {
    match signal {
        SIGINT => Signal::INT,
        _ => Signal::TERM,
    }
}
