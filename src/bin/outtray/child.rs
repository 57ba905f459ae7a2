//! The commands that run for messages at the moment: started, spoken to, waited for, signalled.
//!
//! Each is in a process group of its own: Ctrl-C in a terminal is for us, who let a command finish
//! what it has begun; a signal for a command reaches the processes that it started, too.

use crate::conversation::{Pipes, Said, converse};
use crate::program::Program;
use crate::verdict::{Codes, Refusal};
use outtray::{HandlerError, Message, Payload};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use signal_hook::low_level::signal_name;
use std::collections::HashSet;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Runs a program once for each message.
#[derive(Debug)]
pub(crate) struct Children {
    program: Program,
    codes: Codes,
    /// Whether their standard output is the result of their message; else it is ours.
    has_result: bool,
    /// Process ids of children that were not reaped yet: only as long do they mean our children.
    running: Mutex<HashSet<Pid>>,
}

impl Children {
    pub(crate) fn of(program: Program, codes: Codes, has_result: bool) -> Self {
        Children {
            program,
            codes,
            has_result,
            running: Mutex::default(),
        }
    }

    /// Runs the program with the payload on its standard input. Blocks until it has ended. Returns its standard
    /// output, if that is the result.
    ///
    /// # Errors
    /// How it ended, unless with exit code 0, and what it last said.
    pub(crate) fn run(&self, message: &Message<Payload>) -> Result<Vec<u8>, Refusal> {
        let name = self.program.name();
        let (status, said) = self.run_to_end(message).map_err(|error| {
            Refusal::Failed(HandlerError::failed(format!("cannot run {name}")).because(error))
        })?;
        if status.success() {
            return Ok(said.result);
        }
        let (end, words) = (ending(status), said.tail.text());
        let colon = if words.is_empty() { "" } else { ": " };
        let text = format!("{name} {end}{colon}{words}");
        Err(self.codes.refusal(status.code(), text))
    }

    fn run_to_end(&self, message: &Message<Payload>) -> io::Result<(ExitStatus, Said)> {
        let mut command = self.program.command();
        set_environment(&mut command, message);
        if self.has_result {
            command.stdout(Stdio::piped());
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let pid = Pid::from_child(&child);
        self.lock().insert(pid);
        let pipes = Pipes {
            stdin: child.stdin.take().expect("standard input is piped"),
            stderr: child.stderr.take().expect("standard error is piped"),
            stdout: child.stdout.take(),
        };
        let spoken = converse(pipes, message.payload.as_bytes(), || {
            has_ended(pid, WaitIdOptions::NOHANG)
        });
        if spoken.is_err() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let status = self.reap(child, pid)?;
        Ok((status, spoken?))
    }

    /// Waits for a child, and forgets its id before the system may give it to another process.
    fn reap(&self, mut child: Child, pid: Pid) -> io::Result<ExitStatus> {
        while !has_ended(pid, WaitIdOptions::empty())? {}
        self.lock().remove(&pid);
        child.wait()
    }

    /// Sends a signal to all commands that run now, and to what they started.
    pub(crate) fn signal(&self, signal: Signal) {
        for pid in self.lock().iter() {
            let _ = kill_process_group(*pid, signal);
            // One that tried to read from the terminal was stopped, and takes signals when it goes on.
            let _ = kill_process_group(*pid, Signal::CONT);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a child has ended, without reaping it. Blocks, unless told not to hang.
fn has_ended(pid: Pid, how: WaitIdOptions) -> io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | how;
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
