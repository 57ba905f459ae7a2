//! What the handler of one message sends names its message, correlates with it, and goes on with
//! its trace, in whichever way it is sent.

use super::{TRACE, job, only, taken};
use crate::support::{MINUTE, PATIENCE, Place, done, next, reject};
use crossbeam_channel::unbounded;
use outtray::envelope::{CAUSATION_ID, CORRELATION_ID, TRACEPARENT, TRACESTATE};
use outtray::{
    Filter, Headers, Message, MessageId, Messaging, MessagingSession, NewMessage, Result,
};

fn mail() -> NewMessage {
    NewMessage::json("mails", "hello").unwrap()
}

/// Drains the jobs by a handler that sends.
fn handle(place: &Place, send: impl Fn(&mut MessagingSession<'_>) -> Result<()>) {
    let drained = place
        .messaging
        .drain("jobs", |session, _: Message| Ok(send(session)?));
    let report = drained.unwrap();
    assert_eq!((report.handled, report.dead), (1, 0));
}

/// Checks that a message follows from the job, and correlates with this.
#[track_caller]
fn check_follows(message: &Message, job: MessageId, correlation: &str) {
    assert_eq!(message.causation_id(), Some(job.to_string().as_str()));
    assert_eq!(message.correlation_id(), Some(correlation));
}

/// Checks that `send` of a handler gives a message to the topic of mails that follows from its own.
#[track_caller]
fn check_way(send: impl Fn(&mut MessagingSession<'_>) -> Result<()>) {
    let place = Place::new();
    place.messaging.subscribe("mail.*", "mails").unwrap();
    let id = place.send_new(job().correlation_id("order-7").traceparent(TRACE));

    handle(&place, send);

    let mails = taken(&place, "mails");
    assert!(!mails.is_empty());
    for mail in mails {
        check_follows(&mail, id, "order-7");
        assert_eq!(mail.traceparent(), Some(TRACE));
    }
}

#[test]
fn each_way_to_send_carries_on_from_the_message_in_work() {
    check_way(|session| session.send_message("mails", "one").map(drop));
    check_way(|session| session.send_messages("mails", ["one", "two"]).map(drop));
    check_way(|session| session.send(mail().key("k")).map(drop));
    check_way(|session| session.send(mail().dedupe("d", MINUTE)).map(drop));
    check_way(|session| session.send(mail().header("own", "value")).map(drop));
    check_way(|session| session.send_all([mail(), mail().priority(3)]).map(drop));
    check_way(|session| session.publish("mail.new", "one").map(drop));
    check_way(|session| session.send_group([mail(), mail()], mail()).map(drop));
    check_way(|session| session.send_messages("mails", 0..3_000).map(drop));
    check_way(|session| session.send_messages("mails", 0..6_000).map(drop));
}

#[test]
fn a_message_that_correlates_with_nothing_begins() {
    let place = Place::new();
    let id = place.send("jobs", &1);

    handle(&place, |session| {
        session.send_message("mails", "hello").map(drop)
    });

    let mail = only(&place, "mails");
    check_follows(&mail, id, &id.to_string());
    assert_eq!(mail.headers.len(), 2, "no trace begins by itself");
}

#[test]
fn what_follows_of_what_follows_correlates_with_the_first() {
    let place = Place::new();
    let first = place.send("jobs", &1);
    handle(&place, |session| {
        session.send_message("second", "x").map(drop)
    });
    let drained = place.messaging.drain("second", |session, second: Message| {
        session.send_message("third", &second.id)?;
        Ok(())
    });
    drained.unwrap();

    let third = only(&place, "third");

    let second: MessageId = third.payload.as_str().unwrap().parse().unwrap();
    check_follows(&third, second, &first.to_string());
}

#[test]
fn what_a_handler_says_itself_counts() {
    let place = Place::new();
    let id = place.send_new(job().traceparent(TRACE).tracestate("a=1"));
    let own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    handle(&place, |session| {
        session.send(mail().correlation_id("mine").traceparent(own))?;
        session.send(mail().null_header(CAUSATION_ID).null_header(TRACEPARENT))?;
        Ok(())
    });

    let mails = taken(&place, "mails");
    check_follows(&mails[0], id, "mine");
    assert_eq!(mails[0].traceparent(), Some(own));
    assert!(
        !mails[0].headers.contains_key(TRACESTATE),
        "it is of the other trace"
    );
    assert_eq!(mails[1].causation_id(), None);
    assert_eq!(mails[1].correlation_id(), Some(id.to_string().as_str()));
    assert_eq!(mails[1].traceparent(), None);
    assert_eq!(mails[1].tracestate(), None);
}

#[test]
fn a_bad_trace_is_not_carried_on_and_disturbs_nobody() {
    let mut place = Place::new();
    place.write(
        "jobs",
        r#"{"traceparent": "00-bad", "tracestate": "a=1"}"#,
        "1",
    );

    handle(&place, |session| {
        session.send_message("mails", "hello").map(drop)
    });

    let mail = only(&place, "mails");
    assert_eq!(mail.headers.len(), 2, "{:?}", mail.headers);
}

#[test]
fn headers_that_would_become_too_large_are_sent_without_what_is_carried() {
    let place = Place::new();
    let long = "c".repeat(16_300);
    place.send_new(job().header(CORRELATION_ID, &long));

    handle(&place, |session| {
        session.send(mail().header("own", "v".repeat(200)))?;
        session.publish_message("mail.new", mail().header("own", "v".repeat(200)))?;
        Ok(())
    });

    let mail = only(&place, "mails");
    assert_eq!(mail.headers.len(), 1);
}

#[test]
fn sessions_outside_of_handlers_carry_nothing() {
    let place = Place::new();

    place
        .messaging
        .session(|session| {
            session.send_message("mails", "one")?;
            session.send_messages("mails", ["two", "three"])?;
            Ok(())
        })
        .unwrap();
    place.messaging.send(mail()).unwrap();

    assert!(
        taken(&place, "mails")
            .iter()
            .all(|mail| mail.headers.is_empty())
    );
}

#[test]
fn it_can_be_turned_off() {
    let place = Place::new();
    let id = place.send_new(job().correlation_id("order-7").traceparent(TRACE));
    let off = Messaging::builder().url(&place.url).correlation(false);
    let off = off.connect().unwrap();

    let drained = off.drain("jobs", |session, message: Message| {
        session.send_message("mails", "hello")?;
        session.send(mail().caused_by(&message))?;
        Ok(())
    });

    drained.unwrap();
    let mails = taken(&place, "mails");
    assert!(mails[0].headers.is_empty());
    check_follows(&mails[1], id, "order-7");
    assert_eq!(mails[1].traceparent(), Some(TRACE));
}

#[test]
fn each_message_of_a_transaction_is_the_cause_of_what_its_handler_sends() {
    let place = Place::new();
    let ids: Vec<MessageId> = (0..20).map(|_| place.send("jobs", &1)).collect();
    let (tell, told) = unbounded();
    let receiver = place.messaging.receiver("jobs").workers(1);
    let receiver = receiver.start(move |session, message: Message| {
        session.send_message("mails", &message.id)?;
        Ok(tell.send(())?)
    });
    let receiver = receiver.unwrap();
    next(&told, ids.len());
    receiver.stop(PATIENCE);

    let mails = taken(&place, "mails");

    assert_eq!(mails.len(), ids.len());
    for mail in mails {
        let job: MessageId = mail.payload.as_str().unwrap().parse().unwrap();
        check_follows(&mail, job, &job.to_string());
    }
}

#[test]
fn a_handler_under_a_lease_and_a_delivery_settled_in_a_session_do_the_same() {
    let place = Place::new();
    let id = place.send_new(job().correlation_id("order-7").traceparent(TRACE));
    place.messaging.subscribe("mail.*", "mails").unwrap();
    let drained = place.leasing(MINUTE).drain(|session, _: Message| {
        session.send_message("mails", "one")?;
        session.publish("mail.new", "two")?;
        Ok(())
    });
    drained.unwrap();
    let mails = taken(&place, "mails");
    assert_eq!(mails.len(), 2);
    mails
        .iter()
        .for_each(|mail| check_follows(mail, id, "order-7"));

    for is_whole in [true, false] {
        let id = place.send_new(job().correlation_id("order-8").traceparent(TRACE));
        let work = |session: &mut MessagingSession<'_>| {
            session.send_message("mails", "three")?;
            Ok(())
        };
        let delivery = place.take();
        match is_whole {
            true => delivery.settle_in(work).unwrap(),
            false => delivery.into_parts().1.settle_in(work).unwrap(),
        }
        let mail = only(&place, "mails");
        check_follows(&mail, id, "order-8");
        assert_eq!(mail.traceparent(), Some(TRACE));
    }
}

#[test]
fn subscriptions_with_filters_see_what_is_carried() {
    let place = Place::new();
    let wanted = Filter::new().equals(CORRELATION_ID, "order-7");
    let subscribed = place
        .messaging
        .subscribe_matching("mail.*", "mails", &wanted);
    subscribed.unwrap();
    let id = place.send_new(job().correlation_id("order-7"));
    place.send_new(job().correlation_id("order-8"));

    let published = place.messaging.drain("jobs", |session, _: Message| {
        session.publish("mail.new", "one")?;
        Ok(())
    });

    published.unwrap();
    check_follows(&only(&place, "mails"), id, "order-7");
}

#[test]
fn a_receiver_may_want_what_correlates_with_something() {
    let place = Place::new();
    for order in ["order-7", "order-8"] {
        place.send_new(job().correlation_id(order));
    }
    let drained = place.messaging.drain("jobs", |session, _: Message| {
        session.send_message("mails", "hello")?;
        Ok(())
    });
    drained.unwrap();

    let wanted = Filter::new().equals(CORRELATION_ID, "order-8");
    let mails = place.messaging.receiver("mails").filter(wanted);

    let report = mails.drain(done).unwrap();
    assert_eq!(report.handled, 1);
    assert_eq!(only(&place, "mails").correlation_id(), Some("order-7"));
}

#[test]
fn headers_stay_through_retries_dead_letters_and_redriving() {
    let place = Place::new();
    let id = place.send_new(job().traceparent(TRACE).schema_version(3));
    handle(&place, |session| {
        session.send_message("mails", "hello").map(drop)
    });
    place.messaging.drain("mails", reject).unwrap();
    let letter = &place.dead_letters("mails")[0];
    let expected: Headers = [
        (CAUSATION_ID, id.to_string()),
        (CORRELATION_ID, id.to_string()),
        (TRACEPARENT, TRACE.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    assert_eq!(letter.headers, expected);

    place.messaging.topic("mails").redrive(..).unwrap();

    assert_eq!(only(&place, "mails").headers, expected);
}
