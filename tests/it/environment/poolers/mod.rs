//! Behind a pooler that gives each transaction another server connection, all promises hold,
//! whether or not it is told so; and behind one that gives each client a connection of its own
//! ([`unsaid`]).
//!
//! PgBouncer 1.18, with fewer server connections than there are workers: no named statements, no
//! session state, no start-up options. The same work is done without it, for comparison.

mod bouncer;
mod everyday;
mod silent;
mod unsaid;

use crate::support::{
    PATIENCE, aside, database, eventually, make_suspect, next, pass_time, rated_keys,
};
use bouncer::behind_pgbouncer;
pub(crate) use bouncer::{Mode, behind_pgbouncer_in};
use outtray::{
    Backoff, HandlerError, Message, Messaging, MessagingSession, NewMessage, TopicConfig,
};
use postgres::{Client, NoTls};
use std::thread;
use std::time::Duration;

const PRODUCERS: i32 = 4;

const MESSAGES: i32 = 2000;

fn number(url: &str, query: &str) -> i64 {
    Client::connect(url, NoTls)
        .unwrap()
        .query_one(query, &[])
        .unwrap()
        .get(0)
}

fn pooler_safe(url: &str) -> Messaging {
    Messaging::builder()
        .url(url)
        .pooler_safe(true)
        .poll_interval(Duration::from_millis(50))
        .connect()
        .unwrap()
}

/// Writes, sends on, and fails in several ways.
fn handle(session: &mut MessagingSession<'_>, message: Message<i32>) -> Result<(), HandlerError> {
    let number = message.payload;
    session.execute("INSERT INTO handled VALUES ($1)", &[&number])?;
    session.send_message("out", &number)?;
    match (number % 100, message.attempt) {
        (7, 1) => Err(HandlerError::failed("not at the first attempt")),
        (8, 1) => Ok(session.query_one("SELECT 1 / 0", &[]).map(drop)?),
        // Swallowed; it must not count as done.
        (9, 1) => {
            let _ = session.execute("SELECT nothing", &[]);
            Ok(())
        }
        (99, _) => Err(HandlerError::reject("never")),
        (98, _) => Err(HandlerError::failed("not at any attempt")),
        _ => Ok(()),
    }
}

/// Sends and handles 2,000 messages through `messaging` and counts, through `direct`, what became
/// of them.
#[track_caller]
fn check_exactly_once(messaging: &Messaging, direct: &str) {
    let setup = "CREATE TABLE handled (number integer); CREATE TABLE sent (number integer)";
    messaging
        .session(|session| Ok(session.batch_execute(setup)?))
        .unwrap();
    let receiver = messaging
        .receiver("in")
        .workers(4)
        .max_attempts(3)
        .backoff(Backoff::fixed(Duration::from_millis(10)))
        .start(handle)
        .unwrap();

    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            scope.spawn(move || {
                for number in (producer..MESSAGES).step_by(PRODUCERS as usize) {
                    messaging
                        .session(|session| {
                            session.execute("INSERT INTO sent VALUES ($1)", &[&number])?;
                            Ok(session.send_message("in", &number)?)
                        })
                        .unwrap();
                }
            });
        }
    });
    eventually("all messages are handled", || {
        messaging.topic("in").is_empty().unwrap()
    });
    receiver.stop(PATIENCE);

    // One in a hundred is rejected, one in a hundred fails three times.
    let (dead, done) = (
        i64::from(MESSAGES / 50),
        i64::from(MESSAGES - MESSAGES / 50),
    );
    assert_eq!(
        number(direct, "SELECT count(*) FROM sent"),
        i64::from(MESSAGES)
    );
    assert_eq!(
        number(direct, "SELECT count(DISTINCT number) FROM handled"),
        done,
        "none is lost"
    );
    assert_eq!(
        number(direct, "SELECT count(*) FROM handled"),
        done,
        "none is handled twice"
    );
    let out = "SELECT count(DISTINCT payload::text) FROM outtray.message WHERE topic = 'out'";
    assert_eq!(number(direct, out), done);
    assert_eq!(number(direct, "SELECT count(*) FROM outtray.message"), done);
    assert_eq!(
        number(direct, "SELECT count(*) FROM outtray.dead_letter"),
        dead
    );
    let exhausted =
        "SELECT count(*) FROM outtray.dead_letter WHERE reason = 'exhausted' AND attempts = 3";
    assert_eq!(number(direct, exhausted), dead / 2);
}

