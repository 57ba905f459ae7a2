//! A server that takes no writes any more while its connections live: behind a proxy that keeps
//! them, or since somebody keeps writers away from it before a switch. They are given up at once,
//! whoever meets it is told to try again, and no message is charged.

use super::failover::{started, twin};
use crate::support::{PATIENCE, Place, client, eventually, next};
use crossbeam_channel::{Receiver as Told, unbounded};
use outtray::testing::Server;
use outtray::{ErrorKind, Message, Messaging, Receiver};
use postgres::{Client, NoTls};
use std::time::{Duration, Instant};

/// Has a server refuse writes, or take them again, on the connections that are there too.
fn fence(url: &str, is_fenced: bool) {
    let wanted = if is_fenced { "on" } else { "off" };
    let mut client = Client::connect(url, NoTls).unwrap();
    let set = format!("ALTER SYSTEM SET default_transaction_read_only = {wanted}");
    client.batch_execute(&set).unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    eventually("new sessions know", || {
        let row = client.query_one("SHOW default_transaction_read_only", &[]);
        row.unwrap().get::<_, &str>(0) == wanted
    });
}

/// Moves the writers from one server to the other.
fn switch(one: &Server, other_url: &str) {
    fence(other_url, false);
    fence(one.url(), true);
}

/// Two servers with the same database, of which the first takes writes, however long it needs for
/// an answer; and the URL of both.
fn both() -> (Server, Server, String, String) {
    let (one, other) = (started(), started());
    let url = one.database().unwrap();
    let other_url = twin(&url, &other);
    let (credentials, place) = url.rsplit_once('@').unwrap();
    let (_, rest) = other_url.rsplit_once('@').unwrap();
    let (host, _) = place.split_once('/').unwrap();
    let both = format!("{credentials}@{host},{rest}?target_session_attrs=read-write");
    fence(&other_url, true);
    (one, other, other_url, both)
}

fn receive(messaging: &Messaging) -> (Receiver, Told<(String, u32)>) {
    let (tell, told) = unbounded();
    let receiver =
        messaging.start_receiving_messages("jobs", move |session, message: Message<String>| {
            session.send_message("done", &message.payload)?;
            Ok(tell.send((message.payload, message.attempt))?)
        });
    (receiver.unwrap(), told)
}

fn send(messaging: &Messaging, text: &str) -> outtray::Result<()> {
    messaging.session(|session| {
        session.query_one("SELECT 1", &[])?;
        Ok(session.send_message("jobs", text).map(drop)?)
    })
}

/// Sends until that is refused: a server process may learn a little later that it is to.
#[track_caller]
fn refused(send: impl Fn() -> outtray::Result<()>) -> outtray::Error {
    let started = Instant::now();
    loop {
        if let Err(error) = send() {
            return error;
        }
        assert!(started.elapsed() < PATIENCE, "it is never refused");
    }
}

#[test]
fn idle_receivers_leave_a_server_that_takes_no_writes_any_more() {
    let (one, _other, other_url, both) = both();
    let messaging = Messaging::connect(&both).unwrap();
    let (receiver, told) = receive(&messaging);
    send(&messaging, "before").unwrap();
    assert_eq!(next(&told, 1), [("before".to_owned(), 1)]);

    switch(&one, &other_url);
    send(&Messaging::connect(&other_url).unwrap(), "after").unwrap();

    let fenced = Instant::now();
    assert_eq!(next(&told, 1), [("after".to_owned(), 1)]);
    assert!(
        fenced.elapsed() < super::BACK_FROM_ANYTHING,
        "{:?}",
        fenced.elapsed()
    );
    receiver.stop(PATIENCE);
}

#[test]
fn who_sends_on_a_connection_that_takes_no_writes_any_more_is_told_to_try_again_and_soon_succeeds()
{
    let (one, _other, other_url, both) = both();
    let messaging = Messaging::connect(&both).unwrap();
    // Several connections lie in the pool.
    fn nest(messaging: &Messaging, depth: usize) {
        let nested = messaging.session(|session| {
            session.query_one("SELECT 1", &[])?;
            if depth > 0 {
                nest(messaging, depth - 1);
            }
            Ok(())
        });
        nested.unwrap();
    }
    nest(&messaging, 6);
    switch(&one, &other_url);

    let error = refused(|| send(&messaging, "hello"));

    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    // What befell one connection has befallen the others.
    nest(&messaging, 6);
    (0..4).for_each(|_| send(&messaging, "hello").unwrap());
}

