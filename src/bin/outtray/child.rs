//! The commands that run for messages at the moment: started, spoken to, waited for, signalled.
//!
//! Each is in a process group of its own: Ctrl-C in a terminal is for us, who let a command finish
//! what it has begun; a signal for a command reaches the processes that it started, too. One whose
//! message is cancelled, or whose lease is lost, is told to end, and killed if it does not.

use crate::conversation::{LOOK, Pipes, Written, converse};
use crate::program::Invocation;
use crate::verdict::{Codes, NotDone};
use crossbeam_channel::after;
use outtray::{HandlerError, Message, Payload};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use signal_hook::low_level::signal_name;
use std::collections::HashSet;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long a command that was told to end may take for it.
const GRACE: Duration = Duration::from_secs(10);
/// For how long a message is put off whose command we killed since we stop.
const AFTER_KILL: Duration = Duration::from_secs(1);
/// The first wait for the end of a command whose pipes are closed: mostly that is its end. Doubled
/// each time.
const SHORTEST_LOOK: Duration = Duration::from_micros(100);

/// Runs a program once for each message.
#[derive(Debug)]
pub(crate) struct Children {
    program: Invocation,
    codes: Codes,
    /// Whether their standard output is the result of their message; else it is ours.
    has_result: bool,
    /// Process ids of children that were not reaped yet: only as long do they mean our children.
    running: Mutex<HashSet<Pid>>,
    /// Held while a child is ours and not among those: between its start and its entry, and at its
    /// end.
    passing: RwLock<()>,
    /// Whether they are killed, since they took too long at a stop.
    is_given_up: AtomicBool,
}

impl Children {
    pub(crate) fn of(program: Invocation, codes: Codes, has_result: bool) -> Self {
        Children {
            program,
            codes,
            has_result,
            running: Mutex::default(),
            passing: RwLock::default(),
            is_given_up: AtomicBool::default(),
        }
    }

    /// Reaps those of these children of this process, which have ended, that somebody else started,
    /// who is gone.
    pub(crate) fn reap_orphans(&self, ended: impl Iterator<Item = Pid>) {
        for pid in ended {
            let _nobody_passes = self.passing.write().unwrap_or_else(PoisonError::into_inner);
            // Who waits for one of ours wants to know how it ended.
            if !self.lock().contains(&pid) {
                let _ = waitid(
                    WaitId::Pid(pid),
                    WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
                );
            }
        }
    }

    /// Runs the program with the payload on its standard input. Blocks until it has ended. Returns
    /// its standard output, if that is the result.
    ///
    /// # Errors
    /// How it ended, unless with exit code 0, and what it last said.
    pub(crate) fn run(&self, message: &Message<Payload>) -> Result<Vec<u8>, NotDone> {
        let name = self.program.name();
        let (status, said) = self.run_to_end(message).map_err(|error| {
            NotDone::Failed(HandlerError::failed(format!("cannot run {name}")).because(error))
        })?;
        if status.success() {
            return Ok(said.result);
        }
        let (end, words) = (ending(status), said.tail.text());
        let colon = if words.is_empty() { "" } else { ": " };
        let text = format!("{name} {end}{colon}{words}");
        let is_killed = status.signal() == Some(Signal::KILL.as_raw());
        if is_killed && self.is_given_up.load(Ordering::Relaxed) {
            let error = HandlerError::snooze(AFTER_KILL).because(text);
            return Err(NotDone::Snoozed(error));
        }
        Err(self.codes.refusal(status.code(), text))
    }

    fn run_to_end(&self, message: &Message<Payload>) -> io::Result<(ExitStatus, Written)> {
        let mut command = self.program.command();
        set_environment(&mut command, message);
        if self.has_result {
            command.stdout(Stdio::piped());
        }
        command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let (mut child, pid) = self.start(&mut command)?;
        let pipes = Pipes {
            stdin: child.stdin.take().expect("standard input is piped"),
            stderr: child.stderr.take().expect("standard error is piped"),
            stdout: child.stdout.take(),
        };
        let mut watch = CommandWatch::over(pid, || message.is_cancelled());
        let spoken = converse(pipes, message.payload.as_bytes(), || watch.has_ended());
        if spoken.is_err() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let status = self.reap(child, &mut watch)?;
        Ok((status, spoken?))
    }

    fn start(&self, command: &mut Command) -> io::Result<(Child, Pid)> {
        let _passing = self.passing.read().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        self.lock().insert(pid);
        Ok((child, pid))
    }

