//! A network that vanishes without a word is noticed behind a pooler, too, where nobody knows the
//! server process.

use super::bouncer::{Mode, behind_pgbouncer_in};
use crate::environment::{BACK, NOTICED};
use crate::support::{
    Gate, Ledger, PATIENCE, Tunnel, WORK, aside, eventually, next, pass_time, telling,
};
use outtray::{Builder, ErrorKind, Messaging, NewMessage};
use std::thread;
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(1);
/// Behind a pooler it may take four times as long.
const BOUND: Duration = Duration::from_secs(4);

fn builder(url: &str) -> Builder {
    Messaging::builder().url(url).pooler_safe(true)
}

fn watched(url: &str) -> Messaging {
    builder(url).notice_silence(WITHIN).connect().unwrap()
}

/// Does `check` in a network that leads to the server at once, and in one that leads to a pooler;
/// each with books of its own.
fn everywhere(check: impl Fn(&Ledger, &Tunnel) + Sync) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let ledger = Ledger::open();
            check(&ledger, &Tunnel::to(ledger.url()));
        });
        let ledger = Ledger::open();
        if let Some(pooled) = behind_pgbouncer_in(Mode::WideTransaction, ledger.url()) {
            check(&ledger, &Tunnel::to(&pooled));
        }
    });
}

fn check_idle(heal: impl Fn(&Tunnel) + Sync) {
    everywhere(|ledger, tunnel| {
        let messaging = watched(tunnel.url());
        let (receiver, told) = Ledger::start_telling(&messaging);
        let before = ledger.send(["before"]);
        assert_eq!(next(&told, 1), before);
        eventually("it is acknowledged", || ledger.left() == 0);

        tunnel.fall_silent();
        pass_time(BOUND);
        heal(tunnel);

        let healed = Instant::now();
        let after = ledger.send(["after"]);
        assert_eq!(next(&told, 1), after);
        assert!(healed.elapsed() < BACK, "{:?}", healed.elapsed());
        receiver.stop(PATIENCE);
    });
}

#[test]
fn an_idle_receiver_behind_a_pooler_asks_again_when_the_network_is_back() {
    check_idle(Tunnel::heal);
    check_idle(Tunnel::heal_forgetful);
}

/// Falls silent in a handler, heals, and has each message have its effect once: the one in hand is
/// not held by a server process that nobody told that its client is gone.
fn check_worker(fall: impl Fn(&Tunnel) + Sync, heal: impl Fn(&Tunnel) + Sync) {
    everywhere(|ledger, tunnel| {
        let sent = ledger.send((0..5).map(|_| "message"));
        let messaging = watched(tunnel.url());
        let gate = Gate::new();
        let receiver = Ledger::start_at(&messaging, &gate);
        gate.await_arrivals(1);

        fall(tunnel);
        gate.open_for(1);
        eventually("it is silent", || tunnel.is_silent());
        pass_time(BOUND);
        heal(tunnel);
        let healed = Instant::now();
        gate.open_for(20);

        ledger.await_end();
        assert!(healed.elapsed() < BACK * 2, "{:?}", healed.elapsed());
        receiver.stop(PATIENCE);
        assert_eq!(ledger.check(&sent, &[]), 0);
    });
}

#[test]
fn a_worker_behind_a_pooler_is_back_at_work_when_the_network_is() {
    check_worker(Tunnel::fall_silent, Tunnel::heal);
    check_worker(|tunnel| tunnel.fall_silent_at("COMMIT"), Tunnel::heal);
}

#[test]
fn what_a_worker_behind_a_pooler_had_in_hand_is_free_though_its_connection_was_forgotten() {
    check_worker(Tunnel::fall_silent, Tunnel::heal_forgetful);
    check_worker(
        |tunnel| tunnel.fall_silent_at("COMMIT"),
        Tunnel::heal_forgetful,
    );
}

#[test]
fn a_sender_behind_a_pooler_that_meets_silence_ends_in_time_and_the_next_one_works() {
    everywhere(|ledger, tunnel| {
        let messaging = watched(tunnel.url());
        let sender = messaging.clone();
        let gate = Gate::new();
        let at_gate = gate.clone();
        let ended = aside(move || {
            sender.session(|session| {
                session.query_one("SELECT 1", &[])?;
                at_gate.pass();
                Ok(session.query_one("SELECT 2", &[]).map(drop)?)
            })
        });
        gate.await_arrivals(1);

        tunnel.fall_silent();
        gate.open_for(1);
        let error = ended.recv_timeout(NOTICED).expect("noticed").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        tunnel.heal_forgetful();

        let next =
            aside(move || messaging.session(|session| Ok(session.send_message(WORK, "hello")?)));
        next.recv_timeout(BACK).expect("in time").unwrap();
        assert_eq!(ledger.left(), 1);
    });
}

#[test]
fn a_session_behind_a_pooler_whose_commit_meets_silence_has_an_unknown_outcome() {
    everywhere(|_, tunnel| {
        let messaging = watched(tunnel.url());
        tunnel.fall_silent_at("COMMIT");

        let ended = aside(move || {
            let mut id = None;
            let ended = messaging.session(|session| {
                session.query_one("SELECT 1", &[])?;
                id = Some(session.send_message(WORK, "once")?);
                Ok(())
            });
            (ended, id)
        });

        let (ended, id) = ended.recv_timeout(NOTICED).expect("noticed");
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:?}");
        assert_eq!(error.unknown_ids(), [id.unwrap()]);
    });
}

#[test]
fn a_silence_that_ends_by_itself_is_not_taken_for_work_that_has_to_be_paid_for() {
    let ledger = Ledger::open();
    let tunnel = Tunnel::to(ledger.url());
    let messaging = builder(tunnel.url()).connect().unwrap();
    let (receiver, told) = telling::<String>(messaging.receiver(WORK));
    // Two of a key whose first nobody moves on when it is gone: it is stalled.
    let stall = |key: &str| {
        for payload in ["first", key] {
            let message = NewMessage::json("aside", payload).unwrap().key(key);
            ledger.messaging().send(message).unwrap();
        }
        ledger.execute(
            "DELETE FROM outtray.message WHERE topic = 'aside';
             UPDATE outtray.lane SET topic = 'work';
             INSERT INTO outtray.stalled (topic, key, said_by) SELECT 'work', key, id FROM outtray.follower WHERE topic = 'aside';
             UPDATE outtray.follower SET topic = 'work' WHERE topic = 'aside'",
        );
    };

    tunnel.fall_silent_at("named.number");
    stall("a");
    eventually("stalled keys are looked at", || tunnel.is_silent());
    pass_time(Duration::from_secs(3));
    tunnel.heal();
    assert_eq!(next(&told, 1), ["a"]);

    // Twenty times the silence would be a minute, and what finds keys that are stuck against all
    // odds comes after half of one.
    stall("b");
    assert_eq!(told.recv_timeout(BACK * 2).as_deref(), Ok("b"));
    receiver.stop(PATIENCE);
}
