//! Receivers that stop, or go on, while others work, the database crashes, or many of them start.

use super::{place, threads};
use crate::support::{Child, PATIENCE, client, eventually, send, test_name};
use outtray::{Message, Messaging};
use std::thread;

const CHILD: &str = test_name!(what_a_child_process_runs);

/// Starts and stops receivers in every way, with messages under way; nothing is lost or left.
fn start_and_stop_fifty(url: &str) {
    let messaging = Messaging::connect(url).unwrap();
    let mut client = client(url);
    let mut count = |rows: &str| -> i64 {
        let query = format!("SELECT count(*) FROM {rows}");
        client.query_one(&query, &[]).unwrap().get(0)
    };
    let receive = |topic: &str| {
        messaging
            .receiver(topic)
            .workers(3)
            .start(|session, message: Message<i32>| {
                session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
                Ok(())
            })
            .unwrap()
    };
    thread::scope(|scope| {
        for thread in 0..2 {
            let (messaging, receive) = (&messaging, &receive);
            scope.spawn(move || {
                for round in 0..25 {
                    let topic = format!("t{}", (thread + round) % 3);
                    let receiver = receive(&topic);
                    for n in 0..10 {
                        send(messaging, &topic, &(thread * 1000 + round * 10 + n));
                    }
                    match round % 3 {
                        0 => drop(receiver),
                        1 => receiver.request_stop(),
                        _ => drop(receiver.stop(PATIENCE)),
                    }
                }
            });
        }
    });
    let rest = ["t0", "t1", "t2"].map(receive);
    eventually("all handled", || count("outtray.message") == 0);
    drop(rest);
    assert_eq!(count("effect"), 500);
    assert_eq!(count("(SELECT DISTINCT n FROM effect) AS effects"), 500);
    assert!(
        !threads().iter().any(|name| name.starts_with("outtray-t")),
        "{:?}",
        threads()
    );
    drop(messaging);
    let left: Vec<String> = threads()
        .into_iter()
        .filter(|name| name.starts_with("outtray-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    eventually("all signed off", || count("outtray.worker") == 0);
}

#[test]
fn fifty_receivers_that_start_and_stop_under_load_lose_nothing_and_leave_no_thread() {
    let mut place = place();
    place.sql("SELECT 1");

    let mut child = Child::start(Child::this_program(), CHILD, &place.url);

    assert_eq!(child.listen(), "done");
    child.finish();
}

/// What the stress test runs in a process of its own, since it counts that process's threads.
#[test]
fn what_a_child_process_runs() {
    let Some(url) = Child::role() else { return };
    start_and_stop_fifty(&url);
    Child::tell("done");
    Child::await_parent();
}
