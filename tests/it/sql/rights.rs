//! Nobody may call the functions to whom that was not granted, and nothing of a caller's gets into
//! them.

use super::{check_refused, id, taken};
use crate::support::{Place, client};
use outtray::testing::Server;
use postgres::Client;

/// Makes a role that logs in, and connects as it.
fn guest(place: &mut Place, grants: &str) -> Client {
    let role = format!("guest_{}", fastrand::u64(..));
    place.sql(&format!("CREATE ROLE {role} LOGIN"));
    place.sql(&grants.replace("ROLE", &role));
    let mut guest = client(&place.url);
    guest
        .batch_execute(&format!("SET SESSION AUTHORIZATION {role}"))
        .unwrap();
    guest
}

#[test]
fn the_public_may_call_no_function_of_these() {
    let mut place = Place::new();
    let open = "pg_proc WHERE pronamespace = 'outtray'::regnamespace
        AND proname IN (SELECT name FROM outtray.function)
        AND has_function_privilege('public', oid, 'EXECUTE')";

    assert!(place.count("outtray.function") > 5);
    assert_eq!(place.count(open), 0);
    let mut guest = guest(&mut place, "GRANT USAGE ON SCHEMA outtray TO ROLE");
    check_refused(
        &mut guest,
        "outtray.send('t', '1')",
        "42501",
        "permission denied",
    );
}

#[test]
fn a_role_that_only_sends_needs_few_tables() {
    let mut place = Place::new();
    let mut guest = guest(
        &mut place,
        "GRANT USAGE ON SCHEMA outtray TO ROLE;
        DO $$ BEGIN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO ROLE',
                (SELECT string_agg('outtray.' || name, ', ') FROM outtray.function));
        END $$;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA outtray TO ROLE; GRANT SELECT ON outtray.topic TO ROLE;
        GRANT INSERT ON outtray.message, outtray.scheduled TO ROLE",
    );

    id(&mut guest, "outtray.send('t', '1')", &[]);
    id(
        &mut guest,
        "outtray.send('t', '2', delay => '1 hour', expires_in => '1 day')",
        &[],
    );
    check_refused(
        &mut guest,
        "outtray.send('t', '3', key => 'k')",
        "42501",
        "permission denied",
    );

    assert_eq!(taken(&place, "t"), ["1"]);
    assert_eq!(place.count("outtray.scheduled"), 1);
}

#[test]
fn nothing_of_the_callers_is_called_by_mistake() {
    let mut place = Place::new();
    place.sql(
        "CREATE SCHEMA trap;
        CREATE FUNCTION trap.trunc(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 1 / 0';
        CREATE FUNCTION trap.nope(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT 1 / 0 = 1';
        CREATE OPERATOR trap.> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = trap.nope);
        CREATE FUNCTION trap.format(text, VARIADIC \"any\") RETURNS text LANGUAGE internal AS 'text_format';
        SET search_path = trap, pg_catalog, public;
        SET standard_conforming_strings = off; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'sql_standard';
        SET bytea_output = 'escape'; SET extra_float_digits = -15; SET array_nulls = off;
        SET default_transaction_isolation = 'read committed'; SET quote_all_identifiers = on;
        SET plpgsql.extra_errors = 'all'; SET plpgsql.variable_conflict = use_variable",
    );

    place.sql(
        "SELECT outtray.send('t', '1', due_at => '2020-01-01', expires_in => '1 day', headers => '{\"a\": \"b\"}');
        SELECT outtray.send('t', '\\\\x00ff'::bytea, key => 'k', dedupe_key => 'd', tracked_for => '1 hour');
        SELECT outtray.send_many('t', ARRAY['1', '2'], delay => '1 hour');
        SELECT outtray.publish('k', '1')",
    );

    assert_eq!(taken(&place, "t").len(), 2);
    assert_eq!(place.count("outtray.scheduled"), 2);
}

#[test]
fn names_and_errors_are_the_same_in_a_database_that_knows_no_encoding() {
    let server = Server::builder().always_embedded().start().unwrap();
    let url = server.database().unwrap();
    let name = format!("plain_{}", fastrand::u64(..));
    let encoding = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'";
    let make = format!("CREATE DATABASE {name} {encoding} TEMPLATE template0");
    client(&url).batch_execute(&make).unwrap();
    let (base, _) = url.rsplit_once('/').unwrap();
    let plain = format!("{base}/{name}");
    let messaging = outtray::Messaging::connect(&plain).unwrap();
    messaging.migrate().unwrap();
    let mut place = Place::over(&plain, messaging);

    place.sql("SELECT outtray.send('größe', '\"é\"', key => 'ä', headers => '{\"ü\": \"ß\"}')");
    let long = format!("outtray.send('{}', '1')", "ä".repeat(101));
    check_refused(&mut place.client, &long, "OT101", "202 bytes");
    check_refused(
        &mut place.client,
        "outtray.send('a?b', '1')",
        "OT101",
        "has the character '?'",
    );

    assert_eq!(taken(&place, "größe"), ["\"é\""]);
}
