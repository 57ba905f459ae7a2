//! A receiver that is stopped finishes what is in hand, gives back the rest, and leaves no thread.

mod under_load;

use crate::support::{
    Gate, NO_POLLING, PATIENCE, Place, client, eventually, next, process, send, telling,
};
use crossbeam_channel::unbounded;
use outtray::testing::Server;
use outtray::{Message, Messaging, StopReport};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Starts one worker whose handler stops at the gate.
fn start(messaging: &Messaging, gate: &Gate) -> outtray::Receiver {
    let gate = gate.clone();
    messaging
        .receiver("jobs")
        .workers(1)
        .start(move |session, message: Message<i32>| {
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            gate.pass();
            Ok(())
        })
        .unwrap()
}

fn place() -> Place {
    let mut place = Place::polling(NO_POLLING);
    place.sql("CREATE TABLE effect (n integer)");
    place
}

fn check(report: StopReport, finished: usize, abandoned: usize) {
    assert_eq!((report.finished, report.abandoned), (finished, abandoned));
}

/// Returns the names of this process's threads, of which the system keeps 15 bytes.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .map(|name| name.trim_end().to_owned())
        .collect()
}

#[test]
fn stopping_finishes_what_is_in_hand_and_reports_it() {
    let mut place = place();
    let gate = Gate::new();
    let receiver = start(&place.messaging, &gate);
    place.send_all("jobs", 0..2);
    gate.await_arrivals(1);

    let report = thread::scope(|scope| {
        let stopping = scope.spawn(|| receiver.stop(PATIENCE));
        // As long as the handler stands before the gate, the stop goes on.
        assert!(gate.is_lonely_for(Duration::from_millis(300)));
        assert!(!stopping.is_finished());
        gate.open_for(2);
        stopping.join().unwrap()
    });

    check(report, 1, 0);
    assert_eq!(place.count("effect"), 1);
    assert_eq!(
        place.count("outtray.message"),
        1,
        "no new message was begun"
    );
}

#[test]
fn a_handler_that_ends_between_the_request_and_the_stop_counts_as_finished() {
    let place = place();
    let gate = Gate::new();
    let receiver = start(&place.messaging, &gate);
    place.send("jobs", &1);
    gate.await_arrivals(1);

    receiver.request_stop();
    gate.open_for(1);
    eventually("it commits", || place.is_empty("jobs"));

    check(receiver.stop(PATIENCE), 1, 0);
}

#[test]
fn a_handler_that_takes_longer_than_the_timeout_is_abandoned_and_may_still_commit() {
    let mut place = place();
    let gate = Gate::new();
    let receiver = start(&place.messaging, &gate);
    place.send("jobs", &1);
    gate.await_arrivals(1);
    let started = Instant::now();

    let report = receiver.stop(Duration::from_millis(100));
    let stopped = started.elapsed();
    check(report, 0, 1);
    assert!(stopped < Duration::from_secs(5), "{stopped:?}");

    let started = Instant::now();
    drop(receiver);
    let dropped = started.elapsed();
    assert!(
        dropped < Duration::from_secs(5),
        "who stopped it did not want to wait: {dropped:?}"
    );

    gate.open_for(1);
    eventually("it commits", || place.is_empty("jobs"));
    assert_eq!(place.count("effect"), 1);
}

#[test]
fn stopping_twice_is_fine_and_the_second_can_wait_for_what_the_first_abandoned() {
    let mut place = place();
    let gate = Gate::new();
    let receiver = start(&place.messaging, &gate);
    place.send("jobs", &1);
    gate.await_arrivals(1);

    check(receiver.stop(Duration::ZERO), 0, 1);
    gate.open_for(1);
    let report = receiver.stop(PATIENCE);
    assert_eq!(report.abandoned, 0);
    assert_eq!(place.count("effect"), 1);
    check(receiver.stop(PATIENCE), 0, 0);
}

