//! The process that keeps an embedded server, and that ends it when this process is gone.
//!
//! A destructor is not enough: a killed process runs none, and a server in a `static` is never
//! dropped. So a shell script (`watchdog.sh`) holds the reading end of a pipe, and this process
//! holds the only writing end. The kernel closes it when this process ends, whatever ended it; the
//! script then stops the server and removes its folder. Children of this process do not keep it
//! open, because the standard library opens pipes close-on-exec.
//!
//! The script is in a process group of its own: neither Ctrl-C in a terminal nor a test runner
//! that kills its group ends it before its work is done.
//!
//! The pipe carries the commands too, one line each, and each is answered with one line. Waiting
//! for an answer is the only wait, and it ends with the script.

use crate::testing::account::Account;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SCRIPT: &str = include_str!("watchdog.sh");

#[derive(Debug)]
pub(crate) struct Watchdog {
    process: Child,
    /// `None` once it was told to stop.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Watchdog {
    /// Starts the watchdog over `folder`, run by `account`. The server is neither made nor started.
    pub(crate) fn start(folder: &Path, bin: &Path, account: Option<&Account>) -> io::Result<Self> {
        let mut command = of_server(Command::new("/bin/sh"), folder, account);
        let mut process = command
            .args(["-c", SCRIPT, "outtray-watchdog"])
            .args([folder, bin])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let commands = process.stdin.take();
        let answers = process.stdout.take().expect("standard output is piped");
        Ok(Watchdog {
            process,
            commands,
            answers: BufReader::new(answers),
        })
    }

    /// Runs a command of the script and returns whether it succeeded. Blocks until it is done.
    ///
    /// # Errors
    /// The watchdog is gone.
    pub(crate) fn run(&mut self, command: &str) -> io::Result<bool> {
        let commands = self.commands.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(commands, "{command}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        match answer.trim_end() {
            "ok" => Ok(true),
            "failed" => Ok(false),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Stops the server and removes its folder. Blocks until both are done, at most 15 s.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        self.commands = None;
        self.process.wait().map(drop)
    }
}

/// Completes a command about the server in `folder`: sets its user, and removes `PGDATA`, `PGPORT`
/// and the like from its environment, which would override its arguments.
pub(crate) fn of_server(mut command: Command, folder: &Path, account: Option<&Account>) -> Command {
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    // Messages in English, which can be searched for, and no surprises from a broken locale.
    command.env("LC_ALL", "C").current_dir(folder);
    if let Some(account) = account {
        account.runs(&mut command);
    }
    command
}
