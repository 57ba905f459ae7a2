//! Messages that share a transaction leave one another alone: whatever one of them comes to, what
//! the others wrote and sent is kept.

use crate::support::{PATIENCE, Place, eventually};
use outtray::{
    Backoff, BatchMessage, Cancelled, HandlerError, Message, Messaging, MessagingSession,
    ReceiverBuilder,
};
use serde_json::json;
use std::time::Duration;

/// No unique constraint, so that an effect that happened twice shows.
const EFFECT: &str = "CREATE TABLE effect (n integer NOT NULL)";
/// Longer than any test.
const LATER: Duration = Duration::from_secs(500);

/// What becomes of a message whose handler did nothing with its session before.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Fail,
    Panic,
    Reject,
    Snooze,
    RetryAfter,
    Undecodable,
    Cancelled,
    /// A first statement that fails, told or not.
    FailInSql,
    SwallowAnSqlError,
}

const ENDS: [End; 9] = [
    End::Fail,
    End::Panic,
    End::Reject,
    End::Snooze,
    End::RetryAfter,
    End::Undecodable,
    End::Cancelled,
    End::FailInSql,
    End::SwallowAnSqlError,
];

fn write(session: &mut MessagingSession<'_>, n: i32) -> Result<(), HandlerError> {
    session.execute("INSERT INTO effect VALUES ($1)", &[&n])?;
    session.send_message("sent", &n)?;
    Ok(())
}

/// Handles even numbers, and ends odd ones.
fn handle(
    end: End,
    messaging: &Messaging,
    session: &mut MessagingSession<'_>,
    message: &Message<i32>,
) -> Result<(), HandlerError> {
    if message.payload % 2 == 0 {
        return write(session, message.payload);
    }
    match end {
        End::Fail | End::Undecodable => Err(HandlerError::failed("not now")),
        End::Panic => panic!("not now"),
        End::Reject => Err(HandlerError::reject("never")),
        End::Snooze => Err(HandlerError::snooze(LATER)),
        End::RetryAfter => Err(HandlerError::retry_after(LATER)),
        End::Cancelled => {
            assert_eq!(messaging.cancel(message.id)?, Cancelled::Asked);
            Err(HandlerError::failed("given up"))
        }
        End::FailInSql => Ok(session.batch_execute("SELECT 1 / 0")?),
        End::SwallowAnSqlError => {
            let _ = session.execute("SELECT 1 / 0", &[]);
            Ok(())
        }
    }
}

/// Sends so many numbers, of which the odd ones are no numbers if they are to be undecodable.
fn numbers(count: usize, end: End) -> Place {
    let mut place = Place::new();
    place.sql(EFFECT);
    let payload = |n: usize| match end {
        End::Undecodable if n % 2 == 1 => json!("odd"),
        _ => json!(n),
    };
    place.send_all("numbers", (0..count).map(payload));
    place
}

fn receiver(place: &Place) -> ReceiverBuilder<'_> {
    place
        .messaging
        .receiver("numbers")
        .workers(1)
        .max_attempts(3)
        .backoff(Backoff::fixed(LATER))
}

