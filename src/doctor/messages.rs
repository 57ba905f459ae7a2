//! Messages that nobody ends, and work of upkeep that nobody does.

use crate::db::{Statement, column, sql};
use crate::doctor::ask::Ask;
use crate::doctor::finding::Finding;
use crate::doctor::listed::{at_most, span, word};
use crate::doctor::topics::received;
use crate::words::Result;
use postgres::Row;
use std::collections::BTreeMap;

static LOST_OUTCOMES: Statement = sql!("lost_outcomes", Anew);
static OVERDUE: Statement = sql!("overdue", Anew);
static UNHEEDED: Statement = sql!("unheeded", Anew);

/// Upkeep that is done is done within seconds.
const LATE: i64 = 60_000;

/// Checks for tracked messages that are gone, and have not ended.
pub(crate) fn outcomes(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let rows = ask.rows(&LOST_OUTCOMES, &[])?;
    let read = |row: &Row| {
        let (topic, id): (String, String) = (column(row, "topic")?, column(row, "id")?);
        let remedy: String = column(row, "remedy")?;
        Ok(ask
            .warning(format!("tracked message {id} of topic {topic} is pending, and not there"))
            .means("somebody removed it by hand: who waits for its end, or comes after it, waits for ever")
            .sql(remedy))
    };
    let found: Result<Vec<Finding>> = rows.iter().map(read).collect();
    Ok(ask.or_ok(at_most(ask, found?), "none is pending without its message"))
}

/// Checks for cancelled messages that are still in work.
pub(crate) fn cancellations(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let patience = ask.facts.patience_ms();
    let rows = ask.rows(&UNHEEDED, &[&patience])?;
    let mut asked: BTreeMap<String, (usize, i64)> = BTreeMap::new();
    for row in &rows {
        let (topic, age): (String, i64) = (column(row, "topic")?, column(row, "age_ms")?);
        let (count, oldest) = asked.entry(topic).or_default();
        *count += 1;
        *oldest = age.max(*oldest);
    }
    let found = asked.iter().map(|(topic, (count, oldest))| {
        let seen = format!(
            "{count} cancelled messages of topic {topic} have not ended, the first was cancelled {} ago",
            span(*oldest)
        );
        ask.warning(seen)
            .means("their handlers do not look whether they are cancelled (`is_cancelled`), or nobody does upkeep")
            .command(ask.facts.command(&format!("peek {}", word(topic))))
            .advice("end the server process that has it in work, or its program: the message is then removed instead of handled")
    });
    let found = at_most(ask, found.collect());
    Ok(ask.or_ok(found, "none is in work for long"))
}

/// Checks that somebody moves what is due, and sends what recurs.
pub(crate) fn upkeep(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let is_looked_after = !received(ask)?.is_empty();
    let rows = ask.rows(&OVERDUE, &[])?;
    let mut found = Vec::new();
    for row in &rows {
        let (what, late): (String, i64) = (column(row, "what")?, column(row, "late_ms")?);
        if late >= LATE {
            found.push(overdue(ask, &what, late, is_looked_after));
        }
    }
    Ok(ask.or_ok(found, "nothing is overdue"))
}

fn overdue(ask: &Ask<'_, '_>, what: &str, late: i64, is_looked_after: bool) -> Finding {
    let finding = ask.warning(format!("{what} for {}", span(late)));
    let finding = match is_looked_after {
        true => finding
            .means("receivers run, and their upkeep does not come to it: their logs say why")
            .advice("look into the logs of the processes that receive, and restart those that hang"),
        false => finding
            .means("no process with a receiver runs, which would do it: delays, retries and leases end late, and nothing recurs")
            .advice("keep a process with a receiver running, of any topic; or call this every few seconds, which does all but what recurs:"),
    };
    finding.call(format!("{}.upkeep()", ask.facts.quoted_schema()))
}
