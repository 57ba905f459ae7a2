//! What tables, sequences and functions must not be, told from the catalog of a database in which
//! all migrations ran.

use postgres::Client;

/// A question to the catalog: what it returns breaks a rule.
struct Question {
    why: &'static str,
    query: &'static str,
}

const QUESTIONS: [Question; 8] = [
    Question {
        why: "an identity column cannot be distributed: use a sequence default",
        query: "SELECT attrelid::regclass || '.' || attname FROM pg_attribute
            JOIN pg_class ON pg_class.oid = attrelid
            WHERE relnamespace = 'outtray'::regnamespace AND attidentity <> ''",
    },
    Question {
        why: "a trigger does not run on a distributed table",
        query: "SELECT tgrelid::regclass || ' ' || tgname FROM pg_trigger
            JOIN pg_class ON pg_class.oid = tgrelid
            WHERE relnamespace = 'outtray'::regnamespace",
    },
    Question {
        why: "a foreign key locks the row that it points to, and ties tables together",
        query: "SELECT conrelid::regclass || ' ' || conname FROM pg_constraint
            WHERE connamespace = 'outtray'::regnamespace AND contype = 'f'",
    },
    Question {
        why: "a default that hides a sequence in a function is not taken over",
        query: "SELECT adrelid::regclass || ' ' || pg_get_expr(adbin, adrelid) FROM pg_attrdef
            JOIN pg_class ON pg_class.oid = adrelid
            WHERE relnamespace = 'outtray'::regnamespace
                AND EXISTS (
                    SELECT FROM pg_depend
                    JOIN pg_proc ON pg_proc.oid = refobjid AND provolatile = 'v'
                    WHERE pg_depend.classid = 'pg_attrdef'::regclass AND pg_depend.objid = pg_attrdef.oid
                        AND pg_depend.refclassid = 'pg_proc'::regclass
                )",
    },
    Question {
        why: "an SQL-language function with parameters is taken apart, and refused: use PL/pgSQL",
        query: "SELECT pg_proc.oid::regprocedure::text FROM pg_proc
            JOIN pg_language ON pg_language.oid = prolang
            WHERE pronamespace = 'outtray'::regnamespace AND lanname = 'sql' AND pronargs > 0",
    },
    Question {
        // Priorities, attempts, flags, numbers that people choose, and threads of one receiver are
        // small.
        why: "a number of 32 bits: sequences of other nodes begin at theirs × 2^48",
        query: "SELECT attrelid::regclass || '.' || attname FROM pg_attribute
            JOIN pg_class ON pg_class.oid = attrelid
            WHERE relnamespace = 'outtray'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0
                AND NOT attisdropped
                AND atttypid IN ('integer'::regtype, 'smallint'::regtype, 'integer[]'::regtype, 'smallint[]'::regtype)
                AND (attrelid::regclass::text, attname::text) NOT IN (
                    ('outtray.migration', 'version'), ('outtray.function', 'release'), ('outtray.hand', 'worker')
                )
                AND attname NOT IN (
                    'rank', 'suspect_ranks', 'attempts', 'on_end', 'members', 'most', 'max_in_work', 'max_in_work_per_key',
                    'number', 'lanes', 'lane'
                )",
    },
    Question {
        why: "a sequence of less than 64 bits",
        query: "SELECT seqrelid::regclass::text FROM pg_sequence
            JOIN pg_class ON pg_class.oid = seqrelid
            WHERE relnamespace = 'outtray'::regnamespace AND seqtypid <> 'bigint'::regtype",
    },
    Question {
        why: "a variable or parameter for a number of 64 bits has fewer",
        query: "SELECT pg_proc.oid::regprocedure || ' ' || found.text[1] FROM pg_proc,
                regexp_matches(
                    pg_get_function_arguments(pg_proc.oid) || ', ' || prosrc,
                    '\\m((?:\\w+_)?(?:seq|worker|segment|tick|holder)\\s+(?:integer|int|int4|smallint))\\M', 'g'
                ) AS found (text)
            WHERE pronamespace = 'outtray'::regnamespace",
    },
];

/// Returns what is wrong with the tables and functions of a database.
pub(super) fn wrong(client: &mut Client) -> Vec<String> {
    let mut wrong = Vec::new();
    for Question { why, query } in QUESTIONS {
        let rows = client.query(query, &[]).unwrap();
        wrong.extend(
            rows.iter()
                .map(|row| format!("{}: {why}", row.get::<_, String>(0))),
        );
    }
    wrong
}

/// What somebody could add, and a word of what is wrong with it.
pub(super) const PLANTED: [(&str, &str); 8] = [
    (
        "CREATE TABLE outtray.bad (topic text, id bigint GENERATED ALWAYS AS IDENTITY)",
        "identity",
    ),
    (
        "CREATE FUNCTION outtray.bad() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER bad AFTER INSERT ON outtray.message FOR EACH ROW EXECUTE FUNCTION outtray.bad()",
        "trigger",
    ),
    (
        "CREATE TABLE outtray.bad (topic text REFERENCES outtray.topic)",
        "foreign key",
    ),
    (
        "CREATE FUNCTION outtray.bad() RETURNS bigint LANGUAGE plpgsql AS
            'BEGIN RETURN nextval(''outtray.message_seq''); END';
        ALTER TABLE outtray.lane ADD place bigint DEFAULT outtray.bad()",
        "default",
    ),
    (
        "CREATE FUNCTION outtray.bad(a text) RETURNS text LANGUAGE sql AS 'SELECT a'",
        "SQL-language",
    ),
    ("ALTER TABLE outtray.hand ADD other_worker integer", "32 bits"),
    ("CREATE SEQUENCE outtray.bad AS integer", "sequence of less"),
    (
        "CREATE FUNCTION outtray.bad(a text) RETURNS void LANGUAGE plpgsql AS
            'DECLARE the_worker integer; BEGIN END'",
        "variable",
    ),
];
