//! The server restarts while somebody asks, handles, answers or waits.

use super::{QUOTES, double};
use crate::support::{Frozen, Gate, HOUR, Ledger, PATIENCE, aside, eventually};
use outtray::testing::Server;
use outtray::{ErrorKind, Message, Messaging, NewMessage};
use std::time::Duration;

#[test]
fn a_request_outlives_restarts_of_the_server() {
    let server = Server::builder().always_embedded().start().unwrap();
    let ledger = Ledger::of(server.database().unwrap());
    let (asker, replier) = (ledger.messaging(), ledger.messaging());
    let ask = |number: i64| {
        let mut pending = None;
        // Its connections may be gone, which it is told.
        eventually("it can be asked", || {
            let question = NewMessage::json(QUOTES, &number).unwrap();
            pending = asker.begin_request(question, HOUR).ok();
            pending.is_some()
        });
        pending.unwrap()
    };

    // While it waits to be handled.
    let mut pending = ask(1);
    server.restart_immediately().unwrap();
    let receiver = start(&replier, double);
    assert_eq!(pending.wait::<i64>(PATIENCE).unwrap().payload, 2);
    receiver.stop(PATIENCE);

    // While it is handled.
    let gate = Gate::new();
    let inside = gate.clone();
    let receiver = start(&replier, move |session, ask: Message<i64>| {
        session.query_one("SELECT 1", &[])?;
        session.reply(&ask, &(ask.payload * 2))?;
        inside.pass();
        Ok(())
    });
    let mut pending = ask(2);
    gate.await_arrivals(1);
    server.restart_immediately().unwrap();
    gate.open_for(1_000);
    assert_eq!(pending.wait::<i64>(PATIENCE).unwrap().payload, 4);
    receiver.stop(PATIENCE);

    // And the next one, on connections that are gone.
    let receiver = start(&replier, double);
    server.restart_immediately().unwrap();
    eventually("it is asked again", || {
        let answer = asker.request::<i64>(QUOTES, &3, Duration::from_secs(2));
        answer.is_ok_and(|answer| answer == 6)
    });
    receiver.stop(PATIENCE);
}

#[test]
fn who_asks_as_the_server_crashes_is_answered_or_learns_of_the_timeout() {
    let server = Server::builder().always_embedded().start().unwrap();
    let ledger = Ledger::of(server.database().unwrap());
    let asker = ledger.messaging();
    let receiver = start(&asker, double);

    for number in 1..=6 {
        let mut pending = None;
        eventually("it can be asked", || {
            let question = NewMessage::json(QUOTES, &number).unwrap();
            pending = asker.begin_request(question, Duration::from_secs(4)).ok();
            pending.is_some()
        });
        server.restart_immediately().unwrap();

        match pending.unwrap().wait::<i64>(HOUR) {
            Ok(answer) => assert_eq!(answer.payload, number * 2),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout, "{error}"),
        }
    }
    receiver.stop(PATIENCE);
    let left = "SELECT count(*) FROM outtray.message WHERE topic = $1";
    eventually("no question is left", || {
        ledger.number(left, &[&QUOTES]) == 0
    });
}

#[test]
fn who_asks_without_a_server_learns_so_in_time() {
    let server = Server::builder().always_embedded().start().unwrap();
    let ledger = Ledger::of(server.database().unwrap());
    let asker = ledger.messaging();
    let receiver = start(&asker, double);
    asker.request::<i64>(QUOTES, &1, PATIENCE).unwrap();
    let sent = asker.begin_request(
        NewMessage::json("nobody", &1).unwrap(),
        Duration::from_secs(1),
    );
    let mut sent = sent.unwrap();

    drop(server);

    let unsent = asker.request::<i64>(QUOTES, &2, Duration::from_millis(300));
    let kind = unsent.unwrap_err().kind();
    assert!(
        matches!(
            kind,
            ErrorKind::Unavailable | ErrorKind::PoolExhausted | ErrorKind::OutcomeUnknown
        ),
        "{kind:?}"
    );
    let kind = sent.wait::<i64>(HOUR).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Timeout);
    drop(receiver);
}

#[test]
fn who_asks_or_waits_at_a_frozen_server_learns_so_in_time() {
    let server = Server::builder().always_embedded().start().unwrap();
    let ledger = Ledger::of(server.database().unwrap());
    let noticed = Duration::from_secs(2);
    let asker = Messaging::builder()
        .url(ledger.url())
        .notice_silence(noticed);
    let asker = asker.connect().unwrap();
    let receiver = start(&asker, double);
    asker.request::<i64>(QUOTES, &1, PATIENCE).unwrap();
    let question = NewMessage::json("nobody", &1).unwrap();
    let mut pending = asker
        .begin_request(question, Duration::from_secs(1))
        .unwrap();

    let frozen = Frozen::server(&server);
    let waiting = aside(move || pending.wait::<i64>(HOUR).map(drop));
    let again = asker.clone();
    let asking = aside(move || again.request::<i64>(QUOTES, &2, Duration::from_secs(1)));

    let waited = waiting.recv_timeout(PATIENCE).unwrap();
    assert_eq!(waited.unwrap_err().kind(), ErrorKind::Timeout);
    let kind = asking.recv_timeout(PATIENCE).unwrap().unwrap_err().kind();
    let expected = [
        ErrorKind::Unavailable,
        ErrorKind::OutcomeUnknown,
        ErrorKind::PoolExhausted,
    ];
    assert!(expected.contains(&kind), "{kind:?}");
    drop(frozen);
    eventually("it is answered again", || {
        let answer = asker.request::<i64>(QUOTES, &3, PATIENCE);
        answer.is_ok_and(|answer| answer == 6)
    });
    receiver.stop(PATIENCE);
}

fn start<F>(messaging: &Messaging, handler: F) -> outtray::Receiver
where
    F: Clone
        + Fn(&mut outtray::MessagingSession<'_>, Message<i64>) -> Result<(), outtray::HandlerError>
        + Send
        + Sync
        + 'static,
{
    // Its connections may be gone, which it is told.
    let mut started = None;
    eventually("it can be started", || {
        let receiver = messaging.start_receiving_messages(QUOTES, handler.clone());
        started = receiver.ok();
        started.is_some()
    });
    started.unwrap()
}