#[test]
fn an_idle_receiver_stops_at_once_although_it_polls_once_a_minute() {
    let place = place();
    let receiver = start(&place.messaging, &Gate::new());
    let started = Instant::now();

    check(receiver.stop(PATIENCE), 0, 0);

    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn dropping_a_receiver_stops_it_and_its_threads_end() {
    let place = place();
    let (tell, told) = unbounded();
    // The names of threads begin with that of their topic.
    let topic = "drop-it";
    let receiver = place
        .messaging
        .receiver(topic)
        .workers(3)
        .start(move |_, _: Message<i32>| Ok(tell.send(())?))
        .unwrap();
    let running = || {
        let names = threads();
        names.iter().filter(|name| name.contains(topic)).count()
    };
    place.send(topic, &1);
    next(&told, 1);
    // A thread has the name of the one that made it until it has its own, and ends a moment after
    // it was joined.
    eventually("all run", || running() == 3);

    drop(receiver);
    eventually("none runs", || running() == 0);
    place.send(topic, &2);
    assert!(told.recv_timeout(Duration::from_millis(200)).is_err());
    assert_eq!(place.messaging.topic(topic).stats().unwrap().ready, 1);
}

#[test]
fn a_receiver_outlives_the_messaging_it_came_from() {
    let mut place = place();
    let gate = Gate::new();
    gate.open_for(1);
    let messaging = process(&place.url, NO_POLLING);
    let receiver = start(&messaging, &gate);
    drop(messaging);
    place.await_listener();

    place.send("jobs", &1);

    eventually("it is handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);
}

#[test]
fn what_a_stopped_receiver_gives_back_others_get_at_once() {
    let mut place = place();
    let elsewhere = process(&place.url, NO_POLLING);
    let gate = Gate::new();
    place.send_all("jobs", 0..10);
    let handler_gate = gate.clone();
    let stopped = place
        .messaging
        .receiver("jobs")
        .workers(1)
        .messages_per_transaction(10)
        .start(move |session, message: Message<i32>| {
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            handler_gate.pass();
            Ok(())
        })
        .unwrap();
    gate.await_arrivals(1);
    let (_other, told) = telling::<i32>(elsewhere.receiver("jobs"));
    place.await_listeners(2);
    assert!(
        told.recv_timeout(Duration::from_millis(200)).is_err(),
        "all ten are held"
    );

    stopped.request_stop();
    gate.open_for(10);

    // Polling would find them in a minute.
    let mut others = next(&told, 9);
    others.sort_unstable();
    assert_eq!(others, (1..10).collect::<Vec<_>>());
    stopped.stop(PATIENCE);
    assert_eq!(place.count("effect"), 1);
}

#[test]
fn when_a_strict_receiver_stops_another_goes_on_with_its_line_at_once() {
    let mut place = place();
    let elsewhere = process(&place.url, NO_POLLING);
    let gate = Gate::new();
    place.send_all("line", 0..5);
    let stopped = gate.holding(place.messaging.receiver("line").strict_order());
    gate.await_arrivals(1);
    let (_other, told) = telling::<i32>(elsewhere.receiver("line").strict_order());
    place.await_listeners(2);

    assert!(
        told.recv_timeout(Duration::from_millis(200)).is_err(),
        "it is not its turn"
    );

    stopped.request_stop();
    gate.open_for(1);

    assert_eq!(next(&told, 4), [1, 2, 3, 4]);
    stopped.stop(PATIENCE);
}

#[test]
fn a_message_claimed_while_the_stop_is_asked_for_is_not_begun() {
    let mut place = place();
    let gate = Gate::new();
    place.send_all("jobs", 0..2);
    let receiver = start(&place.messaging, &gate);
    gate.await_arrivals(1);
    let mut locker = client(&place.url);
    let mut lock = locker.transaction().unwrap();
    let mut await_waiting = |query: &str| {
        let waiting = format!("wait_event_type = 'Lock' AND query LIKE '{query}'");
        let rows = format!("pg_stat_activity WHERE datname = current_database() AND {waiting}");
        eventually("it waits for the lock", || place.count(&rows) == 1);
    };

    thread::scope(|scope| {
        // The lock comes between the commit of the first message and the claim of the second.
        let locking = scope.spawn(|| lock.batch_execute("LOCK TABLE outtray.message"));
        await_waiting("LOCK TABLE%");
        gate.open_for(1);
        locking.join().unwrap().unwrap();
        await_waiting("%FROM outtray.message%SKIP LOCKED%");
        receiver.request_stop();
    });
    lock.commit().unwrap();

    assert_eq!(receiver.stop(PATIENCE).abandoned, 0);
    assert!(gate.is_lonely_for(Duration::ZERO));
    assert_eq!(place.count("outtray.message"), 1);
}

#[test]
fn stopping_while_the_database_is_gone_does_not_hang() {
    let server = Server::builder().always_embedded().start().unwrap();
    let url = server.database().unwrap();
    client(&url)
        .batch_execute("CREATE TABLE effect (n integer)")
        .unwrap();
    let messaging = Messaging::connect(&url).unwrap();
    let gate = Gate::new();
    let busy = start(&messaging, &gate);
    let idle = messaging
        .start_receiving_messages("idle", |_, _: Message<i32>| Ok(()))
        .unwrap();
    send(&messaging, "jobs", &1);
    gate.await_arrivals(1);

    server.stop().unwrap();
    let started = Instant::now();
    gate.open_for(1);
    let reports = [busy.stop(PATIENCE), idle.stop(PATIENCE)];
    drop((busy, idle, messaging));
    let stopped = started.elapsed();

    for report in reports {
        assert_eq!(report.abandoned, 0);
    }
    assert!(stopped < Duration::from_secs(10), "{stopped:?}");
}

#[test]
fn receivers_go_on_after_the_database_has_crashed_and_come_back() {
    let server = Server::builder().always_embedded().start().unwrap();
    let url = server.database().unwrap();
    client(&url)
        .batch_execute("CREATE TABLE effect (n integer)")
        .unwrap();
    let messaging = Messaging::connect(&url).unwrap();
    let gate = Gate::new();
    let receiver = start(&messaging, &gate);
    send(&messaging, "jobs", &1);
    gate.await_arrivals(1);

    server.restart_immediately().unwrap();
    gate.open_for(1);
    // The crash undid the first run.
    gate.await_arrivals(1);
    gate.open_for(1);

    let mut client = client(&url);
    eventually("it is handled", || {
        let left = client
            .query_one("SELECT count(*) FROM outtray.message", &[])
            .unwrap();
        left.get::<_, i64>(0) == 0
    });
    let effects: i64 = client
        .query_one("SELECT count(*) FROM effect", &[])
        .unwrap()
        .get(0);
    assert_eq!(effects, 1);
    assert_eq!(receiver.stop(PATIENCE).abandoned, 0);
}
