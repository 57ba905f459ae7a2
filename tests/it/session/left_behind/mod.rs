//! What a handler or a session sets ends with it: the next message, also of the same transaction,
//! and the next user of the connection find it as it was made.

mod row_security;
mod sessions;
mod socket;

use crate::support::{PATIENCE, Place, eventually};
use crossbeam_channel::{Sender, unbounded};
use outtray::{Backoff, BatchMessage, HandlerError, Message, MessagingSession, ReceiverBuilder};
use std::time::Duration;

/// What may be set, and a question to which `nothing` is the answer where nobody set it.
struct Trace {
    set: &'static str,
    look: &'static str,
    nothing: &'static str,
}

const fn trace(set: &'static str, look: &'static str, nothing: &'static str) -> Trace {
    Trace { set, look, nothing }
}

const TENANT: &str = "SELECT coalesce(current_setting('app.tenant', true), '')";
const TEMPORARY: &str = "SELECT coalesce(to_regclass('pg_temp.mine')::text, '')";
const ADVISORY: &str =
    "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
const PREPARED: &str = "SELECT count(*)::text FROM pg_prepared_statements WHERE name = 'mine'";
const CURSORS: &str = "SELECT count(*)::text FROM pg_cursors WHERE name = 'mine'";

/// `other` is a role without any rights.
const TRACES: [Trace; 24] = [
    trace("SELECT set_config('app.tenant', 'x', true)", TENANT, ""),
    trace("SELECT Set_Config('app.tenant', 'x', false)", TENANT, ""),
    trace("SET LOCAL app.tenant = 'x'", TENANT, ""),
    trace("/* mine */ SET app.tenant = 'x'", TENANT, ""),
    trace(
        "DO $$ BEGIN PERFORM set_config('app.tenant', 'x', true); END $$",
        TENANT,
        "",
    ),
    trace(
        "DO $$ BEGIN EXECUTE 'SET app.tenant = 7'; END $$",
        TENANT,
        "",
    ),
    trace(
        "SET ROLE other",
        "SELECT (current_user <> 'other')::text",
        "true",
    ),
    trace(
        "SET LOCAL ROLE other",
        "SELECT (current_user <> 'other')::text",
        "true",
    ),
    trace(
        "SET SESSION AUTHORIZATION other",
        "SELECT (session_user <> 'other')::text",
        "true",
    ),
    trace(
        "SET search_path = nowhere",
        "SELECT current_setting('search_path')",
        "\"$user\", public",
    ),
    trace(
        "SET statement_timeout = '1h'",
        "SELECT current_setting('statement_timeout')",
        "0",
    ),
    trace(
        "SET lock_timeout = 0",
        "SELECT current_setting('lock_timeout')",
        "20s",
    ),
    trace("RESET ALL", "SELECT current_setting('lock_timeout')", "20s"),
    trace(
        "SET TIME ZONE 'Asia/Tokyo'",
        "SELECT (current_setting('TimeZone') = 'Asia/Tokyo')::text",
        "false",
    ),
    trace(
        "SET TRANSACTION READ ONLY",
        "SELECT current_setting('transaction_read_only')",
        "off",
    ),
    trace(
        "SET default_transaction_read_only = on",
        "SELECT current_setting('default_transaction_read_only')",
        "off",
    ),
    trace(
        "LISTEN mine",
        "SELECT count(*)::text FROM pg_listening_channels()",
        "0",
    ),
    trace("CREATE TEMP TABLE mine ()", TEMPORARY, ""),
    trace(
        "CREATE TEMP TABLE mine ON COMMIT DROP AS SELECT 1",
        TEMPORARY,
        "",
    ),
    trace("SELECT 1 AS n INTO TEMPORARY mine", TEMPORARY, ""),
    trace("SELECT pg_advisory_lock(7)", ADVISORY, "0"),
    trace("PREPARE mine AS SELECT 1", PREPARED, "0"),
    trace("DEALLOCATE ALL", PREPARED, "0"),
    trace("DECLARE mine CURSOR WITH HOLD FOR SELECT 1", CURSORS, "0"),
];

/// How a caller runs it.
#[derive(Debug, Clone, Copy)]
enum By {
    Execute,
    BatchExecute,
    Borrowed,
    Nested,
}

const BY: [By; 4] = [By::Execute, By::BatchExecute, By::Borrowed, By::Nested];

