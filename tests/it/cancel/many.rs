//! Many messages are given up at once.

use super::worker;
use crate::support::{Gate, NO_POLLING, PATIENCE, Place, awaited, eventually, tracked};
use outtray::{Backoff, Cancelled, ErrorKind, HandlerError, How, Message, MessageId, NewMessage};
use std::time::Duration;

#[test]
fn messages_are_cancelled_by_their_headers() {
    let place = Place::polling(NO_POLLING);
    let message = |n: i32| NewMessage::json("mail", &n).unwrap();
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .receiver("mail")
        .workers(1)
        .messages_per_transaction(1)
        .backoff(Backoff::fixed(Duration::from_secs(60)))
        .start(move |_, message: Message<i32>| {
            if message.payload == 1 {
                handler_gate.pass();
                assert!(message.is_cancelled());
            }
            Err(HandlerError::failed("no"))
        })
        .unwrap();
    let spring = |n| message(n).header("campaign", "spring");
    place.send_new(spring(1).header("country", "ch"));
    gate.await_arrivals(1);
    place.send_new(
        spring(2)
            .header("country", "ch")
            .delay(Duration::from_secs(60)),
    );
    for n in 3..6 {
        place.send_new(spring(n).header("country", "ch").header("more", "x"));
    }
    place.send_new(spring(6));
    place.send_new(spring(7).header("country", "de"));
    place.send_new(message(8));
    place.send_new(
        NewMessage::json("other", &9)
            .unwrap()
            .header("campaign", "spring"),
    );

    let topic = place.messaging.topic("mail");
    let wanted = [("campaign", "spring"), ("country", "ch")];
    assert_eq!(topic.cancel_where(wanted).unwrap(), 5);
    assert_eq!(topic.cancel_where([("missing", "")]).unwrap(), 0);
    assert_eq!(
        topic.cancel_where([("campaign", "' OR 'a'='a")]).unwrap(),
        0
    );
    let nothing: [(&str, &str); 0] = [];
    let refused = topic.cancel_where(nothing).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    gate.open_for(1);

    eventually("the others wait for their retries", || {
        let stats = topic.stats().unwrap();
        (stats.ready, stats.scheduled) == (0, 3)
    });
    receiver.stop(PATIENCE);
    assert_eq!(place.messaging.topic("other").stats().unwrap().ready, 1);
}

#[test]
fn a_campaign_of_many_thousands_is_cancelled_and_nothing_else() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload, headers)
             SELECT 'mail', 0, gen_random_uuid(), '1', json_build_object('campaign', CASE n % 4 WHEN 0 THEN 'autumn' ELSE 'spring' END)
             FROM generate_series(1, 16000) AS n",
    );

    let cancelled = place
        .messaging
        .topic("mail")
        .cancel_where([("campaign", "spring")]);

    assert_eq!(cancelled.unwrap(), 12_000);
    assert_eq!(place.count("outtray.message"), 4_000);
    let spring = "outtray.message WHERE headers ->> 'campaign' = 'spring'";
    assert_eq!(place.count(spring), 0);
    assert_eq!(place.count("outtray.cancellation"), 0);
}

#[test]
fn requests_beyond_those_that_are_known_at_a_time_are_met_too() {
    let mut place = Place::watchful();
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload)
             SELECT 'mail', 0, gen_random_uuid(), '1' FROM generate_series(1, 11000)",
    );
    place.sql("INSERT INTO outtray.cancellation (topic, id) SELECT topic, id FROM outtray.message");

    let _receiver = place.idle_receiver();

    eventually("all are removed", || place.count("outtray.message") == 0);
    assert_eq!(place.count("outtray.cancellation"), 0);
}

#[test]
fn many_are_cancelled_in_one_call_and_each_is_answered_for() {
    let place = Place::polling(NO_POLLING);
    let gate = Gate::new();
    let in_work = place.send_new(tracked("jobs", 1));
    let receiver = gate.holding(worker(&place.messaging, false));
    gate.await_arrivals(1);
    let ready = place.send("others", &2);
    let tracked_one = place.send_new(tracked("others", 1));
    let hour = Duration::from_secs(3600);
    let later = place.send_new(tracked("jobs", 1).delay(hour));
    let leased = place.send("leased", &3);
    let delivery = place.messaging.topic("leased").receive::<i32>(hour);
    let delivery = delivery.unwrap().unwrap();
    let unknown = MessageId::from(uuid::Uuid::now_v7());
    let ids = [unknown, ready, in_work, later, leased, ready, tracked_one];

    let ends = place.messaging.cancel_all(&ids).unwrap();

    use Cancelled::{Asked, NotThere, Removed};
    assert_eq!(
        ends,
        [NotThere, Removed, Asked, Removed, Asked, Removed, Removed]
    );
    assert_eq!(place.messaging.cancel_all(&[]).unwrap(), []);
    let again = place.messaging.cancel_all(&[ready, later]).unwrap();
    assert_eq!(again, [NotThere, NotThere]);
    assert_eq!(awaited(&place.messaging, later).how, How::Cancelled);
    delivery.nack().unwrap();
    assert!(place.is_empty("leased"));
    gate.open_for(1);
    assert_eq!(awaited(&place.messaging, in_work).how, How::Done);
    receiver.stop(PATIENCE);
}

#[test]
fn a_message_that_the_database_does_not_let_go_keeps_no_other_request_from_being_met() {
    let mut place = Place::watchful();
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload)
             SELECT 'mail', 0, gen_random_uuid(), CASE n WHEN 50 THEN '0' ELSE '1' END::json
             FROM generate_series(1, 100) AS n;
         INSERT INTO outtray.cancellation (topic, id) SELECT topic, id FROM outtray.message;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF OLD.payload::text = '0' THEN RAISE EXCEPTION 'not this one'; END IF;
             RETURN OLD;
         END $$;
         CREATE TRIGGER refused BEFORE DELETE ON outtray.message FOR EACH ROW EXECUTE FUNCTION refuse()",
    );

    let _receiver = place.idle_receiver();

    eventually("the others are removed", || {
        place.count("outtray.message") == 1
    });
    assert_eq!(place.count("outtray.cancellation"), 1);
}
