//! A log goes on after a restore from a dump into a server whose transaction ids are lower.

use super::handled::{telling, told};
use super::{follow, log, place, rest};
use crate::support::{PATIENCE, aside, client, eventually, not_checked};
use outtray::testing::Server;
use outtray::{LogPosition, Messaging, Position, Tail, TopicConfig};
use postgres::Client;
use std::env;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Uses up transaction ids, so that those of another server are lower.
const AGE: &str =
    "DO $$ BEGIN FOR i IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$";

/// Two servers, the second of which gets what the first has.
struct Servers {
    old: Server,
    url: String,
    messaging: Messaging,
    new: Server,
}

impl Servers {
    /// Starts them, with a log named `ledger`; nothing where the installed server has no
    /// `pg_dump`, which is said loudly, and in CI a failure.
    fn started() -> Option<Servers> {
        let start = || {
            let builder = Server::builder().always_embedded();
            builder.setting("max_prepared_transactions", "5").start()
        };
        let old = start().unwrap();
        if !old.bin_dir().unwrap().join("pg_dump").exists() {
            not_checked("pg_dump is not installed");
            return None;
        }
        let url = old.database().unwrap();
        client(&url).batch_execute(AGE).unwrap();
        let messaging = Messaging::connect(&url).unwrap();
        messaging.migrate().unwrap();
        messaging.topic("ledger").configure(log()).unwrap();
        Some(Servers {
            old,
            url,
            messaging,
            new: start().unwrap(),
        })
    }

    fn run(&self, program: &str, url: &str, file: &std::path::Path) {
        let mut command = Command::new(self.old.bin_dir().unwrap().join(program));
        match program {
            "pg_dump" => command.args(["--format=custom", "--file"]).arg(file),
            _ => command.args(["--exit-on-error"]).arg(file),
        };
        let done = command.arg("--dbname").arg(url).output().unwrap();
        let text = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{program}: {text}");
    }

    /// Dumps the one, and restores that into the other one; returns its URL.
    fn restore(&self) -> String {
        let folder = env::temp_dir();
        let file = folder.join(format!(
            "outtray-{}-{:?}.dump",
            std::process::id(),
            thread::current().id()
        ));
        let url = self.new.empty_database().unwrap();
        self.run("pg_dump", &self.url, &file);
        self.run("pg_restore", &url, &file);
        std::fs::remove_file(&file).unwrap();
        assert!(id(&mut client(&url)) < id(&mut client(&self.url)));
        url
    }
}

/// Returns the number of a transaction of now.
fn id(client: &mut Client) -> i64 {
    let sql = "SELECT pg_current_xact_id()::text::bigint";
    client.query_one(sql, &[]).unwrap().get(0)
}

fn send(messaging: &Messaging, numbers: std::ops::Range<i32>) {
    let sent = messaging.session(|session| Ok(session.send_messages("ledger", numbers.clone())?));
    sent.unwrap();
}

/// Writes an entry in the client's open transaction.
fn write(client: &mut Client, number: i32) {
    let sql = format!(
        "INSERT INTO outtray.log_entry (topic, segment, id, payload)
        SELECT 'ledger', segment, gen_random_uuid(), '{number}' FROM outtray.log"
    );
    client.batch_execute(&sql).unwrap();
}

fn tail(messaging: &Messaging, position: impl Into<Position>) -> Tail {
    messaging.tail("ledger", position).unwrap()
}

