//! The limit of attempts and the wait between them hold whatever a message fails of, with any
//! number of workers and processes.

mod overlong;

use crate::support::{PATIENCE, Place, eventually, process};
use crossbeam_channel::{Receiver as Channel, Sender, unbounded};
use outtray::{
    Backoff, BatchMessage, HandlerError, Message, Messaging, MessagingSession, Receiver,
    ReceiverBuilder,
};
use std::time::{Duration, Instant};

/// The number 7 is there already, which shows at COMMIT.
const ONCE: &str =
    "CREATE TABLE effect (n integer CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED);

    INSERT INTO effect VALUES (7)";
const POLL: Duration = Duration::from_millis(20);

const WAIT: Duration = Duration::from_millis(300);

/// How a handler does its work.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Plain,
    Nested,
    InBatches,
}

fn insert(session: &mut MessagingSession<'_>, way: Way, n: i32) -> Result<(), HandlerError> {
    let sql = "INSERT INTO effect VALUES ($1)";
    if way == Way::Nested {
        let mut transaction = session.transaction()?;
        transaction.execute(sql, &[&n])?;
        transaction.commit()?;
    } else {
        session.execute(sql, &[&n])?;
    }
    session.send_message("sent", &n)?;
    Ok(())
}

fn start(
    messaging: &Messaging,
    workers: usize,
    way: Way,
    tell: &Sender<(i32, Instant)>,
    set: impl Fn(ReceiverBuilder<'_>) -> ReceiverBuilder<'_>,
) -> Receiver {
    let tell = tell.clone();
    let handle = move |session: &mut MessagingSession<'_>, n: i32| {
        tell.send((n, Instant::now()))?;
        insert(session, way, n)
    };
    let receiver = set(messaging
        .receiver("numbers")
        .workers(workers)
        .max_attempts(3)
        .backoff(Backoff::fixed(WAIT).without_jitter()));
    match way {
        Way::InBatches => receiver.start_batches(4, move |session, batch: &[BatchMessage<i32>]| {
            batch
                .iter()
                .try_for_each(|message| handle(session, message.payload))
        }),
        _ => receiver.start(move |session, message: Message<i32>| handle(session, message.payload)),
    }
    .unwrap()
}

/// Checks that a message whose COMMIT is refused runs three times, with the wait between, for
/// several in turn.
#[track_caller]
fn check_alone(
    way: Way,
    processes: usize,
    set: impl Fn(ReceiverBuilder<'_>) -> ReceiverBuilder<'_>,
) {
    let mut place = Place::polling(POLL);
    place.sql(ONCE);
    let (tell, told) = unbounded();
    let others: Vec<Messaging> = (1..processes).map(|_| process(&place.url, POLL)).collect();
    let workers = 4 / processes;
    let receivers: Vec<Receiver> = others
        .iter()
        .chain([&place.messaging])
        .map(|messaging| start(messaging, workers, way, &tell, &set))
        .collect();

    for round in 1..=5 {
        place.send("numbers", &7);
        eventually("it is dead", || place.count("outtray.dead_letter") == round);
        check_runs(&told, 3);
    }

    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
    assert_eq!(place.count("outtray.dead_letter WHERE attempts = 3"), 5);
    assert_eq!(place.count("effect"), 1);
    assert_eq!(place.count("outtray.message"), 0);
}

#[track_caller]
fn check_runs(told: &Channel<(i32, Instant)>, expected: usize) {
    let runs: Vec<Instant> = told.try_iter().map(|(_, at)| at).collect();
    assert_eq!(runs.len(), expected);
    for pair in runs.windows(2) {
        let gap = pair[1].duration_since(pair[0]);
        assert!(gap >= WAIT / 2, "{gap:?}");
    }
}

#[test]
fn a_message_whose_commit_is_refused_runs_as_often_as_it_may() {
    check_alone(Way::Plain, 1, |receiver| receiver);
    check_alone(Way::Plain, 1, |receiver| {
        receiver.messages_per_transaction(1)
    });
}

#[test]
fn a_message_whose_commit_is_refused_runs_as_often_as_it_may_with_two_processes() {
    check_alone(Way::Plain, 2, |receiver| receiver);
}

#[test]
fn a_refused_handler_of_batches_or_with_transactions_of_its_own_runs_as_often_as_it_may() {
    check_alone(Way::Nested, 1, |receiver| receiver);
    check_alone(Way::InBatches, 1, |receiver| receiver);
}

/// Checks that of many messages the one whose COMMIT is refused runs as often as it may and no
/// more, and that the others lose no attempt and have their effects once.
#[track_caller]
fn check_among_many(way: Way, processes: usize, max_attempts: u32) {
    let mut place = Place::polling(POLL);
    place.sql(ONCE);
    let (tell, told) = unbounded();
    let others: Vec<Messaging> = (1..processes).map(|_| process(&place.url, POLL)).collect();
    place.send_all("numbers", (1000..1100).chain([7]).chain(1100..1200));

    let receivers: Vec<Receiver> = others
        .iter()
        .chain([&place.messaging])
        .map(|messaging| {
            start(messaging, 2, way, &tell, |receiver| {
                receiver.max_attempts(max_attempts)
            })
        })
        .collect();
    eventually("all settled", || place.is_empty("numbers"));
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    assert_eq!(place.count("effect"), 201);
    assert_eq!(place.count("outtray.message WHERE topic = 'sent'"), 200);
    let dead = place.dead_letters("numbers");
    let dead: Vec<_> = dead
        .iter()
        .map(|dead| (&dead.payload, dead.attempts))
        .collect();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0].1, max_attempts);
    let runs = told.try_iter().filter(|(n, _)| *n == 7).count();
    assert_eq!(
        runs, max_attempts as usize,
        "{way:?}, {processes} processes"
    );
}

#[test]
fn one_among_many_runs_as_often_as_it_may() {
    for processes in [1, 2] {
        for max_attempts in [1, 2, 3, 5] {
            check_among_many(Way::Plain, processes, max_attempts);
            check_among_many(Way::Nested, processes, max_attempts);
        }
    }
}

#[test]
fn one_of_a_batch_runs_as_often_as_it_may() {
    for processes in [1, 2] {
        for max_attempts in [1, 2, 3] {
            check_among_many(Way::InBatches, processes, max_attempts);
        }
    }
}

#[test]
fn what_a_batch_does_for_one_that_it_lets_fail_is_kept_although_another_is_refused() {
    let mut place = Place::watchful();
    place.sql(ONCE);
    place.send_all("numbers", [1, 7, 2]);

    place
        .messaging
        .receiver("numbers")
        .max_attempts(3)
        .backoff(Backoff::fixed(Duration::ZERO))
        .drain_batches(3, |session, batch: &[BatchMessage<i32>]| {
            for message in batch {
                if message.payload != 2 {
                    insert(session, Way::InBatches, message.payload)?;
                    continue;
                }
                session.send_message("sent", &message.attempt)?;
                if message.attempt == 1 {
                    message.retry("not yet");
                }
            }
            Ok(())
        })
        .unwrap();

    let sent = "SELECT array_agg(payload::text ORDER BY payload::text) FROM outtray.message WHERE topic = 'sent'";
    let sent: Vec<String> = place.client.query_one(sent, &[]).unwrap().get(0);
    assert_eq!(sent, ["1", "1", "2"]);
    assert_eq!(place.count("effect WHERE n = 1"), 1);
    let dead = place.dead_letters("numbers");
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (dead[0].payload.to_string(), dead[0].attempts),
        ("7".to_owned(), 3)
    );
}
