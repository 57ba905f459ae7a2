//! What a handler writes and sends is the same whether it travels by the driver or, from the second
//! use of a text on, as text in a flight with other statements.

use crate::support::{PATIENCE, Place, by_socket, client, database, eventually, next, telling};
use crossbeam_channel::unbounded;
use outtray::{HandlerError, Message, Messaging, MessagingSession, NewMessage, Payload};
use postgres::types::ToSql;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// Uses of a text by one worker: the first goes by the driver, the others as text.
const USES: i32 = 5;

/// Handles 1 to `count` in one transaction of one worker if they all fit, and returns how many
/// failed.
fn handle(
    place: &Place,
    count: i32,
    handler: impl Fn(&mut MessagingSession<'_>, i32) -> Result<(), HandlerError> + Send + Sync + 'static,
) -> u64 {
    place.send_all("work", 1..=count);
    let report = place
        .messaging
        .receiver("work")
        .max_attempts(1)
        .drain(move |session, message: Message<i32>| handler(session, message.payload))
        .unwrap();
    report.dead
}

/// Returns how many texts of the handler's own are prepared for flights on its connection.
fn own_prepared(session: &mut MessagingSession<'_>) -> Result<i64, HandlerError> {
    let count = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'outtray\\_own\\_%'";
    Ok(session.query_one(count, &[])?.try_get(0)?)
}

#[test]
fn values_are_stored_the_same_however_their_statement_travels() {
    let mut place = Place::new();
    place.sql(
        "CREATE TABLE value (b boolean, i2 smallint, i4 integer, i8 bigint, t text, v varchar(20), c char(5), \
         u uuid, y bytea, f double precision, at timestamptz)",
    );
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);

    let dead = handle(&place, USES, move |session, _| {
        let text = "it's $1 -- a\\'\"\n; żółw 🐢";
        let parameters: [&(dyn ToSql + Sync); 11] = [
            &true,
            &i16::MIN,
            &i32::MIN,
            &i64::MIN,
            &text,
            &"''\\\\",
            &None::<String>,
            &Uuid::from_u128(7),
            &[0_u8, 39, 92, 255].as_slice(),
            &0.1,
            &at,
        ];
        // Without the last two it can travel as text, with them not.
        session.execute(
            "INSERT INTO value (b, i2, i4, i8, t, v, c, u, y) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &parameters[..9],
        )?;
        session.execute(
            "INSERT INTO value VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            &parameters,
        )?;
        Ok(())
    });

    assert_eq!(dead, 0);
    assert_eq!(place.count("value"), 2 * i64::from(USES));
    let kinds = "SELECT count(DISTINCT value::text) FROM value";
    assert_eq!(place.number(kinds), 2.0);
    let exact = "SELECT count(*) FROM value WHERE b AND i2 = -32768 AND i4 = -2147483648 \
         AND i8 = -9223372036854775808 AND t = E'it\\'s $1 -- a\\\\\\'\"\\n; żółw 🐢' AND v = E'\\'\\'\\\\\\\\' \
         AND c IS NULL AND u = '00000000-0000-0000-0000-000000000007' AND y = '\\x00275cff'";
    assert_eq!(place.number(exact), f64::from(2 * USES));
}

#[test]
fn a_text_that_comes_again_is_prepared_for_flights_once() {
    let mut place = Place::new();
    place.sql("CREATE TABLE thing (n integer)");
    let (tell, told) = unbounded();

    handle(&place, USES, move |session, n| {
        session.execute("INSERT INTO thing VALUES ($1)", &[&n])?;
        Ok(tell.send(own_prepared(session)?)?)
    });

    assert_eq!(next(&told, 5), [0, 1, 1, 1, 1]);
}

#[test]
fn a_text_that_cannot_travel_takes_no_place_from_others() {
    // By a socket file values are texts, which those of a time are not.
    let url = by_socket(&database());
    let mut place = Place::over(&url, Messaging::connect(&url).unwrap());
    place.sql("CREATE TABLE moment (at timestamptz); CREATE TABLE thing (n integer)");
    let (tell, told) = unbounded();

    // More often than there are places.
    handle(&place, 100, move |session, n| {
        let at = SystemTime::UNIX_EPOCH;
        if n < 90 {
            session.execute("INSERT INTO moment VALUES ($1)", &[&at])?;
            return Ok(());
        }
        session.execute("INSERT INTO thing VALUES ($1)", &[&n])?;
        Ok(tell.send(own_prepared(session)?)?)
    });

    assert_eq!(next(&told, 3), [0, 1, 1]);
}

#[test]
fn a_text_that_ends_in_a_comment_or_a_semicolon_runs_each_time() {
    let mut place = Place::new();
    place.sql("CREATE TABLE thing (n integer)");

    let dead = handle(&place, USES, |session, n| {
        let text = match n {
            1..4 => "INSERT INTO thing VALUES ($1) -- why not",
            _ => " insert into thing values ($1);",
        };
        Ok(session.execute(text, &[&n]).map(drop)?)
    });

    assert_eq!(dead, 0);
    assert_eq!(place.count("thing"), i64::from(USES));
}

#[test]
fn a_statement_tells_each_time_how_many_rows_it_touched() {
    let mut place = Place::new();
    place.sql("CREATE TABLE thing (n integer); INSERT INTO thing SELECT generate_series(1, 7)");
    let (tell, told) = unbounded();

    handle(&place, USES, move |session, _| {
        let touched = session.execute("UPDATE thing SET n = n WHERE n <= $1", &[&3])?;
        Ok(tell.send(touched)?)
    });
    assert_eq!(next(&told, 5), [3; 5]);

    let (tell, told) = unbounded();
    handle(&place, USES, move |session, n| {
        let text = "INSERT INTO thing SELECT 0 FROM generate_series(1, $1) RETURNING n";
        Ok(tell.send(session.execute(text, &[&n])?)?)
    });
    assert_eq!(next(&told, 5), [1, 2, 3, 4, 5]);
}

