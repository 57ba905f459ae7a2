//! Options of all commands: where the database is, and how to talk about it.

use crate::failure::CommandFailure;
use crate::who::operator;
use clap::{ArgAction, Args};
use outtray::{Builder, Messaging};

const HEADING: &str = "Options of all commands";

/// Options that may stand before or after the command's name.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The database: postgresql://user:password@host:port/database
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    url: Option<String>,

    /// The schema that the tables are in
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        env = "OUTTRAY_SCHEMA",
        default_value = "outtray",
        value_name = "NAME"
    )]
    schema: String,

    /// In whose name changes are made, for `outtray changes`; the user of the system unless said
    #[arg(long, global = true, help_heading = HEADING, env = "OUTTRAY_OPERATOR", value_name = "NAME")]
    operator: Option<String>,

    /// Prints JSON for machines, one object a line
    #[arg(long, global = true, help_heading = HEADING)]
    json: bool,

    /// Logs more: -v what happens, -vv each step; RUST_LOG has the last word
    #[arg(short, long, global = true, help_heading = HEADING, action = ArgAction::Count)]
    verbose: u8,
}

impl Global {
    /// Connects. The schema may be missing.
    pub(crate) fn connect(&self) -> Result<Messaging, CommandFailure> {
        Ok(self.builder()?.connect()?)
    }

    /// Returns what connects.
    pub(crate) fn builder(&self) -> Result<Builder, CommandFailure> {
        let url = self.url.as_deref().unwrap_or_default();
        if url.is_empty() {
            return Err(CommandFailure::usage("no database was named")
                .hint("set DATABASE_URL or pass --url; `outtray dev` starts a server to try"));
        }
        Ok(self.builder_to(url))
    }

    /// Connects to a database other than the one of `--url`.
    pub(crate) fn connect_to(&self, url: &str) -> Result<Messaging, CommandFailure> {
        Ok(self.builder_to(url).connect()?)
    }

    fn builder_to(&self, url: &str) -> Builder {
        let operator = operator(self.operator.as_deref());
        let builder = Messaging::builder().url(url).schema(&self.schema);
        builder.operator(operator)
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Logs to standard error from here on.
    pub(crate) fn start_logging(&self) {
        // At these levels the driver would write each statement with its values.
        let level = match self.verbose {
            0 => "warn",
            1 => "info,tokio_postgres=warn",
            2 => "debug,tokio_postgres=warn",
            _ => "trace,tokio_postgres=warn",
        };
        env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(level)).init();
    }
}
