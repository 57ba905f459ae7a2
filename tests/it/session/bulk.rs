//! Messages that are sent by the thousand take another way than few, and arrive the same.

use super::{count, place, things_and_messages};
use crate::support::{Place, client};
use outtray::{ErrorKind, Messaging, MessagingSession, NewMessage};
use serde_json::json;

/// As many as take the way of many.
const MANY: usize = 4_000;

/// All that a message can be without options, odd values among it.
fn odd(number: usize) -> NewMessage {
    let topic = ["t", "t.1-_:/@+", "T"][number % 3];
    let text = ["", "\\N", "a\tb\nc\r", "'\";--", "\u{7f}\u{10ffff}é", "\\."][number % 6];
    let message = match number % 5 {
        0 => NewMessage::bytes(topic, []),
        1 => NewMessage::bytes(topic, [0, 255, b'\\', number as u8]),
        2 => NewMessage::json(topic, &json!({ "n": number, "text": text })).unwrap(),
        3 => NewMessage::json_text(topic, format!(" [ {number}.50 , null ]\n")).unwrap(),
        _ => NewMessage::json(topic, &serde_json::Value::Null).unwrap(),
    };
    let priority = [0, 7, -7, i16::MAX, -i16::MAX][number % 5];
    let message = message.priority(priority);
    match number % 4 {
        0 => message.header("text", text).header(" ", "\""),
        _ => message,
    }
}

/// Returns what was stored, in the order of sending, but for ids and times.
fn stored(place: &Place) -> Vec<Vec<Option<String>>> {
    let query =
        "SELECT topic, rank::text, attempts::text, headers::text, payload::text, body::text,
            (sent_at > now() - interval '1 hour')::text,
            concat_ws(',', not_before, key, expires_at, on_end)
        FROM outtray.message ORDER BY seq";
    let rows = client(&place.url).query(query, &[]).unwrap();
    let columns = |row: &postgres::Row| (0..8).map(|column| row.get(column)).collect();
    rows.iter().map(columns).collect()
}

fn send_odd(
    session: &mut MessagingSession<'_>,
    numbers: std::ops::Range<usize>,
) -> Vec<outtray::MessageId> {
    numbers
        .map(|number| session.send(odd(number)).unwrap().id())
        .collect()
}

#[test]
fn messages_sent_by_the_thousand_are_stored_like_those_sent_by_the_hundred() {
    let (many, few) = (place(), place());

    let sent = many
        .messaging
        .session(|session| Ok(send_odd(session, 0..MANY)))
        .unwrap();
    for from in (0..MANY).step_by(500) {
        few.messaging
            .session(|session| Ok(send_odd(session, from..from + 500)))
            .unwrap();
    }

    let stored_many = stored(&many);
    assert_eq!(stored_many.len(), MANY);
    assert_eq!(stored_many, stored(&few));
    let rows = client(&many.url)
        .query("SELECT id FROM outtray.message ORDER BY seq", &[])
        .unwrap();
    let ids: Vec<uuid::Uuid> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(ids, sent.iter().map(|id| id.as_uuid()).collect::<Vec<_>>());
}

#[test]
fn only_many_at_a_time_are_copied() {
    let place = place();
    let is_prepared = |count: usize| {
        // A session that is full stores early, so that it can look at its own connection
        // afterwards.
        place.messaging.session(|session| {
            session.send_messages("bulk", 0..count)?;
            let found = session.query_one(
                "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'COPY %'",
                &[],
            )?;
            Ok(found.get::<_, i64>(0) == 1)
        })
    };

    assert!(!is_prepared(4_999).unwrap());
    assert!(is_prepared(5_000).unwrap());
    assert_eq!(count(&place, "outtray.message"), 9_999);
}

#[test]
fn a_refused_copy_rolls_everything_back_and_the_connection_is_still_good() {
    let place = place();
    let one = Messaging::builder()
        .url(&place.url)
        .pool_size(1)
        .connect()
        .unwrap();
    let refuse =
        "ALTER TABLE outtray.message ADD CONSTRAINT refused CHECK (payload::text <> '3999')";
    client(&place.url).batch_execute(refuse).unwrap();

    for writes in [true, false] {
        let error = one
            .session(|session| {
                if writes {
                    session.execute("INSERT INTO thing VALUES ('x')", &[])?;
                }
                Ok(session.send_messages("bulk", 0..MANY)?)
            })
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Database);
        let source = std::error::Error::source(&error).unwrap();
        let text = format!("{error}: {source:?}");
        assert!(text.contains("refused"), "{text}");
        assert_eq!(things_and_messages(&place), (0, 0));
    }

    one.session(|session| Ok(session.send_messages("bulk", 0..MANY - 1)?))
        .unwrap();
    assert_eq!(things_and_messages(&place), (0, MANY as i64 - 1));
}

#[test]
fn a_handler_that_sends_thousands_and_fails_has_sent_none() {
    let place = place();
    place
        .messaging
        .session(|session| Ok(session.send_messages("jobs", [1, 2])?))
        .unwrap();

    let report = place
        .messaging
        .drain("jobs", |session, message: outtray::Message<i32>| {
            session.send_messages("bulk", 0..6_000)?;
            match message.payload {
                1 => Err(outtray::HandlerError::reject("no")),
                _ => Ok(()),
            }
        })
        .unwrap();

    assert_eq!((report.handled, report.dead), (1, 1));
    assert_eq!(place.messaging.topic("bulk").stats().unwrap().ready, 6_000);
}