#[test]
fn a_refused_first_write_fails_its_message_alone_each_time() {
    let mut place = Place::new();
    place.sql("CREATE TABLE thing (n integer PRIMARY KEY)");

    let dead = handle(&place, 6, |session, n| {
        session.send_message("next", &n)?;
        // 1, 2, 0, 1, 2, 0: the second three are refused.
        session.execute("INSERT INTO thing VALUES ($1)", &[&(n % 3)])?;
        Ok(())
    });

    assert_eq!(dead, 3);
    assert_eq!(place.count("thing"), 3);
    assert_eq!(place.messaging.topic("next").peek(10).unwrap().len(), 3);
    for letter in place.dead_letters("work") {
        assert!(
            letter.error.contains("duplicate key value"),
            "{}",
            letter.error
        );
    }
}

#[test]
fn a_swallowed_refusal_of_the_first_write_is_a_failure_each_time() {
    let mut place = Place::new();
    place.sql("CREATE TABLE thing (n integer PRIMARY KEY)");

    let dead = handle(&place, 6, |session, n| {
        let _ = session.execute("INSERT INTO thing VALUES ($1)", &[&(n % 3)]);
        Ok(())
    });

    assert_eq!(dead, 3);
    assert_eq!(place.count("thing"), 3);
}

#[test]
fn parameters_that_do_not_fit_are_errors_each_time_and_spoil_nothing() {
    let mut place = Place::new();
    place.sql("CREATE TABLE thing (t text)");

    let dead = handle(&place, USES, |session, n| {
        let text = "INSERT INTO thing VALUES ($1)";
        let too_few = session.execute(text, &[]).unwrap_err();
        let wrong = session.execute(text, &[&n]).unwrap_err();
        for error in [too_few, wrong] {
            // Nothing of it was sent: the transaction goes on.
            assert!(!error.to_string().contains("aborted"), "{error}");
        }
        Ok(session.execute(text, &[&n.to_string()]).map(drop)?)
    });
    assert_eq!(dead, 0);
    assert_eq!(place.count("thing"), i64::from(USES));

    let dead = handle(&place, USES, |session, _| {
        Ok(session
            .execute("INSERT INTO thing VALUES ($1)", &[&"a\0b"])
            .map(drop)?)
    });
    assert_eq!(dead, 5, "a NUL is refused, and never cuts a text off");
}

#[test]
fn many_different_texts_on_one_connection_all_run() {
    let mut place = Place::new();
    place.sql("CREATE TABLE thing (n integer)");

    // Each twice, and more than are kept for flights.
    for _ in 0..2 {
        let dead = handle(&place, 200, |session, n| {
            let text = format!("INSERT INTO thing VALUES ($1 + {n})");
            Ok(session.execute(&text, &[&0]).map(drop)?)
        });
        assert_eq!(dead, 0);
    }

    assert_eq!(place.count("thing"), 400);
}

#[test]
fn what_a_handler_sends_arrives_as_sent_however_much_it_is() {
    let place = Place::new();
    for count in [1, 4, 5] {
        let dead = handle(&place, 1, move |session, _| {
            for number in 0..count {
                let text = NewMessage::json("sent", &format!("it's \\ {number} 🐢"))?;
                session.send(text.priority(number).header("why", "that's \\ why"))?;
            }
            session.send(NewMessage::bytes("bytes", [0, 39, 92, 255]))?;
            Ok(())
        });
        assert_eq!(dead, 0);

        let (tell, told) = unbounded();
        let report = place
            .messaging
            .drain("sent", move |_, message: Message<String>| {
                Ok(tell.send((
                    message.payload,
                    message.priority,
                    message.headers["why"].clone(),
                ))?)
            });
        assert_eq!(report.unwrap().handled, u64::try_from(count).unwrap());
        // The most urgent one first.
        for number in (0..count).rev() {
            let expected = (
                format!("it's \\ {number} 🐢"),
                number,
                "that's \\ why".to_owned(),
            );
            assert_eq!(next(&told, 1), [expected]);
        }

        let (tell, told) = unbounded();
        let report = place
            .messaging
            .drain("bytes", move |_, message: Message<Payload>| {
                Ok(tell.send(message.payload.as_bytes().to_vec())?)
            });
        assert_eq!(report.unwrap().handled, 1);
        assert_eq!(next(&told, 1), [[0, 39, 92, 255]]);
    }
}

#[test]
fn a_message_that_commits_late_is_handled_while_a_backlog_lasts() {
    let place = Place::new();
    let mut late = client(&place.url);
    let mut transaction = late.transaction().unwrap();
    MessagingSession::join(&place.messaging, &mut transaction)
        .and_then(|mut session| session.send_message("work", &-1))
        .unwrap();
    place.send_all("work", 0..3000);

    let (receiver, told) = telling::<i32>(
        place
            .messaging
            .receiver("work")
            .workers(1)
            .messages_per_transaction(1),
    );
    next(&told, 500);
    transaction.commit().unwrap();
    let rest = next(&told, 2501);
    receiver.stop(PATIENCE);

    let place_of_late = rest.iter().position(|n| *n == -1);
    assert!(
        place_of_late.is_some_and(|at| at < 2400),
        "it waited for the whole backlog: {place_of_late:?}"
    );
    eventually("empty", || place.is_empty("work"));
}
