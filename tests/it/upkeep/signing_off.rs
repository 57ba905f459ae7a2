//! A receiver that has ended signs off, whatever was in the way: a row of one that nobody runs
//! keeps the schema from being dropped, and other processes take it for a death.

use crate::support::{
    A_WHILE, Gate, NO_POLLING, PATIENCE, Place, Tunnel, WORK, aside, client, database, eventually,
    pass_time,
};
use outtray::{ErrorKind, Message, Messaging, NewMessage, Receiver, Recurrence};
use std::time::Duration;

/// Has who records a receiver wait as long as there is a gate, and say when it is through.
const GATED: &str = "
    CREATE TABLE gate (); INSERT INTO gate DEFAULT VALUES; CREATE TABLE passed ();
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        WHILE EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
        INSERT INTO passed DEFAULT VALUES; RETURN NEW;
    END $$;
    CREATE TRIGGER gated BEFORE INSERT ON outtray.worker
        FOR EACH ROW WHEN (NEW.topic = 'late') EXECUTE FUNCTION wait()";

/// Starts a receiver that is not recorded as long as there is a gate.
fn start_late(place: &mut Place) -> crossbeam_channel::Receiver<outtray::Result<Receiver>> {
    place.sql(GATED);
    let messaging = place.messaging.clone();
    let started = aside(move || messaging.start_receiving_messages("late", |_, _: Message| Ok(())));
    eventually("it is about to be recorded", || {
        place
            .count("pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")
            > 0
    });
    started
}

#[track_caller]
fn await_no_row(place: &mut Place, topic: &str) {
    let rows = format!("outtray.worker WHERE topic = '{topic}'");
    eventually("it has signed off", || place.count(&rows) == 0);
}

#[test]
fn a_receiver_that_ends_while_upkeep_has_more_errands_than_it_has_room_for_signs_off() {
    let mut place = Place::new();
    let receiver = place.idle_receiver();
    let topic = receiver.topic().to_owned();
    let late = start_late(&mut place);
    let hourly = Recurrence::cron("0 * * * *").unwrap();
    for _ in 0..70 {
        // Each asks upkeep to look.
        let message = NewMessage::json("elsewhere", &1).unwrap();
        place.messaging.repeat("hourly", &hourly, message).unwrap();
    }

    receiver.stop(A_WHILE);
    place.sql("DELETE FROM gate");

    await_no_row(&mut place, &topic);
    let late = late.recv_timeout(PATIENCE).unwrap().unwrap();
    late.stop(PATIENCE);
}

#[test]
fn a_receiver_whose_start_was_given_up_is_signed_off_once_it_is_recorded() {
    let mut place = Place::new();
    let late = start_late(&mut place);
    // It waits for half a minute.
    let given_up = late.recv_timeout(PATIENCE * 2).unwrap();
    assert_eq!(given_up.err().unwrap().kind(), ErrorKind::Unavailable);

    place.sql("DELETE FROM gate");

    eventually("it is recorded", || place.count("passed") > 0);
    await_no_row(&mut place, "late");
}

#[test]
fn receivers_whose_rows_somebody_holds_for_long_sign_off_once_nobody_does() {
    let mut place = Place::new();
    let receivers = ["one", "two", "three"].map(|topic| {
        let receiver = place.messaging.receiver(topic);
        Gate::new().holding(receiver)
    });
    let mut holder = client(&place.url);
    let mut held = holder.transaction().unwrap();
    held.batch_execute("SELECT FROM outtray.worker FOR UPDATE")
        .unwrap();
    for receiver in &receivers {
        receiver.stop(PATIENCE);
    }
    let waiting = "pg_locks WHERE locktype = 'transactionid' AND NOT granted
        AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
    assert_eq!(place.count(waiting), 0);

    eventually("it is tried again", || place.count(waiting) > 0);
    // Longer than upkeep waits for three rows.
    pass_time(Duration::from_secs(1));
    held.rollback().unwrap();

    eventually("they have signed off", || {
        place.count("outtray.worker") == 0
    });
}

#[test]
fn a_receiver_that_ends_while_the_database_is_away_signs_off_once_it_is_back() {
    let url = database();
    let tunnel = Tunnel::to(&url);
    let through = Messaging::builder().url(format!("{}?connect_timeout=1", tunnel.url()));
    let through = through.notice_silence(Duration::from_secs(2));
    let messaging = through.poll_interval(NO_POLLING).connect().unwrap();
    let receiver = Gate::new().holding(messaging.receiver(WORK));
    let mut watching = client(&url);
    let mut rows = || -> i64 {
        let row = watching.query_one("SELECT count(*) FROM outtray.worker", &[]);
        row.unwrap().get(0)
    };
    assert_eq!(rows(), 1);

    tunnel.fall_silent();
    // That it is in vain is known before the time is over.
    receiver.stop(PATIENCE);
    tunnel.heal_forgetful();

    eventually("it has signed off", || rows() == 0);
}
