//! What ended together shares a row of the history, and is found and shown as if it had its own.

use super::{ended, paged, place, place_with};
use crate::support::{HOUR, Place};
use outtray::{BatchMessage, HistoryQuery, MessageId, MessagingSession, NewMessage};
use std::collections::HashSet;

/// Handles all messages in one transaction.
fn handle_together(place: &Place) {
    let done = |_: &mut MessagingSession<'_>, _: &[BatchMessage<i32>]| Ok(());
    let receiver = place.messaging.receiver("jobs");
    receiver.drain_batches(50, done).unwrap();
}

/// Sends messages from a session each, so that they are sent at different times.
fn send_apart(place: &Place, count: i32) -> Vec<MessageId> {
    (0..count).map(|n| place.send("jobs", &n)).collect()
}

fn rows(place: &mut Place) -> i64 {
    place.count("outtray.history")
}

#[test]
fn what_ended_together_is_found_one_by_one_and_page_by_page() {
    let mut place = place();
    let sent = place
        .messaging
        .session(|session| Ok(session.send_messages("jobs", 0..20)?));
    let ids = sent.unwrap();
    handle_together(&place);

    assert!(rows(&mut place) < 20, "few rows have all of them");
    let all = ended(&place.messaging);
    let found: HashSet<MessageId> = all.iter().map(|one| one.id).collect();
    assert_eq!(found, ids.iter().copied().collect());
    for one in &all {
        let query = HistoryQuery::message(one.id);
        let alone = place.messaging.history(&query).unwrap();
        assert_eq!(alone, std::slice::from_ref(one));
    }
    let paged = paged(&place.messaging, HistoryQuery::topic("jobs").limit(3));
    assert_eq!(paged, all);
}

#[test]
fn each_keeps_the_time_when_it_was_sent() {
    let place = place();
    let ids = send_apart(&place, 5);
    handle_together(&place);

    let sent_at = |id: MessageId| {
        let found = place.messaging.history(&HistoryQuery::message(id));
        found.unwrap()[0].sent_at
    };
    let times: Vec<_> = ids.iter().map(|id| sent_at(*id)).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
    outtray::testing::advance(&place.messaging, HOUR).unwrap();
    for (id, time) in ids.iter().zip(times) {
        assert_eq!(sent_at(*id), time - HOUR);
    }
}

#[test]
fn what_differs_has_rows_of_its_own() {
    let mut place = place();
    let message = |n: i32| NewMessage::json("jobs", &n).unwrap();
    place
        .messaging
        .session(|session| {
            session.send_messages("jobs", 0..3)?;
            session.send(message(3).key("a"))?;
            session.send(message(4).message_type("paid"))?;
            session.send(message(5).message_type("paid"))?;
            Ok(())
        })
        .unwrap();
    place.sql("UPDATE outtray.message SET attempts = 2 WHERE payload::text = '0'");
    handle_together(&place);

    let all = ended(&place.messaging);
    let keys: Vec<_> = all.iter().filter_map(|one| one.key.as_deref()).collect();
    let types = all.iter().filter(|one| one.message_type.is_some());
    let again: Vec<_> = all.iter().filter(|one| one.attempts == 3).collect();
    assert_eq!((all.len(), keys, types.count()), (6, vec!["a"], 2));
    assert_eq!(again.len(), 1);
    // One more where their ids do not begin alike.
    assert!((4..=5).contains(&rows(&mut place)));
    let keyed = HistoryQuery::topic("jobs").key("a");
    assert_eq!(place.messaging.history(&keyed).unwrap().len(), 1);
}

#[test]
fn payloads_are_kept_of_what_shares_a_row_too() {
    let place = place_with(|config| config.keep_done_payload = true);
    place.send_all("jobs", [1, 1, 2]);
    handle_together(&place);

    let mut payloads: Vec<String> = ended(&place.messaging)
        .iter()
        .map(|one| one.payload.as_ref().unwrap().to_string())
        .collect();
    payloads.sort();
    assert_eq!(payloads, ["1", "1", "2"]);
}
