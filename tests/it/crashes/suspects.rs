//! After the death of a process its topics are worked on with care, no more than is needed, and for
//! no longer: only where it had something in hand, in batches, beside others, and until what may
//! have been in its hands has ended.

use crate::support::{
    Child, Gate, Ledger, PATIENCE, WORK, client, eventually, pass_time, telling, test_name,
};
use crossbeam_channel::never;
use outtray::{Message, MessageId};
use std::time::Duration;

const CHILD: &str = test_name!(what_child_processes_run);

/// Makes a topic suspect, as if a process had died a moment ago.
fn suspect(ledger: &Ledger, topic: &str) {
    ledger.execute(&format!(
        "INSERT INTO outtray.topic (topic, suspect_until) VALUES ('{topic}', now() + interval '4 minutes')"
    ));
}

/// Notes that a process died that had the message in hand, and counted it.
fn count_a_death(ledger: &Ledger, topic: &str, id: MessageId) {
    ledger.execute(&format!(
        "INSERT INTO outtray.attempt (topic, id, attempts) VALUES ('{topic}', '{id}', 1)"
    ));
}

const EVER_SUSPECT: &str = "SELECT count(*) FROM outtray.topic WHERE suspect_until IS NOT NULL";
const SUSPECT: &str = "SELECT count(*) FROM outtray.topic WHERE suspect_until > now()";
const CONNECTIONS: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name = 'outtray'";
const EFFECTS: &str = "SELECT count(*) FROM effect";
/// Whether a receiver that had something in hand noted that it has nothing any more.
const IS_IDLE: &str = "SELECT count(*) FROM outtray.worker WHERE shift > 0 AND shift % 2 = 0";

fn await_the_end_of_its_server_processes(ledger: &Ledger) {
    eventually("its server processes are gone", || {
        ledger.number(CONNECTIONS, &[]) == 0
    });
}

/// Lets a receiver handle one message, be idle for a while, and end as `end` says, without signing
/// off.
#[track_caller]
fn check_idle_death(role: &str, end: impl FnOnce(Child)) {
    let ledger = Ledger::open();
    let child = ledger.child(CHILD, role);
    let mut sent = ledger.send(["quick"]);
    eventually("it is idle", || ledger.number(IS_IDLE, &[]) == 1);

    end(child);
    await_the_end_of_its_server_processes(&ledger);
    sent.extend(ledger.send(vec!["quick"; 100]));
    ledger.handle_the_rest::<String>();

    assert_eq!(ledger.number(EVER_SUSPECT, &[]), 0);
    assert_eq!(ledger.check(&sent, &[]), 0);
}

#[test]
fn a_process_that_is_killed_with_nothing_in_hand_makes_nobody_suspect() {
    check_idle_death("receive", Child::kill);
}

#[test]
fn a_process_that_exits_with_nothing_in_hand_makes_nobody_suspect() {
    check_idle_death("receive and exit", Child::finish);
}

/// Looks whether the process that received `work` is gone, as a process that starts does.
const LOOK: &str = "SELECT pg_try_advisory_xact_lock_shared(
        ((locks.classid::bigint << 32) | locks.objid::bigint) # living.id # gone.id)
    FROM outtray.worker AS living, outtray.worker AS gone, pg_locks AS locks
    WHERE living.topic = 'other' AND gone.topic = 'work'
        AND locks.locktype = 'advisory' AND locks.objsubid = 1
        AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

#[test]
fn who_starts_while_another_looks_who_died_sees_it_too() {
    let ledger = Ledger::open();
    let messaging = ledger.messaging();
    let start = |topic| messaging.start_receiving_messages(topic, |_, _: Message<String>| Ok(()));
    let living = start("other").unwrap();
    messaging.topic(WORK).pause().unwrap();
    ledger.send(["quick"]);
    ledger.execute(
        "INSERT INTO outtray.worker (topic, process, holds_lock, shift) VALUES ('work', 'gone', true, 1)",
    );
    let mut another = client(ledger.url());
    let mut looking = another.transaction().unwrap();
    assert!(looking.query_one(LOOK, &[]).unwrap().get::<_, bool>(0));

    let newcomer = start(WORK).unwrap();

    assert_eq!(ledger.number(SUSPECT, &[]), 1);
    newcomer.stop(PATIENCE);
    living.stop(PATIENCE);
}

