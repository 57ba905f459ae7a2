//! `outtray serve`: the queue for clients that do not speak SQL.
//!
//! It is in the command and not in the library: it needs nothing but the library's public API, and
//! a program that links the library has no use for it, nor for the crates that it takes.
//!
//! A wire is a [`Listener`](listening::Listener). All of them are started, or none; they stop
//! together, when a signal comes or one of them ends. HTTP ends last, and tells until then that the
//! process is not ready any more.

mod dsmq;
pub(crate) mod http;
pub(crate) mod listening;

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use crate::serve::dsmq::{ClientLimits, Dsmq};
use crate::serve::http::{BoundHttp, HttpOptions};
use crate::serve::listening::Listening;
use crate::serve::listening::address::resolved;
use crate::serve::listening::token::Gatekeeper;
use crate::signals::Interrupts;
use clap::Args;
use crossbeam_channel::Select;
use outtray::Messaging;
use outtray::dashboard::{Dashboard, Stopping};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "At least one of --dsmq and --http is needed.\n\n\
    Ctrl-C and SIGTERM let nobody else in, store what was put, and end with exit code 0; \
    a second one does not wait for the database.\n\n\
    docs/DSMQ.md has the wire of dsmq, and how each generation of clients shows a token; \
    docs/DASHBOARD.md has the dashboard of --http, and docs/METRICS.md its other pages and every metric.")]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    http: HttpOptions,

    /// Serves clients of dsmq here: 127.0.0.1:30008
    #[arg(long, value_name = "ADDR", required_unless_present = "http")]
    dsmq: Option<String>,

    /// The topic, a log, that holds the messages of all queues
    #[arg(long, default_value = "dsmq", value_name = "TOPIC")]
    topic: String,

    /// Lets in only those who know the token in this file; needed for an address that other
    /// machines can reach
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Has the dashboard only show, also to those who know the token
    #[arg(long, requires = "http")]
    read_only: bool,

    /// Hides payloads, the values of headers, and keys in the dashboard
    #[arg(long, requires = "http")]
    hide_payloads: bool,

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
    let http = options.http.bind(&guard, None)?;
    let dsmq = options.dsmq.as_deref();
    let dsmq = dsmq.map(|address| resolved(address, &guard, dsmq::EXAMPLE));
    let dsmq = dsmq.transpose()?.map(|address| Dsmq {
        address,
        topic: options.topic,
        limits: options.limits,
        guard: guard.clone(),
    });
    let signals = Interrupts::catch()?;
    let builder = global.builder()?;
    let messaging = match &http {
        Some(http) => http.record(builder).connect()?,
        None => builder.connect()?,
    };
    allow_files();
    let mut dashboard = Dashboard::new(&messaging).hide_payloads(options.hide_payloads);
    if let Some(token) = guard.token() {
        dashboard = dashboard.token(token.clone());
    }
    if options.read_only {
        dashboard = dashboard.read_only();
    }
    let all = start(&messaging, dsmq, http.map(|http| (http, dashboard)))?;
    for Listening { name, address, .. } in &all {
        let text = format!("{name} listens on {address}");
        output.say(&text, &json!({ "listens": name, "address": address }))?;
    }
    let ended = until_ended(&all, &signals);
    all.into_iter().for_each(Listening::join);
    ended.map_err(CommandFailure::failed)
}

/// Starts all that is wanted. HTTP comes last: it is the last to end, and tells how the others do.
fn start(
    messaging: &Messaging,
    dsmq: Option<Dsmq>,
    http: Option<(BoundHttp, Dashboard)>,
) -> Result<Vec<Listening>, CommandFailure> {
    let mut all = Vec::new();
    if let Some(dsmq) = dsmq {
        all.push(dsmq::start(messaging, dsmq)?);
    }
    if let Some((http, dashboard)) = http {
        all.push(http.start(messaging, Some(dashboard))?);
    }
    Ok(all)
}

/// Raises the limit of open files as far as it may be: each connection is one.
fn allow_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!("the limit of open files stays: {error}");
    }
}

/// Waits until all listeners have ended: after a signal, or after one of them ended of itself.
/// Returns what went wrong first.
fn until_ended(all: &[Listening], signals: &Interrupts) -> Result<(), String> {
    let mut left: Vec<&Listening> = all.iter().collect();
    let mut ended = Ok(());
    let mut stops = 0;
    while !left.is_empty() {
        let mut select = Select::new();
        left.iter().for_each(|one| {
            select.recv(&one.ended);
        });
        select.recv(signals.received());
        let ready = select.select();
        let place = ready.index();
        if place == left.len() {
            let _ = ready.recv(signals.received());
            stops += 1;
        } else {
            let one = left[place];
            let how = ready.recv(&one.ended);
            let how = how.unwrap_or_else(|_| Err("its thread panicked".to_owned()));
            ended = ended.and(how.map_err(|why| format!("{}: {why}", one.name)));
            left.remove(place);
            stops = stops.max(1);
        }
        stop(&left, stops > 1);
    }
    ended
}

/// Stops those that are left; but the last not before the others have ended, unless it is urgent.
fn stop(left: &[&Listening], is_urgent: bool) {
    let Some((last, others)) = left.split_last() else {
        return;
    };
    let stopping = match is_urgent {
        true => Stopping::Now,
        false => Stopping::Soon,
    };
    others.iter().for_each(|one| one.stop(stopping));
    match others.is_empty() || is_urgent {
        true => last.stop(stopping),
        false => last.stop(Stopping::Announced),
    }
}
