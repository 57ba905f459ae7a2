//! A server that takes no writes is the wrong one: nobody stays on it, nobody is charged, and
//! everything goes on as soon as a primary can be reached.

use crate::support::{NO_POLLING, PATIENCE, Tunnel, eventually, next, process};
use crossbeam_channel::{Receiver as Told, unbounded};
use outtray::testing::Server;
use outtray::{ErrorKind, Message, MessageId, Messaging, NewMessage, Receiver};
use postgres::{Client, Config, NoTls};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::time::{Duration, Instant};

/// How soon work goes on; five seconds on a quiet machine.
const BACK: Duration = Duration::from_secs(12);

/// Starts the server again as a standby.
fn demote(server: &Server, url: &str) {
    let data = server.data_dir().unwrap();
    let path = data.join("standby.signal");
    fs::write(&path, "").unwrap();
    let owner = fs::metadata(data).unwrap();
    chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    server.restart_immediately().unwrap();
    eventually("it is a standby", || is_standby(url));
}

fn promote(server: &Server) {
    let mut client = Client::connect(server.url(), NoTls).unwrap();
    client.query_one("SELECT pg_promote()", &[]).unwrap();
}

fn is_standby(url: &str) -> bool {
    let Ok(mut client) = Client::connect(url, NoTls) else {
        return false;
    };
    let row = client.query_one("SELECT pg_is_in_recovery()", &[]);
    row.is_ok_and(|row| row.get(0))
}

pub(super) fn started() -> Server {
    // A server that never sends its log cannot become a standby.
    let server = Server::builder()
        .always_embedded()
        .setting("wal_level", "replica");
    server.start().unwrap()
}

/// Makes a database of the same name and password on another server; returns its URL.
pub(super) fn twin(url: &str, other: &Server) -> String {
    let (_, database) = url.rsplit_once('/').unwrap();
    let mut client = Client::connect(other.url(), NoTls).unwrap();
    let create = format!("CREATE DATABASE {database}");
    client.batch_execute(&create).unwrap();
    let config: Config = url.parse().unwrap();
    if let Some(password) = config.get_password() {
        let password = String::from_utf8_lossy(password);
        let alter = format!("ALTER ROLE CURRENT_USER PASSWORD '{password}'");
        client.batch_execute(&alter).unwrap();
    }
    let (credentials, _) = url.rsplit_once('@').unwrap();
    let (_, place) = other.url().rsplit_once('@').unwrap();
    let (host, _) = place.split_once('/').unwrap();
    let url = format!("{credentials}@{host}/{database}");
    Messaging::connect(&url).unwrap().migrate().unwrap();
    url
}

/// What a receiver handled, and at which attempt.
type Handled = (MessageId, u32);

fn receive(messaging: &Messaging) -> (Receiver, Told<Handled>) {
    let (tell, told) = unbounded();
    let receiver = messaging
        .receiver("jobs")
        .start(move |session, message: Message<String>| {
            session.send_message("done", &message.payload)?;
            Ok(tell.send((message.id, message.attempt))?)
        })
        .unwrap();
    (receiver, told)
}

fn send(messaging: &Messaging) -> outtray::Result<MessageId> {
    messaging.session(|session| {
        session.query_one("SELECT 1", &[])?;
        Ok(session.send_message("jobs", "hello")?)
    })
}

/// Returns whether an error says that no server could be reached, or was lost on the way.
fn is_away(error: &outtray::Error) -> bool {
    let away = [ErrorKind::Unavailable, ErrorKind::OutcomeUnknown];
    away.contains(&error.kind())
}

/// Sends until it works; returns the message.
fn send_until_it_works(messaging: &Messaging) -> MessageId {
    let started = Instant::now();
    loop {
        match send(messaging) {
            Ok(id) => return id,
            Err(error) => assert!(is_away(&error), "{error:?}"),
        }
        assert!(started.elapsed() < PATIENCE);
    }
}

