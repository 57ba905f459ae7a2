//! No value of a row, a message or a connection string is in an error, a dead letter, a line of the
//! log, or what the server logs of a statement.

mod errors;
mod letters;
mod server_log;
mod urls;

use crate::support::CANARY;
use std::error::Error;

/// Checks that a text does not sing.
#[track_caller]
fn check_silent(what: &str, text: &str) {
    assert!(!text.to_lowercase().contains(CANARY), "{what}: {text}");
}

/// Checks all that an error and its causes say.
#[track_caller]
fn check_error(what: &str, error: &(dyn Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        check_silent(what, &error.to_string());
        check_silent(what, &format!("{error:?}"));
        next = error.source();
    }
}

/// Tables whose rows are refused in many ways.
const AVIARY: &str = "
    CREATE TABLE bird (
        name text NOT NULL CONSTRAINT silent CHECK (name NOT LIKE '%loud%'),
        age integer NOT NULL DEFAULT 1
    );
    CREATE UNIQUE INDEX one_name ON bird (name);
    INSERT INTO bird VALUES ('canary');
    CREATE TABLE egg (name text CONSTRAINT of_bird REFERENCES bird (name) DEFERRABLE);
    CREATE UNIQUE INDEX one_bird ON bird (name);
    CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'nobody may \"%\"', NEW.name
            USING DETAIL = NEW.name, HINT = NEW.name, ERRCODE = TG_ARGV[0];
    END $$;
    CREATE TABLE raised (name text);
    CREATE TRIGGER shout BEFORE INSERT ON raised FOR EACH ROW EXECUTE FUNCTION shout('P0001');
    CREATE TABLE disguised (name text);
    CREATE TRIGGER shout BEFORE INSERT ON disguised FOR EACH ROW EXECUTE FUNCTION shout('23514');
    CREATE TYPE mood AS ENUM ('calm')";

/// Statements that are refused for their one parameter, a text, with the SQLSTATE and a part of the
/// text that is told.
const REFUSED: &[(&str, &str, &str)] = &[
    ("INSERT INTO bird VALUES ($1 || ' loud')", "23514", "silent"),
    (
        "INSERT INTO bird (name, age) VALUES ($1 || '2', NULL)",
        "23502",
        "age",
    ),
    ("INSERT INTO bird VALUES ($1)", "23505", "one_name"),
    ("INSERT INTO egg VALUES ($1 || '3')", "23503", "of_bird"),
    ("INSERT INTO raised VALUES ($1)", "P0001", "nobody may"),
    ("INSERT INTO disguised VALUES ($1)", "23514", "nobody may"),
    (
        "UPDATE bird SET age = $1::text::integer",
        "22P02",
        "type integer",
    ),
    ("SELECT ($1 || '9')::text::date", "22007", "type date"),
    (
        "SELECT ('9999999999' || $1)::text::uuid",
        "22P02",
        "type uuid",
    ),
    ("SELECT $1::text::mood", "22P02", "mood"),
    ("SELECT ('{\"a\": ' || $1)::json", "22P02", "json"),
    ("SELECT ('[' || $1)::int4range", "22P02", "range"),
    ("SELECT ('{' || $1)::text[]", "22P02", "array"),
    ("SELECT $1::text::inet", "22P02", "type inet"),
    ("SELECT to_tsquery($1 || ' & & ' || $1)", "42601", "tsquery"),
    ("SELECT to_date($1, 'YYYY-MM-DD')", "22007", "invalid value"),
    (
        "SELECT set_config('work_mem', $1, true)",
        "22023",
        "parameter",
    ),
];
