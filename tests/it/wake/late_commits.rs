//! A message whose transaction commits after later ones is handled soon, whatever its receiver
//! waited for meanwhile.

use crate::support::{Gate, NO_POLLING, PATIENCE, Place, client, eventually, next};
use crossbeam_channel::{Receiver as Channel, unbounded};
use outtray::{Message, MessagingSession, NewMessage, Receiver};
use postgres::{Client, Transaction};
use std::time::Duration;

/// A message that sends one whose key is in other hands.
const WAITS: i32 = 1;

/// Receives with one worker. A handler of [`WAITS`] passes the gate, and its COMMIT waits for a
/// key.
fn receive(place: &Place, gate: &Gate) -> (Receiver, Channel<i32>) {
    let (tell, told) = unbounded();
    let gate = gate.clone();
    let receiver = place
        .messaging
        .receiver("news")
        .workers(1)
        .start(move |session, message: Message<i32>| {
            if message.payload == WAITS {
                gate.pass();
                session.send(NewMessage::json("keyed", &0)?.key("busy"))?;
            }
            Ok(tell.send(message.payload)?)
        })
        .unwrap();
    (receiver, told)
}

/// Sends number 7 in a transaction that stays open.
fn send_late<'c>(place: &Place, client: &'c mut Client) -> Transaction<'c> {
    let mut open = client.transaction().unwrap();
    MessagingSession::join(&place.messaging, &mut open)
        .unwrap()
        .send_message("news", &7)
        .unwrap();
    open
}

/// Sends messages one after the other, each when the one before was handled, and checks that number
/// 7, which nobody was told of, comes too.
#[track_caller]
fn check_that_seven_comes(place: &Place, told: &Channel<i32>) {
    let mut came = Vec::new();
    for n in [8, 9] {
        place.send("news", &n);
        while !came.contains(&n) {
            came.extend(next(told, 1));
        }
    }
    if !came.contains(&7) {
        came.extend(next(told, 1));
    }
    came.sort_unstable();
    assert_eq!(came, [7, 8, 9]);
}

#[test]
fn a_message_that_commits_late_comes_soon_also_after_a_commit_that_waited_for_long() {
    let mut place = Place::polling(NO_POLLING);
    let gate = Gate::new();
    let (receiver, told) = receive(&place, &gate);
    let (mut late, mut holder) = (client(&place.url), client(&place.url));
    let late = send_late(&place, &mut late);
    let mut holder = holder.transaction().unwrap();
    MessagingSession::join(&place.messaging, &mut holder)
        .unwrap()
        .send(NewMessage::json("keyed", &0).unwrap().key("busy"))
        .unwrap();

    place.send("news", &WAITS);
    gate.await_arrivals(1);
    // After half a second it is time to look for what committed late.
    assert!(told.recv_timeout(Duration::from_millis(700)).is_err());
    gate.open_for(1);
    assert_eq!(next(&told, 1), [WAITS]);
    // The COMMIT waits, and what travels with it.
    place.await_lock_waits(1);
    assert!(told.recv_timeout(Duration::from_millis(1500)).is_err());
    holder.rollback().unwrap();
    eventually("it is over", || place.is_empty("news"));
    late.commit().unwrap();

    check_that_seven_comes(&place, &told);
    receiver.stop(PATIENCE);
}
