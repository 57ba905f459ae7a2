//! The way to the server: what is between, which server it is, and whose clock runs.

use crate::db::{Statement, column, sql};
use crate::doctor::ask::Ask;
use crate::doctor::facts::Passage;
use crate::doctor::finding::{Finding, Severity};
use crate::words::Result;
use crate::words::limits::micros_since_1970;
use std::time::{Duration, Instant, SystemTime};

static SERVER_TIME: Statement = sql!("server_time", Anew);

/// From where on clocks differ by more than a network's whims.
const OFFSET: Duration = Duration::from_secs(2);
/// And by so much that times of an application mean something else.
const FAR_OFF: Duration = Duration::from_secs(30);

/// Checks that the server takes writes.
pub(crate) fn replica(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    if !ask.facts.is_standby {
        return Ok(ask.ok("a primary"));
    }
    Ok(vec![
        ask.is_unsafe("the server is in recovery: a standby")
            .means("it takes no writes: nothing can be sent or handled here")
            .advice("lead the URL to the primary, or name all servers in it (host1,host2): one that takes writes is found"),
    ])
}

/// Checks what is between.
pub(crate) fn pooler(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    Ok(match ask.facts.between {
        Passage::Nothing => ask.ok("no pooler shows"),
        Passage::Session => ask.ok("a pooler in session mode: everything works"),
        Passage::Transaction => vec![
            ask.note("a pooler in transaction mode, or pooler_safe(true)")
                .means(
                    "everything is right and some things are slower: no LISTEN, so that messages of other processes are found by \
                     polling; no prepared statements; a process that died is noticed after half a minute",
                )
                .advice("for receivers, lead the URL to the server itself, or to a pooler in session mode"),
        ],
    })
}

/// Says what a pooler does that refuses transactions.
pub(crate) fn statement_mode() -> Finding {
    Finding::new(
        "pooler",
        Severity::Unsafe,
        "each BEGIN closes the connection, as behind a pooler in statement mode",
    )
    .means("there are no transactions here: nothing can be sent or handled, and nothing else can be found out")
    .advice("set pool_mode = transaction, or session, in pgbouncer.ini, and have it read that: RELOAD")
}

/// Compares the clock of this process with the server's.
pub(crate) fn clock(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let asked = Instant::now();
    let before = own_time();
    let rows = ask.rows(&SERVER_TIME, &[])?;
    let took = asked.elapsed();
    let server: i64 = rows.first().map_or(Ok(0), |row| column(row, "now_us"))?;
    // The answer was made between the two; half of the time is what is not known.
    let half = i64::try_from(took.as_micros() / 2).unwrap_or(i64::MAX);
    let offset = server.saturating_sub(before.saturating_add(half));
    let off = Duration::from_micros(offset.unsigned_abs()).saturating_sub(took / 2);
    let which = if offset < 0 { "behind" } else { "ahead of" };
    let seen = format!(
        "the server's clock is {:.1} s {which} this machine's",
        off.as_secs_f64()
    );
    if off < OFFSET {
        return Ok(ask.ok("both clocks agree"));
    }
    let severity = match off < FAR_OFF {
        true => Severity::Note,
        false => Severity::Warning,
    };
    Ok(vec![
        Finding::new("clock", severity, seen)
            .means(
                "delays, backoffs, leases and expiries are right: only the server's clock counts. Times that the application names \
                 (`at`) come that much early or late, and so do ids, which begin with the sender's time",
            )
            .advice("have both machines keep time (chrony, NTP)"),
    ])
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing is done by it: it is compared with the one that counts"
)]
fn own_time() -> i64 {
    micros_since_1970(SystemTime::now())
}
