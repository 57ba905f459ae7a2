//! A tail returns what is committed, in order, each message once.

use super::{follow, place, rest};
use outtray::{NewMessage, Position};

#[test]
fn a_tail_from_the_start_sees_all_and_one_from_now_what_comes() {
    let place = place();
    place.send_all("ledger", [1, 2, 3]);
    let mut all = place.messaging.tail("ledger", Position::Start).unwrap();
    let mut new = place.messaging.tail("ledger", Position::Now).unwrap();

    place.send("ledger", &4);

    assert_eq!(follow(&mut all, 4), [1, 2, 3, 4]);
    assert_eq!(follow(&mut new, 1), [4]);
    assert!(rest(&mut all).is_empty() && rest(&mut new).is_empty());
}

#[test]
fn a_message_of_a_log_is_as_it_was_sent() {
    let place = place();
    let message = NewMessage::bytes("ledger", [1, 2, 3])
        .key("k")
        .header("a", "b");
    let id = place.send_new(message);

    let mut tail = place.messaging.tail("ledger", Position::Start).unwrap();
    let message = tail
        .next::<Vec<u8>>(crate::support::PATIENCE)
        .unwrap()
        .unwrap();

    assert_eq!(message.id, id);
    assert_eq!(message.payload, [1, 2, 3]);
    assert_eq!(message.key.as_deref(), Some("k"));
    assert_eq!(message.headers["a"], "b");
    assert_eq!(message.attempt, 1);
    assert!(message.log_position().unwrap() <= tail.position());
}
