//! Readers of one log in one process have it read once, and each gets all of it.

use super::{books, told};
use crate::support::{PATIENCE, Place, eventually};
use crossbeam_channel::unbounded;
use outtray::{Message, Position};
use std::sync::{Arc, Barrier};

const READERS: usize = 4;
/// No more than what is kept of what was read, however far readers are apart.
const ENTRIES: i32 = 11_000;

/// Returns how many rows the server has read of the log.
fn rows_read(place: &mut Place) -> i64 {
    let query = "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint
        FROM pg_stat_user_tables WHERE relname = 'log_1'";
    place.client.query_one(query, &[]).unwrap().get(0)
}

#[test]
fn four_readers_of_a_log_have_it_read_once_and_get_all_of_it_in_order() {
    let mut place = books();
    place.send_all("ledger", 0..ENTRIES);
    place.sql("VACUUM ANALYZE outtray.log_entry");
    let before = rows_read(&mut place);
    // Each has read its first batch by then, by itself.
    let all_begun = Arc::new(Barrier::new(READERS));

    let started: Vec<_> = (0..READERS)
        .map(|reader| {
            let (tell, batches) = unbounded();
            let all_begun = Arc::clone(&all_begun);
            let builder = place.messaging.reader("ledger", &format!("r{reader}"));
            let receiver = builder.start(move |_, entries: &[Message<i32>]| {
                if entries[0].payload == 0 {
                    all_begun.wait();
                }
                Ok(tell.send(entries.iter().map(|entry| entry.payload).collect())?)
            });
            (receiver.unwrap(), batches)
        })
        .collect();
    for (receiver, batches) in &started {
        let seen = told(batches, ENTRIES as usize);
        assert!(seen.into_iter().eq(0..ENTRIES));
        receiver.stop(PATIENCE);
    }

    drop(started);
    // The server counts when it has a moment.
    eventually("all that was read is counted", || {
        rows_read(&mut place) - before >= i64::from(ENTRIES)
    });
    let read = rows_read(&mut place) - before;
    assert!(read < 3 * i64::from(ENTRIES), "{read} rows");
}

#[test]
fn a_reader_that_is_moved_back_reads_again_what_others_have_passed() {
    let place = books();
    place.send_all("ledger", 0..1500);
    let started = ["one", "other"].map(|name| {
        let (tell, batches) = unbounded();
        let reader = place.messaging.reader("ledger", name).batch_size(100);
        let started = reader.start(move |_, entries: &[Message<i32>]| {
            Ok(tell.send(entries.iter().map(|entry| entry.payload).collect())?)
        });
        (started.unwrap(), batches)
    });
    for (_, batches) in &started {
        assert!(told(batches, 1500).into_iter().eq(0..1500));
    }

    place
        .messaging
        .topic("ledger")
        .seek("one", Position::Start)
        .unwrap();
    place.send("ledger", &1500);

    assert!(told(&started[0].1, 1501).into_iter().eq(0..1501));
    assert_eq!(told(&started[1].1, 1), [1500]);
    for (receiver, _) in &started {
        receiver.stop(PATIENCE);
    }
}
