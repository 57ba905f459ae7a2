//! One transaction over two schemas of a database; over two servers there is none.

use super::{OTHER, job, ready, two_databases, two_schemas};
use crate::support::{DAY, client, eventually, telling};
use outtray::{HandlerError, Message, Messaging, MessagingSession};

#[test]
fn a_transaction_of_the_callers_sends_to_two_schemas_or_to_none() {
    let (place, other) = two_schemas();
    let mut client = client(&place.url);
    for is_committed in [false, true] {
        let mut transaction = client.transaction().unwrap();
        for messaging in [&place.messaging, &other, &place.messaging, &other] {
            let mut session = MessagingSession::join(messaging, &mut transaction).unwrap();
            session.send(job(1).key("ann")).unwrap();
            session.send_message("jobs", &2).unwrap();
        }

        match is_committed {
            true => transaction.commit().unwrap(),
            false => transaction.rollback().unwrap(),
        }

        let expected = if is_committed { 3 } else { 0 };
        assert_eq!(
            (ready(&place.messaging), ready(&other)),
            (expected, expected)
        );
    }
}

/// Drains a topic by sending each message on to another schema; the first attempt fails after that.
fn hand_over(messaging: &Messaging, other: &Messaging) {
    let hand_over = |session: &mut MessagingSession<'_>, message: Message<i32>| {
        session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
        let mut part = session.transaction()?;
        MessagingSession::join(other, &mut part)?.send_message("jobs", &message.payload)?;
        part.commit()?;
        match message.attempt {
            1 => Err(HandlerError::retry_after(std::time::Duration::ZERO)),
            _ => Ok(()),
        }
    };
    messaging.drain_all("work", hand_over).unwrap();
}

#[test]
fn a_handler_sends_to_another_schema_in_its_own_transaction() {
    let (mut place, other) = two_schemas();
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("work", 0..20);

    hand_over(&place.messaging, &other);

    assert_eq!(place.count("effect"), 20);
    assert_eq!(place.count(&format!("{OTHER}.message")), 20);
    assert!(place.is_empty("work"));
}

#[test]
fn a_message_for_another_schema_is_found_there_by_polling_or_at_once_when_it_is_woken() {
    let (place, other) = two_schemas();
    let (receiver, told) = telling::<i32>(other.receiver("jobs"));
    let mut client = client(&place.url);
    let mut transaction = client.transaction().unwrap();
    let mut session = MessagingSession::join(&other, &mut transaction).unwrap();
    session.send_message("jobs", &7).unwrap();
    drop(session);
    transaction.commit().unwrap();

    other.wake("jobs");

    eventually("it came", || told.try_recv() == Ok(7));
    drop(receiver);
}

#[test]
fn what_crosses_to_another_database_runs_again_and_arrives_once() {
    let (one, other) = two_databases();
    let id = one.send("work", &7);
    let hand_over = |_: &mut MessagingSession<'_>, message: Message<i32>| {
        other
            .messaging
            .send(job(message.payload).dedupe(message.id.to_string(), DAY))?;
        match message.attempt {
            1 => Err(HandlerError::failed("before the end")),
            _ => Ok(()),
        }
    };

    one.messaging.drain_all("work", hand_over).unwrap();

    assert_eq!(other.handled::<i32>("jobs"), [7]);
    assert!(one.is_empty("work"), "{id} is done");
}
