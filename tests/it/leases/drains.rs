//! Drains under leases.

use crate::support::{MINUTE, Place, client, eventually};
use crossbeam_channel::{Sender, bounded};
use outtray::Message;
use postgres::Client;
use std::thread;
use std::time::Duration;
use uuid::Uuid;

const COUNT: usize = 200;

/// How long what goes back is held up when all else is done: long enough for a drain to end that
/// does not wait for it.
const HELD_UP: Duration = Duration::from_millis(500);

/// Locks what is leased beside messages that were begun, and waits until somebody wants to give it
/// back. Returns how many those are; locks nothing if there are none.
fn hold_up(holder: &mut Client, looker: &mut Client, begun: &[Uuid]) -> usize {
    let lock =
        "SELECT FROM outtray.scheduled WHERE receipt IS NOT NULL AND id <> ALL ($1) FOR UPDATE";
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    holder.batch_execute("BEGIN").unwrap();
    let held = holder.query(lock, &[&begun]).unwrap().len();
    if held == 0 {
        holder.batch_execute("ROLLBACK").unwrap();
        return 0;
    }
    eventually("the heartbeat gives back what is not begun", || {
        looker.query_one(waits, &[]).unwrap().get(0)
    });
    held
}

/// Lets go of it a moment after the sender says that all else is done, or is dropped.
fn let_go(mut holder: Client) -> Sender<()> {
    let (sender, done) = bounded(1);
    let body = move || {
        let _ = done.recv();
        let _ = done.recv_timeout(HELD_UP);
        holder.batch_execute("ROLLBACK").unwrap();
    };
    thread::Builder::new().spawn(body).unwrap();
    sender
}

#[test]
fn a_drain_handles_what_goes_back_behind_a_message_that_takes_long() {
    let place = Place::new();
    place.send_all("jobs", 0..COUNT);
    let mut looker = client(&place.url);
    let mut holder = Some(client(&place.url));
    let (mut begun, mut going_back, mut letting_go) = (Vec::new(), 0, None);

    let report = place
        .leasing(MINUTE)
        .drain(|_, message: Message<usize>| {
            begun.push(message.id.as_uuid());
            // Once it leases several at a time.
            if let Some(mut lock) = holder.take() {
                going_back = hold_up(&mut lock, &mut looker, &begun);
                match going_back {
                    0 => holder = Some(lock),
                    _ => letting_go = Some(let_go(lock)),
                }
            }
            if let Some(sender) = letting_go
                .as_ref()
                .filter(|_| begun.len() == COUNT - going_back)
            {
                sender.send(())?;
            }
            Ok(())
        })
        .unwrap();

    assert!(letting_go.is_some(), "it leased one at a time");
    assert_eq!((report.handled, begun.len()), (COUNT as u64, COUNT));
    assert_eq!(place.numbers(), [0, 0, 0, 0]);
}
