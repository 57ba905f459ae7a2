//! The SQL functions of the schema, for programs that do not use this library.
//!
//! A function is code and not data: `migrate` replaces those whose text is not that of this
//! release, but leaves those of a later one. Each file holds one `CREATE OR REPLACE FUNCTION`, and
//! its name is that of the function, which is unique. So nobody needs its arguments to revoke what
//! PUBLIC may do, or to drop it. A release that changes the arguments of a function drops the old
//! one in a numbered migration, because replacing would leave both.
//!
//! Where the library runs a statement that a function needs, the function has the same text: a line
//! `{take_room: mine, wanted, most}` stands for that file, with these names for its parameters.

use crate::schema::distributed::is_distributed;
use crate::schema::name::SchemaName;
use crate::schema::turn::in_turn;
use crate::words::{Doing, Error, ErrorKind, Result, classify};
use postgres::types::Type;
use postgres::{Client, GenericClient, Transaction};

/// Finds functions that are to be installed.
const STALE: &str = include_str!("stale_functions.sql");

/// The line of a function whose statements are planned once, for all values.
const FOR_ALL_VALUES: &str = "SET plan_cache_mode = force_generic_plan";

/// A function of the schema.
struct SqlFunction {
    name: &'static str,
    sql: &'static str,
}

macro_rules! functions {
    ($($name:literal,)*) => {
        &[$(SqlFunction {
            name: $name,
            sql: include_str!(concat!("functions/", $name, ".sql")),
        },)*]
    };
}

/// All functions, in the order of installing.
const FUNCTIONS: &[SqlFunction] = functions![
    "ack",
    "are_readable",
    "cancel",
    "check_log_options",
    "check_options",
    "check_payload",
    "check_routing_key",
    "content_of",
    "deduped",
    "duration_flaw",
    "end_expired",
    "end_message",
    "end_receipt",
    "extend",
    "free_slots",
    "give_back",
    "give_up_asked",
    "hold_receipt",
    "hold_subscriptions",
    "is_dead",
    "json_flaw",
    "key_flaw",
    "lease_micros",
    "lease_some",
    "make_lanes_now",
    "make_ready",
    "matches_pattern",
    "micros",
    "move_due_now",
    "move_lines",
    "nack",
    "new_id",
    "publish",
    "put_tokens_back",
    "read_committed",
    "receive",
    "refusal",
    "reject",
    "release",
    "release_dependents",
    "remove_old",
    "retry_delay",
    "send",
    "send_contents",
    "send_many",
    "send_once",
    "shown",
    "spend_tokens",
    "stats",
    "store_messages",
    "take_dedupe_keys",
    "take_out_expired",
    "take_room",
    "take_rooms",
    "topic_flaw",
    "topic_terms",
    "transaction_age",
    "upkeep",
    "wants",
    "whole_number",
    "written_headers",
];

/// A statement of the library that functions use, by its name.
struct SharedStatement {
    name: &'static str,
    sql: &'static str,
}

macro_rules! shared {
    ($($folder:literal: $($name:literal),*;)*) => {
        &[$($(SharedStatement {
            name: $name,
            sql: include_str!(concat!("../", $folder, "/", $name, ".sql")),
        },)*)*]
    };
}

/// All statements that functions share with the library.
const SHARED: &[SharedStatement] = shared![
    ".": "refuse_dead", "vacate";
    "cancel": "ask_held", "ask_leased", "ask_rest", "cancel_followers", "cancel_ready",
        "cancel_scheduled", "cancellations", "mark_leased", "prune_cancellations",
        "scheduled_topics";
    "capacity": "change_room", "count_room", "ensure_room", "fold_vacated", "lock_room",
        "look_room", "prune_vacated", "recount_room", "take_room", "uncounted_topics";
    "completion": "end_outcomes", "forget_outcomes", "old_outcomes", "track";
    "dead_letters": "prune_dead";
    "dedupe": "free_dedupe", "free_dedupe_of_dead", "known_dedupe", "prune_dedupe", "take_dedupe";
    "dependencies": "clear_dependencies", "hold_dependents", "orphan", "release",
        "waiting_dependents";
    "expiry": "expire_followers", "expire_ready", "expire_scheduled", "lock_expired_lanes";
    "history": "record_lease";
    "keys": "line_up_due", "lock_lanes", "make_lanes", "park", "promote", "put_back",
        "send_keyed", "stalled_keys", "take_lanes", "take_stalled";
    "leases": "end_held_lease", "extend_lease", "give_back_lease", "lease";
    "log": "append";
    "max_in_work": "count_leased", "ensure_slots", "take_free_slots";
    "message": "bury_lease", "postpone_lease", "schedule", "send_full";
    "rate_limit": "prune_buckets", "return_tokens", "take_tokens";
    "schedule": "move_due", "move_due_between";
    "topics": "estimate", "stats";
];

