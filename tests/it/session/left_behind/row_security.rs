//! Row-level security as the documentation tells to use it.

use crate::support::{PATIENCE, Place, eventually};
use outtray::{HandlerError, Message, Messaging, MessagingSession};

/// A table of which everybody sees the rows of the tenant that is set, and nobody those of others;
/// owned by somebody else than who works with it, who is no superuser.
const TABLES: &str = "
    DO $$ BEGIN CREATE ROLE clerk; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
    CREATE TABLE account (tenant text NOT NULL DEFAULT current_setting('app.tenant'), n integer NOT NULL);
    ALTER TABLE account ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON account USING (tenant = current_setting('app.tenant', true));
    CREATE TABLE seen (n integer, others bigint);
    GRANT SELECT, INSERT ON account, seen TO clerk;
    CREATE FUNCTION be(tenant text) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN PERFORM set_config('app.tenant', tenant, true); END $$";

fn tenant(n: i32) -> String {
    format!("tenant {}", n % 3)
}

/// Works as its tenant, but for each fourth, which has none and must see nothing.
fn work(session: &mut MessagingSession<'_>, n: i32) -> Result<(), HandlerError> {
    session.execute("SET LOCAL ROLE clerk", &[])?;
    if n % 4 != 0 {
        session.execute("SELECT set_config('app.tenant', $1, true)", &[&tenant(n)])?;
        session.execute("INSERT INTO account (n) VALUES ($1)", &[&n])?;
    }
    let others = "SELECT count(*) FROM account WHERE n % 3 <> $1 OR $2";
    let others: i64 = session
        .query_one(others, &[&(n % 3), &(n % 4 == 0)])?
        .get(0);
    session.execute("INSERT INTO seen VALUES ($1, $2)", &[&n, &others])?;
    session.send_message("next", &n)?;
    Ok(())
}

/// Says which tenant is set, and sets its own by a function, of which nobody outside can know what
/// it does.
fn call(session: &mut MessagingSession<'_>, n: i32) -> Result<(), HandlerError> {
    let others = "INSERT INTO seen SELECT $1, (coalesce(current_setting('app.tenant', true), '') <> '')::integer";
    session.execute(others, &[&n])?;
    session.execute("SELECT be($1)", &[&tenant(n)])?;
    session.execute("INSERT INTO account (n) VALUES ($1)", &[&n])?;
    session.send_message("next", &n)?;
    Ok(())
}

#[track_caller]
fn check(place: &mut Place, count: i64, accounts: i64) {
    assert_eq!(place.count("seen"), count);
    assert_eq!(place.count("seen WHERE others > 0"), 0);
    assert_eq!(place.count("account"), accounts);
    assert_eq!(place.count("account WHERE tenant <> 'tenant ' || n % 3"), 0);
    assert_eq!(place.count("outtray.message WHERE topic = 'next'"), count);
}

#[test]
fn handlers_that_set_their_tenant_see_no_others_whatever_shares_their_transactions() {
    let mut place = Place::new();
    place.sql(TABLES);
    place.send_all("work", 0..80);

    let receiver = place
        .messaging
        .receiver("work")
        .workers(2)
        .start(|session, message: Message<i32>| work(session, message.payload))
        .unwrap();
    eventually("all are handled", || place.is_empty("work"));
    receiver.stop(PATIENCE);

    check(&mut place, 80, 60);
}

#[test]
fn a_function_that_sets_the_tenant_wants_one_message_to_a_transaction() {
    let mut place = Place::new();
    place.sql(TABLES);
    place.send_all("work", 0..80);

    place
        .messaging
        .receiver("work")
        .messages_per_transaction(1)
        .drain(|session, message: Message<i32>| call(session, message.payload))
        .unwrap();

    check(&mut place, 80, 80);
}

#[test]
fn sessions_of_a_pool_see_no_tenant_of_another() {
    let mut place = Place::new();
    place.sql(TABLES);
    let messaging = Messaging::builder()
        .url(&place.url)
        .pool_size(1)
        .connect()
        .unwrap();

    for n in 0..40 {
        messaging.session(|session| work(session, n)).unwrap();
        messaging.session(|session| call(session, n)).unwrap();
    }

    check(&mut place, 80, 70);
}
