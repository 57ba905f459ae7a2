//! Time passes by moving what is noted, and nothing that is noted is left behind.

use crate::support::{DAY, HOUR, MINUTE, Place};
use outtray::testing::{AssertSent, Runner, advance};
use outtray::{HistoryQuery, Message, Missed, NewMessage, Rate, Recurrence, TopicConfig};
use std::time::Duration;

/// Columns with times that stay: what an operator did and when, and whether receivers live now.
const STAY: [&str; 6] = [
    "migration.applied_at",
    "function.installed_at",
    "functions.installed_at",
    "topic.changed_at",
    "worker.started_at",
    "worker.seen_at",
];

#[test]
fn each_time_that_the_database_notes_moves() {
    let mut place = Place::new();
    let columns = place
        .client
        .query(
            "SELECT table_name || '.' || column_name FROM information_schema.columns \
             WHERE table_schema = 'outtray' AND (data_type LIKE 'timestamp%' OR udt_name LIKE '\\_timestamp%')",
            &[],
        )
        .unwrap();
    let source = include_str!("../../../../src/testing/clock.rs");

    for row in columns {
        let column: String = row.get(0);
        let (table, name) = column.split_once('.').unwrap();
        let parts = ["log_segment_", "log_entry_", "history_"];
        let is_part = parts.iter().any(|parent| table.starts_with(parent));
        // The only one with several times, for which there is a statement.
        if is_part || column == "history.sent_ats" || STAY.contains(&column.as_str()) {
            continue;
        }
        let entry = source.split(&format!("\"{table}\"")).nth(1);
        let columns = entry.and_then(|rest| rest.split("]").next());
        let is_moved = columns.is_some_and(|columns| columns.contains(&format!("\"{name}\"")));
        assert!(
            is_moved,
            "{column} is neither moved by advance() nor listed here"
        );
    }
}

#[test]
fn delays_expiry_leases_and_dedupe_keys_pass() {
    let place = Place::new();
    let job = |payload: i32| NewMessage::json("jobs", &payload).unwrap();
    place.send_new(job(1).delay(HOUR));
    place.send_new(job(2).expires_in(MINUTE));
    place.send_new(job(3).dedupe("once", HOUR));
    let leased = place.messaging.topic("leased");
    place.send("leased", &4);
    std::mem::forget(leased.receive::<i32>(MINUTE).unwrap());
    assert!(
        place
            .messaging
            .send(job(3).dedupe("once", HOUR))
            .unwrap()
            .is_duplicate()
    );

    advance(&place.messaging, 2 * HOUR).unwrap();

    let mut handled: Vec<i32> = place.handled("jobs");
    handled.sort_unstable();
    assert_eq!(handled, [1, 3]);
    assert_eq!(place.jobs().stats().unwrap().dead, 1);
    assert!(
        !place
            .messaging
            .send(job(3).dedupe("once", HOUR))
            .unwrap()
            .is_duplicate()
    );
    assert_eq!(place.handled::<i32>("leased"), [4]);
}

#[test]
fn a_bucket_fills_while_time_passes() {
    let place = Place::new();
    let config = TopicConfig {
        rate: Some(Rate {
            messages: 1,
            per: DAY,
            burst: 1,
        }),
        ..TopicConfig::default()
    };
    place.jobs().configure(config).unwrap();
    place.send_all("jobs", [1, 2]);
    assert!(place.try_take().is_some_and(|job| job.ack().is_ok()));
    assert!(place.try_take().is_none());

    advance(&place.messaging, 2 * DAY).unwrap();

    assert!(place.try_take().is_some());
}

#[test]
fn a_running_receiver_notices_that_time_passed() {
    let place = Place::watchful();
    let (tell, told) = crossbeam_channel::unbounded();
    let receiver = place
        .messaging
        .start_receiving_messages("jobs", move |_, job: Message<i32>| {
            Ok(tell.send(job.payload)?)
        });
    let receiver = receiver.unwrap();
    place.send_new(NewMessage::json("jobs", &1).unwrap().delay(HOUR));

    advance(&place.messaging, HOUR).unwrap();

    assert_eq!(crate::support::next(&told, 1), [1]);
    receiver.stop(MINUTE);
}

#[test]
fn recurring_messages_come_as_often_as_they_would_in_that_time() {
    let place = Place::new();
    let hourly = Recurrence::cron("0 * * * *").unwrap();
    let tick = NewMessage::json("ticks", &0).unwrap();
    place.messaging.repeat("hourly", &hourly, tick).unwrap();

    let mut runner = Runner::new(&place.messaging).on("ticks", |_, _: Message<i32>| Ok(()));
    let ran = runner.run_for(DAY).unwrap();
    assert_eq!(ran.len(), 24);
    assert!(runner.run_until_idle().unwrap().is_empty());
    let more = runner.run_for(2 * HOUR).unwrap();

    assert_eq!(more.len(), 2);
}

#[test]
fn time_that_passes_at_once_is_time_in_which_no_process_ran() {
    let place = Place::new();
    for (name, missed) in [("once", Missed::Once), ("all", Missed::All)] {
        let hourly = Recurrence::cron("0 * * * *").unwrap().missed(missed);
        let tick = NewMessage::json(name, &0).unwrap();
        place.messaging.repeat(name, &hourly, tick).unwrap();
    }

    advance(&place.messaging, 5 * HOUR).unwrap();
    let mut runner = Runner::new(&place.messaging);
    runner.run_ready().unwrap();

    place.messaging.assert_sent_count("once", 1);
    let all = place.messaging.sent_count("all").unwrap();
    assert!((5..=6).contains(&all), "{all}");
}

#[test]
fn a_dead_letter_ages() {
    let place = Place::new();
    place.send("jobs", "unfit");
    place
        .messaging
        .drain("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();

    advance(&place.messaging, DAY).unwrap();

    let letter = &place.jobs().dead_letters(1).unwrap()[0];
    assert!(letter.died_at.elapsed().unwrap() > DAY - Duration::from_secs(60));
}

#[test]
fn the_history_and_the_tallies_pass_with_whole_days_and_minutes() {
    let place = Place::new();
    let config = TopicConfig {
        keep_done: Some(2 * DAY),
        ..TopicConfig::default()
    };
    place.jobs().configure(config).unwrap();
    place.send("jobs", &1);
    place
        .messaging
        .drain("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();
    let ended = || {
        place
            .messaging
            .history(&HistoryQuery::topic("jobs"))
            .unwrap()
    };
    let done = |within: Duration| {
        let tallies = place.messaging.tallies(Some("jobs"), within).unwrap();
        tallies.iter().map(|tally| tally.done).sum::<u64>()
    };
    assert_eq!((ended().len(), done(HOUR)), (1, 1));

    // By and by, as a test does that goes on step by step.
    for _ in 0..50 {
        advance(&place.messaging, HOUR / 2).unwrap();
    }

    assert_eq!((done(DAY), done(2 * DAY)), (0, 1));
    assert_eq!(ended().len(), 1);
    advance(&place.messaging, 2 * DAY).unwrap();
    assert!(ended().is_empty());
}