#[test]
fn readers_keep_their_places_after_a_restore_and_nothing_is_missed_or_doubled() {
    let Some(servers) = Servers::started() else {
        return;
    };
    let old = &servers.messaging;
    send(old, 0..10);
    let (receiver, batches) = telling(old.reader("ledger", "one"));
    assert_eq!(told(&batches, 10), (0..10).collect::<Vec<_>>());
    receiver.stop(PATIENCE);
    let mut late = client(&servers.url);
    late.batch_execute("BEGIN").unwrap();
    write(&mut late, 10);
    send(old, 11..13);
    let mut before = tail(old, Position::Start);
    let seen = (0..10).chain(11..13).collect::<Vec<_>>();
    assert_eq!(follow(&mut before, 12), seen);
    let at: LogPosition = before.position();
    // In no tick: what ended after the last one, what was written after it, and what has not ended.
    let mut open = client(&servers.url);
    open.batch_execute("BEGIN").unwrap();
    write(&mut open, 1000);
    write(&mut late, 13);
    late.batch_execute("COMMIT").unwrap();
    send(old, 14..20);
    let mut prepared = client(&servers.url);
    prepared.batch_execute("BEGIN").unwrap();
    write(&mut prepared, 1001);
    prepared
        .batch_execute("PREPARE TRANSACTION 'half'")
        .unwrap();
    let url = servers.restore();

    // Who writes first does not know.
    let new = Messaging::connect(&url).unwrap();
    send(&new, 20..30);
    let left: Vec<i32> = follow(&mut tail(&new, at), 18);
    send(&new, 30..40);
    let (receiver, batches) = telling(new.reader("ledger", "one"));
    let handled = told(&batches, 30);
    let mut all = tail(&new, Position::Start);
    let order = follow(&mut all, 40);
    send(&new, 40..45);
    assert_eq!(told(&batches, 5), (40..45).collect::<Vec<_>>());
    receiver.stop(PATIENCE);

    let expected: Vec<i32> = [10].into_iter().chain(13..30).collect();
    assert_eq!(left, expected);
    assert_eq!(order[..12], seen);
    assert_eq!(order[12..30], expected);
    assert_eq!(order[30..], (30..40).collect::<Vec<_>>());
    assert_eq!(handled, order[10..]);
    assert_eq!(rest(&mut all), (40..45).collect::<Vec<_>>());
}

#[test]
fn an_old_transaction_and_a_new_one_of_the_same_number_are_not_mixed_up() {
    let Some(servers) = Servers::started() else {
        return;
    };
    send(&servers.messaging, 0..10);
    let mut before = tail(&servers.messaging, Position::Start);
    assert_eq!(follow(&mut before, 10).len(), 10);
    send(&servers.messaging, 10..20);
    let url = servers.restore();
    let mut other = client(&url);
    // All that is left to read has the number of a transaction that is about to write.
    let mut writer = client(&url);
    writer.batch_execute("BEGIN").unwrap();
    let number = id(&mut writer);
    let sql = "UPDATE outtray.log_entry SET tx = $1::bigint::text::xid8 WHERE seq > 10";
    assert_eq!(other.execute(sql, &[&number]).unwrap(), 10);

    let new = Messaging::connect(&url).unwrap();
    let mut all = tail(&new, Position::Start);
    let first = follow(&mut all, 20);
    write(&mut writer, 20);
    send(&new, 21..23);
    let then = follow(&mut all, 2);
    writer.batch_execute("COMMIT").unwrap();
    let last = follow(&mut all, 1);

    assert_eq!(first, (0..20).collect::<Vec<_>>());
    assert_eq!((then, last), (vec![21, 22], vec![20]));
    assert!(rest(&mut all).is_empty());
    assert_eq!(
        follow(&mut tail(&new, Position::Start), 23),
        [first, vec![21, 22, 20]].concat()
    );
}

#[test]
fn who_wrote_since_the_restore_and_has_not_ended_is_waited_for_and_nothing_else_is() {
    let Some(servers) = Servers::started() else {
        return;
    };
    send(&servers.messaging, 0..5);
    let (receiver, batches) = telling(servers.messaging.reader("ledger", "one"));
    assert_eq!(told(&batches, 5).len(), 5);
    receiver.stop(PATIENCE);
    send(&servers.messaging, 5..8);
    let url = servers.restore();
    let new = Messaging::connect(&url).unwrap();
    let mut idle = client(&url);
    idle.batch_execute("BEGIN; SELECT pg_current_xact_id()")
        .unwrap();
    let mut writer = client(&url);
    writer.batch_execute("BEGIN").unwrap();
    write(&mut writer, 8);

    let (receiver, batches) = telling(new.reader("ledger", "one"));
    let sent = aside({
        let new = new.clone();
        move || send(&new, 9..11)
    });
    sent.recv_timeout(PATIENCE).unwrap();
    let is_held = batches.recv_timeout(Duration::from_millis(300)).is_err();
    writer.batch_execute("COMMIT").unwrap();
    let handled = told(&batches, 6);
    receiver.stop(PATIENCE);

    assert!(is_held);
    assert_eq!(handled, (5..11).collect::<Vec<_>>());
}

