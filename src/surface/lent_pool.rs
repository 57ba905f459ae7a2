//! A pool that is lent, looked at before it is used.

use crate::connect::connection::Connection;
use crate::connect::greeting::Greeting;
use crate::connect::pool::Pool;
use crate::connect::url_error::configuration;
use crate::db::identity::identity;
use crate::words::{Doing, Result};

/// Refuses a pool whose connections are not fit for sessions, or lead elsewhere than the URL.
pub(crate) fn check_lent(pool: &Pool, ours: &mut Connection) -> Result<()> {
    let mut lent = pool.get()?;
    let greeted = Greeting::new("", true).say(lent.client(), None, false);
    greeted.doing("looking at the pool that was lent")??;
    if identity(&mut *lent)? == identity(ours)? {
        return Ok(());
    }
    Err(configuration(
        "the pool that was lent is of another database than the URL: what sessions send there would never be received",
    ))
}
