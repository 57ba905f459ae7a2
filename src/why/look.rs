//! One look at a message: where it is, and everything that concerns it there.

use crate::connect::connection::Connection;
use crate::connect::transaction::OpenTransaction;
use crate::db::{Params, Statement, column, query, sql};
use crate::finding::locate;
use crate::finding::place::{Located, MessagePlace};
use crate::why::answer::{Why, WhyState};
use crate::why::question::{WhyLook, WhyQuestion};
use crate::why::{ended, waiting};
use crate::words::sqlstate::is_interrupted;
use crate::words::{Doing, Result};
use postgres::IsolationLevel;
use uuid::Uuid;

static WHY_STILL: Statement = sql!("why_still", Anew);

/// How often a look begins anew, at most, because the message was taken or let go meanwhile.
const LOOKS: usize = 5;

/// So many messages of those that one comes after are looked at, too.
const LOOKED_AT: usize = 5;

const DOING: &str = "looking why a message is not handled";

/// No table is read as a whole where an index serves, whatever the statistics say.
const LIMITS: &str = "SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = 5000; SET LOCAL lock_timeout = 1000; \
    SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; \
    SET LOCAL enable_mergejoin = off; SET LOCAL enable_sort = off; SET LOCAL jit = off";
/// For the one search that has no index. It takes no second processor from those who work.
const READING: &str = "SAVEPOINT outtray_reading; SET LOCAL statement_timeout = 3000; \
    SET LOCAL enable_seqscan = on; SET LOCAL max_parallel_workers_per_gather = 0";
const READ: &str = "ROLLBACK TO outtray_reading; RELEASE outtray_reading";

/// Answers a question about one message.
pub(crate) fn answer(connection: &mut Connection, question: &WhyQuestion) -> Result<Why> {
    let mut looked = look_once(connection, question)?;
    for _ in 1..LOOKS {
        let Some((place, holder)) = &looked.doubt else {
            break;
        };
        if is_still(connection, place, holder)? {
            break;
        }
        looked = look_once(connection, question)?;
    }
    Ok(looked.why)
}

/// Looks in a transaction of its own, which only reads.
fn look_once(connection: &mut Connection, question: &WhyQuestion) -> Result<WhyLook> {
    let mut open = connection
        .begin(Some(IsolationLevel::RepeatableRead))
        .doing(DOING)?;
    open.transaction.batch_execute(LIMITS).doing(DOING)?;
    let looked = look(&mut open, question)?;
    open.transaction.rollback().doing(DOING)?;
    Ok(looked)
}

/// Returns whether a message is where it was, and nobody took it since this transaction let go.
fn is_still(connection: &mut Connection, place: &Located, holder: &str) -> Result<bool> {
    let params: Params<'_> = &[&place.topic, &place.rank, &place.seq, &place.id];
    let rows = query(connection, &WHY_STILL, params, DOING)?;
    let now: Option<Option<&str>> = rows.first().map(|row| column(row, "holder")).transpose()?;
    Ok(now == Some(Some(holder)))
}

/// Looks at a message in an open transaction.
fn look(open: &mut OpenTransaction<'_>, question: &WhyQuestion) -> Result<WhyLook> {
    let id = question.id.0;
    if let Some(place) = locate::quick(open, id, None)? {
        return at(open, &place, question);
    }
    let ended = ended::ended(open, question.id)?;
    // What others come after is tracked, and so in an index.
    if ended.is_over() || !question.is_deep {
        return Ok(ended.into_why().into());
    }
    let read = read_all(open, id)?;
    match &read {
        Some(Some(place)) => at(open, place, question),
        Some(None) => Ok(ended.into_why().into()),
        None => Ok(ended.unsure().into_why().into()),
    }
}

/// Looks for a message by reading; `None` where that took too long.
fn read_all(open: &mut OpenTransaction<'_>, id: Uuid) -> Result<Option<Option<Located>>> {
    open.transaction.batch_execute(READING).doing(DOING)?;
    let read = locate::thorough(open, id, None);
    open.transaction.batch_execute(READ).doing(DOING)?;
    match read {
        Ok(place) => Ok(Some(place)),
        Err(error) if is_interrupted(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn at(open: &mut OpenTransaction<'_>, place: &Located, question: &WhyQuestion) -> Result<WhyLook> {
    let mut looked: WhyLook = match place.place {
        MessagePlace::Ready => waiting::ready(open, place, question)?,
        MessagePlace::Scheduled => waiting::scheduled(open, place, question)?.into(),
        MessagePlace::Behind => waiting::behind(open, place, question)?.into(),
        MessagePlace::Dead => ended::dead(open, place)?.into(),
        // No message is located where it has ended.
        MessagePlace::Kept | MessagePlace::Ended => ended::kept(open, place)?.into(),
    };
    if let (WhyState::AfterOthers { on, .. }, true) = (&mut looked.why.state, question.is_deep) {
        for awaited in on.iter_mut().take(LOOKED_AT) {
            let deeper = WhyQuestion {
                id: awaited.id,
                is_deep: false,
                ..*question
            };
            let why = look(open, &deeper)?.why;
            awaited.why = Some(why.to_string());
            looked.why.remedies.extend(why.remedies);
        }
    }
    Ok(looked)
}
