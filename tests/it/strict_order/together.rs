//! Quick messages of a strict topic share transactions, and their order stays.

use crate::support::{Gate, NO_POLLING, PATIENCE, Place, client, eventually, next, process};
use crossbeam_channel::unbounded;
use outtray::{Backoff, HandlerError, Message, Messaging, MessagingSession, NewMessage, Receiver};
use std::time::Duration;

/// What handlers do, in the order in which they did it. The number 60 is there already, which shows
/// at COMMIT.
const EFFECTS: &str = "CREATE TABLE effect (
        at bigserial,
        n integer CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED,
        transaction text
    );
    INSERT INTO effect (at, n, transaction) VALUES (0, 60, '')";

fn insert(session: &mut MessagingSession<'_>, n: i32) -> Result<(), HandlerError> {
    let sql = "INSERT INTO effect (n, transaction) VALUES ($1, pg_current_xact_id()::text)";
    session.execute(sql, &[&n])?;
    Ok(())
}

fn start(
    messaging: &Messaging,
    handler: impl Fn(&mut MessagingSession<'_>, Message<i32>) -> Result<(), HandlerError>
    + Send
    + Sync
    + 'static,
) -> Receiver {
    let receiver = messaging.receiver("line").strict_order().max_attempts(4);
    let receiver = receiver.backoff(Backoff::fixed(Duration::from_millis(5)).without_jitter());
    receiver.start(handler).unwrap()
}

fn effects(place: &mut Place) -> Vec<i32> {
    let select = "SELECT n FROM effect WHERE at > 0 ORDER BY at";
    let rows = place.client.query(select, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn quick_messages_share_transactions_in_order() {
    let mut place = Place::new();
    place.sql(EFFECTS);
    place.send_all("line", 100..600);

    let receiver = place.messaging.receiver("line").strict_order();
    let receiver = receiver.messages_per_transaction(20);
    let receiver = receiver
        .start(|session, message: Message<i32>| insert(session, message.payload))
        .unwrap();
    eventually("all are handled", || place.is_empty("line"));
    receiver.stop(PATIENCE);

    assert_eq!(effects(&mut place), (100..600).collect::<Vec<_>>());
    let transactions = place.count("(SELECT DISTINCT transaction FROM effect) AS used");
    // Twenty in each, but the first of a receiver that was idle, and what the time of one ends.
    assert!(transactions < 250, "{transactions} transactions");
}

/// Returns what a handler does with a message when it is tried for the so-manieth time.
fn misbehave(n: i32, attempt: u32) -> Result<(), HandlerError> {
    match (n % 20, attempt) {
        (3, 1 | 2) => Err(HandlerError::failed("not yet")),
        (7, 1) => panic!("on purpose"),
        (11, _) => Err(HandlerError::reject("never")),
        (13, 1) => Err(HandlerError::retry_after(Duration::from_millis(30))),
        _ => Ok(()),
    }
}

#[test]
fn whatever_fails_in_a_shared_transaction_is_not_overtaken() {
    let mut place = Place::watchful();
    place.sql(EFFECTS);
    let elsewhere = process(&place.url, Duration::from_millis(50));
    // Of the keys one has followers, which wait elsewhere than the rest.
    let message = |n: i32| {
        let message = NewMessage::json("line", &n).unwrap();
        match n % 9 {
            4 => message.key(format!("key-{}", n % 4)),
            _ => message,
        }
    };
    for n in 0..200 {
        place.send_new(message(n));
    }

    let receivers = [&place.messaging, &elsewhere].map(|messaging| {
        start(messaging, |session, message| {
            // Also what fails has effects, which are undone.
            insert(session, message.payload)?;
            misbehave(message.payload, message.attempt)
        })
    });
    eventually("all have ended", || place.is_empty("line"));
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    let is_done = |n: &i32| n % 20 != 11 && *n != 60;
    let done: Vec<i32> = (0..200).filter(is_done).collect();
    assert_eq!(effects(&mut place), done);
    let mut dead: Vec<_> = place.dead_letters("line");
    dead.sort_by_key(|dead| dead.attempts);
    let attempts: Vec<_> = dead.iter().map(|dead| dead.attempts).collect();
    assert_eq!(attempts, [[1; 10].as_slice(), &[4]].concat());
}

#[test]
fn a_refused_commit_is_charged_to_its_message_and_undoes_what_came_after() {
    let mut place = Place::polling(NO_POLLING);
    place.sql(EFFECTS);
    place.send_all("line", 50..70);
    let (tell, told) = unbounded();

    let receiver = place.messaging.receiver("line").strict_order();
    let receiver = receiver.messages_per_transaction(20).max_attempts(3);
    let receiver = receiver.backoff(Backoff::fixed(Duration::from_secs(3600)));
    let receiver = receiver
        .start(move |session, message: Message<i32>| {
            tell.send(message.payload)?;
            insert(session, message.payload)?;
            match message.payload {
                65 => Err(HandlerError::reject("after one that is refused")),
                _ => Ok(()),
            }
        })
        .unwrap();
    eventually("the refused one waits", || {
        place.count("outtray.message WHERE not_before > now()") == 1
    });
    receiver.stop(PATIENCE);

    assert_eq!(effects(&mut place), (50..60).collect::<Vec<_>>());
    assert_eq!(place.count("outtray.message"), 10);
    assert_eq!(place.count("outtray.message WHERE attempts = 0"), 9);
    assert_eq!(place.count("outtray.dead_letter"), 0);
    let told: Vec<i32> = told.try_iter().collect();
    assert_eq!(told.last(), Some(&60), "{told:?}");
}

#[test]
fn a_message_in_other_hands_is_waited_for() {
    let mut place = Place::watchful();
    place.sql(EFFECTS);
    place.send_all("line", 100..120);
    let mut other = client(&place.url);
    let mut holding = other.transaction().unwrap();
    let hold = "SELECT FROM outtray.message WHERE payload::text = '109' FOR UPDATE";
    holding.query_one(hold, &[]).unwrap();

    let receiver = place.messaging.receiver("line").strict_order();
    let receiver = receiver.messages_per_transaction(20);
    let receiver =
        receiver.start(|session, message: Message<i32>| insert(session, message.payload));
    eventually("those before it are handled", || {
        place.count("effect WHERE at > 0") == 9
    });
    holding.rollback().unwrap();
    eventually("all are handled", || place.is_empty("line"));
    drop(receiver);

    assert_eq!(effects(&mut place), (100..120).collect::<Vec<_>>());
}

#[test]
fn a_slow_handler_has_a_transaction_for_each_message() {
    let place = Place::watchful();
    place.send_all("line", 0..3);
    let gate = Gate::new();
    let (tell, told) = unbounded();
    let passed = gate.clone();

    let receiver = start(&place.messaging, move |_, message| {
        passed.pass();
        Ok(tell.send(message.payload)?)
    });
    gate.await_arrivals(1);
    // As long as a transaction is to last, and more.
    assert!(gate.is_lonely_for(Duration::from_millis(20)));
    gate.open_for(1);
    gate.await_arrivals(1);
    eventually("the first is committed", || {
        place.messaging.topic("line").stats().unwrap().ready == 2
    });
    gate.open_for(100);

    assert_eq!(next(&told, 3), [0, 1, 2]);
    receiver.stop(PATIENCE);
}
