//! What handlers have in work is listed, once they have run for a second, with each sign of life.

use crate::support::{Gate, Place, client, eventually};
use outtray::{
    Backoff, BatchMessage, HandlerError, Message, MessageId, Messaging, RunningHandler,
    RunningReceiver,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Returns the handlers of a topic's only receiver.
fn handlers(messaging: &Messaging, topic: &str) -> Vec<RunningHandler> {
    receiver(messaging, topic).handlers
}

fn receiver(messaging: &Messaging, topic: &str) -> RunningReceiver {
    let processes = messaging.processes().unwrap().into_iter();
    let mut receivers = processes.flat_map(|process| process.receivers);
    receivers.find(|receiver| receiver.topic == topic).unwrap()
}

fn ids(handlers: &[RunningHandler]) -> Vec<MessageId> {
    handlers.iter().flat_map(|one| one.ids.clone()).collect()
}

#[test]
fn what_takes_long_is_listed_by_its_message_whatever_holds_it() {
    let place = Place::new();
    let messaging = &place.messaging;
    let gate = Gate::new();
    let held = place.send("held", &1);
    let leased = place.send("leased", &1);
    place.send_all("batched", 0..20);

    let holding = gate.holding(messaging.receiver("held"));
    let lease = Duration::from_secs(60);
    let leasing = gate.holding(messaging.receiver("leased").lease(lease));
    let inside = gate.clone();
    let batching = messaging.receiver("batched").workers(1);
    let batching = batching.start_batches(50, move |_, _: &[BatchMessage<i32>]| {
        inside.pass();
        Ok(())
    });
    gate.await_arrivals(3);

    eventually("all are listed", || {
        ["held", "leased", "batched"]
            .iter()
            .all(|topic| !handlers(messaging, topic).is_empty())
    });
    let [in_transaction] = &handlers(messaging, "held")[..] else {
        panic!("one handler");
    };
    assert_eq!(
        (in_transaction.ids.as_slice(), in_transaction.attempt),
        (&[held][..], 1)
    );
    assert!(in_transaction.running_for >= Duration::from_secs(1));
    assert_eq!(in_transaction.server_process, Some(holder(&place.url)));
    let under_lease = handlers(messaging, "leased");
    assert_eq!(ids(&under_lease), [leased]);
    assert_eq!(under_lease[0].server_process, None);
    let batch = handlers(messaging, "batched");
    assert_eq!(
        (batch.len(), batch[0].messages, batch[0].ids.len()),
        (1, 20, 16)
    );
    assert_eq!(
        (
            receiver(messaging, "held").busy,
            receiver(messaging, "batched").in_hand
        ),
        (1, 20)
    );

    gate.open_for(3);
    drop((holding, leasing, batching.unwrap()));
}

/// Returns the server process that has a row of topic `held` locked.
fn holder(url: &str) -> i32 {
    let query = "SELECT locks.pid FROM pg_locks AS locks
        JOIN outtray.message ON message.xmax = locks.transactionid
        WHERE message.topic = 'held' AND locks.mode = 'ExclusiveLock'";
    let row = client(url).query_one(query, &[]).unwrap();
    row.get(0)
}

#[test]
fn a_second_attempt_is_listed_as_such_and_what_ended_is_listed_no_more() {
    let place = Place::watchful();
    let gate = Gate::new();
    let id = place.send("mails", &1);
    let (inside, has_failed) = (gate.clone(), AtomicBool::new(false));
    let retrying = place
        .messaging
        .receiver("mails")
        .backoff(Backoff::fixed(Duration::ZERO));
    let retrying = retrying.start(move |_, _: Message| {
        if !has_failed.swap(true, Ordering::Relaxed) {
            return Err(HandlerError::failed("once"));
        }
        inside.pass();
        Ok(())
    });
    gate.await_arrivals(1);

    eventually("it is listed", || {
        !handlers(&place.messaging, "mails").is_empty()
    });
    let listed = handlers(&place.messaging, "mails");
    assert_eq!((ids(&listed), listed[0].attempt), (vec![id], 2));

    gate.open_for(1);
    eventually("it is listed no more", || {
        handlers(&place.messaging, "mails").is_empty()
    });
    let idle = receiver(&place.messaging, "mails");
    assert_eq!((idle.busy, idle.in_hand), (0, 0));
    drop(retrying.unwrap());
}
