//! Looking for messages that a database may lack.

use crate::db::{Run, Statement, columns, query, sql};
use crate::words::Result;
use uuid::Uuid;

static MISSING: Statement = sql!("missing", Anew);

/// Returns which of some messages are nowhere.
pub(crate) fn missing(run: &mut dyn Run, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    columns(
        &query(run, &MISSING, &[&ids], "looking for messages")?,
        "id",
    )
}