impl SqlFunction {
    fn title(&self) -> String {
        format!("function {}", self.name)
    }

    /// Returns the statement that makes it. Without [`FOR_ALL_VALUES`] where other servers may have
    /// the tables, for the reason that flights do without it.
    fn text(&self, schema: &SchemaName, is_distributed: bool) -> String {
        let mut text = String::with_capacity(self.sql.len());
        let is_left_out = |line: &&str| is_distributed && *line == FOR_ALL_VALUES;
        for line in self.sql.lines().filter(|line| !is_left_out(line)) {
            match shared(line) {
                Some(statement) => text.push_str(&statement),
                None => text.push_str(line),
            }
            text.push('\n');
        }
        schema.substitute(&text)
    }

    /// Returns the statement that keeps everybody from it who was not granted it.
    fn revoke(&self, schema: &SchemaName) -> String {
        let name = self.name;
        schema.substitute(&format!(
            "REVOKE ALL ON FUNCTION outtray.{name} FROM PUBLIC"
        ))
    }
}

/// Returns the statement that a line of a function stands for, without its comments, which speak of
/// its parameters.
fn shared(line: &str) -> Option<String> {
    let (before, rest) = line.split_once('{')?;
    let (named, after) = rest.split_once('}')?;
    let (name, given) = named.split_once(": ").unwrap_or((named, ""));
    let statement = SHARED.iter().find(|shared| shared.name == name)?;
    let is_code = |line: &&str| !line.trim_start().starts_with("--");
    let lines: Vec<&str> = statement.sql.lines().filter(is_code).collect();
    let mut sql = lines.join("\n");
    for (number, name) in (1..).zip(given.split(", ")) {
        // Each parameter has a cast.
        sql = sql.replace(&format!("${number}::"), &format!("{name}::"));
    }
    let before = match before.trim() {
        "" => String::new(),
        _ => format!("{before}\n"),
    };
    Some(format!("{before}{sql}{after}"))
}

/// Returns the statement that drops all of them, whatever their arguments are.
pub(crate) fn drop_all(schema: &SchemaName) -> String {
    let names: Vec<String> = names().map(|name| format!("outtray.{name}")).collect();
    schema.substitute(&format!("DROP FUNCTION IF EXISTS {}", names.join(", ")))
}

fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

/// Installs the functions that are not there as this release has them; returns their titles.
pub(crate) fn install(client: &mut Client, schema: &SchemaName) -> Result<Vec<String>> {
    let is_distributed = look(client)?;
    // Asking without the lock first: hardly ever is one missing.
    if stale(client, schema, is_distributed)?.is_empty() {
        return Ok(Vec::new());
    }
    in_turn(client, schema, "installing functions", |transaction| {
        let stale = stale(transaction, schema, is_distributed)?;
        let mut each = stale.iter();
        each.try_for_each(|function| install_one(transaction, schema, function, is_distributed))?;
        Ok(stale.iter().map(|function| function.title()).collect())
    })
}

fn install_one(
    transaction: &mut Transaction<'_>,
    schema: &SchemaName,
    function: &SqlFunction,
    is_distributed: bool,
) -> Result<()> {
    let doing = format!("installing function {}", function.name);
    let text = function.text(schema, is_distributed);
    let is_there = "SELECT FROM pg_catalog.pg_proc \
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_proc.pronamespace \
        WHERE pg_namespace.nspname = $1::text AND pg_proc.proname = $2::text LIMIT 1";
    let was_there = transaction.query_opt(is_there, &[&schema.as_str(), &function.name]);
    let was_there = was_there.doing(&doing)?;
    // One command each: what is distributed refuses several.
    transaction.batch_execute(&text).doing(&doing)?;
    // What somebody granted since, also to all, stays.
    if was_there.is_none() {
        let revoke = function.revoke(schema);
        transaction.batch_execute(&revoke).doing(&doing)?;
    }
    let record = schema.substitute(
        "INSERT INTO outtray.function (name, checksum, release) \
         VALUES ($1::text, md5($2::text), $3::integer[]) \
         ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, release = excluded.release, \
         installed_at = excluded.installed_at",
    );
    transaction
        .execute(&record, &[&function.name, &text, &release()])
        .map(drop)
        .doing(&doing)
}

