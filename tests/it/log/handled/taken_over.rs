//! Several processes read under one name: one at a time, and another goes on when that one ends.

use super::{await_effects, books, effects, enter, entering, reader};
use crate::support::{
    Child, Cut, Gate, Ledger, NO_POLLING, PATIENCE, Wire, process, send, test_name,
};
use outtray::{Message, Messaging};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const CHILD: &str = test_name!(what_child_processes_run);

#[test]
fn what_child_processes_run() {
    let Some(role) = Child::role() else { return };
    let messaging = Ledger::messaging_of_parent();
    let started = messaging.reader("ledger", "one").batch_size(10).start(
        move |session, entries: &[Message<i32>]| {
            enter(session, &role, entries)?;
            Child::tell(&format!("{}", entries[0].payload));
            if role == "stays inside" {
                Child::await_parent();
            }
            Ok(())
        },
    );
    let receiver = started.unwrap();
    Child::await_parent();
    receiver.stop(PATIENCE);
}

#[test]
fn another_process_takes_over_when_one_is_killed_in_a_batch() {
    let mut place = books();
    place.send_all("ledger", 0..25);
    let mut child = Ledger::at(place.url.clone()).child(CHILD, "stays inside");
    assert_eq!(child.listen(), "0");
    // It finds that the lane is taken, and no poll tells it of the end.
    let standby = process(&place.url, NO_POLLING);
    let receiver = entering(reader(&standby, "one"));

    child.kill();
    await_effects(&mut place, 25);
    receiver.stop(PATIENCE);

    assert_eq!(effects(&mut place), (0..25).collect::<Vec<_>>());
    assert_eq!(place.count("effect WHERE reader <> 'one'"), 0);
}

#[test]
fn another_process_goes_on_when_one_is_stopped() {
    let mut place = books();
    place.send_all("ledger", 0..25);
    let mut child = Ledger::at(place.url.clone()).child(CHILD, "quick");
    assert_eq!(child.listen(), "0");
    child.finish();
    let read = effects(&mut place);
    assert_eq!(
        read,
        (0..i32::try_from(read.len()).unwrap()).collect::<Vec<_>>()
    );

    let receiver = entering(reader(&place.messaging, "one"));
    await_effects(&mut place, 25);
    receiver.stop(PATIENCE);

    assert_eq!(effects(&mut place), (0..25).collect::<Vec<_>>());
}

#[test]
fn processes_with_one_name_read_each_entry_once_and_in_order() {
    const EACH: i32 = 200;
    let mut place = books();
    let processes = [(); 3].map(|()| Messaging::connect(&place.url).unwrap());
    let receivers = processes
        .each_ref()
        .map(|process| entering(reader(process, "one").batch_size(7)));

    thread::scope(|scope| {
        for writer in 0..2 {
            let messaging = &place.messaging;
            scope.spawn(move || {
                for n in 0..EACH {
                    send(messaging, "ledger", &(writer * EACH + n));
                }
            });
        }
    });
    await_effects(&mut place, 2 * usize::try_from(EACH).unwrap());
    drop(receivers);

    let read = effects(&mut place);
    for writer in 0..2 {
        let theirs = read.iter().filter(|n| *n / EACH == writer);
        let expected: Vec<i32> = (writer * EACH..(writer + 1) * EACH).collect();
        assert_eq!(theirs.copied().collect::<Vec<_>>(), expected);
    }
    assert_eq!(read.len(), 2 * usize::try_from(EACH).unwrap());
}

/// Has the wire cut when the second batch commits, with or without an answer.
#[track_caller]
fn check_cut(cut: Cut) {
    let mut place = books();
    place.send_all("ledger", 0..30);
    let wire = Wire::to(&place.url);
    let messaging = Messaging::connect(wire.url()).unwrap();
    let gate = Gate::new();
    let (at_gate, is_cut) = (gate.clone(), AtomicBool::new(false));
    let receiver = messaging
        .reader("ledger", "one")
        .batch_size(10)
        .start(move |session, entries: &[Message<i32>]| {
            enter(session, "one", entries)?;
            if entries[0].payload == 10 && !is_cut.swap(true, Ordering::Relaxed) {
                at_gate.pass();
            }
            Ok(())
        })
        .unwrap();
    gate.await_arrivals(1);
    wire.cut(cut);
    gate.open_for(1);

    await_effects(&mut place, 30);
    assert!(wire.is_cut());
    receiver.stop(PATIENCE);

    assert_eq!(effects(&mut place), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_connection_that_breaks_before_the_commit_undoes_the_batch() {
    check_cut(Cut::Before("COMMIT"));
}

#[test]
fn a_connection_that_breaks_behind_the_commit_repeats_nothing() {
    check_cut(Cut::After("COMMIT"));
}
