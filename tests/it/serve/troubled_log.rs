//! The log is not as the server left it: entries that cannot be read, others' locks, limits of the
//! role, a failover to a server that lacks what came last.

use super::caller::Caller;
use super::{Generation, Serving};
use crate::support::{Frozen, MINUTE, database, eventually, pass_time};
use outtray::testing::Server;
use postgres::{Client, NoTls};
use std::time::{Duration, Instant};

fn writer_and_reader(serving: &Serving) -> (Caller, Caller) {
    let mut callers = [0, 1].map(|_| serving.call(Generation::WebSocket));
    for caller in &mut callers {
        assert_eq!(caller.get("q"), "");
    }
    let [writer, reader] = callers;
    (writer, reader)
}

#[test]
fn an_entry_that_cannot_be_read_keeps_no_message_from_anyone() {
    let serving = Serving::new();
    let (mut writer, mut reader) = writer_and_reader(&serving);
    let mut client = Client::connect(&serving.url, NoTls).unwrap();
    let odd = "INSERT INTO outtray.log_entry (topic, segment, id, key, headers, payload)
        SELECT topic, segment, gen_random_uuid(), 'q', $1::text::json, '7' FROM outtray.log";
    for headers in ["[1]", r#"{"n": 1}"#] {
        client.execute(odd, &[&headers]).unwrap();
        writer.put("q", 1);
        assert_eq!(reader.get_all("q", 1), [1]);
    }
    assert!(serving.said().contains("passes over"));
}

#[test]
fn a_put_waits_for_a_lock_of_others_whatever_the_timeouts() {
    let url = database();
    let mut client = Client::connect(&url, NoTls).unwrap();
    client
        .batch_execute(
            "DO $$ BEGIN
                EXECUTE format('ALTER DATABASE %I SET statement_timeout = 2000', current_database());
                EXECUTE format('ALTER DATABASE %I SET lock_timeout = 100', current_database());
            END $$",
        )
        .unwrap();
    let serving = Serving::over(&url, "127.0.0.1:0", &[]);
    let (mut writer, mut reader) = writer_and_reader(&serving);

    let mut lock = client.transaction().unwrap();
    lock.batch_execute("LOCK TABLE outtray.log_entry IN SHARE MODE")
        .unwrap();
    writer.put("q", 1);
    eventually("it could not be stored", || {
        serving.said().contains("cannot store messages")
    });
    pass_time(Duration::from_secs(1));
    lock.rollback().unwrap();

    assert_eq!(reader.get_all("q", 1), [1]);
    writer.put("q", 2);
    assert_eq!(writer.get_all("q", 2), [1, 2]);
}

#[test]
fn when_the_log_lacks_what_came_last_clients_are_closed_and_others_go_on_at_once() {
    let serving = Serving::new();
    let (mut writer, mut reader) = writer_and_reader(&serving);
    for number in 0..6 {
        writer.put("q", number);
        assert_eq!(reader.get_all("q", 1), [number]);
    }

    // As a standby that was promoted without the latest commits.
    let mut client = Client::connect(&serving.url, NoTls).unwrap();
    client
        .batch_execute(
            "BEGIN;
            DELETE FROM outtray.log_entry WHERE payload::text::integer >= 3;
            DELETE FROM outtray.log_tick
            WHERE tick > (SELECT max(tick) - 3 FROM outtray.log_tick);
            COMMIT;
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .unwrap();
    let goodbyes = [&mut writer, &mut reader].map(|caller| {
        // It is not looked at as long as nobody puts.
        let mut other = serving.call(Generation::Bare);
        other.put("other", 1);
        caller.goodbye()
    });

    for goodbye in goodbyes {
        assert_eq!(goodbye.code, Some(1011), "{goodbye:?}");
    }
    let begun = Instant::now();
    let (mut writer, mut reader) = writer_and_reader(&serving);
    for number in 10..20 {
        writer.put("q", number);
        assert_eq!(reader.get_all("q", 1), [number]);
        assert_eq!(reader.get("q"), "");
    }
    // Nobody waits for puts that will never come out.
    assert!(begun.elapsed() < MINUTE / 6, "{:?}", begun.elapsed());
}

#[test]
fn many_clients_with_many_puts_wait_for_room_and_none_is_closed() {
    let server = Server::start().unwrap();
    let url = server.database().unwrap();
    let serving = Serving::over(&url, "127.0.0.1:0", &["--buffer", "1"]);
    let mut reader = serving.call(Generation::Bare);
    assert_eq!(reader.get("q"), "");
    let mut writers: Vec<Caller> = (0..60).map(|_| serving.call(Generation::Bare)).collect();
    for writer in &mut writers {
        assert_eq!(writer.get("q"), "");
    }

    let frozen = Frozen::server(&server);
    let filling = "x".repeat(3_000);
    for writer in &mut writers {
        let puts = format!(r#"{{"action": "put", "topic": "q", "message": "{filling}"}}"#);
        writer.send_bytes(puts.repeat(20).as_bytes());
    }
    pass_time(Duration::from_secs(1));
    drop(frozen);

    let got = reader.get_all("q", 60 * 20);
    assert!(got.iter().all(|message| message.as_str() == Some(&filling)));
    assert!(!serving.said().contains("no more room"));
}
