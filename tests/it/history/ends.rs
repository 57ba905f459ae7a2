//! Every way to end leaves a row, in the transaction of the end.

use super::{ended, place, place_with, ways};
use crate::support::{HOUR, MINUTE, Place, awaited, done, reject};
use outtray::{
    Backoff, BatchMessage, DeadReason, Expired, HandlerError, How, Message, MessageId,
    MessagingSession, NewMessage, PoisonedKey, TopicConfig, TopicKind,
};
use std::time::Duration;

fn perishable(payload: i32) -> NewMessage {
    NewMessage::json("jobs", &payload).unwrap().expires_in(HOUR)
}

#[track_caller]
fn check(place: &Place, expected: &[(MessageId, How)]) {
    let mut found: Vec<_> = ended(&place.messaging)
        .iter()
        .map(|one| (one.id, one.how))
        .collect();
    found.sort_by_key(|(id, _)| *id);
    let mut expected = expected.to_vec();
    expected.sort_by_key(|(id, _)| *id);
    assert_eq!(found, expected);
}

#[test]
fn a_message_that_was_handled_has_a_row_with_all_that_is_known_of_it() {
    let place = place();
    let message = NewMessage::json("jobs", &1).unwrap().key("k");
    let id = place.send_new(message.message_type("order.created").tracked());

    let handler = |session: &mut MessagingSession<'_>, _: Message<i32>| {
        session.record_result(&"paid")?;
        Ok(())
    };
    place.messaging.drain("jobs", handler).unwrap();

    let found = ended(&place.messaging);
    let [one] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((one.id, one.how, one.attempts), (id, How::Done, 1));
    assert_eq!(
        (one.topic.as_str(), one.key.as_deref()),
        ("jobs", Some("k"))
    );
    assert_eq!(one.message_type.as_deref(), Some("order.created"));
    assert_eq!(one.result, Some("paid".into()));
    let process = one.process.as_deref().unwrap();
    assert!(process.ends_with(&format!("pid {}", std::process::id())));
    assert!(one.started_at.unwrap() >= one.sent_at);
    assert!(one.ended_at >= one.started_at.unwrap());
    assert_eq!((&one.payload, &one.headers), (&None, &None));
    assert_eq!((one.reason, &one.error), (None, &None));
    let json = serde_json::to_value(one).unwrap();
    assert_eq!(
        (&json["how"], &json["result"]),
        (&"done".into(), &"paid".into())
    );
}

#[test]
fn payloads_and_headers_are_kept_where_that_is_wanted() {
    let place = place_with(|config| config.keep_done_payload = true);
    let message = NewMessage::json("jobs", &42).unwrap();
    place.send_new(message.header("region", "eu"));
    place.send_new(NewMessage::bytes("jobs", b"\x01\x02"));

    place.drained("jobs");

    let found = ended(&place.messaging);
    let texts = found
        .iter()
        .map(|one| one.payload.as_ref().unwrap().to_string());
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    assert_eq!(texts[1], "42");
    let with_headers = found.iter().filter(|one| {
        let region = one.headers.as_ref().unwrap().get("region");
        region.map(String::as_str) == Some("eu")
    });
    assert_eq!(with_headers.count(), 1);
    let json = serde_json::to_value(&found).unwrap();
    assert!(
        json.to_string().contains("\"bytes_hex\":\"0102\""),
        "{json}"
    );
}

#[test]
fn a_batch_a_lease_and_a_session_under_a_lease_leave_rows() {
    let place = place();
    let mut expected = Vec::new();
    let mut send = || {
        let id = place.send("jobs", &1);
        expected.push((id, How::Done));
    };
    (0..3).for_each(|_| send());
    let batches = |_: &mut MessagingSession<'_>, _: &[BatchMessage<i32>]| Ok(());
    place
        .messaging
        .receiver("jobs")
        .drain_batches(10, batches)
        .unwrap();
    (0..2).for_each(|_| send());
    let mut is_first = true;
    let sessions = |session: &mut MessagingSession<'_>, _: Message<i32>| {
        if std::mem::take(&mut is_first) {
            session.execute("SELECT 1", &[])?;
        }
        Ok(())
    };
    place.leasing(MINUTE).drain(sessions).unwrap();

    check(&place, &expected);
    let found = ended(&place.messaging);
    assert!(
        found
            .iter()
            .all(|one| one.started_at.is_some() && one.attempts == 1)
    );
}