#[test]
fn every_message_takes_effect_exactly_once_without_a_pooler() {
    let direct = database();

    check_exactly_once(&Messaging::connect(&direct).unwrap(), &direct);
}

#[test]
fn every_message_takes_effect_exactly_once_behind_a_pooler() {
    let direct = database();
    let Some(pooled) = behind_pgbouncer(&direct) else {
        return;
    };

    check_exactly_once(&pooler_safe(&pooled), &direct);
}

/// Has eight workers, more than there are server connections, handle 200 messages with keys, while
/// others send.
#[track_caller]
fn check_that_nobody_waits_for_connections(prepare: impl FnOnce(&Messaging, &str)) {
    let direct = database();
    let Some(pooled) = behind_pgbouncer(&direct) else {
        return;
    };
    let messaging = pooler_safe(&pooled);
    prepare(&messaging, &direct);
    messaging
        .session(|session| {
            for number in 0..200 {
                session.send(NewMessage::json("in", &number)?.key(format!("{}", number % 100)))?;
            }
            Ok(())
        })
        .unwrap();
    let (tell, told) = crossbeam_channel::unbounded();

    let receiver = messaging
        .receiver("in")
        .workers(8)
        .start(move |_, message: Message<i32>| {
            // Others are in the middle of their transactions, too.
            pass_time(Duration::from_millis(5));
            Ok(tell.send(message.payload)?)
        })
        .unwrap();
    let producer = pooler_safe(&pooled);
    let sent = aside(move || {
        (0..20).all(|number| {
            producer
                .send(NewMessage::json("out", &number).unwrap())
                .is_ok()
        })
    });

    assert_eq!(sent.recv_timeout(PATIENCE), Ok(true), "others send");
    next(&told, 200);
    receiver.stop(PATIENCE);
}

#[test]
fn workers_of_a_suspect_topic_behind_a_pooler_do_not_wait_for_each_others_connections() {
    check_that_nobody_waits_for_connections(|_, direct| {
        make_suspect(&mut Client::connect(direct, NoTls).unwrap(), "in");
    });
}

#[test]
fn workers_of_keys_with_a_rate_behind_a_pooler_do_not_wait_for_each_others_connections() {
    check_that_nobody_waits_for_connections(|messaging, _| {
        messaging.topic("in").configure(rated_keys()).unwrap();
    });
}

#[test]
fn workers_of_a_limited_topic_behind_a_pooler_do_not_wait_for_each_others_connections() {
    check_that_nobody_waits_for_connections(|messaging, direct| {
        let config = TopicConfig {
            max_in_work: Some(6),
            ..TopicConfig::default()
        };
        messaging.topic("in").configure(config).unwrap();
        // As after a backup that was brought back without them.
        Client::connect(direct, NoTls)
            .unwrap()
            .batch_execute("DELETE FROM outtray.slot")
            .unwrap();
    });
}

#[test]
fn several_processes_behind_a_pooler_share_the_work() {
    let direct = database();
    let Some(pooled) = behind_pgbouncer(&direct) else {
        return;
    };
    let processes: Vec<Messaging> = (0..3).map(|_| pooler_safe(&pooled)).collect();
    processes[0]
        .session(|session| {
            session.batch_execute("CREATE TABLE handled (number integer)")?;
            Ok(session.send_messages("t", 0..300)?)
        })
        .unwrap();

    let receivers: Vec<_> = processes
        .iter()
        .map(|it| {
            it.receiver("t")
                .workers(2)
                .start(|session, message: Message<i32>| {
                    session.execute("INSERT INTO handled VALUES ($1)", &[&message.payload])?;
                    Ok(())
                })
                .unwrap()
        })
        .collect();
    eventually("all is handled", || {
        processes[0].topic("t").is_empty().unwrap()
    });
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    assert_eq!(number(&direct, "SELECT count(*) FROM handled"), 300);
    assert_eq!(
        number(&direct, "SELECT count(DISTINCT number) FROM handled"),
        300
    );
}
