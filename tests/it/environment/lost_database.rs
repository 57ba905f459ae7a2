//! The database goes away under load: connections are cut, the server is restarted. Nothing is
//! lost, nothing happens twice, and everybody is back at work soon.

use crate::support::{
    COMMIT, Child, Cut, Ledger, NO_POLLING, PATIENCE, WORK, Wire, eventually, process, test_name,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, tick, unbounded};
use outtray::testing::Server;
use outtray::{ErrorKind, Message, MessageId, Messaging, NewMessage};
use std::thread;
use std::time::{Duration, Instant};

const CHILD: &str = test_name!(what_child_processes_run);

/// Ends every connection of outtray to this database.
const CUT_ALL: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name = 'outtray'";

/// What a sender knows of its messages.
#[derive(Default)]
struct Sent {
    certain: Vec<MessageId>,
    unknown: Vec<MessageId>,
    /// Messages of sessions of which nothing happened.
    failed: usize,
}

/// Sends until told to stop, every other message in a session that also writes.
fn send_until(messaging: &Messaging, stop: &Receiver<()>) -> Sent {
    let mut sent = Sent::default();
    let mut writes = false;
    while stop.recv_timeout(Duration::from_millis(2)) == Err(RecvTimeoutError::Timeout) {
        writes = !writes;
        let mut id = None;
        let ended = messaging.session(|session| {
            if writes {
                session.execute("SELECT pg_sleep(0.001)", &[])?;
            }
            id = Some(session.send_message(WORK, "load")?);
            Ok(())
        });
        match ended {
            Ok(()) => sent.certain.extend(id),
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                assert_eq!(
                    Some(error.unknown_ids()),
                    id.as_ref().map(std::slice::from_ref)
                );
                sent.unknown.extend(id);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                sent.failed += 1;
            }
        }
    }
    sent
}

/// Has two worker processes handle what a sender sends, while `disturb` does what it does; then
/// checks the books.
fn under_load(ledger: &Ledger, disturb: impl FnOnce([i32; 2])) -> Sent {
    let messaging = ledger.messaging();
    let mut workers = [(); 2].map(|()| ledger.child(CHILD, "work"));
    for worker in &mut workers {
        assert_eq!(worker.listen(), "receiving");
    }
    let (stop, stopped) = bounded(0);
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(|| send_until(&messaging, &stopped));
        disturb(workers.each_ref().map(Child::id));
        drop(stop);
        sender.join().unwrap()
    });
    ledger.await_end();
    workers.into_iter().for_each(Child::finish);
    assert_eq!(
        ledger.check(&sent.certain, &sent.unknown),
        0,
        "dead letters"
    );
    sent
}

/// Waits until each of the workers has handled something after this moment.
#[track_caller]
fn await_back_at_work(ledger: &Ledger, workers: [i32; 2]) {
    let now: i64 = ledger.number(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        &[],
    );
    eventually("all are back at work", || {
        let back = "SELECT count(DISTINCT worker) FROM effect \
            WHERE at > to_timestamp($1::bigint / 1000000.0) AND worker = ANY ($2::integer[])";
        ledger.number(back, &[&now, &workers.as_slice()]) == 2
    });
}

#[test]
fn connections_that_are_cut_all_the_time_lose_nothing_and_double_nothing() {
    let ledger = Ledger::open();
    let mut client = ledger.client();

    let sent = under_load(&ledger, |workers| {
        let cuts = tick(Duration::from_millis(200));
        let mut cut = || {
            cuts.recv().unwrap();
            client.query_one(CUT_ALL, &[]).unwrap();
        };
        (0..100).for_each(|_| cut());
        // On a busy machine some more, until much has come through between them.
        let handled = || ledger.number("SELECT count(*) FROM effect", &[]);
        let mut seen = 0;
        while seen <= 200 {
            let before = seen;
            eventually("something comes through", || {
                cut();
                seen = handled();
                seen > before
            });
        }
        await_back_at_work(&ledger, workers);
    });

    assert!(sent.certain.len() > 100, "{} sent", sent.certain.len());
    assert!(sent.failed + sent.unknown.len() > 0, "no session was cut");
}

