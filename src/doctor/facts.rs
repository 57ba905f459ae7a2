//! What is known of a server before it is examined.

use crate::connect::settings::ConnectionSettings;
use crate::db::{Run, Statement, column, query, sql};
use crate::schema::name::SchemaName;
use crate::words::limits::millis;
use crate::words::{Error, ErrorKind, Result};
use std::time::Duration;

static SERVER_FACTS: Statement = sql!("server_facts", Anew);

/// What an examination is asked to do.
#[derive(Debug, Clone)]
pub(crate) struct Wishes {
    /// How long a thing may last before it is worth a warning.
    pub(crate) patience: Duration,
    /// The tables that handlers write, as they are named in statements; empty: all that there are.
    pub(crate) tables: Vec<String>,
}

impl Default for Wishes {
    fn default() -> Self {
        Wishes {
            patience: Duration::from_secs(600),
            tables: Vec::new(),
        }
    }
}

/// What is between this process and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Nothing that shows.
    Nothing,
    /// A pooler that gives each client a server process of its own.
    Session,
    /// One that gives each transaction another.
    Transaction,
}

/// What all checks may want to know.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) wishes: Wishes,
    pub(crate) schema: SchemaName,
    pub(crate) between: Passage,
    pub(crate) version: String,
    /// As in `server_version_num`.
    pub(crate) version_number: i32,
    /// The role that connected, and the database, quoted.
    pub(crate) role: String,
    pub(crate) database: String,
    pub(crate) is_standby: bool,
    /// Whether the extension Citus is there.
    pub(crate) is_distributed: bool,
    /// Whether the schema has our tables, which the role need not be allowed to read.
    pub(crate) has_tables: bool,
}

impl Facts {
    /// Asks for them.
    pub(crate) fn ask(
        run: &mut dyn Run,
        wishes: &Wishes,
        settings: &ConnectionSettings,
        is_behind_pooler: bool,
    ) -> Result<Self> {
        let schema = settings.schema.clone();
        let rows = query(
            run,
            &SERVER_FACTS,
            &[&schema.as_str()],
            "asking what server it is",
        )?;
        let none = || Error::new(ErrorKind::Server, "the server says nothing about itself");
        let row = rows.first().ok_or_else(none)?;
        Ok(Facts {
            wishes: wishes.clone(),
            between: match (settings.is_pooler_safe, is_behind_pooler) {
                (true, _) => Passage::Transaction,
                (false, true) => Passage::Session,
                (false, false) => Passage::Nothing,
            },
            version: column(row, "version")?,
            version_number: column(row, "version_number")?,
            role: column(row, "role")?,
            database: column(row, "database")?,
            is_standby: column(row, "is_standby")?,
            is_distributed: column(row, "is_distributed")?,
            has_tables: column(row, "has_tables")?,
            schema,
        })
    }

    /// Returns how long something may last, in milliseconds.
    pub(crate) fn patience_ms(&self) -> i64 {
        millis(self.wishes.patience)
    }

    /// Returns a command line of ours about this schema.
    pub(crate) fn command(&self, words: &str) -> String {
        match self.schema.as_str() {
            "outtray" => format!("outtray {words}"),
            other => format!("outtray {words} --schema {other}"),
        }
    }

    /// Returns the schema's name, quoted.
    pub(crate) fn quoted_schema(&self) -> String {
        format!("\"{}\"", self.schema.as_str())
    }
}