fn set(session: &mut MessagingSession<'_>, sql: &str, by: By) -> Result<(), HandlerError> {
    match by {
        By::Execute => drop(session.execute(sql, &[])?),
        By::BatchExecute => session.batch_execute(sql)?,
        By::Borrowed => drop(session.with_transaction(|open| open.execute(sql, &[]))??),
        By::Nested => {
            let mut nested = session.transaction()?;
            nested.batch_execute(sql)?;
            nested.commit()?;
        }
    }
    Ok(())
}

fn look(session: &mut MessagingSession<'_>, trace: &Trace) -> Result<String, HandlerError> {
    Ok(session.query_one(trace.look, &[])?.get(0))
}

fn prepare(place: &mut Place) {
    place.sql(
        "CREATE TABLE effect (n integer NOT NULL);
        DO $$ BEGIN CREATE ROLE other; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
    );
}

/// How messages are received.
#[derive(Debug, Clone, Copy)]
enum Way {
    Adaptive,
    Fixed,
    Batches,
    Leases,
    Drain,
    Suspect,
}

const WAYS: [Way; 6] = [
    Way::Adaptive,
    Way::Fixed,
    Way::Batches,
    Way::Leases,
    Way::Drain,
    Way::Suspect,
];

/// Looks, writes, and sets if the number is odd; every third one that sets fails at first. Returns
/// what it saw.
fn handle(
    session: &mut MessagingSession<'_>,
    (n, attempt): (i32, u32),
    trace: &Trace,
    by: By,
    saw: &Sender<String>,
) -> Result<(), HandlerError> {
    saw.send(look(session, trace)?)?;
    session.execute("INSERT INTO public.effect VALUES ($1)", &[&n])?;
    if n % 2 == 1 && trace.set.contains("READ ONLY") {
        // Nothing can be written after it, in its savepoint.
        set(session, trace.set, by)?;
        return Ok(());
    }
    if n % 2 == 1 {
        session.send_message("sent", &n)?;
        set(session, trace.set, by)?;
        if n % 3 == 0 && attempt == 1 {
            return Err(HandlerError::retry_after(Duration::ZERO));
        }
    }
    Ok(())
}

const COUNT: i32 = 12;

fn play(place: &mut Place, way: Way, trace: &'static Trace, by: By) -> Vec<String> {
    let (tell, told) = unbounded();
    place.send_all("numbers", 0..COUNT);
    if matches!(way, Way::Suspect) {
        place.sql("INSERT INTO outtray.topic (topic, suspect_until) VALUES ('numbers', now() + interval '1 minute')");
    }
    let builder: ReceiverBuilder<'_> = place.messaging.receiver("numbers").workers(1);
    let builder = match way {
        Way::Fixed => builder.messages_per_transaction(COUNT as usize),
        Way::Leases => builder.lease(PATIENCE),
        _ => builder,
    };
    let one = move |session: &mut MessagingSession<'_>, message: Message<i32>| {
        handle(
            session,
            (message.payload, message.attempt),
            trace,
            by,
            &tell,
        )
    };
    let receiver = match way {
        Way::Drain => {
            builder.drain(one).unwrap();
            return told.try_iter().collect();
        }
        Way::Batches => builder.start_batches(3, move |session, batch: &[BatchMessage<i32>]| {
            // The first of a batch stands for all.
            for message in batch.iter().skip(1) {
                session.execute("INSERT INTO public.effect VALUES ($1)", &[&message.payload])?;
                session.send_message("sent", &message.payload)?;
            }
            one(session, Message::clone(&batch[0]))
        }),
        _ => builder.start(one),
    };
    let receiver = receiver.unwrap();
    eventually("all are handled", || {
        place.is_empty("numbers") && place.count("outtray.scheduled") == 0
    });
    receiver.stop(PATIENCE);
    told.try_iter().collect()
}

/// Checks one trace in a place that was prepared, and that others may have used.
#[track_caller]
fn check(place: &mut Place, way: Way, trace: &'static Trace, by: By) {
    place.sql("DELETE FROM effect; DELETE FROM outtray.message; DELETE FROM outtray.topic");

    let saw = play(place, way, trace, by);

    let what = format!("{way:?}, {}, {by:?}", trace.set);
    assert!(
        saw.iter().all(|saw| saw == trace.nothing),
        "{what}: {saw:?}"
    );
    assert_eq!(place.count("effect"), i64::from(COUNT), "{what}");
    assert_eq!(
        place.count("(SELECT DISTINCT n FROM effect) AS once"),
        i64::from(COUNT),
        "{what}"
    );
    assert_eq!(place.dead_letters("numbers").len(), 0, "{what}");
}

