//! Worker processes are killed with SIGKILL, wherever they are: every message has its effect once
//! all the same, and another worker has it at once.

use crate::support::{
    Child, Gate, Ledger, NO_POLLING, PATIENCE, WORK, eventually, pass_time, process, test_name,
};
use crossbeam_channel::{bounded, never, unbounded};
use outtray::{Message, MessageId, Messaging};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CHILD: &str = test_name!(what_child_processes_run);
const KILLS: usize = 80;
/// Victims that live at a time: the next ones start while others are killed.
const AT_A_TIME: usize = 4;
/// Messages that one victim takes off the topic at most: two before the one that it says it is in,
/// and that.
const FOR_EACH: usize = 3;
/// More than a message can be killed with.
const NO_LIMIT: u32 = 10_000;

/// Makes what a handler sent take 20 ms to store: time to be killed between handler and ack.
const SLOW_SEND: &str = "
    CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE INSERT ON outtray.message
        FOR EACH ROW WHEN (NEW.topic = 'next') EXECUTE FUNCTION dawdle()";
const QUICK_SEND: &str = "DROP TRIGGER slow ON outtray.message";

/// Makes COMMIT take 20 ms, with all of the work done and nothing of it committed.
const SLOW_COMMIT: &str = "
    CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON effect
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle()";
const QUICK_COMMIT: &str = "DROP TRIGGER slow ON effect";

/// Keeps the topic above suspicion, so that workers go on in large batches without counting ahead.
const TRUST: &str = "
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE TRIGGER trust BEFORE INSERT ON outtray.topic FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE FUNCTION be_idle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.shift := 0; RETURN NEW; END $$;
    CREATE TRIGGER trust BEFORE UPDATE ON outtray.worker FOR EACH ROW EXECUTE FUNCTION be_idle()";

/// What a victim said before it was killed: which message it was in.
struct Killed {
    id: MessageId,
    worker: i32,
}

/// Starts workers one after the other, and kills each `delay_us` after it says which message it is
/// in.
fn kill_workers(ledger: &Ledger, role: &str, kills: usize, delay_us: Range<u64>) -> Vec<Killed> {
    let (killed, all) = unbounded();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                for _ in 0..kills / AT_A_TIME {
                    let mut victim = ledger.child(CHILD, role);
                    let id = victim.listen().parse().unwrap();
                    let worker = victim.id();
                    let delay = Duration::from_micros(fastrand::u64(delay_us.clone()));
                    pass_time(delay);
                    victim.kill();
                    killed.send(Killed { id, worker }).unwrap();
                }
            });
        }
    });
    drop(killed);
    all.iter().collect()
}

/// Returns how many of the killed had committed what they were in.
fn had_committed(ledger: &Ledger, killed: &[Killed]) -> usize {
    let ids: Vec<_> = killed.iter().map(|killed| killed.id.as_uuid()).collect();
    let workers: Vec<_> = killed.iter().map(|killed| killed.worker).collect();
    let count = ledger.number(
        "SELECT count(*) FROM effect \
         JOIN unnest($1::uuid[], $2::integer[]) AS killed (id, worker) USING (id, worker)",
        &[&ids, &workers],
    );
    usize::try_from(count).unwrap()
}

#[track_caller]
fn check_all_handled(ledger: &Ledger, sent: &[MessageId]) {
    let receiver = ledger
        .messaging()
        .receiver(WORK)
        // Some were in hand often by chance, and alone.
        .max_attempts(NO_LIMIT)
        .start(|session, message: Message<usize>| Ledger::enter(session, &message))
        .unwrap();
    ledger.await_end();
    receiver.stop(PATIENCE);

    let dead = ledger.check(sent, &[]);
    let letters = ledger.messaging().topic(WORK).dead_letters(10).unwrap();
    assert_eq!(dead, 0, "{letters:?}");
}

