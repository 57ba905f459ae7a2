//! HTTP: the dashboard of the library, where it is wanted, and health and metrics: `/healthz`,
//! `/readyz`, `/metrics`.
//!
//! ```text
//!   outtray-http     accepts, reads requests, writes answers: one thread, the library's server
//!      │ questions (bounded), each with where its answer goes
//!      ├─► outtray-http-check    asks whether the database answers and the schema fits
//!      └─► outtray-http-numbers  asks for the numbers of topics
//! ```
//!
//! These are desks of the library. They may wait for the database as long as they like: whoever
//! asks them waits for a bounded time, and then says what is known without them. What they found is
//! kept for a moment, so that ten who ask cost what one does.
//!
//! Each page is a route in `routes`; the rest does not know what is served.

mod backlogs;
pub(crate) mod beside;
mod check;
mod process;
mod routes;
mod topic_labels;

use crate::failure::CommandFailure;
use crate::serve::http::backlogs::Backlogs;
use crate::serve::http::process::ProcessMetrics;
use crate::serve::http::routes::{MachinePages, router};
use crate::serve::listening::address::resolved;
use crate::serve::listening::token::Gatekeeper;
use crate::serve::listening::{Listener, Listening};
use clap::Args;
use outtray::dashboard::{Dashboard, Desk, HttpServer, Shelf, StopSwitch};
use outtray::metrics::MOST_TOPICS;
use outtray::{Builder, Messaging};
use std::io;
use std::sync::{Arc, Mutex};

/// The address in hints.
const EXAMPLE: &str = "127.0.0.1:9187";

/// What of it is an option.
#[derive(Debug, Clone, Args)]
pub(crate) struct HttpLimits {
    /// How many topics /metrics tells apart; further ones are summed up as _OTHER
    #[arg(long, default_value_t = MOST_TOPICS as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    metrics_topics: u32,
}

/// Where to listen, as an option.
#[derive(Debug, Clone, Args)]
pub(crate) struct HttpOptions {
    /// Serves the pages of the process here: 127.0.0.1:9187
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,

    #[command(flatten)]
    pub(crate) limits: HttpLimits,
}

/// What has begun to listen, and the recorder of what the process does.
pub(crate) struct BoundHttp {
    server: HttpServer,
    limits: HttpLimits,
    guard: Gatekeeper,
    /// The topic whose numbers are shown; all topics' if none is named.
    topic: Option<String>,
    metrics: ProcessMetrics,
}

impl HttpOptions {
    /// Begins to listen, if that is wanted. Nobody is answered yet.
    pub(crate) fn bind(
        self,
        guard: &Gatekeeper,
        topic: Option<String>,
    ) -> Result<Option<BoundHttp>, CommandFailure> {
        let Some(address) = self.http else {
            return Ok(None);
        };
        let address = resolved(&address, guard, EXAMPLE)?;
        let cannot = |error: io::Error| {
            CommandFailure::failed(format!("cannot listen on {address}: {error}"))
        };
        Ok(Some(BoundHttp {
            server: HttpServer::bind(address, guard.token()).map_err(cannot)?,
            limits: self.limits,
            guard: guard.clone(),
            topic,
            metrics: ProcessMetrics::new(),
        }))
    }
}

impl BoundHttp {
    /// Has the process that is about to connect record its metrics here.
    pub(crate) fn record(&self, builder: Builder) -> Builder {
        let most_topics = self.limits.metrics_topics as usize;
        builder.metrics(self.metrics.metrics(most_topics))
    }

    /// Begins to serve, the dashboard too if there is one.
    pub(crate) fn start(
        self,
        messaging: &Messaging,
        dashboard: Option<Dashboard>,
    ) -> Result<Listening, CommandFailure> {
        let most_topics = self.limits.metrics_topics as usize;
        let (stop, stopped) = StopSwitch::pair();
        let site = Arc::new(MachinePages {
            check: Desk::new("outtray-http-check", 1),
            numbers: Desk::new("outtray-http-numbers", 1),
            shelf: Shelf::default(),
            backlogs: Mutex::new(Backlogs::new(self.topic, most_topics)),
            metrics: self.metrics,
            messaging: messaging.clone(),
            guard: self.guard,
            stopped: stopped.clone(),
        });
        let router = match dashboard {
            Some(dashboard) => router(site).merge(dashboard.router()),
            None => router(site),
        };
        let (name, server) = ("http", self.server);
        let address = server.address();
        let serve = move || {
            let ended = server.serve(router, stopped);
            ended.map_err(|error| format!("cannot wait for sockets: {error}"))
        };
        Listener { name, address }.start(serve, move |how| stop.stop(how))
    }
}
