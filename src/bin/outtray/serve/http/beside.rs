//! HTTP beside what a command does.

use crate::failure::CommandFailure;
use crate::serve::http::{BoundHttp, HttpOptions};
use crate::serve::listening::Listening;
use crate::serve::listening::token::Gatekeeper;
use clap::Args;
use outtray::dashboard::Stopping;
use outtray::{Builder, Messaging};
use std::io::{self, Write};
use std::path::PathBuf;

/// The options of a command that has something else to do.
#[derive(Debug, Clone, Args)]
pub(crate) struct Beside {
    #[command(flatten)]
    http: HttpOptions,

    /// Serves metrics only to those who know the token in this file; needed for an address that
    /// other machines can reach
    #[arg(long, value_name = "FILE", requires = "http")]
    token_file: Option<PathBuf>,
}

/// What has begun to listen, if anything has.
pub(crate) struct BoundBeside(Option<BoundHttp>);

/// What serves, if anything does.
pub(crate) struct RunningBeside(Option<Listening>);

impl Beside {
    /// Begins to listen if that is wanted. Of topics, this one is shown.
    pub(crate) fn bind(&self, topic: &str) -> Result<BoundBeside, CommandFailure> {
        let guard = Gatekeeper::new(self.token_file.as_deref(), false)?;
        let bound = self.http.clone().bind(&guard, Some(topic.to_owned()));
        bound.map(BoundBeside)
    }
}

impl BoundBeside {
    /// Has the process that is about to connect record its metrics here.
    pub(crate) fn record(&self, builder: Builder) -> Builder {
        match &self.0 {
            Some(http) => http.record(builder),
            None => builder,
        }
    }

    /// Begins to serve, and says where on standard error: standard output is not for this.
    pub(crate) fn start(self, messaging: &Messaging) -> Result<RunningBeside, CommandFailure> {
        let Some(http) = self.0 else {
            return Ok(RunningBeside(None));
        };
        let listening = http.start(messaging, None)?;
        let (name, address) = (listening.name, listening.address);
        let _ = writeln!(io::stderr(), "{name} listens on {address}");
        Ok(RunningBeside(Some(listening)))
    }
}

impl RunningBeside {
    /// Says to those who ask that the process is about to end.
    pub(crate) fn announce_stop(&self) {
        if let Some(listening) = &self.0 {
            listening.stop(Stopping::Announced);
        }
    }

    /// Stops it.
    pub(crate) fn stop(self) {
        if let Some(listening) = self.0 {
            listening.stop(Stopping::Soon);
            listening.join();
        }
    }
}