/// Runs a receiver until no message is ready.
fn run(
    place: &mut Place,
    builder: impl FnOnce(ReceiverBuilder<'_>) -> ReceiverBuilder<'_>,
    end: End,
) {
    let messaging = place.messaging.clone();
    let receiver = builder(receiver(place))
        .start(move |session, message| handle(end, &messaging, session, &message))
        .unwrap();
    eventually("all are settled", || {
        place.count("outtray.message WHERE topic = 'numbers'") == 0
    });
    receiver.stop(PATIENCE);
}

/// Checks that even numbers did what they do, once, and odd ones nothing, and where those are now.
#[track_caller]
fn check(place: &mut Place, count: i32, end: End) {
    let even: Vec<i32> = (0..count).step_by(2).collect();
    let mut numbers = |query: &str| -> Vec<i32> {
        let rows = place.client.query(query, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let rows = numbers("SELECT n FROM effect ORDER BY n");
    assert_eq!(rows, even, "what even numbers wrote, beside {end:?}");
    let sent = "SELECT (payload #>> '{}')::integer AS n FROM outtray.message WHERE topic = 'sent' ORDER BY n";
    assert_eq!(numbers(sent), even, "what they sent, beside {end:?}");
    let dead = place.count("outtray.dead_letter WHERE topic = 'numbers'");
    let waiting = place.count("outtray.scheduled WHERE topic = 'numbers'");
    let odd = i64::from(count / 2);
    let expected = match end {
        End::Reject | End::Undecodable => (odd, 0),
        End::Cancelled => (0, 0),
        _ => (0, odd),
    };
    assert_eq!(
        (dead, waiting),
        expected,
        "dead letters and waiting, {end:?}"
    );
}

#[test]
fn a_message_that_ends_before_it_used_its_session_leaves_what_its_neighbours_wrote() {
    for end in ENDS {
        let mut place = numbers(40, end);

        run(&mut place, |builder| builder, end);

        check(&mut place, 40, end);
    }
}

#[test]
fn a_message_leaves_what_its_neighbours_wrote_in_transactions_of_a_fixed_number_of_messages() {
    for end in ENDS {
        let mut place = numbers(40, end);

        run(
            &mut place,
            |builder| builder.messages_per_transaction(20),
            end,
        );

        check(&mut place, 40, end);
    }
}

#[test]
fn a_message_leaves_what_its_neighbours_wrote_in_a_drain() {
    for end in ENDS {
        let mut place = numbers(40, end);
        let messaging = place.messaging.clone();

        receiver(&place)
            .messages_per_transaction(40)
            .drain(move |session, message| handle(end, &messaging, session, &message))
            .unwrap();

        check(&mut place, 40, end);
    }
}

#[test]
fn a_message_leaves_what_its_neighbours_wrote_on_a_suspect_topic() {
    for end in ENDS {
        let mut place = numbers(20, end);
        place.sql(
            "INSERT INTO outtray.topic (topic, suspect_until) VALUES ('numbers', now() + interval '1 minute')",
        );

        run(&mut place, |builder| builder, end);

        check(&mut place, 20, end);
    }
}

#[test]
fn a_message_that_goes_alone_before_a_batch_leaves_what_its_neighbours_wrote() {
    for end in ENDS {
        let mut place = numbers(20, end);
        // Those that failed before go alone.
        place.sql("UPDATE outtray.message SET attempts = 1");
        place.send_all("numbers", [20, 22]);
        let messaging = place.messaging.clone();

        receiver(&place)
            .drain_batches(30, move |session, batch: &[BatchMessage<i32>]| {
                batch
                    .iter()
                    .try_for_each(|message| handle(end, &messaging, session, message))
            })
            .unwrap();

        let both = place.count("effect WHERE n > 19");
        assert_eq!(both, 2, "what the batch wrote");
        place.sql("DELETE FROM effect WHERE n > 19");
        place.sql("DELETE FROM outtray.message WHERE payload #>> '{}' IN ('20', '22')");
        check(&mut place, 20, end);
    }
}

#[test]
fn a_batch_that_fails_at_once_leaves_what_those_before_it_wrote() {
    for is_panic in [false, true] {
        let mut place = Place::new();
        place.sql(EFFECT);
        place.send_all("numbers", (0..10).map(|n| 2 * n));
        place.sql("UPDATE outtray.message SET attempts = 1");
        place.send_all("numbers", (0..10).map(|n| 2 * n + 1));

        receiver(&place)
            .drain_batches(30, move |session, batch: &[BatchMessage<i32>]| {
                if batch.len() > 1 {
                    assert!(!is_panic, "not now");
                    return Err(HandlerError::failed("not now"));
                }
                write(session, batch[0].payload)
            })
            .unwrap();

        check(&mut place, 20, End::Fail);
    }
}

#[test]
fn an_opening_statement_of_which_nothing_ran_leaves_what_its_neighbours_wrote() {
    let mut place = Place::new();
    place.sql(EFFECT);
    place.send_all("numbers", 0..3);
    // Once the setting is off, the text does not end: the server does not even open the savepoint
    // before it.
    let text = r"INSERT INTO effect SELECT $1 WHERE 'a\' <> ''";

    receiver(&place)
        .max_attempts(1)
        .messages_per_transaction(3)
        .drain(move |session, message: Message<i32>| {
            if message.payload == 1 {
                write(session, 1)?;
                session.execute("SET standard_conforming_strings = off", &[])?;
                return Ok(());
            }
            session.execute(text, &[&message.payload])?;
            session.send_message("sent", &message.payload)?;
            Ok(())
        })
        .unwrap();

    let rows = place.client.query("SELECT n FROM effect ORDER BY n", &[]);
    let rows: Vec<i32> = rows.unwrap().iter().map(|row| row.get(0)).collect();
    // All of it ran again, message by message.
    assert_eq!(rows, [0, 1, 2]);
    assert_eq!(place.count("outtray.message WHERE topic = 'sent'"), 3);
}
