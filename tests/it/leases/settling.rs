//! Deliveries that are settled in a session's transaction.

use super::check_lost;
use crate::support::{MINUTE, Place, client};
use outtray::{ErrorKind, HandlerError, MessagingSession, NewMessage};

#[test]
fn several_deliveries_end_with_what_their_session_writes_or_not_at_all() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("jobs", [1, 2]);
    let keyed = |n: i32| NewMessage::json("keyed", &n).unwrap().key("k").tracked();
    let ids = [place.send_new(keyed(3)), place.send_new(keyed(4))];
    let messaging = place.messaging.clone();
    let topics = ["jobs", "keyed"];
    let batch = messaging.receive_from::<i32>(&topics, 9, MINUTE).unwrap();
    assert_eq!(batch.len(), 3);
    let settle = |session: &mut MessagingSession<'_>| -> Result<(), HandlerError> {
        for delivery in &batch {
            session.execute("INSERT INTO effect VALUES ($1)", &[&delivery.payload])?;
            session.settle(delivery)?;
        }
        Ok(())
    };

    let failed = messaging.session(|session| -> Result<(), HandlerError> {
        settle(session)?;
        Err(HandlerError::failed("after all was done"))
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::RolledBack);
    assert_eq!(
        place.count("outtray.scheduled WHERE receipt IS NOT NULL"),
        3
    );

    messaging.session(settle).unwrap();
    assert_eq!(place.count("effect"), 3);
    assert!(place.is_empty("jobs"));
    assert!(messaging.completion(ids[0]).unwrap().is_some());
    check_lost(batch[0].ack());
    // The next of the key.
    let next = messaging.topic("keyed").receive::<i32>(MINUTE).unwrap();
    assert_eq!(next.expect("it is its turn").id, ids[1]);
}

#[test]
fn a_session_with_a_delivery_that_was_lost_is_rolled_back_and_says_so() {
    let mut place = Place::new();
    place.send_all("jobs", [1, 2]);
    let batch = place.jobs().receive_batch::<i32>(2, MINUTE).unwrap();
    place.sql("UPDATE outtray.scheduled SET due_at = now() WHERE payload::text = '2'");
    let stolen = place.take();
    assert_eq!(stolen.payload, 2);

    check_lost(place.messaging.session(|session| {
        session.send_message("next", &1)?;
        for delivery in &batch {
            session.settle(delivery)?;
        }
        Ok(())
    }));

    assert!(place.is_empty("next"));
    batch[0].ack().unwrap();
    stolen.ack().unwrap();
}

#[test]
fn a_delivery_ends_with_a_transaction_of_the_callers() {
    let place = Place::new();
    let id = place.send_new(NewMessage::json("jobs", &1).unwrap().tracked());
    let mut own = client(&place.url);
    let delivery = place.take();

    let mut transaction = own.transaction().unwrap();
    MessagingSession::join(&place.messaging, &mut transaction)
        .unwrap()
        .settle(&delivery)
        .unwrap();
    // Nothing is given back, which would wait for this transaction.
    drop(delivery);
    assert_eq!(place.numbers(), [0, 0, 1, 0]);
    transaction.commit().unwrap();

    assert!(place.is_empty("jobs"));
    assert!(place.messaging.completion(id).unwrap().is_some());
}

#[test]
fn a_delivery_that_is_dropped_in_its_session_ends_with_it() {
    let place = Place::new();
    place.send("jobs", &1);
    let delivery = place.take();

    place
        .messaging
        .session(|session| {
            session.settle(&delivery)?;
            drop(delivery);
            Ok(())
        })
        .unwrap();

    assert!(place.is_empty("jobs"));
}

#[test]
fn a_result_is_recorded_with_the_end_that_joins_a_session() {
    let place = Place::new();
    let id = place.send_new(NewMessage::json("jobs", &1).unwrap().tracked());

    place
        .take()
        .settle_in(|session| Ok(session.record_result(&7)?))
        .unwrap();

    let end = place.messaging.completion(id).unwrap().expect("it ended");
    assert_eq!(end.result, Some(serde_json::json!(7)));
}

#[test]
fn the_end_of_a_message_joins_the_sessions_transaction() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send("jobs", &5);
    let delivery = place.take();

    let failed = delivery.settle_in(|session| -> Result<(), HandlerError> {
        session.execute("INSERT INTO effect VALUES (1)", &[])?;
        Err(HandlerError::failed("no"))
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::RolledBack);
    assert_eq!((place.count("effect"), place.numbers()), (0, [0, 0, 1, 0]));

    let returned = delivery
        .settle_in(|session| {
            session.execute("INSERT INTO effect VALUES ($1)", &[&delivery.payload])?;
            session.send_message("next", &6)?;
            Ok("returned")
        })
        .unwrap();

    assert_eq!(returned, "returned");
    assert_eq!((place.count("effect"), place.numbers()), (1, [0; 4]));
    assert_eq!(place.messaging.topic("next").stats().unwrap().ready, 1);
}

#[test]
fn a_session_whose_lease_was_lost_is_rolled_back() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send("jobs", &5);
    let late = place.take();
    place.make_due();
    let again = place.take();

    check_lost(late.settle_in(|session| {
        session.execute("INSERT INTO effect VALUES (1)", &[])?;
        session.send_message("next", &6)?;
        Ok(())
    }));

    assert_eq!(place.count("effect"), 0);
    assert!(place.is_empty("next"));
    again.ack().unwrap();
}

#[test]
fn a_swallowed_error_in_a_session_settles_nothing() {
    let place = Place::new();
    place.send("jobs", &5);
    let delivery = place.take();

    let settled = delivery.settle_in(|session| {
        let _ = session.execute("SELECT 1 / 0", &[]);
        Ok(())
    });

    assert_eq!(settled.unwrap_err().kind(), ErrorKind::RolledBack);
    assert_eq!(place.numbers(), [0, 0, 1, 0]);
}
