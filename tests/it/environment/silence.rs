//! A server or a network that vanishes without a word is noticed, and everything goes on by itself
//! when it is back.

use super::{BACK, NOTICED};
use crate::support::{
    COMMIT, Frozen, Gate, Ledger, NO_POLLING, PATIENCE, Tunnel, WORK, aside, client, database,
    eventually, next, pass_time,
};
use crossbeam_channel::unbounded;
use outtray::testing::Server;
use outtray::{Builder, ErrorKind, Message, Messaging};
use postgres::fallible_iterator::FallibleIterator;
use std::io::Write;
use std::time::{Duration, Instant};

/// Within which time most tests notice.
const WITHIN: Duration = Duration::from_secs(2);

fn builder(url: &str) -> Builder {
    Messaging::builder().url(url).notice_silence(WITHIN)
}

fn watched(url: &str) -> Messaging {
    builder(url).connect().unwrap()
}

/// Runs `call`, which is to end in time.
#[track_caller]
fn ends_within<T: Send + 'static>(bound: Duration, call: impl FnOnce() -> T + Send + 'static) -> T {
    let started = Instant::now();
    let ended = aside(call).recv_timeout(PATIENCE + bound);
    let Ok(ended) = ended else {
        panic!("not noticed after {:?}", started.elapsed());
    };
    let took = started.elapsed();
    assert!(took < bound, "took {took:?}");
    ended
}

/// Has the network fall silent in a session, before a statement that is to end in time.
#[track_caller]
fn check_session(messaging: &Messaging, tunnel: &Tunnel) {
    let sender = messaging.clone();
    let silent = Gate::new();
    let gate = silent.clone();
    let call = move || {
        sender.session(|session| {
            session.query_one("SELECT 1", &[])?;
            gate.pass();
            Ok(session.query_one("SELECT 2", &[]).map(drop)?)
        })
    };
    let ended = aside(call);
    silent.await_arrivals(1);
    tunnel.fall_silent();
    silent.open_for(1);
    let error = ended
        .recv_timeout(NOTICED)
        .expect("it is noticed")
        .unwrap_err();
    assert!(error.cause::<postgres::Error>().is_some(), "{error:?}");
}

#[test]
fn a_session_in_a_network_that_fell_silent_ends_in_time_and_the_next_one_works_when_it_is_back() {
    let ledger = Ledger::open();
    let tunnel = Tunnel::to(ledger.url());
    let messaging = watched(tunnel.url());
    // Several connections lie in the pool.
    let at_once = Gate::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                messaging.session(|session| {
                    session.query_one("SELECT 1", &[])?;
                    at_once.pass();
                    Ok(())
                })
            });
        }
        at_once.await_arrivals(4);
        at_once.open_for(4);
    });

    check_session(&messaging, &tunnel);

    tunnel.heal_forgetful();
    ends_within(BACK, move || {
        messaging
            .session(|session| Ok(session.send_message(WORK, "hello")?))
            .unwrap()
    });
    assert_eq!(ledger.left(), 1);
}

#[test]
fn silence_is_noticed_on_a_connection_on_which_many_messages_were_sent_at_once() {
    let ledger = Ledger::open();
    let tunnel = Tunnel::to(ledger.url());
    let messaging = builder(tunnel.url()).pool_size(1).connect().unwrap();
    // So many are copied.
    messaging
        .session(|session| Ok(session.send_messages(WORK, [0; 100]).map(drop)?))
        .unwrap();

    check_session(&messaging, &tunnel);
}

#[test]
fn silence_is_noticed_while_many_messages_are_sent_at_once() {
    let ledger = Ledger::open();
    ledger.execute(
        "CREATE TABLE gate ();
        CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM count(*) FROM gate; RETURN NULL;
        END $$;
        CREATE TRIGGER gated BEFORE INSERT ON outtray.message EXECUTE FUNCTION wait()",
    );
    let mut holder = client(ledger.url());
    let mut held = holder.transaction().unwrap();
    held.batch_execute("LOCK TABLE gate").unwrap();
    let tunnel = Tunnel::to(ledger.url());
    let messaging = watched(tunnel.url());

    let ended = aside(move || {
        messaging.session(|session| Ok(session.send_messages(WORK, [0; 100]).map(drop)?))
    });
    // The server has asked for the messages by then.
    let waiting = "SELECT count(*) FROM pg_locks
        WHERE relation = 'gate'::regclass AND NOT granted";
    eventually("they are on their way", || ledger.number(waiting, &[]) == 1);
    tunnel.fall_silent();

    let ended = ended.recv_timeout(NOTICED).expect("it is noticed");
    assert!(ended.is_err());
}

