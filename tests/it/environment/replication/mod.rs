//! When a primary dies and its synchronous standby is promoted, everything goes on there: nothing
//! that was acknowledged is lost, nothing is done twice, and nobody stays on the old primary when
//! it comes back as a standby.

mod load;
mod pair;
mod promotions;

use crate::support::{Ledger, NO_POLLING, PATIENCE, Tunnel, WORK, aside, eventually};
use crossbeam_channel::{Receiver as Told, Sender, bounded, unbounded};
use outtray::{ErrorKind, Message, MessageId, Messaging, Receiver};
use pair::Node;
use std::time::{Duration, Instant};

/// How soon work goes on; five seconds on a quiet machine.
const BACK: Duration = Duration::from_secs(12);

/// What a sender knows when it ends.
#[derive(Default)]
struct Books {
    sent: Vec<MessageId>,
    unknown: Vec<MessageId>,
}

/// Sends one message after the other until told to end; says when each was sent.
fn send_on(messaging: &Messaging, stop: &Told<()>, tell: &Sender<Instant>) -> Books {
    let mut books = Books::default();
    while stop.is_empty() {
        let sent = messaging.session(|session| {
            session.query_one("SELECT 1", &[])?;
            Ok(session.send_message(WORK, "message")?)
        });
        match sent {
            Ok(id) => {
                books.sent.push(id);
                let _ = tell.send(Instant::now());
            }
            Err(error) => match error.kind() {
                ErrorKind::OutcomeUnknown => books.unknown.extend(error.unknown_ids()),
                kind => assert_eq!(kind, ErrorKind::Unavailable, "{error:?}"),
            },
        }
    }
    books
}

/// Has the effect of each message; says when.
fn receive(messaging: &Messaging) -> (Receiver, Told<Instant>) {
    let (tell, told) = unbounded();
    let receiver = messaging
        .receiver(WORK)
        .workers(2)
        .start(move |session, message: Message<String>| {
            assert_eq!(message.attempt, 1, "nobody is charged");
            Ledger::enter(session, &message)?;
            Ok(tell.send(Instant::now())?)
        })
        .unwrap();
    (receiver, told)
}

/// Waits until something was told of that happened after `moment`; returns how long after.
#[track_caller]
fn since(moment: Instant, told: &Told<Instant>) -> Duration {
    loop {
        let at = told.recv_timeout(PATIENCE).expect("it goes on");
        if at > moment {
            return at - moment;
        }
    }
}

/// A sender and a receiver that never stop.
struct Flow {
    receiver: Receiver,
    sent: Told<Instant>,
    handled: Told<Instant>,
    stop: Sender<()>,
    books: Told<Books>,
}

impl Flow {
    fn of(messaging: &Messaging) -> Flow {
        let (receiver, handled) = receive(messaging);
        let (stop, stopped) = bounded(1);
        let (tell, sent) = unbounded();
        let sender = messaging.clone();
        let books = aside(move || send_on(&sender, &stopped, &tell));
        Flow {
            receiver,
            sent,
            handled,
            stop,
            books,
        }
    }

    /// Waits until messages were sent and handled after `moment`; returns how long after.
    #[track_caller]
    fn since(&self, moment: Instant) -> [Duration; 2] {
        [since(moment, &self.sent), since(moment, &self.handled)]
    }

    #[track_caller]
    fn check_back(&self, moment: Instant) {
        let both = self.since(moment);
        assert!(both.iter().all(|time| *time < BACK), "{both:?}");
    }

    /// Kills the primary meanwhile, and promotes the standby.
    #[track_caller]
    fn fail_over(&self, from: &Node, to: &Node, url: &str) {
        self.since(Instant::now());
        from.die();
        to.promote(url);
        self.check_back(Instant::now());
    }

    /// Ends both; nothing is lost and nothing is there twice.
    #[track_caller]
    fn check(self, ledger: &Ledger) {
        self.stop.send(()).unwrap();
        let books = self.books.recv_timeout(PATIENCE).unwrap();
        ledger.await_end();
        self.receiver.stop(PATIENCE);
        assert_eq!(ledger.check(&books.sent, &books.unknown), 0);
    }
}

#[test]
fn a_promoted_standby_goes_on_with_all_that_was_acknowledged_and_nobody_stays_on_the_old_primary() {
    let Some([one, other]) = pair() else {
        return;
    };
    let url = one.database();
    let ledger = Ledger::of(url.clone());
    other.follow(&url);
    let both = url.replace(&one.place(), &format!("{},{}", one.place(), other.place()));
    let messaging = Messaging::connect(&both).unwrap();
    let flow = Flow::of(&messaging);

    flow.fail_over(&one, &other, &url);
    // It comes first in the URL, and takes no writes.
    one.follow(&other.here(&url));
    eventually("nobody stays there", || one.connections(&url) == 0);
    flow.fail_over(&other, &one, &url);

    flow.check(&ledger);
}

#[test]
fn nobody_stays_on_the_old_primary_that_comes_back_as_a_standby_behind_the_same_name() {
    let Some([one, other]) = pair() else {
        return;
    };
    let url = one.database();
    Ledger::of(url.clone());
    other.follow(&url);
    let tunnel = Tunnel::to(&url);
    let builder = Messaging::builder().url(tunnel.url());
    let messaging = builder.poll_interval(NO_POLLING).connect().unwrap();
    let flow = Flow::of(&messaging);

    since(Instant::now(), &flow.handled);
    one.die();
    other.promote(&url);
    let there = other.here(&url);
    one.follow(&there);
    let before = tunnel.accepted();
    eventually("many find the standby", || tunnel.accepted() >= before + 8);
    tunnel.lead_to(&there);

    let back = Instant::now();
    flow.check_back(back);
    eventually("nobody stays there", || one.connections(&url) == 0);
    flow.check(&Ledger::at(there));
}

#[test]
fn a_primary_that_falls_silent_is_left_for_the_standby_that_is_promoted() {
    let Some([one, other]) = pair() else {
        return;
    };
    let url = one.database();
    Ledger::of(url.clone());
    other.follow(&url);
    let both = url.replace(&one.place(), &format!("{},{}", one.place(), other.place()));
    let builder = Messaging::builder().url(&both);
    let messaging = builder
        .notice_silence(Duration::from_secs(2))
        .connect()
        .unwrap();
    let flow = Flow::of(&messaging);
    since(Instant::now(), &flow.handled);

    let frozen = one.freeze();
    other.promote(&url);

    let promoted = Instant::now();
    flow.check_back(promoted);
    // Also those who come new.
    let started = Instant::now();
    Messaging::connect(&both).unwrap();
    assert!(started.elapsed() < BACK, "{:?}", started.elapsed());
    flow.check(&Ledger::at(other.here(&url)));
    drop(frozen);
}

pub(crate) fn pair() -> Option<[Node; 2]> {
    Some([Node::started()?, Node::started()?])
}