#[test]
fn a_single_send_that_a_server_refuses_since_it_takes_no_writes_is_known_not_to_have_happened() {
    let (one, _other, other_url, both) = both();
    let messaging = Messaging::connect(&both).unwrap();
    let send =
        || messaging.session(|session| Ok(session.send_message("jobs", "hello").map(drop)?));
    send().unwrap();
    switch(&one, &other_url);

    let error = refused(send);

    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    send().unwrap();
}

#[test]
fn no_message_is_charged_where_its_handler_meets_a_server_that_takes_no_writes_any_more() {
    let (one, _other, other_url, both) = both();
    let messaging = Messaging::connect(&both).unwrap();
    for url in [&both, &other_url] {
        send(&Messaging::connect(url).unwrap(), "hello").unwrap();
    }
    let (enter, entered) = unbounded();
    let (go, may_go) = unbounded::<()>();
    // Under a lease, so that the handler itself begins its transaction.
    let receiver = messaging.receiver("jobs").workers(1).max_attempts(1);
    let receiver = receiver.lease(Duration::from_secs(30));
    let receiver = receiver.start(move |session, message: Message<String>| {
        enter.send(message.attempt)?;
        may_go.recv()?;
        Ok(session.batch_execute("CREATE TABLE IF NOT EXISTS thing ()")?)
    });
    assert_eq!(next(&entered, 1), [1]);

    switch(&one, &other_url);
    go.send(()).unwrap();
    go.send(()).unwrap();

    assert_eq!(next(&entered, 1), [1]);
    let there = Messaging::connect(&other_url).unwrap();
    eventually("it is handled on the other server", || {
        there.topic("jobs").is_empty().unwrap()
    });
    assert_eq!(there.topic("jobs").dead_letters(9).unwrap().len(), 0);
    receiver.unwrap().stop(PATIENCE);
}

#[test]
fn what_a_function_refuses_to_write_is_the_callers_own_failure() {
    let mut place = Place::new();
    place.sql(
        "CREATE TABLE thing ();
        CREATE FUNCTION raise() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
            RAISE 'another server only reads' USING ERRCODE = '25006';
        END $$;
        CREATE FUNCTION only_read() RETURNS void LANGUAGE plpgsql
            SET transaction_read_only = on AS $$ BEGIN INSERT INTO thing DEFAULT VALUES; END $$",
    );
    let by_itself = "SELECT set_config('transaction_read_only', 'on', true)";
    for sql in ["SELECT raise()", "SELECT only_read()", by_itself] {
        let failed = place.messaging.session(|session| {
            session.query_one(sql, &[])?;
            let written = session.execute("INSERT INTO thing DEFAULT VALUES", &[]);
            Ok(written.map(drop)?)
        });
        let error = failed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RolledBack, "{sql}: {error:?}");
    }

    let receiver = place.messaging.receiver("jobs").max_attempts(1);
    let receiver = receiver.start(|session, _: Message<i32>| {
        Ok(session.query_one("SELECT raise()", &[]).map(drop)?)
    });
    place.send("jobs", &1);
    eventually("it is given up", || place.dead_letters("jobs").len() == 1);
    receiver.unwrap().stop(PATIENCE);
}

#[test]
fn receivers_show_life_soon_after_the_connections_of_their_process_were_given_up() {
    let server = started();
    let url = server.database().unwrap();
    let messaging = Messaging::connect(&url).unwrap();
    let (receiver, _told) = receive(&messaging);
    let mut watching = client(&url);
    let mut ask = |sql: &str| -> String {
        let row = watching.query_opt(sql, &[]).unwrap();
        row.map(|row| row.get(0)).unwrap_or_default()
    };
    let seen = "SELECT seen_at::text FROM outtray.worker";
    let holder = "SELECT pid::text FROM pg_locks WHERE locktype = 'advisory' AND granted";
    let (seen_first, before) = (ask(seen), ask(holder));
    eventually("it looks after others", || ask(seen) != seen_first);
    let looked = Instant::now();

    fence(&url, true);
    refused(|| send(&messaging, "hello"));
    fence(&url, false);

    eventually("it shows life on another connection", || {
        let now = ask(holder);
        !now.is_empty() && now != before
    });
    // It looks every ten seconds.
    assert!(looked.elapsed() < Duration::from_secs(8));
    receiver.stop(PATIENCE);
}