/// Returns the titles of the functions that [`install`] would install.
pub(crate) fn pending(client: &mut impl GenericClient, schema: &SchemaName) -> Result<Vec<String>> {
    let is_distributed = look(client)?;
    let stale = stale(client, schema, is_distributed)?;
    Ok(stale.iter().map(|function| function.title()).collect())
}

fn look(client: &mut impl GenericClient) -> Result<bool> {
    is_distributed(client).doing("asking whether the database is distributed")
}

/// Returns the titles of all functions.
pub(crate) fn titles() -> Vec<String> {
    FUNCTIONS.iter().map(SqlFunction::title).collect()
}

/// Returns the SQL that installs all of them in a schema that has none.
pub(crate) fn script(schema: &SchemaName) -> String {
    let mut script = String::new();
    for function in FUNCTIONS {
        let text = function.text(schema, false);
        let record = format!(
            "INSERT INTO outtray.function (name, checksum, release) VALUES ('{}', md5($function${text}$function$), '{}');",
            function.name,
            written(&release()),
        );
        script.push_str(&format!(
            "\n-- Function {}\n\n{text};\n{};\n{}\n",
            function.name,
            function.revoke(schema),
            schema.substitute(&record),
        ));
    }
    script
}

/// Returns the functions that are not as this release has them. None if the role may not look: it
/// need not be the schema's owner.
fn stale(
    client: &mut impl GenericClient,
    schema: &SchemaName,
    is_distributed: bool,
) -> Result<Vec<&'static SqlFunction>> {
    let doing = "comparing functions with those of this release";
    let failed = |error| classify(error, doing);
    let names: Vec<&str> = names().collect();
    let texts = FUNCTIONS.iter().map(|one| one.text(schema, is_distributed));
    let texts: Vec<String> = texts.collect();
    let found = client.query_typed(
        &schema.substitute(STALE),
        &[
            (&names, Type::TEXT_ARRAY),
            (&texts, Type::TEXT_ARRAY),
            (&release(), Type::INT4_ARRAY),
            (&schema.as_str(), Type::TEXT),
        ],
    );
    let rows = match found.map_err(failed) {
        Err(error) if error.kind() == ErrorKind::Denied => return Ok(Vec::new()),
        rows => rows?,
    };
    rows.iter()
        .map(|row| {
            let name: &str = row.try_get(0).map_err(failed)?;
            let found = FUNCTIONS.iter().find(|function| function.name == name);
            found.ok_or_else(|| Error::new(ErrorKind::Database, format!("no function is {name}")))
        })
        .collect()
}

/// Returns the numbers of this release, as they compare.
fn release() -> Vec<i32> {
    let numbers = env!("CARGO_PKG_VERSION").split(['.', '-', '+']);
    numbers
        .take(3)
        .map(|number| number.parse().unwrap_or_default())
        .collect()
}