#[test]
fn a_session_whose_commit_meets_silence_has_an_unknown_outcome() {
    let ledger = Ledger::open();
    ledger.execute("CREATE TABLE thing (name text)");
    let tunnel = Tunnel::to(ledger.url());
    let messaging = watched(tunnel.url());
    messaging
        .session(|session| Ok(session.execute("DELETE FROM thing", &[]).map(drop)?))
        .unwrap();

    tunnel.fall_silent_at(COMMIT);
    let (error, id) = ends_within(NOTICED, move || {
        let mut id = None;
        let ended: outtray::Result<()> = messaging.session(|session| {
            session.execute("INSERT INTO thing VALUES ('new')", &[])?;
            id = Some(session.send_message(WORK, "once")?);
            Ok(())
        });
        (ended.unwrap_err(), id.unwrap())
    });

    assert!(tunnel.is_silent());
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:?}");
    assert_eq!(error.unknown_ids(), [id]);
}

/// Falls silent in a handler before its SQL or in its COMMIT, heals, and has each message have its
/// effect once.
#[track_caller]
fn check_handler(fall: impl FnOnce(&Tunnel), heal: impl FnOnce(&Tunnel)) {
    let ledger = Ledger::open();
    let sent = ledger.send((0..5).map(|_| "message"));
    let tunnel = Tunnel::to(ledger.url());
    let messaging = watched(tunnel.url());
    let gate = Gate::new();
    let receiver = Ledger::start_at(&messaging, &gate);
    gate.await_arrivals(1);
    fall(&tunnel);
    gate.open_for(1);
    // It is noticed, and somebody tries to connect anew.
    let before = tunnel.accepted();
    let noticed = Instant::now();
    eventually("somebody connects anew", || tunnel.accepted() > before);
    assert!(noticed.elapsed() < NOTICED, "{:?}", noticed.elapsed());
    heal(&tunnel);
    gate.open_for(20);
    let healed = Instant::now();
    ledger.await_end();
    assert!(healed.elapsed() < BACK * 2, "{:?}", healed.elapsed());
    receiver.stop(PATIENCE);
    assert_eq!(ledger.check(&sent, &[]), 0);
}

#[test]
fn a_worker_whose_handlers_statement_meets_silence_is_back_at_work_when_the_network_is() {
    check_handler(Tunnel::fall_silent, Tunnel::heal);
    check_handler(Tunnel::fall_silent, Tunnel::heal_forgetful);
}

#[test]
fn a_worker_whose_commit_meets_silence_is_back_at_work_when_the_network_is() {
    check_handler(|tunnel| tunnel.fall_silent_at(COMMIT), Tunnel::heal);
    check_handler(
        |tunnel| tunnel.fall_silent_at(COMMIT),
        Tunnel::heal_forgetful,
    );
}

#[test]
fn an_idle_receiver_hears_again_after_its_connections_were_forgotten() {
    let ledger = Ledger::open();
    let tunnel = Tunnel::to(ledger.url());
    let receiving = builder(tunnel.url())
        .poll_interval(NO_POLLING)
        .connect()
        .unwrap();
    let (receiver, told) = Ledger::start_telling(&receiving);
    let listening = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'idle' AND query LIKE 'LISTEN %'";
    eventually("it listens", || ledger.number(listening, &[]) == 1);
    let before = tunnel.accepted();

    tunnel.fall_silent();
    let silent = Instant::now();
    eventually("it connects anew", || tunnel.accepted() > before);
    assert!(silent.elapsed() < NOTICED, "{:?}", silent.elapsed());
    tunnel.heal_forgetful();

    eventually("it listens again", || ledger.number(listening, &[]) == 2);
    let id = ledger
        .messaging()
        .session(|session| Ok(session.send_message(WORK, "hello")?))
        .unwrap();
    assert_eq!(next(&told, 1), [id]);
    receiver.stop(PATIENCE);
}

