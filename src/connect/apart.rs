//! Work in a transaction of its own.

use crate::connect::connection::Connection;
use crate::connect::transaction::OpenTransaction;
use crate::words::sqlstate::{is_held_up, is_refusal};
use crate::words::{Doing, Error, Result};
use std::time::{Duration, Instant};

/// How long ever smaller parts of what was refused as a whole are tried.
const PARTS_TIME: Duration = Duration::from_millis(500);

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

/// Does some work for all items at once or, where the database has something against that, for ever
/// smaller parts of them, so that one item keeps no other from it. Returns what it has against
/// those that are left, or what else ended it.
///
/// # Errors
/// Nothing was done, for another reason.
pub(crate) fn in_parts<T>(
    items: &[T],
    mut work: impl FnMut(&[T]) -> Result<()>,
) -> Result<Option<Error>> {
    let mut left = vec![items];
    let (mut refused, mut refused_at) = (None, None);
    while let Some(part) = left.pop() {
        let Err(error) = work(part) else { continue };
        let (is_refused, is_held_up) = (is_refusal(&error), is_held_up(&error));
        if part.len() == items.len() && (is_held_up || !is_refused) {
            return Err(error);
        }
        if !is_refused {
            // None of the items is to blame.
            return Ok(Some(error));
        }
        let since = refused_at.get_or_insert_with(Instant::now);
        if is_held_up || part.len() == 1 || since.elapsed() > PARTS_TIME {
            refused = Some(error);
            continue;
        }
        let (one, other) = part.split_at(part.len() / 2);
        // By chance, so that in the end each part has its turn while there is time.
        left.extend(match fastrand::bool() {
            true => [one, other],
            false => [other, one],
        });
    }
    Ok(refused)
}
