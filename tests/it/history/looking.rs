//! The history is looked into by topic, id, key, way to end and time, page by page.

use super::{ended, paged, place};
use crate::support::{HOUR, MINUTE, Place, reject};
use outtray::{ErrorKind, HistoryQuery, How, Message, MessagingSession, NewMessage};

/// Handles messages 0 to 5: those with even numbers have the key `even`, and one dies.
fn six() -> Place {
    let place = place();
    for number in 0..6 {
        let message = NewMessage::json("jobs", &number).unwrap();
        place.send_new(match number % 2 {
            0 => message.key("even"),
            _ => message,
        });
        match number {
            3 => place.messaging.drain("jobs", reject).unwrap(),
            _ => {
                let handler = |_: &mut MessagingSession<'_>, _: Message<i32>| Ok(());
                place.messaging.drain("jobs", handler).unwrap()
            }
        };
    }
    place
}

fn count(place: &Place, query: &HistoryQuery) -> usize {
    place.messaging.history(query).unwrap().len()
}

#[test]
fn messages_are_found_by_key_and_by_how_they_ended() {
    let place = six();
    let jobs = || HistoryQuery::topic("jobs");

    assert_eq!(count(&place, &jobs()), 6);
    assert_eq!(count(&place, &jobs().key("even")), 3);
    assert_eq!(count(&place, &jobs().key("odd")), 0);
    assert_eq!(count(&place, &jobs().how(How::Dead)), 1);
    assert_eq!(count(&place, &jobs().how(How::Done)), 5);
    assert_eq!(count(&place, &jobs().how(How::Dead).key("even")), 0);
    assert_eq!(count(&place, &HistoryQuery::topic("other")), 0);
}

#[test]
fn a_message_is_found_by_its_id_alone() {
    let place = six();
    let third = ended(&place.messaging)[3].id;

    assert_eq!(count(&place, &HistoryQuery::message(third)), 1);
    assert_eq!(count(&place, &HistoryQuery::topic("jobs").id(third)), 1);
    assert_eq!(count(&place, &HistoryQuery::topic("other").id(third)), 0);
}

#[test]
fn pages_follow_each_other_without_a_gap() {
    let mut place = six();
    // All at one moment: the ids decide.
    place.sql("UPDATE outtray.history SET ended_at = now() WHERE how = 'done'");
    let all = ended(&place.messaging);
    let paged = paged(&place.messaging, HistoryQuery::topic("jobs").limit(2));

    assert_eq!(paged, all);
    assert_eq!(all.len(), 6);
}

#[test]
fn only_what_ended_in_a_time_is_found() {
    let mut place = six();
    place.sql(
        "UPDATE outtray.history SET ended_at = ended_at - interval '2 hours' WHERE how = 'dead'",
    );
    let jobs = || HistoryQuery::topic("jobs");
    let dead = place.messaging.history(&jobs().how(How::Dead)).unwrap();
    let at = dead[0].ended_at;

    assert_eq!(count(&place, &jobs().within(HOUR)), 5);
    assert_eq!(count(&place, &jobs().within(3 * HOUR)), 6);
    assert_eq!(count(&place, &jobs().since(at)), 6);
    assert_eq!(count(&place, &jobs().since(at + MINUTE)), 5);
    assert_eq!(count(&place, &jobs().until(at)), 0);
    assert_eq!(count(&place, &jobs().until(at + MINUTE)), 1);
}

#[test]
fn a_bad_name_is_refused() {
    let place = Place::new();

    let refused = place.messaging.history(&HistoryQuery::topic("a b"));

    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_row_that_cannot_be_read_spoils_only_itself() {
    let mut place = six();
    place.sql(
        "UPDATE outtray.history SET how = 'later', reason = 'later', failures = '7', result = '[1e999]',
            sent_at = 'infinity', started_at = '-infinity'
        WHERE how = 'dead'",
    );

    assert_eq!(ended(&place.messaging).len(), 6);
}
