//! A second send with the same dedupe key within the window is dropped, whatever races, fails or is
//! handled.

mod by_name;
mod races;
mod unique;

use crate::support::{DAY, PATIENCE, Place, client, eventually, reject};
use outtray::{ErrorKind, HandlerError, Message, Messaging, MessagingSession, NewMessage, Sent};
use postgres::IsolationLevel;

fn order(number: i32) -> NewMessage {
    NewMessage::json("orders", &number)
        .unwrap()
        .dedupe("order-42", DAY)
}

fn send(place: &Place, message: NewMessage) -> Sent {
    send_with(&place.messaging, message)
}

fn send_with(messaging: &Messaging, message: NewMessage) -> Sent {
    messaging
        .session(|session| Ok(session.send(message)?))
        .unwrap()
}

fn send_alone(messaging: &Messaging, message: NewMessage) -> Sent {
    messaging.send(message).unwrap()
}

/// Makes all that was sent an hour and a day older.
fn end_windows(place: &mut Place) {
    place.sql("UPDATE outtray.dedupe SET expires_at = expires_at - interval '25 hours'");
}

#[test]
fn the_second_send_with_a_key_names_the_first_and_stores_nothing() {
    let mut place = Place::new();

    let first = send(&place, order(1));
    let second = send(&place, order(2));

    assert!(!first.is_duplicate());
    assert_eq!(second, Sent::Duplicate(first.id()));
    assert_eq!(place.count("outtray.message"), 1);
}

#[test]
fn keys_are_of_one_topic_and_messages_without_one_are_never_duplicates() {
    let mut place = Place::new();
    let sent: Vec<bool> = [
        NewMessage::bytes("a", [1]).dedupe("x", DAY),
        NewMessage::bytes("b", [1]).dedupe("x", DAY),
        NewMessage::bytes("a", [1]).dedupe("X", DAY),
        NewMessage::bytes("a", [1]),
        NewMessage::bytes("a", [1]).dedupe("it's \\ 🦀", DAY),
        NewMessage::bytes("a", [1]).dedupe("it's \\ 🦀", DAY),
    ]
    .map(|message| send(&place, message).is_duplicate())
    .to_vec();

    assert_eq!(sent, [false, false, false, false, false, true]);
    assert_eq!(place.count("outtray.message"), 5);
}

#[test]
fn a_key_outlives_its_message_and_is_free_after_its_window() {
    let mut place = Place::new();
    let first = send(&place, order(1)).id();
    let handled = place
        .messaging
        .drain("orders", |_, _: Message| Ok(()))
        .unwrap();
    assert_eq!(handled.handled, 1);

    assert_eq!(send(&place, order(2)), Sent::Duplicate(first));
    assert_eq!(place.count("outtray.message"), 0);

    end_windows(&mut place);
    let next = send(&place, order(3));
    assert!(!next.is_duplicate());
    assert_eq!(send(&place, order(4)), Sent::Duplicate(next.id()));
    assert_eq!(place.count("outtray.message"), 1);
}

#[test]
fn messages_sent_alone_and_in_sessions_share_their_keys() {
    let mut place = Place::new();
    let first = send_alone(&place.messaging, order(1).header("source", "web"));

    assert!(!first.is_duplicate());
    assert_eq!(send(&place, order(2)), Sent::Duplicate(first.id()));
    let second = send_alone(&place.messaging, order(2));
    assert_eq!(second, Sent::Duplicate(first.id()));
    let stored = "SELECT count(*) FROM outtray.message WHERE payload::text = '1' AND headers->>'source' = 'web'";
    assert_eq!(place.number(stored), 1.0);
    // With options of which each is stored elsewhere.
    for (number, message) in [
        order(3).key("customer-7"),
        order(4).delay(DAY),
        order(5).tracked(),
        order(6).expires_in(DAY),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(send_alone(&place.messaging, message.clone()).is_duplicate());
        let own = message.dedupe(format!("another-{number}"), DAY);
        let sent = send_alone(&place.messaging, own.clone());
        assert!(!sent.is_duplicate());
        assert_eq!(
            send_alone(&place.messaging, own),
            Sent::Duplicate(sent.id())
        );
    }
    assert_eq!(place.count("outtray.message"), 4);
    assert_eq!(place.count("outtray.scheduled"), 1);

    end_windows(&mut place);
    let next = send_alone(&place.messaging, order(7));
    assert!(!next.is_duplicate());
    let again = send_alone(&place.messaging, order(8));
    assert_eq!(again, Sent::Duplicate(next.id()));
}

#[test]
fn a_delayed_message_and_a_dead_one_keep_their_keys() {
    let place = Place::new();
    let later = send(&place, order(1).delay(DAY)).id();
    assert_eq!(send(&place, order(2)), Sent::Duplicate(later));

    let bad = || NewMessage::json("bad", &1).unwrap().dedupe("x", DAY);
    let dead = send(&place, bad()).id();
    place.messaging.drain("bad", reject).unwrap();
    assert_eq!(send(&place, bad()), Sent::Duplicate(dead));
}