#[test]
fn a_connection_that_alone_was_forgotten_is_noticed_too() {
    let ledger = Ledger::open();
    let tunnel = Tunnel::to(ledger.url());
    let messaging = watched(tunnel.url());
    messaging
        .session(|session| Ok(session.query_one("SELECT 1", &[]).map(drop)?))
        .unwrap();

    tunnel.heal_forgetful();

    ends_within(NOTICED, move || {
        let ask =
            || messaging.session(|session| Ok(session.query_one("SELECT 1", &[]).map(drop)?));
        // One that was used within the last second is not asked for a sign of life first.
        ask().or_else(|_| ask()).unwrap();
    });
}

#[test]
fn what_takes_long_is_not_cut() {
    let ledger = Ledger::open();
    let messaging = Messaging::builder()
        .url(ledger.url())
        .notice_silence(Duration::from_secs(4))
        .connect()
        .unwrap();
    ledger.execute("CREATE TABLE number (value integer)");

    messaging
        .session(|session| {
            session.query_one("SELECT pg_sleep(3)", &[])?;
            {
                let mut transaction = session.transaction()?;
                // Rows that nobody fetches for a while, and some that nobody writes.
                let rows = "SELECT repeat('x', 1000) FROM generate_series(1, 100000)";
                let mut rows = transaction.query_raw(rows, Vec::<i32>::new())?;
                rows.next()?;
                pass_time(Duration::from_secs(3));
                assert_eq!(rows.count()?, 99_999);
                let mut writer = transaction.copy_in("COPY number FROM STDIN")?;
                writer.write_all(b"1\n")?;
                writer.flush()?;
                pass_time(Duration::from_secs(3));
                writer.write_all(b"2\n")?;
                writer.finish()?;
                transaction.commit()?;
            }
            // Waiting for a lock is work.
            Ok(session
                .query_one("SELECT count(*), pg_sleep(2) FROM number", &[])
                .map(drop)?)
        })
        .unwrap();
}

#[test]
fn connects_to_what_accepts_and_says_nothing_give_their_turns_back() {
    let url = database();
    let tunnel = Tunnel::to(&url);
    let through = format!("{}?connect_timeout=1", tunnel.url());
    let messaging = watched(&through);
    tunnel.fall_silent();
    tunnel.cut();

    std::thread::scope(|scope| {
        for _ in 0..80 {
            scope.spawn(|| {
                let drained = messaging.drain("t", |_, _: Message<i32>| Ok(()));
                assert_eq!(drained.unwrap_err().kind(), ErrorKind::Unavailable);
            });
        }
    });
    tunnel.heal_forgetful();

    ends_within(BACK, move || {
        messaging.drain("t", |_, _: Message<i32>| Ok(())).unwrap()
    });
}

#[test]
fn silence_is_noticed_within_fifteen_seconds_if_nobody_says_otherwise() {
    let ledger = Ledger::open();
    let tunnel = Tunnel::to(ledger.url());
    let messaging = Messaging::connect(tunnel.url()).unwrap();
    messaging
        .session(|session| Ok(session.query_one("SELECT 1", &[]).map(drop)?))
        .unwrap();
    tunnel.fall_silent();

    let silent = Instant::now();
    let ended = messaging.session(|session| Ok(session.query_one("SELECT 1", &[]).map(drop)?));

    assert!(ended.is_err());
    // It is noticed after nine; then a new connection is waited for, for ten.
    let took = silent.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn a_server_that_is_frozen_is_noticed_and_worked_with_when_it_goes_on() {
    let server = Server::builder().always_embedded().start().unwrap();
    let ledger = Ledger::of(server.database().unwrap());
    let messaging = watched(ledger.url());
    let (tell, told) = unbounded();
    let receiver = messaging
        .receiver(WORK)
        .start(move |session, message: Message<String>| {
            Ledger::enter(session, &message)?;
            Ok(tell.send(())?)
        })
        .unwrap();
    let mut sent = ledger.send(["before"]);
    next(&told, 1);

    let frozen = Frozen::server(&server);
    let asking = messaging.clone();
    let ended = aside(move || {
        asking.session(|session| Ok(session.query_one("SELECT 1", &[]).map(drop)?))
    });
    let noticed = ended.recv_timeout(NOTICED + Duration::from_secs(10));
    drop(frozen);

    assert!(noticed.expect("it is noticed").is_err());
    sent.extend(ledger.send(["after"]));
    next(&told, 1);
    ledger.await_end();
    receiver.stop(PATIENCE);
    ledger.check(&sent, &[]);
}