fn written(release: &[i32]) -> String {
    let numbers: Vec<String> = release.iter().map(ToString::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn usual() -> SchemaName {
        SchemaName::parse("outtray").unwrap()
    }

    #[test]
    fn each_file_is_a_function_of_its_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema/functions");
        let files = fs::read_dir(folder).unwrap();
        let mut files: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let mut listed: Vec<String> = names().map(|name| format!("{name}.sql")).collect();
        listed.sort();

        assert_eq!(listed, files);
        for function in FUNCTIONS {
            let made = format!("\nCREATE OR REPLACE FUNCTION outtray.{}(", function.name);
            assert_eq!(function.sql.matches(&made).count(), 1, "{}", function.name);
        }
    }

    #[test]
    fn each_function_is_pinned_to_the_catalog_and_in_plpgsql() {
        for function in FUNCTIONS {
            for words in ["LANGUAGE plpgsql", "SET search_path = pg_catalog, pg_temp"] {
                assert!(function.sql.contains(words), "{}: {words}", function.name);
            }
        }
    }

    #[test]
    fn a_distributed_database_has_no_function_that_is_planned_for_all_values() {
        for function in FUNCTIONS {
            let text = function.text(&usual(), true);
            assert!(!text.contains("force_generic_plan"), "{}", function.name);
        }
    }

    #[test]
    fn each_shared_statement_is_used_and_each_place_is_filled() {
        for shared in SHARED {
            // One without parameters has none after its name.
            let places = [": ", "}"].map(|after| format!("{{{}{after}", shared.name));
            let has_one = |sql: &str| places.iter().any(|place| sql.contains(place));
            let is_used = FUNCTIONS.iter().any(|one| has_one(one.sql));
            assert!(is_used, "{}", shared.name);
        }
        for function in FUNCTIONS {
            let text = function.text(&usual(), false);
            let is_place = |line: &str| line.trim_start().starts_with('{');
            let mut after_dollar = text.split('$').skip(1);
            let is_parameter = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
            assert!(!text.lines().any(is_place), "{}", function.name);
            assert!(!after_dollar.any(is_parameter), "{}", function.name);
        }
    }

    const TOPIC_FLAW: &str = include_str!("functions/topic_flaw.sql");

    /// Returns the Unicode numbers that the function takes for letters and digits, beyond ASCII, as
    /// ranges without their ends.
    fn written_letters() -> Vec<(u32, u32)> {
        let ranges = TOPIC_FLAW.split('[').skip(1);
        let range = |text: &str| {
            let (start, rest) = text.split_once(',')?;
            let (end, _) = rest.split_once(')')?;
            Some((start.parse().ok()?, end.parse().ok()?))
        };
        ranges.filter_map(range).collect()
    }

    /// Returns the same of the library, as the compiler's version of Unicode has them.
    fn letters() -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for letter in (0x80..=0x0010_FFFF).filter_map(char::from_u32) {
            let number = u32::from(letter);
            match ranges.last_mut() {
                _ if !letter.is_alphanumeric() => {}
                Some((_, end)) if *end == number => *end += 1,
                _ => ranges.push((number, number + 1)),
            }
        }
        ranges
    }

    /// Returns the ranges as the lines of the function.
    fn as_lines(ranges: &[(u32, u32)]) -> String {
        let mut lines = vec![String::new()];
        for (start, end) in ranges {
            let range = format!("[{start},{end}),");
            if lines.last().unwrap().len() + range.len() > 100 {
                lines.push(String::new());
            }
            lines.last_mut().unwrap().push_str(&range);
        }
        let text = lines.join("'\n            '");
        text.trim_end_matches(',').to_owned()
    }

    /// Returns the first number that is in `some` and not in `others`.
    fn first_beyond(some: &[(u32, u32)], others: &[(u32, u32)]) -> Option<u32> {
        let mut others = others.iter().peekable();
        let mut numbers = some.iter().flat_map(|(start, end)| *start..*end);
        numbers.find(|number| {
            while others.next_if(|(_, end)| end <= number).is_some() {}
            others.peek().is_none_or(|(start, _)| start > number)
        })
    }

    /// Compilers have different versions of Unicode, and each adds letters. The function has those
    /// of one version, which it names: with another one the two cannot be the same, and what is
    /// compared is that the newer of the two only adds.
    #[test]
    fn letters_and_digits_are_those_of_the_library() {
        let (major, minor, update) = char::UNICODE_VERSION;
        let of_compiler = format!("{major}.{minor}.{update}");
        let (_, named) = TOPIC_FLAW.split_once("Unicode ").unwrap();
        let of_function = named.split(',').next().unwrap();
        let (letters, written) = (letters(), written_letters());

        if of_function == of_compiler {
            let text = as_lines(&letters);
            assert!(
                TOPIC_FLAW.contains(&text),
                "topic_flaw.sql has to say\n{text}"
            );
            return;
        }
        let numbers = |version: &str| -> Vec<u8> {
            let parts = version.split('.');
            parts.map(|part| part.parse().unwrap()).collect()
        };
        println!(
            "topic_flaw.sql has the letters of Unicode {of_function}, the compiler those of Unicode {of_compiler}"
        );
        let (older, newer) = match numbers(of_function) < numbers(&of_compiler) {
            true => (&written, &letters),
            false => (&letters, &written),
        };
        assert_eq!(
            first_beyond(older, newer),
            None,
            "topic_flaw.sql of Unicode {of_function}, compiler of Unicode {of_compiler}"
        );
    }

    #[test]
    fn letters_beyond_others_are_found() {
        let some = [(1, 3), (7, 9)];
        assert_eq!(first_beyond(&some, &[(0, 4), (7, 9), (11, 12)]), None);
        assert_eq!(first_beyond(&some, &[(1, 3), (7, 8)]), Some(8));
        assert_eq!(first_beyond(&some, &[(2, 9)]), Some(1));
        assert_eq!(first_beyond(&some, &[]), Some(1));
    }

    #[test]
    fn releases_compare_by_their_numbers() {
        assert_eq!(release().len(), 3);
        assert_eq!(written(&[0, 10, 2]), "{0,10,2}");
    }
}
