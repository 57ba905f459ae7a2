//! The statements inside of PL/pgSQL functions, and the variables that they may name.

use crate::support::client;
use postgres::Client;

/// A function of the schema, as the server has it: the library's statements are written out in it.
pub(super) struct Body {
    pub(super) name: String,
    /// The names and types of its parameters and variables, as parameters are declared.
    pub(super) variables: Vec<(String, String)>,
    /// What it does to tables.
    pub(super) changes: Vec<String>,
}

/// Returns the functions of a schema that change tables.
pub(super) fn bodies(url: &str) -> Vec<Body> {
    let mut client: Client = client(url);
    let query = "SELECT proname::text, prosrc, coalesce(proargnames, '{}'),
            (SELECT coalesce(array_agg(format_type(kind, NULL) ORDER BY place), '{}')
            FROM unnest(coalesce(proallargtypes, proargtypes::oid[])) WITH ORDINALITY AS one (kind, place))
        FROM pg_proc JOIN pg_language ON pg_language.oid = prolang
        WHERE pronamespace = 'outtray'::regnamespace AND lanname = 'plpgsql'
        ORDER BY proname";
    let rows = client.query(query, &[]).unwrap();
    let bodies = rows.iter().map(|row| {
        let names: Vec<String> = row.get(2);
        let types: Vec<String> = row.get(3);
        let parameters = names.into_iter().zip(types).collect();
        body(row.get(0), row.get(1), parameters)
    });
    bodies.filter(|body| !body.changes.is_empty()).collect()
}

/// Takes a function apart.
pub(super) fn body(name: &str, source: &str, mut variables: Vec<(String, String)>) -> Body {
    let text = without_comments(source);
    let commands = commands(&text);
    variables.extend(commands.iter().filter_map(|command| declared(command)));
    let changes = commands
        .iter()
        .filter_map(|command| change(command))
        .map(|change| with_fields(&change, &variables))
        .collect();
    variables.retain(|(_, kind)| kind != "record");
    Body {
        name: name.to_owned(),
        variables,
        changes,
    }
}

