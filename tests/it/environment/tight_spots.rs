//! A program in a tight spot gets an error to go on with, and never a panic: no file descriptors
//! left, a server that says nothing, a thread on which nobody may block.

use super::hold_a_connection;
use crate::support::{
    Child, Gate, PATIENCE, aside, database, eventually, make_suspect, next, rated_keys, test_name,
};
use crossbeam_channel::{bounded, unbounded};
use outtray::testing::Server;
use outtray::{Backoff, ErrorKind, Message, Messaging, MessagingSession, NewMessage};
use postgres::{Client, NoTls};
use serde_json::Value;
use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const CHILD: &str = test_name!(what_child_processes_run);

fn send(messaging: &Messaging) -> outtray::Result<()> {
    messaging
        .session(|session| Ok(session.send_message("t", &1)?))
        .map(drop)
}

#[test]
fn running_out_of_file_descriptors_is_an_error_and_the_program_goes_on() {
    let url = database();
    // Enough for a handful of connections, at four or five each.
    let mut limited = Command::new("sh");
    limited
        .args(["-c", r#"ulimit -n 40 && exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap());

    let mut child = Child::start(limited, CHILD, &url);

    let told = child.listen();
    assert!(told.starts_with("Unavailable after "), "{told}");
    assert_eq!(child.listen(), "sessions and receivers: all Unavailable");
    assert_eq!(child.listen(), "and works again");
    child.finish();
}

/// Does nothing in the test run itself.
#[test]
fn what_child_processes_run() {
    let Some(url) = Child::role() else {
        return;
    };
    let connect = || {
        Messaging::builder()
            .url(&url)
            .checkout_timeout(Duration::from_millis(500))
            .connect()
    };
    let spare = connect().unwrap();
    let mut held = Vec::new();
    let error = loop {
        match connect() {
            Ok(messaging) => held.push(messaging),
            Err(error) => break error,
        }
    };
    Child::tell(&format!(
        "{:?} after {} connections: {error}",
        error.kind(),
        held.len()
    ));

    // The first has one connection, and none while that is in use.
    let refused = spare.session(|session| {
        session.execute("SELECT 1", &[])?;
        let done = |_: &mut outtray::MessagingSession<'_>, _: Message<Value>| Ok(());
        let receiver = spare.start_receiving_messages("t", done);
        Ok((send(&spare).map(drop), receiver.map(drop)))
    });
    let (session, receiver) = refused.unwrap();
    for refused in [session, receiver] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    Child::tell("sessions and receivers: all Unavailable");

    drop(held);
    send(&spare).unwrap();
    assert_eq!(
        spare
            .drain("t", |_, _: Message<Value>| Ok(()))
            .unwrap()
            .handled,
        1
    );
    Child::tell("and works again");
    Child::await_parent();
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() {
    // The operating system accepts connections for it; nobody ever reads them.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let (told, outcome) = bounded(1);

    let connect = move || {
        told.send(Messaging::connect(&format!(
            "postgresql://me:secret@127.0.0.1:{port}/app?connect_timeout=1"
        )))
    };
    thread::Builder::new().spawn(connect).unwrap();

    let error = outcome
        .recv_timeout(PATIENCE)
        .expect("an answer in time")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("did not answer within"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

/// Takes all connections that the server has left.
fn take_all(url: &str) -> Vec<Client> {
    std::iter::from_fn(|| Client::connect(url, NoTls).ok()).collect()
}

/// Workers of a receiver, each of which has a connection while it is busy.
const WORKERS: usize = 8;

/// Starts a server that takes few connections, with a database; returns its URL, too.
fn narrow_server() -> (Server, String) {
    let server = Server::builder()
        .always_embedded()
        .setting("max_connections", "18")
        .setting("superuser_reserved_connections", "0")
        .start()
        .unwrap();
    let url = server.database().unwrap();
    (server, url)
}

fn impatient(url: &str) -> Messaging {
    let builder = Messaging::builder().url(url).pool_size(2);
    let timeout = Duration::from_secs(1);
    builder.checkout_timeout(timeout).connect().unwrap()
}

#[test]
fn where_the_server_has_no_connection_left_nobody_waits_for_ever_and_all_goes_on_later() {
    let (_server, url) = narrow_server();
    let (messaging, inner) = (impatient(&url), impatient(&url));
    let others = inner.clone();
    let (tell, told) = unbounded();
    let gate = Gate::new();
    let at_gate = gate.clone();
    let receiver = messaging
        .receiver("t")
        .workers(WORKERS)
        .messages_per_transaction(1)
        .max_attempts(1000)
        .backoff(Backoff::fixed(Duration::from_millis(50)))
        // One connection in hand, it wants another one.
        .start(move |_, message: Message<i32>| {
            at_gate.pass();
            let sent = inner.send(NewMessage::json("on", &message.payload)?);
            tell.send((message.payload, sent.is_ok()))?;
            Ok(sent.map(drop)?)
        })
        .unwrap();
    let send = |number: i32| send_all(&messaging, "t", [number]);
    send_all(&messaging, "t", 0..8).unwrap();
    gate.await_arrivals(WORKERS);
    let (release, in_use) = hold_a_connection(&others);
    let held = take_all(&url);
    assert!(!held.is_empty());

    gate.open_for(100_000);
    let ended = next(&told, WORKERS);
    assert!(ended.iter().all(|(_, is_sent)| !is_sent), "{ended:?}");
    let sender = messaging.clone();
    let sent = aside(move || {
        let sent = (8..28).filter(|number| send_all(&sender, "t", [*number]).is_ok());
        sent.count()
    });
    let sent = sent.recv_timeout(PATIENCE * 2).expect("each send ends");
    drop((held, release));
    assert!(in_use.recv_timeout(PATIENCE).expect("it ends"));

    for number in 28..40 {
        eventually("there is a connection again", || send(number).is_ok());
    }
    let mut came: HashSet<i32> = HashSet::new();
    while came.len() < WORKERS + sent + 12 {
        let news = next(&told, 1).into_iter();
        came.extend(news.filter_map(|(number, is_sent)| is_sent.then_some(number)));
    }
    eventually("all is committed", || {
        messaging.topic("t").is_empty().unwrap()
    });
    receiver.stop(PATIENCE);
}

fn send_all(
    messaging: &Messaging,
    topic: &str,
    numbers: impl IntoIterator<Item = i32>,
) -> outtray::Result<()> {
    messaging.session(|session| {
        for number in numbers {
            let key = format!("{}", number % 100);
            session.send(NewMessage::json(topic, &number)?.key(key))?;
        }
        Ok(())
    })
}

/// Has workers, each with the one connection that it will ever have, handle messages of a topic
/// that `prepare` made special.
#[track_caller]
fn check_one_connection_each(prepare: impl FnOnce(&Messaging, &mut Client)) {
    let (_server, url) = narrow_server();
    let messaging = impatient(&url);
    let gate = Gate::new();
    let others = messaging.receiver("others").workers(WORKERS);
    let others = gate.holding(others);
    send_all(&messaging, "others", 0..8).unwrap();
    gate.await_arrivals(WORKERS);
    let mut held = take_all(&url);
    prepare(&messaging, &mut held[0]);
    gate.open_for(WORKERS);
    eventually("their connections are idle", || {
        messaging.topic("others").is_empty().unwrap()
    });
    others.stop(PATIENCE);
    let (receiver, told) = gate.telling::<i32>(
        messaging
            .receiver("t")
            // More than there are connections for: the others take what is not in use.
            .workers(2 * WORKERS)
            .messages_per_transaction(1),
    );
    send_all(&messaging, "t", 0..200).unwrap();

    gate.await_arrivals(WORKERS);
    // Until no connection is idle: those that found none try again within a second.
    while !gate.is_lonely_for(Duration::from_secs(2)) {}
    gate.open_for(1000);
    next(&told, 200);
    receiver.stop(PATIENCE);
}

#[test]
fn workers_of_a_suspect_topic_go_on_with_one_connection_each() {
    check_one_connection_each(|_, client| make_suspect(client, "t"));
}

#[test]
fn workers_of_keys_with_a_rate_go_on_with_one_connection_each() {
    check_one_connection_each(|messaging, _| {
        messaging.topic("t").configure(rated_keys()).unwrap();
    });
}

#[test]
fn an_async_task_is_told_that_it_must_not_block() {
    let url = database();
    let messaging = Messaging::connect(&url).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let refused = |error: outtray::Error| {
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("use spawn_blocking"), "{error}");
    };

    runtime.block_on(async {
        refused(Messaging::connect(&url).unwrap_err());
        refused(send(&messaging).unwrap_err());
        refused(messaging.migrate().unwrap_err());
        refused(messaging.topic("t").stats().unwrap_err());
        refused(
            messaging
                .drain("t", |_, _: Message<Value>| Ok(()))
                .unwrap_err(),
        );
        refused(
            messaging
                .start_receiving_messages("t", |_, _: Message<Value>| Ok(()))
                .unwrap_err(),
        );
    });

    // Where a runtime lets one block, everything works.
    let theirs = messaging.clone();
    runtime
        .block_on(runtime.spawn_blocking(move || {
            send(&theirs)?;
            theirs.drain("t", |_, _: Message<Value>| Ok(()))
        }))
        .unwrap()
        .unwrap();
    send(&messaging).unwrap();
}

#[test]
fn a_session_survives_a_connection_that_was_cut_while_nobody_used_it() {
    let url = database();
    let messaging = Messaging::connect(&url).unwrap();
    let mut killer = Client::connect(&url, NoTls).unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    send(&messaging).unwrap();

    killer.execute(cut, &[]).unwrap();

    // Each that meets a broken connection says so, unless the pool had time to notice; it may hold
    // several, and none is lent twice.
    crate::support::eventually("a session works again", || match send(&messaging) {
        Ok(()) => true,
        Err(error) => {
            let kind = error.kind();
            let is_honest = matches!(kind, ErrorKind::OutcomeUnknown | ErrorKind::Unavailable);
            assert!(is_honest, "{error}");
            false
        }
    });
}

#[test]
fn a_joined_session_on_a_cut_connection_is_unavailable() {
    let url = database();
    let messaging = Messaging::connect(&url).unwrap();
    let mut client = Client::connect(&url, NoTls).unwrap();
    let mut transaction = client.transaction().unwrap();
    let pid: i32 = transaction
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    let mut killer = Client::connect(&url, NoTls).unwrap();
    killer
        .execute("SELECT pg_terminate_backend($1, 10000)", &[&pid])
        .unwrap();

    let mut session = MessagingSession::join(&messaging, &mut transaction).unwrap();
    let error = session.send_message("t", &1).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_receiver_goes_on_after_its_prepared_statements_were_thrown_away() {
    let url = database();
    let messaging = Messaging::connect(&url).unwrap();
    let (seen, handled) = bounded(100);
    let breaks = AtomicUsize::new(3);
    let receiver = messaging
        .receiver("t")
        .workers(1)
        .messages_per_transaction(1)
        .start(move |session, message: Message<i32>| {
            let is_breaking = |left: usize| left.checked_sub(1);
            if breaks
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, is_breaking)
                .is_ok()
            {
                session.batch_execute("DEALLOCATE ALL")?;
            }
            seen.send(message.payload)?;
            Ok(())
        })
        .unwrap();

    messaging
        .session(|session| Ok(session.send_messages("t", 0..10)?))
        .unwrap();

    eventually("all is handled", || {
        messaging.topic("t").is_empty().unwrap()
    });
    receiver.stop(PATIENCE);
    let mut numbers: Vec<i32> = handled.try_iter().collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    assert_eq!(messaging.topic("t").stats().unwrap().dead, 0);
}
