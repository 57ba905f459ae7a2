//! An entry that kills its process becomes a dead letter of its reader, and all others are read.

use super::{await_effects, books, effects, enter, entering, reader};
use crate::support::{Child, Ledger, PATIENCE, Place, eventually, pass_time, test_name};
use outtray::{Backoff, DeadReason, Message, NewMessage};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const CHILD: &str = test_name!(what_child_processes_run);
const MAX_ATTEMPTS: u32 = 3;
const POISON: i32 = 77;

#[test]
fn what_child_processes_run() {
    let Some(role) = Child::role() else { return };
    let messaging = Ledger::messaging_of_parent();
    let started = messaging
        .reader("ledger", "one")
        .batch_size(20)
        .lanes(role.parse().unwrap())
        .max_attempts(MAX_ATTEMPTS)
        .backoff(Backoff::fixed(Duration::from_millis(20)))
        .start(move |session, entries: &[Message<i32>]| {
            enter(session, "one", entries)?;
            if entries.iter().any(|entry| entry.payload == POISON) {
                std::process::abort();
            }
            Ok(())
        });
    let receiver = started.unwrap();
    Child::await_parent();
    receiver.stop(PATIENCE);
}

/// Returns this program without core dumps and without last words.
fn without_a_trace() -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -c 0; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .stderr(Stdio::null());
    shell
}

/// Keeps processes running until there is a dead letter and so many effects; returns how often one
/// died.
fn supervise(place: &mut Place, processes: usize, lanes: usize, effects: i64) -> usize {
    let ledger = Ledger::at(place.url.clone());
    let start = || ledger.start_child(without_a_trace(), CHILD, &lanes.to_string());
    let mut children: Vec<Child> = (0..processes).map(|_| start()).collect();
    let started = Instant::now();
    let mut deaths = 0;
    while place.count("effect") < effects || place.count("outtray.dead_letter") == 0 {
        assert!(started.elapsed() < PATIENCE, "{deaths} deaths, and no end");
        for child in &mut children {
            if child.ended().is_some() {
                deaths += 1;
                *child = start();
            }
        }
        pass_time(Duration::from_millis(10));
    }
    children.into_iter().for_each(Child::finish);
    deaths
}

#[track_caller]
fn check_poison(processes: usize, lanes: usize) {
    let mut place = books();
    place
        .messaging
        .session(|session| {
            for n in 0..100 {
                let key = format!("{}", n % 10);
                session.send(NewMessage::json("ledger", &n)?.key(key))?;
            }
            Ok(())
        })
        .unwrap();

    let deaths = supervise(&mut place, processes, lanes, 99);

    // One with a batch, which is not counted before; the others are its own.
    let most = MAX_ATTEMPTS as usize + processes;
    assert!((2..=most).contains(&deaths), "{deaths} deaths");
    let dead = place.dead_letters("ledger@one");
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0].payload.to_string(), POISON.to_string());
    assert_eq!(
        (dead[0].reason, dead[0].attempts),
        (DeadReason::Crashed, MAX_ATTEMPTS)
    );
    let mut read = effects(&mut place);
    for key in 0..10 {
        let of_key: Vec<i32> = read.iter().copied().filter(|n| n % 10 == key).collect();
        let expected: Vec<i32> = (0..100).filter(|n| n % 10 == key && *n != POISON).collect();
        assert_eq!(of_key, expected);
    }
    read.sort_unstable();
    assert_eq!(read.len(), 99);
}

#[test]
fn an_entry_that_kills_its_process_becomes_a_dead_letter_and_the_others_are_read() {
    check_poison(1, 1);
}

#[test]
fn an_entry_that_kills_one_process_after_another_becomes_a_dead_letter() {
    check_poison(2, 1);
}

#[test]
fn an_entry_of_one_lane_that_kills_the_process_of_all_lanes_is_found() {
    check_poison(1, 3);
}

#[test]
fn a_process_that_dies_idle_is_not_taken_for_one_that_an_entry_killed() {
    let mut place = books();
    place.send_all("ledger", 0..5);
    let child = Ledger::at(place.url.clone()).child(CHILD, "1");
    await_effects(&mut place, 5);
    eventually("nothing is in hand", || {
        place.count("outtray.log_place WHERE holder IS NOT NULL") == 0
    });
    child.kill();

    place.send_all("ledger", 5..10);
    let receiver = entering(reader(&place.messaging, "one"));
    await_effects(&mut place, 10);
    receiver.stop(PATIENCE);

    assert_eq!(effects(&mut place), (0..10).collect::<Vec<_>>());
    let transactions = place.number("SELECT count(DISTINCT tx::text) FROM effect WHERE n >= 5");
    assert_eq!(transactions, 1.0, "in one batch");
}

#[test]
fn bystanders_of_a_killed_process_are_charged_with_nothing() {
    let mut place = books();
    place.send_all("ledger", 0..40);
    // It says that it has twenty entries in hand, and is gone.
    place.messaging.topic("ledger").pause().unwrap();
    drop(entering(reader(&place.messaging, "one")));
    place.sql("UPDATE outtray.log_place SET holder = 4711, in_hand = 20");
    place.messaging.topic("ledger").resume().unwrap();

    let receiver = entering(reader(&place.messaging, "one").max_attempts(1));
    await_effects(&mut place, 40);
    receiver.stop(PATIENCE);

    assert_eq!(effects(&mut place), (0..40).collect::<Vec<_>>());
    assert_eq!(place.count("outtray.dead_letter"), 0);
    let alone = place.number(
        "SELECT count(*) FROM (SELECT FROM effect GROUP BY tx HAVING count(*) = 1) AS alone",
    );
    assert_eq!(alone, 20.0, "one by one, as many as were in hand");
}
