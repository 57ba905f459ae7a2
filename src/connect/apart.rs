//! Work in a transaction of its own.

use crate::connect::connection::Connection;
use crate::connect::transaction::OpenTransaction;
use crate::words::{Doing, Result};

/// Runs `work` in a transaction of its own.
pub(crate) fn apart<R>(
    connection: &mut Connection,
    doing: &str,
    work: impl FnOnce(&mut OpenTransaction<'_>) -> Result<R>,
) -> Result<R> {
    let mut open = connection.read_committed(doing)?;
    let returned = work(&mut open)?;
    open.transaction.commit().doing(doing)?;
    Ok(returned)
}