#[test]
fn workers_killed_in_a_handler_do_nothing_and_lose_nothing() {
    let ledger = Ledger::open();
    let sent = ledger.send(0..FOR_EACH * KILLS);

    let killed = kill_workers(&ledger, "stay inside", KILLS / 2, 0..1);
    ledger.execute(TRUST);
    let killed_in_batches = kill_workers(&ledger, "stay inside", KILLS / 2, 0..1);

    assert_eq!(killed.len() + killed_in_batches.len(), KILLS);
    eventually("the killed are gone", || ledger.number(WORKING, &[]) == 0);
    assert_eq!(had_committed(&ledger, &killed), 0);
    assert_eq!(had_committed(&ledger, &killed_in_batches), 0);
    check_all_handled(&ledger, &sent);
}

/// Server processes of workers that have not noticed yet.
const WORKING: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name = 'outtray' AND xact_start IS NOT NULL";

#[test]
fn workers_killed_between_handler_and_ack_leave_all_or_nothing() {
    let ledger = Ledger::open();
    let sent = ledger.send(0..FOR_EACH * KILLS);
    ledger.execute(SLOW_SEND);

    let mut killed = kill_workers(&ledger, "return", KILLS / 2, 0..30_000);
    ledger.execute(TRUST);
    killed.extend(kill_workers(&ledger, "return", KILLS / 2, 0..30_000));

    check_both_ways(&ledger, &killed);
    ledger.execute(QUICK_SEND);
    check_all_handled(&ledger, &sent);
}

#[test]
fn workers_killed_during_commit_leave_all_or_nothing() {
    let ledger = Ledger::open();
    let sent = ledger.send(0..FOR_EACH * KILLS);
    ledger.execute(SLOW_COMMIT);

    let mut killed = kill_workers(&ledger, "return", KILLS / 2, 0..30_000);
    ledger.execute(TRUST);
    killed.extend(kill_workers(&ledger, "return", KILLS / 2, 0..30_000));

    check_both_ways(&ledger, &killed);
    ledger.execute(QUICK_COMMIT);
    check_all_handled(&ledger, &sent);
}

/// Checks that some of the kills came before the commit and some after it: else they were not where
/// they ought to be.
#[track_caller]
fn check_both_ways(ledger: &Ledger, killed: &[Killed]) {
    assert_eq!(killed.len(), KILLS);
    let committed = had_committed(ledger, killed);
    assert!((1..KILLS).contains(&committed), "{committed} of {KILLS}");
}

