//! A dedupe key that lasts until its message has ended: at no time do two messages with one key
//! wait or are in work, and whatever ends the message frees the key.

mod ends;
mod races;

use crate::support::{DAY, PATIENCE, Place, client, eventually, reject};
use outtray::{
    Cancelled, ErrorKind, HandlerError, Message, MessageId, MessagingSession, NewMessage, Payload,
    Sent,
};

fn feed(number: i32) -> NewMessage {
    let message = NewMessage::json("feeds", &number).unwrap();
    message.dedupe_until_end("feed-7")
}

fn send(place: &Place, message: NewMessage) -> Sent {
    place
        .messaging
        .session(|session| Ok(session.send(message)?))
        .unwrap()
}

/// Checks that the key is taken by a message, whichever way one asks.
#[track_caller]
fn check_taken(place: &Place, id: MessageId) {
    assert_eq!(send(place, feed(98)), Sent::Duplicate(id));
    assert_eq!(place.messaging.send(feed(99)).unwrap(), Sent::Duplicate(id));
}

/// Checks that the key is free, and that nothing is left of it; leaves it so.
#[track_caller]
fn check_free(place: &mut Place) {
    assert_eq!(place.count("outtray.dedupe"), 0);
    let sent = place.messaging.send(feed(100)).unwrap();
    assert!(!sent.is_duplicate());
    let cancelled = place.messaging.cancel(sent.id()).unwrap();
    assert_eq!(cancelled, Cancelled::Removed);
    assert_eq!(place.count("outtray.dedupe"), 0);
}

fn reject_all(place: &Place) {
    place.messaging.drain("feeds", reject).unwrap();
}

/// Gives a message an option.
type With = fn(NewMessage) -> NewMessage;

/// Returns the ways in which a message is stored.
fn ways() -> Vec<(&'static str, With)> {
    vec![
        ("plain", |message| message),
        ("keyed", |message| message.key("k")),
        ("tracked", NewMessage::tracked),
        ("expiring", |message| message.expires_in(DAY)),
        ("urgent", |message| message.priority(7).header("a", "b")),
    ]
}

#[test]
fn a_key_is_taken_while_its_message_waits_or_is_in_work_and_free_once_it_is_done() {
    for (name, with) in ways() {
        let mut place = Place::new();
        for alone in [true, false] {
            let first = match alone {
                true => place.messaging.send(with(feed(1))).unwrap(),
                false => send(&place, with(feed(1))),
            };
            assert!(!first.is_duplicate(), "{name}");
            check_taken(&place, first.id());
            let other = place.messaging.clone();
            let report = place
                .messaging
                .drain("feeds", move |session, _: Message| {
                    // In work, for others and for its own handler.
                    let again = other.send(feed(2))?;
                    assert_eq!(again, Sent::Duplicate(first.id()));
                    assert_eq!(session.send(feed(3))?, Sent::Duplicate(first.id()));
                    Ok(())
                })
                .unwrap();
            assert_eq!(report.handled, 1, "{name}");
            check_free(&mut place);
        }
    }
}

#[test]
fn a_delayed_message_and_one_that_is_tried_again_keep_their_key() {
    let mut place = Place::new();
    let id = send(&place, feed(1).delay(DAY)).id();
    check_taken(&place, id);
    place.make_due();

    let fail = |_: &mut MessagingSession<'_>, message: Message| match message.attempt {
        1 => Err(HandlerError::retry_after(DAY)),
        _ => Ok(()),
    };
    let report = place.messaging.drain("feeds", fail).unwrap();
    assert_eq!(report.retried, 1);
    check_taken(&place, id);

    place.make_due();
    assert_eq!(place.messaging.drain("feeds", fail).unwrap().handled, 1);
    check_free(&mut place);
}