#[test]
fn a_server_that_is_restarted_again_and_again_loses_nothing_and_doubles_nothing() {
    let server = Server::builder().always_embedded().start().unwrap();
    let ledger = Ledger::of(server.database().unwrap());
    let mut slowest = Duration::ZERO;

    let sent = under_load(&ledger, |workers| {
        for _ in 0..10 {
            await_back_at_work(&ledger, workers);
            server.restart_immediately().unwrap();
            let up = Instant::now();
            await_back_at_work(&ledger, workers);
            slowest = slowest.max(up.elapsed());
        }
    });

    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert!(sent.certain.len() > 100, "{} sent", sent.certain.len());
}

#[test]
fn delivery_goes_on_when_the_listener_loses_its_connection() {
    let ledger = Ledger::open();
    let receiving = process(ledger.url(), NO_POLLING);
    let sending = ledger.messaging();
    let (tell, told) = unbounded();
    let receiver = receiving
        .start_receiving_messages(WORK, move |session, message: Message<String>| {
            Ledger::enter(session, &message)?;
            Ok(tell.send(message.id)?)
        })
        .unwrap();
    let mut sent = Vec::new();

    for _ in 0..3 {
        eventually("somebody listens", || ledger.number(CUT_LISTENER, &[]) == 1);
        let id = sending
            .session(|session| Ok(session.send_message(WORK, "hello")?))
            .unwrap();
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), id);
        sent.push(id);
    }

    ledger.await_end();
    receiver.stop(PATIENCE);
    ledger.check(&sent, &[]);
}

const CUT_LISTENER: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
    WHERE datname = current_database() AND state = 'idle' AND query LIKE 'LISTEN %'";

/// A session that writes and sends through a wire that is cut.
struct CutSession {
    ledger: Ledger,
    error: outtray::Error,
    id: MessageId,
}

impl CutSession {
    /// Runs the session; it also writes when it `writes`, and so needs a COMMIT.
    fn run(cut: Cut, writes: bool) -> CutSession {
        let ledger = Ledger::open();
        ledger.execute("CREATE TABLE thing (name text)");
        let wire = Wire::to(ledger.url());
        let messaging = Messaging::connect(wire.url()).unwrap();
        // Whatever is said once for each connection has been said.
        messaging
            .session(|session| {
                session.execute("DELETE FROM thing", &[])?;
                Ok(session.send_message("warm-up", "hello")?)
            })
            .unwrap();
        let mut id = None;

        wire.cut(cut);
        let ended: outtray::Result<()> = messaging.session(|session| {
            id = Some(session.send_message(WORK, "said-once")?);
            if writes {
                session.execute("INSERT INTO thing VALUES ('new')", &[])?;
            }
            Ok(())
        });

        assert!(wire.is_cut());
        CutSession {
            ledger,
            error: ended.unwrap_err(),
            id: id.unwrap(),
        }
    }

    /// Checks that all happened, although nobody could know, and is handled once.
    #[track_caller]
    fn check_all_happened(&self) {
        eventually("it is committed", || self.ledger.left() == 1);
        self.ledger.handle_the_rest::<String>();
        self.ledger.check(&[self.id], &[]);
    }

    #[track_caller]
    fn check_nothing_happened(&self) {
        eventually("the server process is gone", || {
            self.ledger.number(CONNECTIONS, &[]) == 0
        });
        assert_eq!(self.ledger.left(), 0);
        assert_eq!(self.ledger.number("SELECT count(*) FROM thing", &[]), 0);
    }

    #[track_caller]
    fn check_unknown(&self) {
        assert_eq!(
            self.error.kind(),
            ErrorKind::OutcomeUnknown,
            "{:?}",
            self.error
        );
        assert_eq!(self.error.unknown_ids(), [self.id]);
    }
}

const CONNECTIONS: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name = 'outtray'";

#[test]
fn a_session_cut_off_during_commit_says_that_its_outcome_is_unknown_and_which_messages() {
    let cut = CutSession::run(Cut::After(COMMIT), true);

    cut.check_unknown();
    // The client may know that it is cut off before the server has the last of what it said.
    let things = || cut.ledger.number("SELECT count(*) FROM thing", &[]);
    eventually("it is committed", || things() == 1);
    cut.check_all_happened();
}

