//! `outtray serve`: the queue for clients that do not speak SQL.
//!
//! It is in the command and not in the library: it needs nothing but the library's public API, and
//! a program that links the library has no use for it, nor for the crates that it takes.
//!
//! A wire is a [`Listener`](listening::Listener). All of them are started, or none; they stop
//! together, when a signal comes or one of them ends.

mod dsmq;
mod listening;

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use crate::serve::dsmq::{ClientLimits, Dsmq};
use crate::serve::listening::Listening;
use crate::serve::listening::token::Gatekeeper;
use crate::signals::Interrupts;
use clap::Args;
use crossbeam_channel::select;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "Ctrl-C and SIGTERM let nobody else in, store what was put, and end with exit code 0; \
    a second one does not wait for the database.\n\n\
    docs/DSMQ.md has the wire, and how each generation of clients shows a token."
)]
pub(crate) struct ServeOptions {
    /// Serves clients of dsmq here: 127.0.0.1:30008
    #[arg(long, value_name = "ADDR", required = true)]
    dsmq: String,

    /// The topic, a log, that holds the messages of all queues
    #[arg(long, default_value = "dsmq", value_name = "TOPIC")]
    topic: String,

    /// Lets in only those who know the token in this file; needed for an address that other
    /// machines can reach
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Refuses the request of clients to stop the server
    #[arg(long)]
    no_shutdown: bool,

    #[command(flatten)]
    limits: ClientLimits,
}

pub(crate) fn run(
    options: ServeOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let guard = Gatekeeper::new(options.token_file.as_deref(), !options.no_shutdown)?;
    let address = resolved(&options.dsmq, &guard)?;
    let signals = Interrupts::catch()?;
    let messaging = global.connect()?;
    let dsmq = Dsmq {
        address,
        topic: options.topic,
        limits: options.limits,
        guard,
    };
    allow_files();
    let listening = dsmq::start(&messaging, dsmq)?;
    let (name, address) = (listening.name, listening.address);
    let text = format!("{name} listens on {address}");
    output.say(&text, &json!({ "listens": name, "address": address }))?;
    let ended = until_ended(&listening, &signals);
    listening.join();
    ended.map_err(|why| CommandFailure::failed(format!("{name}: {why}")))
}

/// Raises the limit of open files as far as it may be: each connection is one.
fn allow_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!("the limit of open files stays: {error}");
    }
}

/// Waits until a listener ends, of itself or because a signal came.
fn until_ended(listening: &Listening, signals: &Interrupts) -> Result<(), String> {
    let mut is_stopping = false;
    loop {
        select! {
            recv(listening.ended) -> ended => {
                return ended.unwrap_or_else(|_| Err("its thread panicked".to_owned()));
            }
            recv(signals.received()) -> _ => {
                match is_stopping {
                    false => listening.stop(),
                    true => listening.stop_now(),
                }
                is_stopping = true;
            }
        }
    }
}

/// Returns the address to listen on, which other machines may reach only if there is a token.
fn resolved(address: &str, guard: &Gatekeeper) -> Result<SocketAddr, CommandFailure> {
    let bad = |why: String| {
        CommandFailure::usage(format!("\"{address}\" is no address to listen on: {why}"))
            .hint("write it as 127.0.0.1:30008")
    };
    let mut found = address
        .to_socket_addrs()
        .map_err(|error| bad(error.to_string()))?;
    let found = found
        .next()
        .ok_or_else(|| bad("it has no address".to_owned()))?;
    if !found.ip().is_loopback() && !guard.has_token() {
        return Err(CommandFailure::usage(format!(
            "other machines can reach {found}, and nobody would be asked who they are"
        ))
        .hint("name a file with a token: --token-file FILE"));
    }
    Ok(found)
}
