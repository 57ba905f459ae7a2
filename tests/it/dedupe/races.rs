//! Of those who send with the same key at the same time, one sends.

use super::{end_windows, order, send, send_alone, send_with};
use crate::support::{
    Child, DAY, Ledger, PATIENCE, Place, await_lock_waits, client, process, test_name,
};
use crossbeam_channel::bounded;
use outtray::{HandlerError, Messaging, NewMessage, Sent};
use std::sync::Barrier;
use std::thread;

fn check_race(first_commits: bool) {
    check_race_with(first_commits, send_with);
    check_race_with(first_commits, send_alone);
}

/// Opens a session that has sent with the key; somebody else sends with it too; then the session
/// ends.
#[track_caller]
fn check_race_with(first_commits: bool, send_second: fn(&Messaging, NewMessage) -> Sent) {
    let mut place = Place::new();
    let (messaging, url) = (place.messaging.clone(), place.url.clone());
    let (sent, is_sent) = bounded(1);
    let (end, ended) = bounded(1);
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            messaging.session(|session| {
                let id = session.send(order(1))?.id();
                sent.send(()).unwrap();
                ended.recv_timeout(PATIENCE)?;
                match first_commits {
                    true => Ok(id),
                    false => Err(HandlerError::failed("no")),
                }
            })
        });
        is_sent.recv_timeout(PATIENCE).unwrap();
        let second = scope.spawn(|| send_second(&messaging, order(2)));
        let mut watcher = client(&url);
        await_lock_waits(&mut watcher, 1);
        end.send(()).unwrap();

        let first = first.join().unwrap();
        let second = second.join().unwrap();
        match first_commits {
            true => assert_eq!(second, Sent::Duplicate(first.unwrap())),
            false => assert!(!second.is_duplicate()),
        }
    });
    assert_eq!(place.count("outtray.message"), 1);
}

#[test]
fn a_send_that_is_not_committed_is_waited_for_and_counts_when_it_commits() {
    check_race(true);
}

#[test]
fn a_send_that_is_not_committed_is_waited_for_and_does_not_count_when_it_rolls_back() {
    check_race(false);
}

#[test]
fn of_eight_threads_that_send_with_the_same_keys_one_sends_each() {
    let mut place = Place::new();
    let barrier = Barrier::new(8);
    let new: usize = thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|number| {
                let (url, barrier) = (&place.url, &barrier);
                scope.spawn(move || {
                    let messaging = process(url, PATIENCE);
                    let mut new = 0;
                    for round in 0..20 {
                        barrier.wait();
                        // Each in an order of its own: sorted before they are asked for.
                        let keys = (0..10).map(|key| (key * 3 + number) % 10);
                        let messages = keys.map(|key| {
                            NewMessage::bytes("orders", [1]).dedupe(format!("{round}-{key}"), DAY)
                        });
                        let sent = messaging
                            .session(|session| Ok(session.send_all(messages)?))
                            .unwrap();
                        new += sent.iter().filter(|sent| !sent.is_duplicate()).count();
                    }
                    new
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });

    assert_eq!(new, 200);
    assert_eq!(place.count("outtray.message"), 200);
}

#[test]
fn of_eight_processes_that_send_with_the_same_key_one_sends() {
    if let Some(role) = Child::role() {
        let messaging = Ledger::messaging_of_parent();
        Child::tell("ready");
        Child::await_parent();
        let message = NewMessage::bytes("orders", role).dedupe("one", DAY);
        messaging
            .session(|session| Ok(session.send(message)?))
            .unwrap();
        return;
    }
    let ledger = Ledger::open();
    let test = test_name!(of_eight_processes_that_send_with_the_same_key_one_sends);
    let mut children: Vec<Child> = (0..8)
        .map(|number| ledger.child(test, &number.to_string()))
        .collect();
    for child in &mut children {
        assert_eq!(child.listen(), "ready");
    }
    for child in children {
        child.finish();
    }

    assert_eq!(
        ledger.number("SELECT count(*) FROM outtray.message", &[]),
        1
    );
}

#[test]
fn a_key_that_was_taken_at_the_end_of_its_window_is_taken_once() {
    let mut place = Place::new();
    send(&place, order(1));
    end_windows(&mut place);
    let barrier = Barrier::new(8);
    let new: usize = thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|number| {
                let (messaging, barrier) = (place.messaging.clone(), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let sent = match number % 2 {
                        0 => send_with(&messaging, order(number)),
                        _ => send_alone(&messaging, order(number)),
                    };
                    usize::from(!sent.is_duplicate())
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });

    assert_eq!(new, 1);
    assert_eq!(place.count("outtray.message"), 2);
}