/// Holds the lock of the process that received `work` as that process does, and the server as long
/// as it has not noticed that it died.
const HOLD: &str = "SELECT pg_advisory_xact_lock(
        ((locks.classid::bigint << 32) | locks.objid::bigint) # living.id # gone.id)
    FROM outtray.worker AS living, outtray.worker AS gone, pg_locks AS locks
    WHERE living.topic = 'other' AND gone.topic = 'work' AND gone.process = 'gone'
        AND locks.locktype = 'advisory' AND locks.objsubid = 1
        AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Runs `test` while the server has not noticed yet that a process died that received `work`, and
/// has to be told by the test.
fn while_a_death_is_unnoticed(ledger: &Ledger, test: impl FnOnce(postgres::Transaction<'_>)) {
    let messaging = ledger.messaging();
    let living = messaging
        .start_receiving_messages("other", |_, _: Message<String>| Ok(()))
        .unwrap();
    ledger.execute(
        "INSERT INTO outtray.worker (topic, process, holds_lock, shift) VALUES ('work', 'gone', true, 1)",
    );
    let mut server = client(ledger.url());
    let mut unnoticed = server.transaction().unwrap();
    assert!(unnoticed.query_opt(HOLD, &[]).unwrap().is_some());
    test(unnoticed);
    living.stop(PATIENCE);
}

#[test]
fn a_successor_is_careful_and_looks_again_while_a_death_is_unnoticed() {
    let ledger = Ledger::open();
    let sent = ledger.send(["quick"]);
    while_a_death_is_unnoticed(&ledger, |unnoticed| {
        let messaging = ledger.messaging();
        let gate = Gate::new();
        let receiver = gate.holding(messaging.receiver(WORK));
        gate.await_arrivals(1);

        let noted = "SELECT count(*) FROM outtray.hand WHERE ids = ARRAY[$1::uuid]";
        assert_eq!(ledger.number(noted, &[&sent[0].as_uuid()]), 1);
        drop(unnoticed);
        eventually("the death is noticed", || ledger.number(SUSPECT, &[]) == 1);
        gate.open_for(1);
        receiver.stop(PATIENCE);
    });
}

#[test]
fn a_message_that_killed_twice_runs_alone_while_one_of_the_deaths_is_unnoticed() {
    let ledger = Ledger::open();
    suspect(&ledger, WORK);
    let sent = ledger.send(["quick"]);
    count_a_death(&ledger, WORK, sent[0]);
    while_a_death_is_unnoticed(&ledger, |unnoticed| {
        ledger.execute(&format!(
            "INSERT INTO outtray.hand SELECT 'work', id, 0, ARRAY['{}'::uuid], false
                FROM outtray.worker WHERE process = 'gone'",
            sent[0]
        ));
        let messaging = ledger.messaging();
        let gate = Gate::new();
        let receiver = gate.holding(messaging.receiver(WORK));
        gate.await_arrivals(1);

        let alone = "SELECT count(*) FROM outtray.hand WHERE is_alone";
        assert_eq!(ledger.number(alone, &[]), 1);
        gate.open_for(1);
        receiver.stop(PATIENCE);
        drop(unnoticed);
    });
}

#[test]
fn suspicion_ends_with_what_was_in_hand() {
    let ledger = Ledger::open();
    let mut child = ledger.child(CHILD, "stay inside");
    // More than two processes have in hand at a time.
    let sent = ledger.send(vec!["quick"; 800]);
    assert_eq!(child.listen(), "inside");
    child.kill();
    await_the_end_of_its_server_processes(&ledger);
    let messaging = ledger.messaging();
    let gate = Gate::new();
    let at_the_gate = gate.clone();

    let receiver = messaging
        .receiver(WORK)
        .start(move |session, message: Message<String>| {
            if message.payload == "late" {
                at_the_gate.pass();
            }
            Ledger::enter(session, &message)
        })
        .unwrap();
    let late = ledger.send(["late"]);
    gate.await_arrivals(1);

    // What is in work now was not there when the process died.
    let died_long_ago =
        "SELECT count(*) FROM outtray.topic WHERE suspect_until > now() + interval '1 hour'";
    assert_eq!(ledger.number(died_long_ago, &[]), 0);
    eventually("what was in hand has ended", || {
        ledger.number(SUSPECT, &[]) == 0
    });
    let latest = "SELECT count(*) FROM (SELECT FROM effect HAVING max(at) > now() - interval '3 minutes') AS soon";
    assert_eq!(ledger.number(latest, &[]), 1, "it ended by itself");
    gate.open_for(1);
    ledger.await_end();
    receiver.stop(PATIENCE);
    ledger.check(&[sent, late].concat(), &[]);
}

#[test]
fn a_suspect_topic_is_worked_on_in_batches() {
    const MESSAGES: usize = 600;
    let ledger = Ledger::open();
    ledger.execute("CREATE TABLE lot (xid text NOT NULL DEFAULT pg_current_xact_id()::text)");
    suspect(&ledger, WORK);
    let sent = ledger.send(vec!["quick"; MESSAGES]);
    let messaging = ledger.messaging();

    let receiver = messaging
        .receiver(WORK)
        .messages_per_transaction(20)
        .start(|session, message: Message<String>| {
            session.execute("INSERT INTO lot DEFAULT VALUES", &[])?;
            Ledger::enter(session, &message)
        })
        .unwrap();
    ledger.await_end();
    receiver.stop(PATIENCE);

    let transactions = ledger.number("SELECT count(DISTINCT xid) FROM lot", &[]);
    let transactions = usize::try_from(transactions).unwrap();
    assert!(transactions * 10 <= MESSAGES, "{transactions} transactions");
    assert_eq!(ledger.number(SUSPECT, &[]), 1);
    ledger.check(&sent, &[]);
}

/// Handles quick messages, and returns how many transactions that took.
fn transactions_of_quick_messages(is_suspect: bool) -> i64 {
    const MESSAGES: usize = 10_000;
    let ledger = Ledger::open();
    ledger.execute(
        "CREATE TABLE lot (xid text NOT NULL DEFAULT pg_current_xact_id()::text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO public.lot DEFAULT VALUES; RETURN NULL; END $$;
        CREATE TRIGGER note AFTER DELETE ON outtray.message FOR EACH STATEMENT EXECUTE FUNCTION note();
        CREATE TRIGGER note AFTER INSERT OR UPDATE ON outtray.hand FOR EACH STATEMENT EXECUTE FUNCTION note();",
    );
    if is_suspect {
        suspect(&ledger, WORK);
    }
    ledger.send(vec!["quick"; MESSAGES]);
    let messaging = ledger.messaging();

    let receiver = messaging
        .receiver(WORK)
        .workers(2)
        .start(|_, _: Message<String>| Ok(()))
        .unwrap();
    ledger.await_end();
    receiver.stop(PATIENCE);

    ledger.number("SELECT count(DISTINCT xid) FROM lot", &[])
}

#[test]
fn quick_messages_of_a_suspect_topic_share_transactions_as_ever() {
    // What a busy machine makes slow for a moment goes alone; so the best of some counts.
    let fewest = |is_suspect| {
        let all = (0..3).map(|_| transactions_of_quick_messages(is_suspect));
        all.min().unwrap()
    };

    let (ordinary, careful) = (fewest(false), fewest(true));

    assert!(careful <= 3 * ordinary, "{careful} instead of {ordinary}");
}

#[test]
fn batches_of_a_suspect_topic_stay_batches() {
    let ledger = Ledger::open();
    ledger.execute("CREATE TABLE lot (size integer)");
    suspect(&ledger, WORK);
    let sent = ledger.send(vec!["quick"; 100]);
    let messaging = ledger.messaging();

    let receiver = messaging
        .receiver(WORK)
        .start_batches(50, |session, batch: &[outtray::BatchMessage<String>]| {
            session.execute(
                "INSERT INTO lot VALUES ($1)",
                &[&i32::try_from(batch.len())?],
            )?;
            for message in batch {
                Ledger::enter(session, message)?;
            }
            Ok(())
        })
        .unwrap();
    ledger.await_end();
    receiver.stop(PATIENCE);

    assert!(ledger.number("SELECT count(*) FROM lot", &[]) <= 50);
    ledger.check(&sent, &[]);
}

#[test]
fn a_slow_message_that_saw_a_death_holds_up_no_other_topic_and_none_of_its_own() {
    let ledger = Ledger::open();
    let messaging = ledger.messaging();
    suspect(&ledger, WORK);
    suspect(&ledger, "other");
    let slow = ledger.send(["slow"])[0];
    count_a_death(&ledger, WORK, slow);
    let gate = Gate::new();
    let at_the_gate = gate.clone();
    let receiver = messaging
        .receiver(WORK)
        .workers(2)
        .start(move |session, message: Message<String>| {
            if message.payload == "slow" {
                at_the_gate.pass();
            }
            Ledger::enter(session, &message)
        })
        .unwrap();
    gate.await_arrivals(1);
    let (other, told) = telling::<usize>(messaging.receiver("other"));
    messaging
        .session(|session| Ok(session.send_messages("other", 0..50)?))
        .unwrap();
    ledger.send(vec!["quick"; 50]);

    crate::support::next(&told, 50);
    eventually("its own topic flows", || ledger.number(EFFECTS, &[]) == 50);
    let has_failed = "SELECT count(*) FROM outtray.scheduled";
    assert_eq!(ledger.number(has_failed, &[]), 0, "it is there still");
    assert!(gate.is_lonely_for(Duration::ZERO), "it is there still");
    gate.open_for(1);
    ledger.await_end();
    receiver.stop(PATIENCE);
    other.stop(PATIENCE);
}

#[test]
fn two_that_saw_a_death_do_not_run_beside_each_other() {
    let ledger = Ledger::open();
    let messaging = ledger.messaging();
    suspect(&ledger, WORK);
    for id in ledger.send(["one", "two"]) {
        count_a_death(&ledger, WORK, id);
    }
    let gate = Gate::new();
    let at_the_gate = gate.clone();

    let receiver = messaging
        .receiver(WORK)
        .start(move |session, message: Message<String>| {
            at_the_gate.pass();
            Ledger::enter(session, &message)
        })
        .unwrap();
    gate.await_arrivals(1);

    assert!(gate.is_lonely_for(Duration::from_millis(300)));
    gate.open_for(2);
    gate.await_arrivals(1);
    ledger.await_end();
    receiver.stop(PATIENCE);
    let counted = "SELECT coalesce(sum(attempts), 0)::bigint FROM outtray.attempt";
    assert_eq!(ledger.number(counted, &[]), 0);
}

/// Does nothing in the test run itself.
#[test]
fn what_child_processes_run() {
    let Some(role) = Child::role() else {
        return;
    };
    let stays = role == "stay inside";
    let messaging = Ledger::messaging_of_parent();
    let receiver = messaging
        .receiver(WORK)
        .workers(2)
        .start(move |session, message: Message<String>| {
            if stays {
                pass_time(Duration::from_millis(1));
                Child::tell("inside");
                never::<()>().recv()?;
            }
            Ledger::enter(session, &message)
        })
        .unwrap();
    Child::await_parent();
    if role == "receive and exit" {
        std::process::exit(0);
    }
    receiver.stop(PATIENCE);
}