#[test]
fn the_message_of_a_killed_worker_reaches_another_in_less_than_a_second() {
    const ROUNDS: usize = 7;
    let ledger = Ledger::open();
    let messaging = process(ledger.url(), NO_POLLING);
    let (begun, begins) = unbounded();
    let (gate, opened) = bounded::<()>(0);
    let receiver = messaging
        .receiver(WORK)
        .workers(1)
        .start(move |session, message: Message<String>| {
            begun.send((message.id, Instant::now())).unwrap();
            if message.payload == "wait" {
                opened.recv()?;
            }
            Ledger::enter(session, &message)
        })
        .unwrap();
    let (mut sent, mut took) = (Vec::new(), Vec::new());

    for _ in 0..ROUNDS {
        // The one survivor is busy until the victim has its message, and idle when the victim dies.
        sent.extend(ledger.send(["wait"]));
        begins.recv_timeout(PATIENCE).unwrap();
        let mut victim = ledger.child(CHILD, "stay inside the first");
        let id = ledger.send(["go on"])[0];
        assert_eq!(victim.listen(), id.to_string());
        gate.send(()).unwrap();
        pass_time(Duration::from_millis(fastrand::u64(0..1500)));

        let killed_at = Instant::now();
        victim.kill();

        let (redelivered, at) = begins.recv_timeout(PATIENCE).unwrap();
        assert_eq!(redelivered, id);
        took.push(at.duration_since(killed_at));
        sent.push(id);
    }
    ledger.await_end();
    receiver.stop(PATIENCE);
    ledger.check(&sent, &[]);
    // The middle one: the machine that tests run on has its own hiccups.
    took.sort_unstable();
    assert!(took[ROUNDS / 2] < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_process_that_ends_in_order_leaves_no_worker_and_no_suspicion() {
    let ledger = Ledger::open();
    for role in ["stop and return", "stop and exit"] {
        let mut child = ledger.child(CHILD, role);
        assert_eq!(child.listen(), "receiving");
        assert_eq!(ledger.number(WORKERS, &[]), 1);

        child.finish();

        assert_eq!(ledger.number(WORKERS, &[]), 0, "{role}");
        ledger.handle_the_rest::<usize>();
        assert_eq!(ledger.number(SUSPECT, &[]), 0, "{role}");
    }
}

#[test]
fn a_killed_process_makes_its_topic_suspect_when_another_receives() {
    let ledger = Ledger::open();
    let sent = ledger.send(["in hand", "behind"]);
    let mut child = ledger.child(CHILD, "stay inside the first");
    assert_eq!(child.listen(), sent[0].to_string());
    child.kill();
    eventually("its server processes are gone", || {
        ledger.number(CONNECTIONS, &[]) == 0
    });
    assert_eq!(ledger.number(WORKERS, &[]), 1);

    let messaging = ledger.messaging();
    let gate = Gate::new();
    let at_the_gate = gate.clone();
    let receiver = messaging
        .receiver(WORK)
        .workers(1)
        .start(move |session, message: Message<String>| {
            at_the_gate.pass();
            Ledger::enter(session, &message)
        })
        .unwrap();
    gate.await_arrivals(1);

    assert_eq!(ledger.number(SUSPECT, &[]), 1);
    assert!(messaging.topic(WORK).stats().unwrap().is_suspect);
    gate.open_for(2);
    ledger.await_end();
    receiver.stop(PATIENCE);
    assert_eq!(ledger.number(WORKERS, &[]), 0);
    ledger.check(&sent, &[]);
}

const WORKERS: &str = "SELECT count(*) FROM outtray.worker WHERE topic = 'work'";
const SUSPECT: &str =
    "SELECT count(*) FROM outtray.topic WHERE topic = 'work' AND suspect_until > now()";
const CONNECTIONS: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name = 'outtray'";

/// Does nothing in the test run itself.
#[test]
fn what_child_processes_run() {
    match Child::role().as_deref() {
        Some("stay inside") => be_a_victim::<usize>(fastrand::usize(0..FOR_EACH), true),
        Some("stay inside the first") => be_a_victim::<String>(0, true),
        Some("return") => be_a_victim::<usize>(fastrand::usize(0..FOR_EACH - 1), false),
        Some("stop and return") => drop(receive_and_stop()),
        Some("stop and exit") => {
            let _kept = receive_and_stop();
            // Nothing is dropped: the stop was all that there is to do.
            std::process::exit(0);
        }
        _ => {}
    }
}

/// Receives with one worker; says so when it is in the message after `before` others, and gets no
/// further than the end of that one.
fn be_a_victim<T: serde::de::DeserializeOwned + 'static>(before: usize, stays: bool) {
    let messaging = Ledger::messaging_of_parent();
    let seen = AtomicUsize::new(0);
    let mut builder = messaging.receiver(WORK).workers(1).max_attempts(NO_LIMIT);
    if !stays {
        // The message it speaks of is to be committed before the next one is met.
        builder = builder.messages_per_transaction(1);
    }
    let _receiver = builder
        .start(move |session, message: Message<T>| {
            let number = seen.fetch_add(1, Ordering::Relaxed);
            if number > before {
                never::<()>().recv()?;
            }
            Ledger::enter(session, &message)?;
            if number == before {
                Child::tell(&message.id.to_string());
                if stays {
                    never::<()>().recv()?;
                }
                // All that follows travels in one flight, which the server carries out to its end
                // once it has it.
                pass_time(Duration::from_micros(fastrand::u64(0..15_000)));
            }
            Ok(())
        })
        .unwrap();
    Child::await_parent();
}

fn receive_and_stop() -> Messaging {
    let messaging = Ledger::messaging_of_parent();
    let receiver = messaging
        .start_receiving_messages(WORK, |session, message: Message<usize>| {
            Ledger::enter(session, &message)
        })
        .unwrap();
    Child::tell("receiving");
    Child::await_parent();
    receiver.stop(PATIENCE);
    messaging
}
