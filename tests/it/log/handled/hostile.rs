//! A hostile row stops only itself, whoever wrote it into a log.

use super::{ASIDE, await_effects, books, effects, enter, reader};
use crate::support::{PATIENCE, Place, eventually};
use outtray::{DeadReason, HandlerError, Message};

/// Writes an entry, by columns and their values.
fn write(place: &mut Place, columns: &str, values: &str) {
    place.sql(&format!(
        "INSERT INTO outtray.log_entry (topic, segment, {columns})
        SELECT 'ledger', segment, {values} FROM outtray.log"
    ));
}

const ID: &str = "'00000000-0000-4000-8000-000000000001'";

/// Reads all; numbers over 100 fail.
fn read(place: &mut Place, dead: usize, good: usize) {
    let receiver = reader(&place.messaging, "one")
        .max_attempts(1)
        .start(|session, entries: &[Message<i32>]| {
            enter(session, "one", entries)?;
            match entries.iter().any(|entry| entry.payload > 100) {
                true => Err(HandlerError::failed("no")),
                false => Ok(()),
            }
        })
        .unwrap();
    await_effects(place, good);
    let mut found = 0;
    eventually(&format!("{dead} are dead"), || {
        found = place.dead_letters(ASIDE).len();
        found >= dead
    });
    receiver.stop(PATIENCE);
    assert_eq!(found, dead);
}

#[test]
fn entries_whose_headers_payloads_or_times_are_odd_stop_only_themselves() {
    let mut place = books();
    place.send("ledger", &0);
    write(
        &mut place,
        "id, headers, payload",
        "gen_random_uuid(), '[1]', '1'",
    );
    write(
        &mut place,
        "id, headers, payload",
        "gen_random_uuid(), '{\"a\": {\"b\": 1}}', '2'",
    );
    write(
        &mut place,
        "id, headers, payload",
        "gen_random_uuid(), '{\"a\": null}', '3'",
    );
    write(
        &mut place,
        "id, sent_at, body",
        "gen_random_uuid(), '-infinity', '\\xff00'",
    );
    write(
        &mut place,
        "id, sent_at, payload",
        "gen_random_uuid(), 'infinity', '1e400'",
    );
    write(
        &mut place,
        "id, sent_at, payload",
        "gen_random_uuid(), '294276-01-01', '\"\\u0000\"'",
    );
    write(
        &mut place,
        "id, payload",
        "gen_random_uuid(), (repeat('[', 5000) || repeat(']', 5000))::json",
    );
    place.send("ledger", &9);

    // A header that is null is none.
    read(&mut place, 6, 3);

    assert_eq!(effects(&mut place), [0, 3, 9]);
    let dead = place.dead_letters(ASIDE);
    let is_odd = |reason| reason == DeadReason::Undecodable;
    assert!(dead.iter().all(|one| is_odd(one.reason)), "{dead:?}");
}

#[test]
fn entries_with_the_same_id_that_fail_together_do_not_hold_the_reader_up() {
    let mut place = books();
    place.send("ledger", &0);
    for payload in [101, 102, 103] {
        write(&mut place, "id, payload", &format!("{ID}, '{payload}'"));
        write(
            &mut place,
            "id, key, payload",
            &format!("{ID}, 'k', '\"{payload}\"'"),
        );
    }
    place.send("ledger", &9);

    read(&mut place, 1, 2);

    assert_eq!(effects(&mut place), [0, 9]);
}

#[test]
fn an_entry_with_a_key_that_no_index_holds_is_put_aside_all_the_same() {
    let mut place = books();
    let long = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 500) AS n)";
    place.send("ledger", &0);
    write(
        &mut place,
        "id, key, payload",
        &format!("gen_random_uuid(), {long}, '1'"),
    );
    write(
        &mut place,
        "id, key, payload",
        &format!("gen_random_uuid(), {long}, '101'"),
    );
    write(
        &mut place,
        "id, key, payload",
        "gen_random_uuid(), '', '102'",
    );
    place.send("ledger", &9);

    read(&mut place, 2, 3);

    assert_eq!(effects(&mut place), [0, 1, 9]);
}

#[test]
fn entries_that_say_to_come_from_elsewhere_do_not_hold_others_up() {
    let mut place = books();
    place.send("ledger", &0);
    write(
        &mut place,
        "id, tx, payload",
        "gen_random_uuid(), '9000000000000000000', '1'",
    );
    write(
        &mut place,
        "id, seq, payload",
        &format!("gen_random_uuid(), {}, '2'", i64::MAX),
    );
    write(&mut place, "id, seq, payload", "gen_random_uuid(), -5, '3'");
    place.send("ledger", &9);

    read(&mut place, 0, 2);
    place.send("ledger", &10);
    read(&mut place, 0, 3);

    let seen = effects(&mut place);
    let known: Vec<i32> = seen
        .into_iter()
        .filter(|n| [0, 9, 10].contains(n))
        .collect();
    assert_eq!(known, [0, 9, 10]);
}