#[test]
fn a_server_that_comes_back_as_a_standby_is_left_alone_until_it_is_promoted() {
    let server = started();
    let messaging = Messaging::connect(&server.database().unwrap()).unwrap();
    let (receiver, told) = receive(&messaging);
    let id = send(&messaging).unwrap();
    assert_eq!(next(&told, 1), [(id, 1)]);
    // The handler tells before its COMMIT, which the restart would cut.
    let is_done = || messaging.topic("jobs").is_empty().unwrap();
    eventually("the first is committed", is_done);
    let delayed = NewMessage::json("jobs", "later")
        .unwrap()
        .delay(Duration::from_secs(1));
    let delayed = messaging.send(delayed).unwrap().id();

    demote(&server, server.url());
    let quick = Messaging::builder().url(server.url()).connect();
    assert_eq!(quick.unwrap_err().kind(), ErrorKind::Unavailable);
    let error = send(&messaging).unwrap_err();
    assert!(is_away(&error), "{error:?}");
    promote(&server);

    let promoted = Instant::now();
    let id = send_until_it_works(&messaging);
    assert!(promoted.elapsed() < BACK, "{:?}", promoted.elapsed());
    let mut handled = next(&told, 2);
    handled.sort();
    assert_eq!(handled, [(delayed, 1), (id, 1)]);
    receiver.stop(PATIENCE);
}

#[test]
fn nobody_stays_on_a_standby_behind_the_name_of_the_primary() {
    let (primary, other) = (started(), started());
    let url = primary.database().unwrap();
    let other_url = twin(&url, &other);
    demote(&other, &other_url);
    let tunnel = Tunnel::to(&url);
    let messaging = process(tunnel.url(), NO_POLLING);
    let (receiver, told) = receive(&messaging);
    let id = send(&messaging).unwrap();
    assert_eq!(next(&told, 1), [(id, 1)]);

    let is_done = || messaging.topic("jobs").is_empty().unwrap();
    eventually("the first is committed", is_done);

    tunnel.lead_to(&other_url);
    tunnel.cut();
    let before = tunnel.accepted();
    eventually("many connect to the standby", || {
        tunnel.accepted() >= before + 4
    });
    assert!(send(&messaging).is_err());
    // Whoever stayed there would still be there.
    tunnel.lead_to(&url);

    let back = Instant::now();
    let mut sent: Vec<_> = (0..2).map(|_| send_until_it_works(&messaging)).collect();
    let elsewhere = Messaging::connect(&url).unwrap();
    sent.push(send(&elsewhere).unwrap());
    let mut handled = next(&told, 3);
    assert!(back.elapsed() < BACK, "{:?}", back.elapsed());
    handled.sort();
    sent.sort();
    assert_eq!(handled, sent.iter().map(|id| (*id, 1)).collect::<Vec<_>>());
    receiver.stop(PATIENCE);
}

#[test]
fn of_several_hosts_the_one_that_takes_writes_is_found() {
    let (primary, other) = (started(), started());
    let url = primary.database().unwrap();
    let other_url = twin(&url, &other);
    demote(&other, &other_url);
    let (base, other_place) = other_url.rsplit_once('@').unwrap();
    let (_, place) = url.rsplit_once('@').unwrap();
    let (other_host, _) = other_place.split_once('/').unwrap();
    let both = format!("{base}@{other_host},{place}");

    let messaging = Messaging::connect(&both).unwrap();

    let id = send(&messaging).unwrap();
    let (receiver, told) = receive(&messaging);
    assert_eq!(next(&told, 1), [(id, 1)]);
    receiver.stop(PATIENCE);
}

#[test]
fn a_handler_that_made_its_own_transaction_read_only_is_charged() {
    let server = crate::support::server();
    let messaging = Messaging::connect(&server.database().unwrap()).unwrap();
    send(&messaging).unwrap();

    messaging
        .receiver("jobs")
        .max_attempts(1)
        .drain(|session, _: Message<String>| {
            session.execute("SET TRANSACTION READ ONLY", &[])?;
            Ok(session.batch_execute("CREATE TABLE thing ()")?)
        })
        .unwrap();

    assert_eq!(messaging.topic("jobs").dead_letters(9).unwrap().len(), 1);
}
