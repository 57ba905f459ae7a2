//! A session that sends one by one takes room ahead; what it does not need is free when it ends,
//! and the limit holds.

use super::{check_full, place, send};
use crate::support::Place;
use outtray::{HandlerError, Message, MessagingSession, NewMessage};

/// Returns for how many messages room is taken.
fn used(place: &mut Place) -> i64 {
    place.number(
        "SELECT (SELECT used FROM outtray.room WHERE topic = 'jobs')
            - (SELECT coalesce(sum(messages), 0) FROM outtray.vacated)",
    ) as i64
}

fn used_here(session: &mut MessagingSession<'_>) -> Result<i64, HandlerError> {
    let row = session.query_one("SELECT used FROM outtray.room WHERE topic = 'jobs'", &[])?;
    Ok(row.try_get(0)?)
}

fn send_some(session: &mut MessagingSession<'_>, count: i32) -> Result<(), HandlerError> {
    for number in 0..count {
        session.send_message("jobs", &number)?;
    }
    Ok(())
}

#[test]
fn what_was_taken_ahead_and_not_needed_is_free_after_the_commit() {
    let mut place = place(10_000);
    let most = place.messaging.session(|session| {
        send_some(session, 100)?;
        let taken = used_here(session)?;
        send_some(session, 100)?;
        Ok(taken)
    });

    assert!(most.unwrap() > 100, "it takes more than it needs");
    assert_eq!(used(&mut place), 200);
    assert_eq!(place.count("outtray.message"), 200);
    send(&place.messaging, 1).unwrap();
    assert_eq!(used(&mut place), 201);
}

#[test]
fn a_session_fills_a_topic_to_the_last_message_and_no_further() {
    let mut place = place(77);
    place
        .messaging
        .session(|session| {
            send_some(session, 77)?;
            for _ in 0..3 {
                check_full(session.send_message("jobs", &0).map(drop));
            }
            check_full(session.send_messages("jobs", 0..2).map(drop));
            Ok(())
        })
        .unwrap();

    assert_eq!((used(&mut place), place.count("outtray.message")), (77, 77));
    check_full(send(&place.messaging, 1));
}

#[test]
fn many_at_once_use_what_was_taken_ahead() {
    let mut place = place(100);
    place
        .messaging
        .session(|session| {
            send_some(session, 20)?;
            session.send_messages("jobs", 0..50)?;
            check_full(session.send_messages("jobs", 0..31).map(drop));
            session.send_messages("jobs", 0..30)?;
            check_full(session.send_message("jobs", &0).map(drop));
            Ok(())
        })
        .unwrap();

    assert_eq!(
        (used(&mut place), place.count("outtray.message")),
        (100, 100)
    );
}

#[test]
fn a_handler_that_fails_leaves_the_room_to_its_neighbours() {
    let mut place = place(10_000);
    place.send_all("work", 0..6);
    let report = place
        .messaging
        .receiver("work")
        .messages_per_transaction(6)
        .drain(|session, message: Message<i32>| {
            send_some(session, 10 + message.payload)?;
            match message.payload % 2 {
                0 => Ok(()),
                _ => Err(HandlerError::reject("no")),
            }
        })
        .unwrap();

    assert_eq!((report.handled, report.dead), (3, 3));
    let sent = place.count("outtray.message WHERE topic = 'jobs'");
    assert_eq!((sent, used(&mut place)), (36, 36));
}

#[test]
fn a_handler_under_a_lease_gives_back_what_it_does_not_need() {
    let mut place = place(10_000);
    place.send_all("work", 0..2);
    place
        .messaging
        .receiver("work")
        .lease(crate::support::MINUTE)
        .drain(|session, _: Message<i32>| send_some(session, 10))
        .unwrap();

    let sent = place.count("outtray.message WHERE topic = 'jobs'");
    assert_eq!((sent, used(&mut place)), (20, 20));
}

#[test]
fn savepoints_of_the_callers_make_no_room() {
    let mut place = place(50);
    place
        .messaging
        .session(|session| {
            send_some(session, 3)?;
            session.execute("SAVEPOINT mine", &[])?;
            send_some(session, 20)?;
            session.execute("ROLLBACK TO SAVEPOINT mine", &[])?;
            Ok(())
        })
        .unwrap();

    // What was sent is kept, wherever the caller's savepoint was.
    let sent = place.count("outtray.message");
    assert_eq!(sent, 23);
    let taken = place.number("SELECT used FROM outtray.room") as i64;
    assert!((3..=23).contains(&taken), "{taken}");
}

#[test]
fn a_session_that_is_rolled_back_gives_all_of_it_back() {
    let mut place = place(50);
    send(&place.messaging, 1).unwrap();
    let failed = place.messaging.session(|session| {
        send_some(session, 20)?;
        Err::<(), _>(HandlerError::failed("no"))
    });

    assert!(failed.is_err());
    assert_eq!(used(&mut place), 1);
}

#[test]
fn sends_to_several_bounded_topics_keep_each_limit() {
    let mut place = place(30);
    let bounded = outtray::TopicConfig {
        max_length: Some(20),
        ..outtray::TopicConfig::default()
    };
    place.messaging.topic("others").configure(bounded).unwrap();
    place
        .messaging
        .session(|session| {
            for number in 0..10 {
                let both = ["jobs", "others"].map(|topic| NewMessage::json(topic, &number));
                let both: Result<Vec<_>, _> = both.into_iter().collect();
                session.send_all(both?)?;
                session.send_message("jobs", &number)?;
                session.send_message("others", &number)?;
            }
            check_full(session.send_message("others", &0).map(drop));
            send_some(session, 10)?;
            check_full(session.send_message("jobs", &0).map(drop));
            Ok(())
        })
        .unwrap();

    assert_eq!(place.count("outtray.message WHERE topic = 'jobs'"), 30);
    assert_eq!(place.count("outtray.message WHERE topic = 'others'"), 20);
}