#[test]
fn within_a_session_the_first_with_a_key_is_sent() {
    let mut place = Place::new();

    let (one, two, all) = place
        .messaging
        .session(|session| {
            let one = session.send(order(1))?;
            let two = session.send(order(2))?;
            let all = session.send_all([
                order(3),
                NewMessage::bytes("orders", [1]),
                NewMessage::bytes("orders", [2]).dedupe("b", DAY),
                NewMessage::bytes("orders", [3]).dedupe("a", DAY),
                NewMessage::bytes("orders", [4]).dedupe("b", DAY),
            ])?;
            Ok((one, two, all))
        })
        .unwrap();

    assert_eq!(two, Sent::Duplicate(one.id()));
    assert_eq!(all[0], Sent::Duplicate(one.id()));
    let new: Vec<bool> = all.iter().map(|sent| !sent.is_duplicate()).collect();
    assert_eq!(new, [false, true, true, true, false]);
    assert_eq!(all[4], Sent::Duplicate(all[2].id()));
    assert_eq!(place.count("outtray.message"), 4);
    let peeked = place.messaging.topic("orders").peek(9).unwrap();
    let stored: Vec<_> = peeked.iter().map(|message| message.id).collect();
    assert_eq!(stored, [one.id(), all[1].id(), all[2].id(), all[3].id()]);
}

#[test]
fn a_rolled_back_session_leaves_its_keys_free() {
    let place = Place::new();
    let failed = place.messaging.session(|session| {
        session.send(order(1))?;
        Err::<(), _>(HandlerError::failed("no"))
    });
    assert!(failed.is_err());

    assert!(!send(&place, order(2)).is_duplicate());
}

#[test]
fn a_failed_handler_leaves_its_keys_free_and_its_batch_mates_keep_theirs() {
    let mut place = Place::new();
    place.send_all("work", [1, 2, 3]);

    let report = place
        .messaging
        .receiver("work")
        .messages_per_transaction(3)
        .drain(|session, message: Message<i32>| {
            let key = format!("key-{}", message.payload);
            session.send(NewMessage::bytes("orders", [1]).dedupe(key, DAY))?;
            match message.payload {
                2 => Err(HandlerError::reject("no")),
                _ => Ok(()),
            }
        })
        .unwrap();

    assert_eq!((report.handled, report.dead), (2, 1));
    let again = |key: &str| send(&place, NewMessage::bytes("orders", [2]).dedupe(key, DAY));
    assert!(again("key-1").is_duplicate());
    assert!(!again("key-2").is_duplicate());
    assert!(again("key-3").is_duplicate());
    assert_eq!(place.count("outtray.message"), 3);
}

#[test]
fn in_a_joined_session_a_key_lives_and_dies_with_the_callers_transaction() {
    let mut place = Place::new();
    let mut own = client(&place.url);
    for (number, commits) in [(1, false), (2, true)] {
        let mut transaction = own.transaction().unwrap();
        let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
        assert!(!session.send(order(number)).unwrap().is_duplicate());
        assert!(session.send(order(number)).unwrap().is_duplicate());
        drop(session);
        if commits {
            transaction.commit().unwrap();
        }
    }

    assert!(send(&place, order(3)).is_duplicate());
    assert_eq!(place.count("outtray.message"), 1);
}

#[test]
fn a_session_that_began_with_a_key_can_do_all_that_a_session_can() {
    let mut place = Place::new();
    place.sql("CREATE TABLE thing (n integer)");
    for round in 0..3 {
        let keys = [format!("{round}-a"), format!("{round}-b")];
        let message = |key: &String| NewMessage::bytes("orders", [1]).dedupe(key, DAY);
        let failed = place.messaging.session(|session| {
            session.send(message(&keys[0]))?;
            session.execute("INSERT INTO thing VALUES (0)", &[])?;
            Err::<(), _>(HandlerError::failed("no"))
        });
        assert!(failed.is_err());
        let swallowed = place.messaging.session(|session| {
            session.send(message(&keys[0]))?;
            assert!(session.query("SELECT nothing", &[]).is_err());
            Ok(())
        });
        assert_eq!(swallowed.unwrap_err().kind(), ErrorKind::RolledBack);

        place
            .messaging
            .session(|session| {
                assert!(!session.send(message(&keys[0]))?.is_duplicate());
                session.execute("INSERT INTO thing VALUES ($1)", &[&1])?;
                session.batch_execute("INSERT INTO thing VALUES (2)")?;
                let mut nested = session.transaction()?;
                nested.execute("INSERT INTO thing VALUES (3)", &[])?;
                nested.rollback()?;
                let nested = session.transaction()?;
                nested.commit()?;
                session
                    .with_transaction(|own| own.execute("INSERT INTO thing VALUES (4)", &[]))??;
                assert!(!session.send(message(&keys[1]))?.is_duplicate());
                assert_eq!(
                    session
                        .query_one("SELECT count(*) FROM thing", &[])?
                        .get::<_, i64>(0),
                    3 * (round + 1)
                );
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(place.count("thing"), 9);
    assert_eq!(place.count("outtray.message"), 6);
    assert_eq!(place.count("outtray.dedupe"), 6);
}

#[test]
fn a_session_whose_snapshot_is_too_old_to_see_the_key_is_a_conflict() {
    let place = Place::new();
    let mut own = client(&place.url);
    let mut transaction = own
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .unwrap();
    transaction.batch_execute("SELECT 1").unwrap();
    send(&place, order(1));

    let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
    let error = session.send(order(2)).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
}

#[test]
fn keys_whose_window_is_over_are_removed_in_time() {
    let mut place = Place::new();
    place.send("work", &1);
    place.sql(
        "INSERT INTO outtray.dedupe SELECT 'orders', n::text, gen_random_uuid(), now() - interval '1 s' \
            FROM generate_series(1, 2500) AS old (n);
        INSERT INTO outtray.dedupe VALUES ('orders', 'live', gen_random_uuid(), now() + interval '1 day')",
    );

    let receiver = place
        .messaging
        .start_receiving_messages("work", |_, _: Message| Ok(()))
        .unwrap();

    eventually("old keys are gone", || place.count("outtray.dedupe") <= 1);
    assert_eq!(place.count("outtray.dedupe"), 1);
    receiver.stop(PATIENCE);
}
