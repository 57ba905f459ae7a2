//! A session ends its transaction, and nobody else: SQL of its own that would is refused or found,
//! and neither the message nor its neighbours are done twice or lost.

mod handlers;
mod sessions;
mod socket;

use crate::support::{PATIENCE, Place, eventually};
use outtray::{Backoff, DeadReason, HandlerError, Message, MessagingSession, TopicConfig};
use std::time::Duration;

/// What would end the transaction, as it can be read from the text.
pub(crate) const READABLE: [&str; 14] = [
    "COMMIT",
    "/* x */ COMMIT",
    ";COMMIT",
    "-- x\nCOMMIT AND CHAIN",
    "END",
    "ABORT",
    "rollback work",
    "ROLLBACK; BEGIN",
    "ROLLBACK AND CHAIN",
    "PREPARE/**/TRANSACTION 'x'",
    "INSERT INTO public.effect VALUES (-1); COMMIT",
    "COMMIT; BEGIN",
    "SELECT ';'; END; START TRANSACTION",
    "RELEASE outtray_a",
];

/// What commits although it does not look so: what a backslash stands for before a quote is a
/// setting.
pub(crate) const COMMITS: [&str; 3] = [
    "SELECT 'C:\\'; COMMIT; --'",
    "SELECT 'C:\\'; COMMIT; BEGIN; --'",
    "SELECT 'C:\\'; COMMIT AND CHAIN; --'",
];

/// The same for what rolls back.
pub(crate) const ROLLS_BACK: [&str; 5] = [
    "SELECT 'C:\\'; ROLLBACK; --'",
    "SELECT 'C:\\'; ROLLBACK; BEGIN; --'",
    "SELECT 'C:\\'; ROLLBACK AND CHAIN; --'",
    "SELECT 'C:\\'; PREPARE TRANSACTION 'x'; --'",
    "SELECT 'C:\\'; RELEASE outtray_a; RELEASE outtray_b; --'",
];

/// How it is run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum By {
    Execute,
    Query,
    BatchExecute,
    Borrowed,
    Nested,
    Prepared,
}

pub(crate) const BY: [By; 6] = [
    By::Execute,
    By::Query,
    By::BatchExecute,
    By::Borrowed,
    By::Nested,
    By::Prepared,
];

fn run(session: &mut MessagingSession<'_>, sql: &str, by: By) -> Result<(), HandlerError> {
    match by {
        By::Execute => drop(session.execute(sql, &[])?),
        By::Query => drop(session.query(sql, &[])?),
        By::BatchExecute => session.batch_execute(sql)?,
        By::Borrowed => session.with_transaction(|open| open.batch_execute(sql))??,
        By::Nested => {
            let mut nested = session.transaction()?;
            nested.batch_execute(sql)?;
            nested.commit()?;
        }
        By::Prepared => {
            let run = |open: &mut postgres::Transaction<'_>| {
                let statement = open.prepare(sql)?;
                open.execute(&statement, &[])
            };
            session.with_transaction(run)??;
        }
    }
    Ok(())
}

/// How messages are received.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Adaptive,
    Fixed,
    Several,
    Leases,
    Drain,
    LeasedDrain,
    Suspect,
    Limited,
}

const WAYS: [Way; 8] = [
    Way::Adaptive,
    Way::Fixed,
    Way::Several,
    Way::Leases,
    Way::Drain,
    Way::LeasedDrain,
    Way::Suspect,
    Way::Limited,
];

pub(crate) const COUNT: i32 = 12;
/// The one that would end its transaction.
pub(crate) const BAD: i32 = 5;
const ATTEMPTS: u32 = 3;

pub(crate) fn handle(
    session: &mut MessagingSession<'_>,
    n: i32,
    (sql, by, is_swallowed): (&str, By, bool),
) -> Result<(), HandlerError> {
    session.execute("INSERT INTO public.effect VALUES ($1)", &[&n])?;
    session.send_message("sent", &n)?;
    if n == BAD {
        let ran = run(session, sql, by);
        if !is_swallowed {
            ran?;
        }
    }
    Ok(())
}

fn effects() -> Place {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer NOT NULL)");
    place
}

/// Forgets what was played before, so that many ways share a database.
const CLEAR: &str =
    "DELETE FROM effect; DELETE FROM outtray.message; DELETE FROM outtray.dead_letter;
    DELETE FROM outtray.topic; DELETE FROM outtray.slot";

fn play(place: &mut Place, way: Way, what: (&'static str, By, bool)) {
    place.sql(CLEAR);
    place.send_all("numbers", 0..COUNT);
    if way == Way::Suspect {
        place.sql("INSERT INTO outtray.topic (topic, suspect_until) VALUES ('numbers', now() + interval '1 minute')");
    }
    if way == Way::Limited {
        let config = TopicConfig {
            max_in_work: Some(2),
            ..TopicConfig::default()
        };
        place.messaging.topic("numbers").configure(config).unwrap();
    }
    let builder = place
        .messaging
        .receiver("numbers")
        .max_attempts(ATTEMPTS)
        .backoff(Backoff::fixed(Duration::ZERO).without_jitter())
        .workers(if way == Way::Several { 3 } else { 1 });
    let builder = match way {
        Way::Fixed | Way::Drain => builder.messages_per_transaction(COUNT as usize),
        Way::Leases | Way::LeasedDrain => builder.lease(PATIENCE),
        _ => builder,
    };
    let one = move |session: &mut MessagingSession<'_>, message: Message<i32>| {
        handle(session, message.payload, what)
    };
    if matches!(way, Way::Drain | Way::LeasedDrain) {
        builder.drain(one).unwrap();
        return;
    }
    let receiver = builder.start(one).unwrap();
    eventually("all are settled", || {
        place.is_empty("numbers") && place.count("outtray.scheduled") == 0
    });
    receiver.stop(PATIENCE);
}

/// Checks that all but the bad one did what they do, once, and sent what they send; returns the
/// effects of the bad one.
#[track_caller]
fn check_neighbours(place: &mut Place, what: &str) -> i64 {
    let good = i64::from(COUNT) - 1;
    let effects = format!("effect WHERE n <> {BAD}");
    assert_eq!(place.count(&effects), good, "{what}");
    let once = format!("(SELECT DISTINCT n FROM {effects} AND n >= 0) AS once");
    assert_eq!(place.count(&once), good, "{what}");
    let sent = format!("outtray.message WHERE topic = 'sent' AND payload::text <> '{BAD}'");
    assert_eq!(place.count(&sent), good, "{what}");
    place.count(&format!("effect WHERE n = {BAD}"))
}

#[track_caller]
fn check_dead(place: &mut Place, reason: DeadReason, attempts: u32, what: &str) {
    let dead = place.dead_letters("numbers");
    assert_eq!(dead.len(), 1, "{what}");
    assert_eq!(dead[0].payload.to_string(), BAD.to_string(), "{what}");
    assert_eq!(
        (dead[0].reason, dead[0].attempts),
        (reason, attempts),
        "{what}: {}",
        dead[0].error
    );
    let sent = format!("outtray.message WHERE topic = 'sent' AND payload::text = '{BAD}'");
    assert_eq!(place.count(&sent), 0, "{what}");
}