fn without_comments(source: &str) -> String {
    let lines = source.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| line.split(" --").next().unwrap_or_default());
    let lines = lines.filter(|line| !line.trim_start().starts_with("--"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Cuts a body where its commands begin: after semicolons, and after the words behind which
/// PL/pgSQL has commands.
fn commands(text: &str) -> Vec<String> {
    const BEFORE: [&str; 8] = [
        "BEGIN", "DECLARE", "THEN", "ELSE", "LOOP", "QUERY", "$$", "DO",
    ];
    let mut commands = vec![String::new()];
    let mut depth = 0;
    let mut is_quoted = false;
    let mut is_for = false;
    // CASE … END inside of a command has words of its own.
    let mut cases = 0;
    for word in words(text) {
        let command = commands.last_mut().unwrap();
        let is_first = command.trim().is_empty();
        match word {
            "'" => is_quoted = !is_quoted,
            "(" | "[" if !is_quoted => depth += 1,
            ")" | "]" if !is_quoted => depth -= 1,
            _ => {}
        }
        if is_quoted || depth > 0 {
            command.push_str(word);
            continue;
        }
        is_for = (is_for && !is_first) || (is_first && word == "FOR");
        match word {
            "CASE" => cases += 1,
            "END" if cases > 0 => cases -= 1,
            _ => {}
        }
        let is_of_case = cases > 0 && ["THEN", "ELSE"].contains(&word);
        let is_conflict = word == "DO" && command.contains("CONFLICT");
        let ends = word == ";"
            || (is_for && word == "IN")
            || (BEFORE.contains(&word) && !is_of_case && !is_conflict);
        if ends {
            commands.push(String::new());
        } else {
            command.push_str(word);
        }
    }
    commands
}

/// Returns the words of a text, and what is between them.
fn words(text: &str) -> Vec<&str> {
    let is_of_word = |c: char| c.is_alphanumeric() || "_.$\"".contains(c);
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match is_of_word(first) {
            true => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        words.push(&rest[..length]);
        rest = &rest[length..];
    }
    words
}

/// Returns the variable that a declaration makes.
fn declared(command: &str) -> Option<(String, String)> {
    const TYPES: [&str; 14] = [
        "text",
        "bigint",
        "integer",
        "smallint",
        "boolean",
        "uuid",
        "bytea",
        "json",
        "jsonb",
        "timestamptz",
        "interval",
        "numeric",
        "record",
        "pg_snapshot",
    ];
    let declaration = command.split(":=").next()?.replace(" CONSTANT ", " ");
    let declaration = declaration.trim();
    let (name, kind) = declaration.split_once(' ')?;
    let kind = kind.trim();
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let is_type = TYPES.contains(&kind.trim_end_matches("[]"));
    (is_name && is_type).then(|| (name.to_owned(), kind.to_owned()))
}

/// Returns a command without where its rows go, if it changes tables.
fn change(command: &str) -> Option<String> {
    let command = command.trim();
    let first = command.split_whitespace().next()?;
    let changes = [
        "INSERT INTO ",
        "DELETE FROM ",
        "MERGE INTO ",
        "UPDATE outtray.",
        "UPDATE \"outtray\".",
    ];
    if !["WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "SELECT"].contains(&first)
        || !changes.iter().any(|verb| command.contains(verb))
    {
        return None;
    }
    let Some((before, target)) = command
        .split_once(" INTO ")
        .filter(|(before, _)| !before.ends_with("INSERT"))
        .or_else(|| {
            command
                .rsplit_once(" INTO ")
                .filter(|(before, _)| !before.ends_with("INSERT"))
        })
    else {
        return Some(command.to_owned());
    };
    // Names with commas between them, up to what follows.
    let names = target.find(|c: char| !(c.is_alphanumeric() || "_, ".contains(c)));
    let after = &target[names.unwrap_or(target.len())..];
    let rest = target[..names.unwrap_or(target.len())]
        .find(" FROM ")
        .map_or(after, |at| &target[at..]);
    Some(format!("{before} {rest}"))
}

/// Puts a NULL in the place of each field of a variable that is a row.
fn with_fields(change: &str, variables: &[(String, String)]) -> String {
    let rows = variables.iter().filter(|(_, kind)| kind == "record");
    let rows: Vec<String> = rows.map(|(name, _)| format!("{name}.")).collect();
    let words = words(change).into_iter().map(|word| {
        match rows.iter().any(|row| word.starts_with(row.as_str())) {
            true => "NULL::bigint",
            false => word,
        }
    });
    words.collect()
}

#[test]
fn the_statements_of_a_body_are_found() {
    let source = "
DECLARE
    one bigint := 1;
    last record;
BEGIN
    -- Not INSERT INTO this;
    PERFORM FROM outtray.log FOR UPDATE;
    IF one > 0 THEN
        UPDATE outtray.log SET segment = last.tick + one WHERE log.topic = 'a;b' RETURNING segment INTO one;
    END IF;
    FOR last IN
        WITH gone AS (DELETE FROM outtray.message RETURNING seq) SELECT gone.seq FROM gone
    LOOP
        INSERT INTO outtray.log (topic) VALUES (CASE WHEN true THEN 'x' ELSE 'y' END)
        ON CONFLICT (topic) DO UPDATE SET segment = 1;
    END LOOP;
    WITH gone AS (DELETE FROM outtray.lane RETURNING 1)
    SELECT count(*) INTO one FROM gone;
END";

    let found = body("f", source, vec![("mine".to_owned(), "text".to_owned())]);

    let names: Vec<&str> = found
        .variables
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["mine", "one"]);
    let changes: Vec<String> = found
        .changes
        .iter()
        .map(|change| change.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let expected = [
        "UPDATE outtray.log SET segment = NULL::bigint + one WHERE log.topic = 'a;b' RETURNING segment",
        "WITH gone AS (DELETE FROM outtray.message RETURNING seq) SELECT gone.seq FROM gone",
        "INSERT INTO outtray.log (topic) VALUES (CASE WHEN true THEN 'x' ELSE 'y' END) \
         ON CONFLICT (topic) DO UPDATE SET segment = 1",
        "WITH gone AS (DELETE FROM outtray.lane RETURNING 1) SELECT count(*) FROM gone",
    ];
    assert_eq!(changes, expected);
}