#[test]
fn the_next_message_finds_nothing_of_what_one_set() {
    let mut place = Place::new();
    prepare(&mut place);
    for (index, trace) in TRACES.iter().enumerate() {
        check(&mut place, Way::Adaptive, trace, BY[index % 4]);
        check(&mut place, Way::Fixed, trace, BY[(index + 1) % 4]);
    }
}

#[test]
fn the_next_message_finds_nothing_of_what_one_set_in_any_way_to_receive() {
    let mut place = Place::new();
    prepare(&mut place);
    for (index, trace) in TRACES.iter().enumerate() {
        let by = BY[(index + index / 4) % 4];
        check(&mut place, WAYS[2 + index % 4], trace, by);
    }
}

#[test]
fn messages_that_set_nothing_share_their_transaction_still() {
    let mut place = Place::new();
    place.sql("CREATE TABLE shared (xid bigint)");
    place.send_all("numbers", 0..20);

    place
        .messaging
        .receiver("numbers")
        .messages_per_transaction(20)
        .drain(|session, _: Message<i32>| {
            session.execute("INSERT INTO shared SELECT txid_current()", &[])?;
            session.transaction()?.commit()?;
            Ok(())
        })
        .unwrap();

    assert_eq!(place.count("shared"), 20);
    assert_eq!(place.count("(SELECT DISTINCT xid FROM shared) AS one"), 1);
}

#[test]
fn what_is_deferred_until_commit_happens_with_what_its_handler_set() {
    let mut place = Place::new();
    prepare(&mut place);
    place.sql(
        "CREATE TABLE written (n integer, tenant text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO public.written VALUES (NEW.n, current_setting('app.tenant', true)); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER noted AFTER INSERT ON effect DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION note()",
    );
    let write = |session: &mut MessagingSession<'_>, n: i32| -> Result<(), HandlerError> {
        session.query(
            "SELECT set_config('app.tenant', $1, true)",
            &[&n.to_string()],
        )?;
        session.execute("INSERT INTO effect VALUES ($1)", &[&n])?;
        Ok(())
    };
    place.send_all("numbers", 0..10);

    place
        .messaging
        .receiver("numbers")
        .messages_per_transaction(1)
        .drain(move |session, message: Message<i32>| write(session, message.payload))
        .unwrap();
    place
        .messaging
        .session(|session| write(session, 10))
        .unwrap();

    assert_eq!(place.count("written WHERE tenant = n::text"), 11);
}

#[test]
fn a_drain_goes_on_where_what_is_left_costs_the_connection_and_the_transaction_fails() {
    const CONFLICT: &str = "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$";
    const REFUSED: &str = "INSERT INTO taken VALUES (1), (1)";
    for left in ["SELECT pg_advisory_lock(1)", "PREPARE mine AS SELECT 1"] {
        for failing in [CONFLICT, REFUSED] {
            let mut place = Place::new();
            place.sql("CREATE TABLE taken (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)");
            place.send_all("numbers", 0..4);
            let mut failed = 0;

            let report = place
                .messaging
                .receiver("numbers")
                .backoff(Backoff::fixed(Duration::ZERO))
                .drain(|session, message: Message<i32>| {
                    session.batch_execute(left)?;
                    if message.payload == 2 && failed == 0 {
                        failed += 1;
                        session.batch_execute(failing)?;
                    }
                    Ok(())
                });

            let handled = report.map(|report| report.handled);
            assert_eq!(handled.ok(), Some(4), "{left}; {failing}");
            assert_eq!(failed, 1);
        }
    }
}

#[test]
fn what_a_joined_session_sets_is_the_callers_own_business() {
    let mut place = Place::new();
    prepare(&mut place);
    let mut client = crate::support::client(&place.url);
    let mut transaction = client.transaction().unwrap();
    let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();

    session.execute("SET LOCAL app.tenant = 'x'", &[]).unwrap();
    session.send_message("sent", &1).unwrap();
    drop(session);

    let tenant: String = transaction.query_one(TENANT, &[]).unwrap().get(0);
    assert_eq!(tenant, "x");
    transaction.commit().unwrap();
    assert_eq!(place.count("outtray.message"), 1);
}
