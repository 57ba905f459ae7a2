//! Whether the process can do its work: the database answers, and its schema fits.

use outtray::{ErrorKind, Messaging};

/// What a look at the database found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Ready,
    /// The database answers, but the tables are not those that this release needs.
    SchemaUnfit,
    /// The database does not answer, or refuses.
    Away,
}

impl Health {
    /// Returns what `/readyz` says.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Health::Ready => "ready",
            Health::SchemaUnfit => "the schema is not the one of this release: outtray migrate",
            Health::Away => "the database does not answer",
        }
    }
}

pub(crate) fn check(messaging: &Messaging) -> Health {
    let Err(error) = messaging.check_schema() else {
        return Health::Ready;
    };
    tracing::debug!("http: {error}");
    match error.kind() {
        ErrorKind::SchemaMissing | ErrorKind::SchemaNewer => Health::SchemaUnfit,
        _ => Health::Away,
    }
}