#[test]
fn what_is_settled_by_hand_leaves_rows() {
    let mut place = place();
    let ids: Vec<MessageId> = (0..5).map(|n| place.send("jobs", &n)).collect();

    place.take().ack().unwrap();
    let delivery = place.take();
    let settle = |session: &mut MessagingSession<'_>| Ok(session.settle(&delivery)?);
    place.messaging.session(settle).unwrap();
    place.take().reject("no").unwrap();
    let delivery = place.take();
    let mut open = place.client.transaction().unwrap();
    let mut session = MessagingSession::join(&place.messaging, &mut open).unwrap();
    session.settle(&delivery).unwrap();
    drop(session);
    open.commit().unwrap();
    let delivery = place.take();
    place.messaging.cancel(ids[4]).unwrap();
    delivery.nack().unwrap();

    let how = [How::Done, How::Done, How::Dead, How::Done, How::Cancelled];
    check(&place, &ids.into_iter().zip(how).collect::<Vec<_>>());
}

#[test]
fn what_is_rolled_back_leaves_no_row() {
    let place = place();
    place.send("jobs", &1);
    let delivery = place.take();

    let rolled_back = place.messaging.session(|session| {
        session.settle(&delivery)?;
        Err::<(), _>(HandlerError::failed("no"))
    });

    assert!(rolled_back.is_err());
    assert!(ended(&place.messaging).is_empty());
}

#[test]
fn a_dead_letter_has_its_reason_its_error_and_its_failures() {
    let place = place();
    let id = place.send("jobs", &1);

    let backoff = Backoff::fixed(Duration::ZERO).without_jitter();
    let receiver = place.messaging.receiver("jobs").backoff(backoff);
    let failing =
        |_: &mut MessagingSession<'_>, _: Message<i32>| Err(HandlerError::failed("no paper"));
    receiver.max_attempts(2).drain(failing).unwrap();

    let found = ended(&place.messaging);
    let one = &found[0];
    assert_eq!((one.id, one.how, one.attempts), (id, How::Dead, 2));
    assert_eq!(one.reason, Some(DeadReason::Exhausted));
    assert_eq!(one.error.as_deref(), Some("no paper"));
    let errors = one.failures.iter().map(|failure| failure.error.as_str());
    assert_eq!(errors.collect::<Vec<_>>(), ["no paper", "no paper"]);
    assert_eq!(one.process, Some(one.failures[1].process.clone()));
}

#[test]
fn a_redriven_message_has_a_row_for_each_end() {
    let place = place();
    place.send("jobs", &1);

    place.messaging.drain("jobs", reject).unwrap();
    place.jobs().redrive(..).unwrap();
    place.messaging.drain("jobs", done).unwrap();

    assert_eq!(ways(&place.messaging), [How::Done, How::Dead]);
    assert_eq!(ended(&place.messaging)[0].failures.len(), 1);
}

#[test]
fn messages_that_are_cancelled_leave_rows_wherever_they_waited() {
    let place = place();
    let keyed = || NewMessage::json("jobs", &1).unwrap().key("k");
    let ids = [
        place.send("jobs", &1),
        place.send_new(NewMessage::json("jobs", &1).unwrap().delay(HOUR)),
        place.send_new(keyed()),
        place.send_new(keyed()),
    ];

    for id in ids.iter().rev() {
        place.messaging.cancel(*id).unwrap();
    }

    check(&place, &ids.map(|id| (id, How::Cancelled)));
}

#[test]
fn a_handler_that_fails_after_a_cancel_leaves_a_row() {
    let place = place();
    for lease in [None, Some(MINUTE)] {
        let id = place.send("jobs", &1);
        let receiver = place.messaging.receiver("jobs");
        let receiver = match lease {
            None => receiver,
            Some(lease) => receiver.lease(lease),
        };
        let failing = |_: &mut MessagingSession<'_>, _: Message<i32>| {
            place.messaging.cancel(id)?;
            Err(HandlerError::failed("no"))
        };
        receiver.drain(failing).unwrap();
    }

    assert_eq!(ways(&place.messaging), [How::Cancelled, How::Cancelled]);
}

#[test]
fn messages_that_expire_leave_rows_as_dead_letters_and_as_dropped_ones() {
    for (expired, how) in [
        (Expired::DeadLetter, How::Dead),
        (Expired::Drop, How::Expired),
    ] {
        let mut place = place_with(|config| config.expired = Some(expired));
        let waiting = perishable(2).delay(Duration::from_secs(60));
        let ids = [
            place.send_new(perishable(1)),
            place.send_new(waiting),
            place.send_new(perishable(3).key("k")),
            place.send_new(perishable(4).key("k")),
        ];
        place.make_expired();

        let _receiver = place.idle_receiver();
        crate::support::eventually("all have ended", || ended(&place.messaging).len() == 4);

        check(&place, &ids.map(|id| (id, how)));
        let has_reason = ended(&place.messaging)[0].reason.is_some();
        assert_eq!(has_reason, how == How::Dead);
    }
}

