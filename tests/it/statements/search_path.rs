//! What somebody else defines in a schema of the search path is never taken for the server's own.
//!
//! A schema full of traps has an operator of each name for each two types that no operator of the
//! server's own fits exactly, and functions likewise. Each statement of ours becomes the body of a
//! function, of which the server records what it depends on.

use crate::support::{Place, client, statement_names, statement_text};
use postgres::Client;

const TRAPS: &str = "
    CREATE SCHEMA trap;
    DO $$
    DECLARE
        types text[] := ARRAY['int2', 'int4', 'int8', 'numeric', 'float8', 'text', 'interval', 'timestamptz', 'uuid',
            'json', 'jsonb', 'bool', 'regclass'];
        one text; other text; sign text; name text;
    BEGIN
        FOREACH one IN ARRAY types LOOP
            FOREACH other IN ARRAY types LOOP
                EXECUTE format('CREATE FUNCTION trap.two(%s, %s) RETURNS bool LANGUAGE sql RETURN true', one, other);
                FOREACH sign IN ARRAY ARRAY['+', '-', '*', '/', '<', '>', '<=', '>=', '=', '<>', '||', '->', '->>', '~', '?', '#>>'] LOOP
                    EXECUTE format('CREATE OPERATOR trap.%s (FUNCTION = trap.two, LEFTARG = %s, RIGHTARG = %s)', sign, one, other);
                END LOOP;
                FOREACH name IN ARRAY ARRAY['hashtextextended', 'generate_series', 'has_table_privilege', 'set_config', 'pg_notify'] LOOP
                    EXECUTE format('CREATE FUNCTION trap.%s(%s, %s) RETURNS bool LANGUAGE sql RETURN true', name, one, other);
                END LOOP;
            END LOOP;
            FOREACH name IN ARRAY ARRAY['nextval', 'json_typeof', 'ceil', 'floor', 'max', 'min', 'sum', 'to_regclass', 'current_setting',
                'pg_try_advisory_lock', 'pg_advisory_unlock', 'pg_try_advisory_xact_lock'] LOOP
                EXECUTE format('CREATE FUNCTION trap.%s(%s) RETURNS bool LANGUAGE sql RETURN true', name, one);
            END LOOP;
            FOREACH name IN ARRAY ARRAY['unnest', 'cardinality'] LOOP
                EXECUTE format('CREATE FUNCTION trap.%s(%s[]) RETURNS bool LANGUAGE sql RETURN true', name, one);
            END LOOP;
        END LOOP;
    END $$;
    SET search_path = trap";

/// Returns what in a statement is somebody else's; or why it cannot be told.
fn trapped(client: &mut Client, sql: &str) -> Option<String> {
    let text: Vec<_> = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect();
    let text = text.join("\n");
    let mut types: Vec<Option<String>> = Vec::new();
    for piece in text.split('$').skip(1) {
        let (number, cast) = piece.split_once("::")?;
        let number: usize = number.parse().ok()?;
        let end = cast
            .find(|c: char| !c.is_alphanumeric() && !"[]".contains(c))
            .unwrap_or(cast.len());
        types.resize(types.len().max(number), None);
        types[number - 1].get_or_insert(cast[..end].to_owned());
    }
    let types: Vec<String> = types.into_iter().flatten().collect();
    let make = format!(
        "CREATE FUNCTION outtray.ours({}) RETURNS void BEGIN ATOMIC {text}; END",
        types.join(", ")
    );
    if let Err(error) = client.batch_execute(&make) {
        return Some(format!(
            "{:?}",
            error.as_db_error().map(|error| error.message().to_owned())
        ));
    }
    let query =
        "SELECT string_agg(pg_describe_object(refclassid, refobjid, 0), ', ') FROM pg_depend
        WHERE objid IN (SELECT oid FROM pg_proc WHERE proname = 'ours')
            AND pg_describe_object(refclassid, refobjid, 0) LIKE '%trap.%'";
    // The names of what is not in the search path are told with their schema.
    client
        .batch_execute("SET search_path = pg_catalog")
        .unwrap();
    let found = client.query_one(query, &[]).unwrap().get(0);
    client
        .batch_execute("DROP FUNCTION outtray.ours; SET search_path = trap")
        .unwrap();
    found
}

#[test]
fn no_statement_uses_an_operator_or_function_of_somebody_else() {
    let place = Place::new();
    let mut client = client(&place.url);
    client.batch_execute(TRAPS).unwrap();
    let mut found = Vec::new();
    for name in statement_names() {
        let sql = statement_text(name);
        let is_copy = sql.lines().any(|line| line.starts_with("COPY"));
        if let Some(trap) = trapped(&mut client, &sql).filter(|_| !is_copy) {
            found.push(format!("{name}: {trap}"));
        }
    }

    assert!(found.is_empty(), "{}", found.join("\n"));
    for bad in [
        "SELECT $1::bigint * interval '1 second'",
        "SELECT extract(epoch FROM now()) * 1000",
        "SELECT unnest($1::text[])",
        "SELECT nextval('outtray.message_seq')",
        "SELECT $1::text::json -> 'a'",
    ] {
        assert!(trapped(&mut client, bad).is_some(), "{bad}");
    }
}

#[test]
fn the_function_of_filters_uses_none_either() {
    let place = Place::new();
    let mut client = client(&place.url);
    client.batch_execute(TRAPS).unwrap();
    let headers = r#"{"a": "x", "n": "10", "z": null}"#;
    for (step, name, operand, expected) in [
        ("in", "a", r#"{"x": null}"#, true),
        ("in", "a", r#"{"y": null}"#, false),
        ("prefix", "a", r#""x""#, true),
        ("prefix", "a", r#""y""#, false),
        ("exists", "a", "null", true),
        ("exists", "b", "null", false),
        ("null", "z", "null", true),
        ("null", "a", "null", false),
        ("==", "n", r#""10.0""#, true),
        ("<", "n", r#""9""#, false),
        ("<=", "n", r#""9""#, false),
        (">", "n", r#""10""#, false),
        (">=", "n", r#""11""#, false),
        (">=", "a", r#""0""#, false),
    ] {
        let query = "SELECT outtray.matches($1::text::json, ARRAY[$2::text], ARRAY[$3::text], ARRAY[$4::text::jsonb])";
        let row = client.query_one(query, &[&headers, &step, &name, &operand]);
        let found: bool = row.unwrap().get(0);
        assert_eq!(found, expected, "{name} {step} {operand}");
    }
}
