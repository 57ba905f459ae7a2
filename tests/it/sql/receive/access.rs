//! Who may call the functions, and what nobody can slip them.

use super::{ack, check_refused, payloads, take};
use crate::support::{Place, client};
use postgres::Config;

/// Connects as a role that may log in and nothing else.
fn as_role(place: &mut Place, role: &str) -> postgres::Client {
    place.sql(&format!(
        "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD 'secret'"
    ));
    let mut config: Config = place.url.parse().unwrap();
    config.user(role).password("secret");
    config.connect(postgres::NoTls).unwrap()
}

fn drop_role(place: &mut Place, role: &str) {
    place.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn nobody_may_take_or_settle_who_was_not_granted_it() {
    let mut place = Place::new();
    let role = "outtray_sql_nobody";
    let mut nobody = as_role(&mut place, role);
    place.sql(&format!("GRANT USAGE ON SCHEMA outtray TO {role}"));
    for call in [
        "receive('jobs')",
        "ack(gen_random_uuid(), gen_random_uuid())",
        "nack(gen_random_uuid(), gen_random_uuid())",
        "reject(gen_random_uuid(), gen_random_uuid())",
        "release(gen_random_uuid(), gen_random_uuid())",
        "extend(gen_random_uuid(), gen_random_uuid())",
        "cancel(gen_random_uuid())",
        "stats('jobs')",
        "upkeep()",
        "make_ready('jobs')",
        "topic_terms('jobs')",
    ] {
        check_refused(
            nobody.query(&format!("SELECT outtray.{call}"), &[]),
            "42501",
        );
    }
    drop(nobody);
    drop_role(&mut place, role);
}

#[test]
fn a_role_that_was_granted_what_the_guide_says_takes_and_settles() {
    let mut place = Place::new();
    let role = "outtray_sql_consumer";
    place.send_all("jobs", [1, 2]);
    let mut consumer = as_role(&mut place, role);
    place.sql(&format!(
        "GRANT USAGE ON SCHEMA outtray TO {role};
        DO $$ BEGIN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO {role}',
                (SELECT string_agg('outtray.' || name, ', ') FROM outtray.function));
        END $$;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA outtray TO {role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA outtray TO {role}"
    ));

    let taken = take(&mut consumer, "jobs", 9);
    ack(&mut consumer, &taken[0]);
    super::settle(&mut consumer, "nack($1, $2)", &taken[1]).unwrap();
    consumer.query("SELECT outtray.upkeep()", &[]).unwrap();

    assert_eq!(payloads(&taken), ["1", "2"]);
    drop(consumer);
    drop_role(&mut place, role);
}

#[test]
fn settings_and_schemas_of_the_caller_change_nothing() {
    let mut place = Place::new();
    place.send_all("jobs", 0..5);
    let mut caller = client(&place.url);
    caller
        .batch_execute(
            "CREATE SCHEMA trap; CREATE TABLE trap.message (topic text);
            CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
            CREATE FUNCTION trap.unnest(text[]) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
            SET search_path = trap, pg_catalog; SET bytea_output = 'escape'; SET DateStyle = 'German';
            SET IntervalStyle = 'sql_standard'; SET TimeZone = 'Pacific/Chatham'; SET array_nulls = off;
            SET standard_conforming_strings = off; SET enable_indexscan = off; SET extra_float_digits = -15;
            SET plpgsql.extra_errors = 'all'; SET plpgsql.variable_conflict = use_variable",
        )
        .unwrap();

    let taken = take(&mut caller, "jobs", 3);
    ack(&mut caller, &taken[0]);
    super::settle(&mut caller, "nack($1, $2, '1 hour')", &taken[1]).unwrap();
    super::settle(&mut caller, "extend($1, $2, '1 hour')", &taken[2]).unwrap();
    super::settle(&mut caller, "release($1, $2)", &taken[2]).unwrap();
    let again = take(&mut caller, "jobs", 1);
    super::settle(&mut caller, "reject($1, $2)", &again[0]).unwrap();
    for call in ["cancel($1)::text", "stats('jobs')::text", "upkeep()::text"] {
        let query = format!("SELECT outtray.{call}, $1::uuid");
        caller.query_one(&query, &[&taken[0].id]).unwrap();
    }

    assert_eq!(payloads(&taken), ["0", "1", "2"]);
    assert_eq!(payloads(&again), ["2"]);
    let hours = place.number("SELECT extract(epoch FROM min(due_at) - clock_timestamp()) / 3600 FROM outtray.scheduled WHERE receipt IS NULL");
    assert!((0.9..=1.0).contains(&hours), "{hours}");
}
