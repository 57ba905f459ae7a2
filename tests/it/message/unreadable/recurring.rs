//! A recurring message that cannot be read is not sent, and the others are.

use crate::support::{Place, eventually};

/// What a hand may write into a definition, each with its column.
const ODD: &[(&str, &str)] = &[
    ("cron", "'every now and then'"),
    ("cron", "'0 0 31 2 *'"),
    ("time_zone", "'Europe/Atlantis'"),
    ("missed", "'later'"),
    ("headers", r#"'{"retry": 3}'"#),
    ("headers", "'7'"),
    ("expires_us", "-1"),
    ("expires_us", "9223372036854775807"),
    ("topic", "'two words'"),
    ("topic", "repeat('t', 10000)"),
    ("payload", "'\"\\u0000\"'"),
];

/// So many of each. Each costs a transaction before the others have their turns.
const EACH: usize = 5;

#[test]
fn definitions_that_cannot_be_read_hold_up_no_other_however_many_they_are() {
    let mut place = Place::watchful();
    for (index, (column, value)) in ODD.iter().enumerate() {
        place.sql(&format!(
            "CREATE TEMPORARY TABLE odd (LIKE outtray.recurring);
            INSERT INTO odd (topic, name, cron, time_zone, missed, rank, payload, next_at)
                SELECT 'odd', 'odd-{index}-' || n, '* * * * *', 'UTC', 'once', 0, '1', now() - interval '1 day'
                FROM generate_series(1, {EACH}) AS n;
            UPDATE odd SET {column} = {value};
            INSERT INTO outtray.recurring SELECT * FROM odd;
            DROP TABLE odd"
        ));
    }
    place.sql(
        "INSERT INTO outtray.recurring (topic, name, cron, time_zone, missed, rank, payload, next_at)
        VALUES ('jobs', 'good', '* * * * * *', 'UTC', 'once', 0, '1', now())",
    );

    let _receiver = place
        .messaging
        .start_receiving_messages("elsewhere", |_, _: outtray::Message<i32>| Ok(()))
        .unwrap();

    place.await_growth("outtray.message WHERE topic = 'jobs'", 3);
    eventually("all of them are listed", || {
        place.messaging.recurring().unwrap().len() == EACH * ODD.len() + 1
    });
}
