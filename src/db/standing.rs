//! Whether a transaction is still the same one, where only the server can tell.

use crate::db::run::{Run, column, first, query};
use crate::db::statement::{Statement, sql};
use crate::words::Result;

static OWN_TRANSACTION: Statement = sql!("own_transaction", Kept);
static STANDING: Statement = sql!("standing", Kept);

/// Returns the number of the open transaction.
pub(crate) fn own(run: &mut dyn Run) -> Result<Option<String>> {
    let rows = query(run, &OWN_TRANSACTION, &[], "asking for the transaction")?;
    first(&rows, "id")
}

/// Returns whether the transaction with this number is the one that is open, and whether it was
/// committed.
pub(crate) fn of(run: &mut dyn Run, id: &str) -> Result<(bool, bool)> {
    let rows = query(run, &STANDING, &[&id], "asking for the transaction")?;
    let Some(row) = rows.first() else {
        return Ok((true, false));
    };
    Ok((column(row, "is_open")?, column(row, "is_committed")?))
}