#[test]
fn in_bulk_each_key_is_sent_once_and_freed_by_its_own_message() {
    let mut place = Place::new();
    let messages = |from: i32| {
        (from..from + 3000).map(|number| {
            let message = NewMessage::json("feeds", &number).unwrap();
            message.dedupe_until_end(format!("feed-{number}"))
        })
    };
    let send_all = |from| {
        let messages: Vec<_> = messages(from).chain(messages(from)).collect();
        let sent = place
            .messaging
            .session(|session| Ok(session.send_all(messages)?))
            .unwrap();
        sent.iter().filter(|sent| !sent.is_duplicate()).count()
    };

    assert_eq!(send_all(0), 3000);
    assert_eq!(send_all(1500), 1500);
    let handled = place.messaging.drain("feeds", |_, _: Message| Ok(()));
    assert_eq!(handled.unwrap().handled, 4500);

    assert_eq!(place.count("outtray.dedupe"), 0);
}

#[test]
fn under_a_lease_a_key_is_taken_until_the_delivery_is_settled_for_good() {
    let mut place = Place::new();
    let topic_of = place.messaging.clone();
    let topic = topic_of.topic("feeds");
    let receive = || topic.receive::<Payload>(DAY).unwrap().unwrap();
    let id = send(&place, feed(1)).id();
    let delivery = receive();
    check_taken(&place, id);
    delivery.nack().unwrap();
    check_taken(&place, id);
    drop(receive());
    check_taken(&place, id);
    receive().ack().unwrap();
    check_free(&mut place);

    send(&place, feed(2));
    let lost = topic_of.ack_all(&[receive()]).unwrap();
    assert!(lost.is_empty());
    check_free(&mut place);

    send(&place, feed(3));
    let delivery = receive();
    topic_of
        .session(|session| Ok(session.settle(&delivery)?))
        .unwrap();
    check_free(&mut place);
}

#[test]
fn both_kinds_of_keys_find_each_other_taken() {
    let place = Place::new();
    let id = send(&place, feed(1)).id();
    let window = || NewMessage::json("feeds", &2).unwrap().dedupe("feed-7", DAY);
    assert_eq!(send(&place, window()), Sent::Duplicate(id));
    place
        .messaging
        .drain("feeds", |_, _: Message| Ok(()))
        .unwrap();

    let id = send(&place, window()).id();
    place
        .messaging
        .drain("feeds", |_, _: Message| Ok(()))
        .unwrap();
    check_taken(&place, id);
    let mut own = client(&place.url);
    own.batch_execute("UPDATE outtray.dedupe SET expires_at = now() - interval '1 s'")
        .unwrap();
    let id = send(&place, feed(3)).id();
    check_taken(&place, id);
}

#[test]
fn a_message_without_such_a_key_pays_nothing_for_it() {
    let mut place = Place::new();
    place.send("feeds", &1);
    send(
        &place,
        NewMessage::json("feeds", &2).unwrap().dedupe("x", DAY),
    );
    assert_eq!(place.count("outtray.message WHERE on_end IS NOT NULL"), 0);
}

#[cfg(feature = "cron")]
#[test]
fn runs_of_a_recurring_message_do_not_pile_up_while_one_waits_or_is_in_work() {
    let mut place = Place::watchful();
    let every_second = outtray::Recurrence::cron("* * * * * *").unwrap();
    let message = feed(1);
    place
        .messaging
        .repeat("poll", &every_second, message)
        .unwrap();
    let known = place.messaging.recurring().unwrap();
    assert_eq!(known[0].dedupe_key.as_deref(), Some("feed-7"));
    let receiver = place
        .messaging
        .receiver("any")
        .start(|_, _: Message| Ok(()))
        .unwrap();
    let mut runs = || {
        let runs = "SELECT count(DISTINCT last_at) FROM outtray.recurring WHERE last_at > now() - interval '1 hour'";
        place.number(runs) > 0.0
    };
    eventually("one run is sent", &mut runs);

    for _ in 0..3 {
        place.sql("UPDATE outtray.recurring SET next_at = now(), last_at = NULL");
        eventually("the next one is due", || {
            place.number("SELECT count(last_at) FROM outtray.recurring") > 0.0
        });
        assert_eq!(place.count("outtray.message"), 1);
    }
    let handled = place
        .messaging
        .drain("feeds", |_, _: Message| Ok(()))
        .unwrap();
    assert!(handled.handled >= 1);
    receiver.stop(PATIENCE);

    let window = NewMessage::bytes("feeds", [1]).dedupe("k", DAY);
    let refused = place
        .messaging
        .repeat("poll", &every_second, window)
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}