#[test]
fn a_session_whose_commit_never_arrived_says_that_its_outcome_is_unknown_too() {
    let cut = CutSession::run(Cut::Before(COMMIT), true);

    cut.check_unknown();
    cut.check_nothing_happened();
}

#[test]
fn a_session_cut_off_before_commit_is_unavailable_and_did_nothing() {
    let word = "INSERT INTO thing";
    for cut in [Cut::Before(word), Cut::After(word)] {
        let cut = CutSession::run(cut, true);

        assert_eq!(cut.error.kind(), ErrorKind::Unavailable, "{:?}", cut.error);
        assert!(cut.error.unknown_ids().is_empty());
        cut.check_nothing_happened();
    }
}

#[test]
fn a_session_whose_message_and_commit_were_cut_off_together_has_an_unknown_outcome() {
    let cut = CutSession::run(Cut::After("said-once"), true);
    cut.check_unknown();
    cut.check_all_happened();

    let cut = CutSession::run(Cut::Before("said-once"), true);
    cut.check_unknown();
    cut.check_nothing_happened();
}

#[test]
fn a_single_statement_that_was_cut_off_may_have_been_committed() {
    let cut = CutSession::run(Cut::After("said-once"), false);
    cut.check_unknown();
    cut.check_all_happened();

    let cut = CutSession::run(Cut::Before("said-once"), false);
    cut.check_unknown();
    cut.check_nothing_happened();
}

#[test]
fn a_message_sent_alone_that_was_cut_off_is_sent_once_when_it_is_sent_again() {
    let day = Duration::from_secs(86_400);
    for cut in [Cut::After("said-once"), Cut::Before("said-once")] {
        let ledger = Ledger::open();
        let wire = Wire::to(ledger.url());
        let messaging = Messaging::connect(wire.url()).unwrap();
        let message = |text: &str| NewMessage::json(WORK, text).unwrap().dedupe(text, day);
        // Whatever is said once for each connection has been said.
        messaging.send(message("warm-up")).unwrap();

        wire.cut(cut);
        let error = messaging.send(message("said-once")).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:?}");
        let [unknown] = error.unknown_ids() else {
            panic!("{error:?} names no message");
        };
        let again = messaging.send(message("said-once")).unwrap();
        let is_committed = matches!(cut, Cut::After(_));
        assert_eq!(again.is_duplicate(), is_committed);
        assert_eq!(again.id() == *unknown, is_committed);
        assert_eq!(ledger.left(), 2);
    }
}

#[test]
fn a_handler_whose_commit_was_cut_off_has_its_effect_once() {
    for cut in [Cut::Before(COMMIT), Cut::After(COMMIT)] {
        let ledger = Ledger::open();
        let sent = ledger.send((0..10).map(|_| "message"));
        let wire = Wire::to(ledger.url());
        let messaging = Messaging::connect(wire.url()).unwrap();
        let (tell, told) = unbounded();
        let (hold, held) = bounded::<()>(0);

        let receiver = messaging
            .receiver(WORK)
            .workers(1)
            .messages_per_transaction(1)
            .start(move |session, message: Message<String>| {
                tell.send(())?;
                let _ = held.recv();
                Ledger::enter(session, &message)
            })
            .unwrap();
        told.recv_timeout(PATIENCE).unwrap();
        wire.cut(cut);
        drop(hold);
        ledger.await_end();
        receiver.stop(PATIENCE);
        assert!(wire.is_cut());
        assert_eq!(ledger.check(&sent, &[]), 0);
    }
}

/// Does nothing in the test run itself.
#[test]
fn what_child_processes_run() {
    if Child::role().is_none() {
        return;
    }
    let messaging = Ledger::messaging_of_parent();
    let receiver = messaging
        .start_receiving_messages(WORK, |session, message: Message<String>| {
            Ledger::enter(session, &message)
        })
        .unwrap();
    Child::tell("receiving");
    Child::await_parent();
    receiver.stop(PATIENCE);
}