#[test]
fn all_processes_that_notice_a_restore_at_once_agree_on_one_order() {
    let Some(servers) = Servers::started() else {
        return;
    };
    send(&servers.messaging, 0..300);
    let mut before = tail(&servers.messaging, Position::Start);
    assert_eq!(follow(&mut before, 300).len(), 300);
    send(&servers.messaging, 300..5000);
    let url = servers.restore();

    let orders: Vec<Vec<i32>> = thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|reader: i32| {
                let url = &url;
                scope.spawn(move || {
                    let mine = Messaging::connect(url).unwrap();
                    let first = 5000 + reader * 100;
                    (first..first + 100).for_each(|number| send(&mine, number..number + 1));
                    let mut tail = tail(&mine, Position::Start);
                    (0..3)
                        .flat_map(|_| follow(&mut tail, 1800))
                        .collect::<Vec<i32>>()
                })
            })
            .collect();
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .collect()
    });

    let eras = "SELECT count(DISTINCT floor) FROM outtray.log_tick";
    assert_eq!(
        client(&url).query_one(eras, &[]).unwrap().get::<_, i64>(0),
        2
    );
    assert_eq!(orders[0][..5000], (0..5000).collect::<Vec<_>>());
    let mut sorted = orders[0].clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..5400).collect::<Vec<_>>());
    assert!(orders.iter().all(|order| *order == orders[0]));
}

#[test]
fn segments_of_before_a_restore_end_as_others_do() {
    let Some(servers) = Servers::started() else {
        return;
    };
    let kept = TopicConfig {
        keep_for: Some(Duration::from_secs(3600)),
        ..log()
    };
    servers.messaging.topic("ledger").configure(kept).unwrap();
    send(&servers.messaging, 0..10);
    // One that was closed, and has entries that are in no tick.
    let mut old = client(&servers.url);
    old.batch_execute(
        "SELECT outtray.log_open_segment('ledger', (SELECT segment FROM outtray.log))",
    )
    .unwrap();
    old.batch_execute(
        "SELECT outtray.log_seal_segment('ledger', min(segment)) FROM outtray.log_segment",
    )
    .unwrap();
    send(&servers.messaging, 10..20);
    let url = servers.restore();

    let new = Messaging::connect(&url).unwrap();
    let mut all = tail(&new, Position::Start);

    assert_eq!(follow(&mut all, 20), (0..20).collect::<Vec<_>>());
    let mut new = client(&url);
    let last = "SELECT min(last_tick) = (SELECT tick FROM outtray.log_tick WHERE floor > 0 ORDER BY tick LIMIT 1)
        FROM outtray.log_segment";
    assert!(new.query_one(last, &[]).unwrap().get::<_, bool>(0));
}

#[test]
fn ticks_whose_transactions_are_still_to_come_here_begin_an_era() {
    let mut place = place();
    place.send("ledger", &1);
    place.sql(
        "INSERT INTO outtray.log_tick (topic, tick, snapshot, low, high, segments)
        SELECT 'ledger', 1, '900000000:900000000:', 1, 1, array_agg(segment) FROM outtray.log",
    );
    place.send("ledger", &2);

    let mut all = tail(&place.messaging, Position::Start);
    let mut now = tail(&place.messaging, Position::Now);
    place.send("ledger", &3);

    assert_eq!(follow(&mut all, 3), [1, 2, 3]);
    assert_eq!(follow(&mut now, 1), [3]);
}

#[test]
fn a_reader_whose_place_was_put_back_under_it_goes_on_from_there() {
    let mut place = place();
    place.send_all("ledger", 0..3);
    let (receiver, batches) = telling(place.messaging.reader("ledger", "one"));
    assert_eq!(told(&batches, 3), [0, 1, 2]);
    eventually("nothing is in hand", || {
        place.count("outtray.log_place WHERE holder IS NULL") == 1
    });
    place.sql("UPDATE outtray.log_place SET moved = 0, tick = 1, seq = 0");

    place.send("ledger", &3);

    assert_eq!(told(&batches, 4), [0, 1, 2, 3]);
    receiver.stop(PATIENCE);
}