#[test]
fn a_message_that_has_expired_when_it_is_claimed_leaves_a_row() {
    for lease in [None, Some(MINUTE)] {
        let mut place = place_with(|config| config.expired = Some(Expired::Drop));
        let id = place.send_new(perishable(1));
        place.make_expired();
        let receiver = place.messaging.receiver("jobs");
        let receiver = match lease {
            None => receiver,
            Some(lease) => receiver.lease(lease),
        };

        receiver.drain(done).unwrap();

        check(&place, &[(id, How::Expired)]);
    }
}

#[test]
fn orphans_and_parked_messages_leave_rows() {
    let place = place_with(|config| config.poisoned_key = Some(PoisonedKey::Park));
    let first = place.send_new(NewMessage::json("other", &1).unwrap().tracked());
    let orphan = NewMessage::json("jobs", &1).unwrap().after(&[first]);
    let orphan = place.send_new(orphan);
    place.messaging.cancel(first).unwrap();
    let keyed = || NewMessage::json("jobs", &1).unwrap().key("k");
    let poison = place.send_new(keyed());
    let parked = place.send_new(keyed());

    place.messaging.drain("jobs", reject).unwrap();
    place.messaging.drain("jobs", reject).unwrap();

    check(&place, &[orphan, poison, parked].map(|id| (id, How::Dead)));
}

#[test]
fn what_a_reader_of_a_log_gives_up_leaves_a_row() {
    let place = Place::new();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.jobs().configure(log).unwrap();
    let aside = TopicConfig {
        keep_done: Some(24 * HOUR),
        ..TopicConfig::default()
    };
    let side = place.messaging.topic("jobs@billing");
    side.configure(aside).unwrap();
    place.send("jobs", &1);

    let reader = place.messaging.reader("jobs", "billing");
    let failing =
        |_: &mut MessagingSession<'_>, _: &[Message<i32>]| Err(HandlerError::reject("no"));
    let receiver = reader.start(failing).unwrap();
    crate::support::eventually("it is given up", || {
        side.dead_letters(1).unwrap().len() == 1
    });
    receiver.stop(crate::support::PATIENCE);

    let query = outtray::HistoryQuery::topic("jobs@billing");
    let found = place.messaging.history(&query).unwrap();
    assert_eq!((found.len(), found[0].how), (1, How::Dead));
}

#[test]
fn sql_functions_leave_rows() {
    let mut place = place();
    let ids: Vec<MessageId> = (0..3).map(|n| place.send("jobs", &n)).collect();
    let receive = "SELECT id, receipt FROM outtray.receive('jobs', '1 minute', 2)";
    let rows = place.client.query(receive, &[]).unwrap();
    for (row, settle) in rows.iter().zip(["ack", "reject"]) {
        let (id, receipt): (uuid::Uuid, uuid::Uuid) = (row.get(0), row.get(1));
        let settle = format!("SELECT outtray.{settle}($1, $2)");
        place.client.execute(&settle, &[&id, &receipt]).unwrap();
    }
    let cancel = format!("SELECT outtray.cancel('{}')", ids[2]);
    place.sql(&cancel);

    let mut found = ways(&place.messaging);
    found.sort_by_key(|how| how.as_str());
    assert_eq!(found, [How::Cancelled, How::Dead, How::Done]);
}

#[test]
fn a_topic_that_keeps_none_has_none() {
    let mut place = Place::new();
    place.send_all("jobs", 0..3);

    place.drained("jobs");

    assert_eq!(place.count("outtray.history"), 0);
}

#[test]
fn a_purge_and_the_removal_of_dead_letters_leave_no_rows() {
    let place = place();
    place.send_all("jobs", 0..3);
    place.jobs().purge().unwrap();
    place.send("jobs", &1);
    place.messaging.drain("jobs", reject).unwrap();
    place.jobs().purge_dead_letters(..).unwrap();

    assert_eq!(ways(&place.messaging), [How::Dead]);
}

#[test]
fn a_receiver_in_strict_order_leaves_rows() {
    let place = place();
    let ids: Vec<MessageId> = (0..3)
        .map(|_| place.send_new(crate::support::tracked("jobs", 1)))
        .collect();

    let receiver = place.messaging.receiver("jobs").strict_order();
    let receiver = receiver.start(done).unwrap();
    for id in &ids {
        awaited(&place.messaging, *id);
    }
    receiver.stop(crate::support::PATIENCE);

    let expected: Vec<_> = ids.into_iter().map(|id| (id, How::Done)).collect();
    check(&place, &expected);
}
