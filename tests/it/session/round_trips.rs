//! How often a session or a worker goes to the database and back, seen from the wire between.

use super::place;
use crate::support::{PATIENCE, Relay, carry_all, eventually};
use outtray::{Message, Messaging, MessagingSession, NewMessage};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// Stands before a server, and counts what clients wait for.
fn counting(url: &str) -> (Relay, Arc<AtomicUsize>) {
    let round_trips = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&round_trips);
    let relay = Relay::before(url, move |client, server| {
        let server = TcpStream::connect(server).unwrap();
        carry_all(server.try_clone().unwrap(), client.try_clone().unwrap());
        count(client, server, &counted);
    });
    (relay, round_trips)
}

/// Passes on what the client says, and counts Query and Sync: the server answers each with one
/// ReadyForQuery, for which the client waits. The first message has no letter: the startup.
fn count(mut client: TcpStream, mut server: TcpStream, round_trips: &AtomicUsize) {
    let mut pass = |has_letter: bool| -> io::Result<()> {
        let mut head = vec![0; if has_letter { 5 } else { 4 }];
        client.read_exact(&mut head)?;
        let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap());
        let mut rest = vec![0; length as usize - 4];
        client.read_exact(&mut rest)?;
        if has_letter && matches!(head[0], b'Q' | b'S') {
            round_trips.fetch_add(1, Ordering::SeqCst);
        }
        head.extend(rest);
        server.write_all(&head)
    };
    let mut passed = pass(false);
    while passed.is_ok() {
        passed = pass(true);
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// Checks how many round trips a session takes once its statements are prepared.
#[track_caller]
fn check(
    is_pooler_safe: bool,
    expected: usize,
    work: impl Fn(&mut MessagingSession<'_>) -> outtray::Result<()>,
) {
    check_all(is_pooler_safe, expected, |messaging| {
        messaging.session(|session| Ok(work(session)?))
    });
}

/// The same for whatever is done with the front door.
#[track_caller]
fn check_all(
    is_pooler_safe: bool,
    expected: usize,
    work: impl Fn(&Messaging) -> outtray::Result<()>,
) {
    let place = place();
    let (relay, round_trips) = counting(&place.url);
    let messaging = Messaging::builder()
        .url(relay.url())
        .pooler_safe(is_pooler_safe)
        // The notifier has a connection of its own, but talks through the same relay.
        .notify(false)
        .connect()
        .unwrap();

    let mut counts = Vec::new();
    for _ in 0..6 {
        let before = round_trips.load(Ordering::SeqCst);
        work(&messaging).unwrap();
        counts.push(round_trips.load(Ordering::SeqCst) - before);
    }

    // The first one prepares; on a busy machine a pause between two makes the pool test the
    // connection.
    assert_eq!(counts.iter().min(), Some(&expected), "{counts:?}");
}

#[test]
fn a_session_that_only_sends_is_one_round_trip() {
    check(false, 1, |session| {
        session.send_message("things", &1).map(drop)
    });
}

#[test]
fn a_session_that_only_sends_is_one_round_trip_however_many_messages_it_sends() {
    check(false, 1, |session| {
        session.send_messages("things", 0..100)?;
        session.send_message("others", &1).map(drop)
    });
}

#[test]
fn a_session_that_only_sends_is_one_round_trip_behind_a_pooler_too() {
    check(true, 1, |session| {
        session.send_message("things", &1).map(drop)
    });
}

#[test]
fn a_session_that_does_nothing_asks_nothing() {
    check(false, 0, |_| Ok(()));
}

#[test]
fn a_session_that_writes_and_sends_is_four_round_trips() {
    // BEGIN, its own statement, what it sends, and COMMIT.
    check(false, 4, |session| {
        session.execute("INSERT INTO thing VALUES (gen_random_uuid())", &[])?;
        session.send_messages("things", 0..10).map(drop)
    });
}

fn deduped(number: usize) -> NewMessage {
    let window = Duration::from_secs(60);
    NewMessage::bytes("things", [1]).dedupe(format!("{number}-{}", fastrand::u64(..)), window)
}

#[test]
fn a_session_that_sends_with_a_dedupe_key_is_two_round_trips() {
    // BEGIN with the key, and the message with COMMIT.
    check(false, 2, |session| session.send(deduped(0)).map(drop));
    check(true, 2, |session| session.send(deduped(0)).map(drop));
}

#[test]
fn a_message_that_is_sent_alone_is_one_round_trip() {
    let plain = || NewMessage::bytes("things", [1]);
    let duplicate = deduped(0);
    for is_pooler_safe in [false, true] {
        check_all(is_pooler_safe, 1, |to| to.send(plain()).map(drop));
        check_all(is_pooler_safe, 1, |to| to.send(deduped(0)).map(drop));
        // Who has its key is asked then.
        check_all(is_pooler_safe, 2, |to| to.send(duplicate.clone()).map(drop));
    }
}

#[test]
fn a_session_that_sends_many_with_dedupe_keys_is_three_round_trips() {
    check(false, 3, |session| {
        session.send_all((0..100).map(deduped)).map(drop)
    });
}

#[test]
fn a_duplicate_is_two_round_trips() {
    let message = deduped(0);
    check(false, 2, |session| session.send(message.clone()).map(drop));
}

#[test]
fn a_session_that_writes_and_sends_a_few_is_three_round_trips() {
    check(false, 3, |session| {
        session.execute("INSERT INTO thing VALUES (gen_random_uuid())", &[])?;
        session.send_messages("things", 0..4).map(drop)
    });
}

#[test]
fn a_parked_worker_has_its_message_one_round_trip_after_it_was_sent() {
    let place = place();
    let (relay, round_trips) = counting(&place.url);
    let messaging = Messaging::builder().url(relay.url()).notify(false);
    let messaging = messaging.connect().unwrap();
    let (handled, seen) = mpsc::channel();
    let counted = Arc::clone(&round_trips);
    let receiver = messaging.receiver("things").workers(1);
    let receiver = receiver.start(move |_, _: Message<i32>| {
        handled.send(counted.load(Ordering::SeqCst)).unwrap();
        Ok(())
    });
    let receiver = receiver.unwrap();

    let mut counts = Vec::new();
    for _ in 0..8 {
        await_silence(&round_trips);
        let before = round_trips.load(Ordering::SeqCst);
        messaging
            .send(NewMessage::json("things", &1).unwrap())
            .unwrap();
        counts.push(seen.recv_timeout(PATIENCE).unwrap() - before);
    }

    // The message, and the claim with its BEGIN; now and then somebody else asks meanwhile.
    assert_eq!(counts.iter().min(), Some(&2), "{counts:?}");
    receiver.stop(PATIENCE);
}

/// Waits until nobody asks for a while: workers are parked.
fn await_silence(round_trips: &AtomicUsize) {
    let (mut last, mut since) = (round_trips.load(Ordering::SeqCst), Instant::now());
    eventually("nobody asks", || {
        let now = round_trips.load(Ordering::SeqCst);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(100)
    });
}
