//! Leases in hand when the database refuses something else.

use crate::support::{HOUR, PATIENCE, Place, eventually, next};
use crossbeam_channel::unbounded;
use outtray::{Backoff, HandlerError, Message, MessagingSession, NewMessage, Rate, TopicConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Has the database refuse what changes a table in this way.
fn refuse(place: &mut Place, what: &str, table: &str) {
    place.sql(&format!(
        "CREATE SEQUENCE IF NOT EXISTS refused;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'not now, %', nextval('refused'); END $$;
         CREATE TRIGGER refused BEFORE {what} ON outtray.{table} FOR EACH ROW EXECUTE FUNCTION refuse()",
    ));
}

#[test]
fn what_was_leased_by_hand_is_returned_whatever_befalls_other_topics() {
    let mut place = Place::watchful();
    place.send_new(NewMessage::json("other", &0).unwrap().delay(HOUR));
    place.send_all("jobs", 1..=3);
    let mut taken = Vec::new();
    for _ in 0..20 {
        // Looks after what is due, and so not again for a second.
        let _ = place
            .jobs()
            .receive_batch::<i32>(1, HOUR)
            .unwrap()
            .pop()
            .map(|first| first.release());
        place.make_due();
        refuse(&mut place, "DELETE", "scheduled");
        let batch = place.jobs().receive_batch::<i32>(10, HOUR);
        place.sql("DROP TRIGGER refused ON outtray.scheduled; DROP FUNCTION refuse()");
        match batch {
            Ok(batch) => {
                taken = batch;
                break;
            }
            // A second was over.
            Err(_) => assert_eq!(
                place.count("outtray.scheduled WHERE receipt IS NOT NULL"),
                0
            ),
        }
        place.sql("UPDATE outtray.scheduled SET due_at = now() + interval '1 hour'");
    }
    assert_eq!(taken.len(), 3);
}

#[test]
fn what_is_ready_is_taken_by_hand_though_what_is_due_elsewhere_cannot_be_moved() {
    let mut place = Place::watchful();
    place.send_new(NewMessage::json("other", &0).unwrap().delay(HOUR));
    place.make_due();
    refuse(&mut place, "DELETE", "scheduled");
    place.send_all("jobs", 1..=3);

    let first = place.jobs().receive::<i32>(HOUR).unwrap();
    let others = place.jobs().receive_batch::<i32>(10, HOUR).unwrap();

    assert_eq!((first.unwrap().payload, others.len()), (1, 2));
    let error = place.jobs().receive::<i32>(HOUR).unwrap_err();
    assert!(format!("{error:?}").contains("not now"), "{error:?}");
}

#[test]
fn what_a_receiver_could_not_begin_goes_back_without_an_attempt() {
    let mut place = Place::watchful();
    let config = TopicConfig {
        rate_per_key: Some(Rate {
            messages: 100,
            per: Duration::from_secs(1),
            burst: 100,
        }),
        ..TopicConfig::default()
    };
    place.jobs().configure(config).unwrap();
    refuse(&mut place, "INSERT OR UPDATE", "bucket");
    let (tell, told) = unbounded();
    let receiver = place.messaging.receiver("jobs").lease(HOUR).max_attempts(1);
    let receiver = receiver.start(move |_, message: Message<i32>| Ok(tell.send(message.attempt)?));
    place.send_new(NewMessage::json("jobs", &1).unwrap().key("k"));
    eventually("its token was refused", || {
        place.count("refused WHERE is_called") == 1
    });

    place.sql("DROP TRIGGER refused ON outtray.bucket");

    assert_eq!(next(&told, 1), [1]);
    receiver.unwrap().stop(PATIENCE);
    assert_eq!(place.count("outtray.dead_letter"), 0);
}

#[test]
fn a_delivery_that_a_refused_handler_settled_is_still_in_hand() {
    let mut place = Place::watchful();
    place.sql("CREATE TABLE effect (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    for lease in [Some(HOUR), None] {
        place.send("first", &1);
        let first = place.messaging.topic("first").receive::<i32>(HOUR);
        let first = Arc::new(first.unwrap().unwrap());
        let (kept, runs) = (Arc::clone(&first), Arc::new(AtomicU32::new(0)));
        let (tell, told) = unbounded();
        let mut receiver = place.messaging.receiver("jobs");
        if let Some(lease) = lease {
            receiver = receiver.lease(lease);
        }
        let handler = move |session: &mut MessagingSession<'_>,
                            _: Message<i32>|
              -> Result<(), HandlerError> {
            let run = runs.fetch_add(1, Ordering::SeqCst);
            let settled = session.settle(&*kept).map_err(|error| error.kind());
            let twice = if run == 0 { 2 } else { 1 };
            for _ in 0..twice {
                session.execute("INSERT INTO effect VALUES (1)", &[])?;
            }
            Ok(tell.send(settled)?)
        };
        let receiver = receiver.backoff(Backoff::fixed(Duration::ZERO).without_jitter());
        let receiver = receiver.start(handler);
        place.send("jobs", &1);

        assert_eq!(next(&told, 2), [Ok(()), Ok(())]);
        receiver.unwrap().stop(PATIENCE);
        assert!(place.is_empty("jobs") && place.is_empty("first"));
        place.sql("TRUNCATE effect");
    }
}

#[test]
fn a_message_that_was_written_twice_keeps_no_other_from_being_leased() {
    let mut place = Place::watchful();
    place.send_all("jobs", [1]);
    let messaging = place.messaging.clone();
    let topic = messaging.topic("jobs");
    let held = topic.receive::<i32>(HOUR).unwrap().unwrap();
    // As one who loads back what seems to be lost.
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload)
        SELECT topic, rank, id, payload FROM outtray.scheduled",
    );
    place.send_all("jobs", [2, 3]);
    place.sql("CREATE TABLE effect (number integer)");

    let (tell, told) = unbounded();
    let receiver = place.messaging.receiver("jobs").lease(HOUR).workers(1);
    let receiver = receiver
        .start(move |session, message: Message<i32>| {
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            Ok(tell.send(message.payload)?)
        })
        .unwrap();
    eventually("the others are done", || {
        place.count("effect WHERE number IN (2, 3)") == 2
    });
    held.ack().unwrap();
    receiver.stop(PATIENCE);

    assert!(told.try_iter().count() >= 2);
    assert_eq!(place.count("effect WHERE number = 1"), 0);
    assert_eq!(topic.stats().unwrap().ready, 0);
}
