//! The limit of attempts and the wait between them hold whatever a message fails of, with any
//! number of workers and processes.

use crate::support::{PATIENCE, Place, database, eventually, process};
use crossbeam_channel::{Receiver as Channel, Sender, after, unbounded};
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
fn also_with_two_processes() {
    check_alone(Way::Plain, 2, |receiver| receiver);
}

#[test]
fn also_if_its_handler_uses_transactions_of_its_own_or_is_one_of_batches() {
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
fn also_one_of_a_batch() {
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

/// Connects with a setting that the server ends long transactions or statements by.
fn limited(place: &Place, setting: &str) -> Messaging {
    let url = format!("{}?options=-c%20{setting}", place.url);
    process(&url, POLL)
}

/// What a handler does that takes too long.
type Overlong = fn(&mut MessagingSession<'_>) -> Result<(), HandlerError>;

fn idle(session: &mut MessagingSession<'_>) -> Result<(), HandlerError> {
    session.execute("INSERT INTO effect VALUES (1)", &[])?;
    let _ = after(Duration::from_millis(1500)).recv();
    Ok(())
}

fn idle_and_go_on(session: &mut MessagingSession<'_>) -> Result<(), HandlerError> {
    idle(session)?;
    session.execute("INSERT INTO effect VALUES (2)", &[])?;
    Ok(())
}

fn idle_first(session: &mut MessagingSession<'_>) -> Result<(), HandlerError> {
    let _ = after(Duration::from_millis(1500)).recv();
    session.execute("INSERT INTO effect VALUES (2)", &[])?;
    Ok(())
}

fn be_slow(session: &mut MessagingSession<'_>) -> Result<(), HandlerError> {
    session.query("SELECT pg_sleep(10)", &[])?;
    Ok(())
}

#[track_caller]
fn check_overlong(setting: &str, work: Overlong, processes: usize, most: usize, is_leasing: bool) {
    let mut place = Place::polling(POLL);
    place.sql("CREATE TABLE effect (n integer)");
    let all: Vec<Messaging> = (0..processes).map(|_| limited(&place, setting)).collect();
    let (tell, told) = unbounded();
    let receivers: Vec<Receiver> = all
        .iter()
        .map(|messaging| {
            let tell = tell.clone();
            let receiver = messaging
                .receiver("slow")
                .workers(4 / processes)
                .max_attempts(3)
                .backoff(Backoff::fixed(Duration::from_millis(50)));
            let receiver = match is_leasing {
                true => receiver.lease(Duration::from_secs(60)),
                false => receiver,
            };
            receiver
                .start(move |session, _: Message<i32>| {
                    tell.send(())?;
                    work(session)
                })
                .unwrap()
        })
        .collect();

    place.send("slow", &1);
    eventually("it is dead", || place.count("outtray.dead_letter") == 1);
    eventually("nothing is left", || place.is_empty("slow"));
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    // Each run counts.
    let runs = told.try_iter().count();
    assert!((3..=most).contains(&runs), "{runs}");
    assert_eq!(place.count("effect"), 0);
    assert_eq!(place.count("outtray.dead_letter WHERE attempts = 3"), 1);
}

const IDLE: &str = "idle_in_transaction_session_timeout%3D300";

#[test]
fn a_handler_that_does_nothing_for_longer_than_the_server_allows_runs_as_often_as_it_may() {
    for work in [idle, idle_and_go_on, idle_first] {
        check_overlong(IDLE, work, 1, 3, false);
    }
}

#[test]
fn also_with_two_processes_but_for_those_that_run_when_it_is_cut() {
    check_overlong(IDLE, idle_and_go_on, 2, 4, false);
}

#[test]
fn also_under_leases() {
    for work in [idle, idle_and_go_on] {
        check_overlong(IDLE, work, 1, 3, true);
    }
}

#[test]
fn a_statement_that_takes_longer_than_the_server_allows_is_an_attempt() {
    for is_leasing in [false, true] {
        check_overlong("statement_timeout%3D300", be_slow, 1, 3, is_leasing);
    }
}

#[test]
fn a_transaction_that_takes_longer_than_the_server_allows_is_an_attempt() {
    let mut place = Place::new();
    // PostgreSQL 17 and later.
    if place.count("pg_settings WHERE name = 'transaction_timeout'") == 0 {
        return;
    }
    for work in [idle, idle_and_go_on, be_slow] {
        check_overlong("transaction_timeout%3D300", work, 1, 3, false);
    }
}

#[test]
fn a_lock_that_others_hold_is_no_attempt_and_holds_up_no_other() {
    for is_leasing in [false, true] {
        let mut place = Place::polling(POLL);
        place.sql("CREATE TABLE account (n integer); INSERT INTO account VALUES (1), (2)");
        let mut holder = crate::support::client(&place.url);
        holder
            .batch_execute("BEGIN; UPDATE account SET n = n WHERE n = 1")
            .unwrap();
        let (tell, told) = unbounded();
        let receiver = place
            .messaging
            .receiver("accounts")
            .workers(1)
            .max_attempts(1);
        let receiver = match is_leasing {
            true => receiver.lease(Duration::from_secs(60)),
            false => receiver,
        };
        let receiver = receiver
            .start(move |session, message: Message<i32>| {
                tell.send(message.payload)?;
                session.batch_execute("SET LOCAL lock_timeout = 20")?;
                let sql = "UPDATE account SET n = n + 10 WHERE n = $1";
                session.execute(sql, &[&message.payload])?;
                Ok(())
            })
            .unwrap();

        place.send_all("accounts", [1, 2]);
        eventually("the other is done", || {
            place.count("account WHERE n = 12") == 1
        });
        let mut runs = 0;
        eventually("it is tried again and again", || {
            runs += told.try_iter().filter(|n| *n == 1).count();
            runs >= 4
        });
        assert_eq!(place.count("outtray.dead_letter"), 0);
        holder.batch_execute("COMMIT").unwrap();
        eventually("both are done", || place.is_empty("accounts"));
        receiver.stop(PATIENCE);

        assert_eq!(place.count("account WHERE n > 10"), 2);
        assert_eq!(place.count("outtray.dead_letter"), 0);
    }
}

#[test]
fn settings_of_the_database_are_obeyed_or_do_not_matter() {
    let url = database();
    let mut place = Place::over(&url, process(&url, POLL));
    place.sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET statement_timeout = 300', current_database()); END $$");
    let limited = process(&url, POLL);
    let receiver = limited
        .receiver("slow")
        .workers(2)
        .max_attempts(2)
        .backoff(Backoff::fixed(Duration::from_millis(20)))
        .start(|session, _: Message<i32>| be_slow(session))
        .unwrap();

    place.send("slow", &1);

    eventually("it is dead", || place.count("outtray.dead_letter") == 1);
    receiver.stop(PATIENCE);
    assert_eq!(place.dead_letters("slow")[0].attempts, 2);
}