    /// Waits for a child, and forgets its id before the system may give it to another process.
    fn reap(
        &self,
        mut child: Child,
        watch: &mut CommandWatch<impl Fn() -> bool>,
    ) -> io::Result<ExitStatus> {
        let mut wait = SHORTEST_LOOK;
        let ended = loop {
            match watch.has_ended() {
                Ok(false) => {
                    let _ = after(wait).recv();
                    wait = (2 * wait).min(LOOK);
                }
                ended => break ended,
            }
        };
        let _passing = self.passing.read().unwrap_or_else(PoisonError::into_inner);
        self.lock().remove(&watch.pid);
        ended.and_then(|_| child.wait())
    }

    /// Kills all commands that run now. Their messages lose no attempt.
    pub(crate) fn kill(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
        self.signal(Signal::KILL);
    }

    /// Sends a signal to all commands that run now, and to what they started.
    pub(crate) fn signal(&self, signal: Signal) {
        for pid in self.lock().iter() {
            signal_group(*pid, signal);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signal_group(pid: Pid, signal: Signal) {
    let _ = kill_process_group(pid, signal);
    // One that tried to read from the terminal was stopped, and takes signals when it goes on.
    let _ = kill_process_group(pid, Signal::CONT);
}

/// Looks after one command, now and then.
struct CommandWatch<F> {
    pid: Pid,
    /// Whether nobody wants its work any more.
    is_in_vain: F,
    grace: Duration,
    told_at: Option<Instant>,
}

impl<F: Fn() -> bool> CommandWatch<F> {
    fn over(pid: Pid, is_in_vain: F) -> Self {
        CommandWatch {
            pid,
            is_in_vain,
            grace: GRACE,
            told_at: None,
        }
    }

    /// Returns whether the command has ended. Tells one to end that works in vain, and kills it in
    /// the end.
    fn has_ended(&mut self) -> io::Result<bool> {
        if has_ended(self.pid)? {
            return Ok(true);
        }
        match self.told_at {
            None if (self.is_in_vain)() => {
                signal_group(self.pid, Signal::TERM);
                self.told_at = Some(Instant::now());
            }
            Some(told_at) if told_at.elapsed() >= self.grace => {
                signal_group(self.pid, Signal::KILL);
            }
            _ => {}
        }
        Ok(false)
    }
}

/// Returns whether a child has ended, without reaping it.
fn has_ended(pid: Pid) -> io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    match waitid(WaitId::Pid(pid), options) {
        Ok(ended) => Ok(ended.is_some()),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn set_environment(command: &mut Command, message: &Message<Payload>) {
    command
        .env("OUTTRAY_ID", message.id.to_string())
        .env("OUTTRAY_TOPIC", &message.topic)
        .env("OUTTRAY_ATTEMPT", message.attempt.to_string())
        .env("OUTTRAY_MAX_ATTEMPTS", message.max_attempts.to_string());
    for (name, value) in &message.headers {
        command.env(variable(name), value);
    }
}

/// Returns the environment variable for a header: `content-type` is `OUTTRAY_HEADER_CONTENT_TYPE`.
fn variable(header: &str) -> String {
    let name: String = header
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("OUTTRAY_HEADER_{name}")
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => match signal_name(signal) {
            Some(name) => format!("was killed by {name}"),
            None => format!("was killed by signal {signal}"),
        },
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_command_that_does_not_end_when_it_is_told_to_is_killed() {
        let mut child = Command::new("sh")
            .args([
                "-c",
                "trap '' TERM; echo ready; while read -r line; do :; done",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut word = [0; 6];
        let stdout = child.stdout.as_mut().unwrap();
        stdout.read_exact(&mut word).unwrap();
        let program = Invocation::new(&["sh".into()]).unwrap();
        let children = Children::of(program, Codes::default(), false);
        let mut watch = CommandWatch::over(Pid::from_child(&child), || true);
        watch.grace = Duration::ZERO;

        let status = children.reap(child, &mut watch).unwrap();

        assert_eq!(status.signal(), Some(9));
    }

    #[test]
    fn any_header_name_makes_a_variable_name() {
        assert_eq!(variable("content-type"), "OUTTRAY_HEADER_CONTENT_TYPE");
        assert_eq!(variable("größe=1"), "OUTTRAY_HEADER_GR__E_1");
    }

    #[test]
    fn an_end_is_told_in_words() {
        assert_eq!(ending(ExitStatus::from_raw(3 << 8)), "exited with status 3");
        assert_eq!(ending(ExitStatus::from_raw(9)), "was killed by SIGKILL");
    }
}
