//! SQL lives in files of its own, and stays such that it also runs where tables are distributed.

use super::files::{File, Offence, check, files, hold, none, sources};
use super::rust_text::take_apart;
use super::sql_text::{Token, begin_with, tokens};
use std::collections::{BTreeMap, BTreeSet};

/// Who may hold SQL in Rust: commands without a table are a line each, the schema is made of it,
/// and the throwaway server makes databases.
// The bench holds the plain SQL that outtray is measured beside.
const HOLD_SQL: [&str; 4] = [
    "src/db/",
    "src/schema/",
    "src/testing/",
    "src/bin/outtray/bench/",
];
/// Where the functions are, each under its own name.
const FUNCTIONS: &str = "src/schema/functions/";
const STATEMENTS: [&str; 5] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];

/// What no SQL of ours has, and why.
const REFUSED: [(&[&str], &str); 8] = [
    (
        &["SELECT", "*"],
        "columns are named, so that a new one changes nothing",
    ),
    (
        &["RETURNING", "*"],
        "columns are named, so that a new one changes nothing",
    ),
    (
        &["MERGE"],
        "MERGE does not run on distributed tables, and races: use INSERT … ON CONFLICT",
    ),
    (
        &["WHERE", "CURRENT", "OF"],
        "a cursor's place is known on one node only: name the full key",
    ),
    (
        &["TRIGGER"],
        "triggers hide work from the reader of a statement, and do not run on distributed tables",
    ),
    (
        &["AS", "IDENTITY"],
        "identity columns cannot be distributed: use a sequence default",
    ),
    (
        &["REFERENCES"],
        "a foreign key locks the row it points to: MultiXacts for every message",
    ),
    (
        &["ON", "UPDATE"],
        "keys never change: a move is DELETE … RETURNING and INSERT",
    ),
];

fn statements_in_rust(file: &File) -> Vec<Offence> {
    if HOLD_SQL.iter().any(|folder| file.path.starts_with(folder)) {
        return Vec::new();
    }
    let strings = take_apart(file.shipped()).strings;
    strings
        .iter()
        .filter(|(_, text)| {
            STATEMENTS
                .iter()
                .any(|verb| text.trim_start().starts_with(verb))
        })
        .map(|(line, _)| {
            let why =
                "SQL in Rust: statements are files of their own, where they are read and measured";
            file.offence(*line, why)
        })
        .collect()
}

fn first_line(file: &File) -> Vec<Offence> {
    if file.text.starts_with("-- ") {
        return Vec::new();
    }
    vec![file.offence(
        1,
        "the first line is no -- comment: it says what the statement does with its parameters",
    )]
}

fn refused(file: &File) -> Vec<Offence> {
    let tokens = tokens(&file.text);
    let mut offences = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        for (words, why) in REFUSED {
            if begin_with(&tokens[at..], words) {
                offences.push(file.offence(token.line, format!("{}: {why}", words.join(" "))));
            }
        }
    }
    offences
}

fn casts(file: &File) -> Vec<Offence> {
    let tokens = tokens(&file.text);
    let is_uncast =
        |at: usize| tokens[at].text.starts_with('$') && !begin_with(&tokens[at + 1..], &["::"]);
    (0..tokens.len())
        .filter(|at| is_uncast(*at))
        .map(|at| {
            let why = format!(
                "{} has no cast: the type is then guessed, and differs by driver and plan",
                tokens[at].text
            );
            file.offence(tokens[at].line, why)
        })
        .collect()
}

/// Finds an UPDATE or DELETE of messages that does not say which topic.
fn topics(file: &File) -> Vec<Offence> {
    let tokens = tokens(&file.text);
    let mut offences = Vec::new();
    for at in 0..tokens.len() {
        let changes_messages = [
            &["UPDATE", "outtray.message"][..],
            &["DELETE", "FROM", "outtray.message"],
        ]
        .iter()
        .any(|words| begin_with(&tokens[at..], words));
        let clause = clause(&tokens[at..]);
        let has_topic = clause
            .windows(2)
            .any(|pair| pair[0].is_column("topic") && pair[1].text == "=");
        if changes_messages && !has_topic {
            let why = "changes messages without \"topic = \": it is the distribution column, and the key begins with it";
            offences.push(file.offence(tokens[at].line, why));
        }
    }
    offences
}

/// Finds what one odd row can make fail for all rows: a time that may be infinite made a number,
/// and a setting read from the document that a hand may have written.
fn odd_rows(file: &File) -> Vec<Offence> {
    const BOUNDED: [&str; 4] = ["least", "greatest", "now", "clock_timestamp"];
    let tokens = tokens(&file.text);
    let mut offences = Vec::new();
    for at in 0..tokens.len() {
        let rest = &tokens[at..];
        let is_time = begin_with(rest, &["extract", "(", "epoch", "FROM"])
            && !BOUNDED
                .iter()
                .any(|word| rest.get(4).is_some_and(|token| token.is(word)));
        let is_setting = tokens[at].is_column("config") && begin_with(&rest[1..], &["-", ">"]);
        if is_time {
            let why = "a time of a row becomes a number: bound it by least() and greatest(), it may be infinite";
            offences.push(file.offence(tokens[at].line, why));
        }
        if is_setting {
            let why =
                "reads a setting from the document: read its column, which holds what can be read";
            offences.push(file.offence(tokens[at].line, why));
        }
    }
    offences
}

/// Returns the tokens up to the end of the statement, or of the parentheses it stands in.
fn clause<'a, 'b>(tokens: &'a [Token<'b>]) -> &'a [Token<'b>] {
    let mut depth = 0;
    let end = tokens.iter().position(|token| {
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        depth < 0 || token.text == ";"
    });
    &tokens[..end.unwrap_or(tokens.len())]
}

/// Returns all names in the code and in the string literals of these files.
fn names(sources: &[File]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in sources {
        let apart = take_apart(file.shipped());
        let strings = apart.strings.iter().map(|(_, text)| text.as_str());
        for text in strings.chain([apart.code.as_str()]) {
            let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            names.extend(words.map(ToOwned::to_owned));
        }
    }
    names
}

/// Finds a statement whose name no Rust file has.
fn unused(statement: &File, names: &BTreeSet<String>) -> Vec<Offence> {
    if names.contains(statement.stem()) {
        return Vec::new();
    }
    vec![statement.offence(1, "no file names it: a statement that nobody runs misleads")]
}

/// Finds files with the name of another: the server knows statements by their names. Functions have
/// theirs elsewhere.
fn same_names(files: &[File]) -> Vec<Offence> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let statements = files
        .iter()
        .filter(|file| !file.path.starts_with(FUNCTIONS));
    let again = statements.filter_map(|file| {
        let other = seen.insert(file.stem(), &file.path)?;
        Some(file.offence(
            1,
            format!("{other} has this name: prepared statements are known by it"),
        ))
    });
    again.collect()
}

/// Returns every SQL file outside `src/schema`.
fn statements() -> Vec<File> {
    let mut statements = all_sql();
    statements.retain(|file| !file.path.starts_with("src/schema/"));
    statements
}

fn all_sql() -> Vec<File> {
    files("src", ".sql")
}

#[test]
fn sql_is_in_files_of_its_own() {
    hold(&sources(), statements_in_rust);
}

#[test]
fn each_statement_is_used() {
    let names = names(&sources());
    hold(&statements(), |file| unused(file, &names));
}

#[test]
fn no_two_statements_have_one_name() {
    none(same_names(&all_sql()));
}

#[test]
fn each_statement_begins_with_what_it_does() {
    hold(&all_sql(), first_line);
}

#[test]
fn no_statement_does_what_distributed_tables_cannot() {
    hold(&all_sql(), refused);
}

#[test]
fn each_parameter_is_cast() {
    hold(&statements(), casts);
}

#[test]
fn messages_are_changed_by_topic() {
    hold(&statements(), topics);
    hold(&files(FUNCTIONS, ".sql"), topics);
}

#[test]
fn one_odd_row_fails_no_statement() {
    hold(&statements(), odd_rows);
}

#[test]
fn sql_in_rust_is_found() {
    let bad = "//! SELECT 1\nf(\"UPDATE x\");\nf(r#\"\n  WITH x\"#);\nf(\"WITHOUT\");\n#[cfg(test)]\nf(\"SELECT 1\");";
    check(statements_in_rust, "src/topics/mod.rs", bad, &[2, 3]);
    check(statements_in_rust, "src/schema/migrate.rs", bad, &[]);
}

#[test]
fn a_statement_that_breaks_a_rule_is_found() {
    let path = "src/message/bad.sql";
    check(first_line, path, "SELECT 1\n-- Late.", &[1]);
    check(
        refused,
        path,
        "-- MERGE\nSELECT *\nMERGE INTO x\nWHERE CURRENT OF c\nON UPDATE CASCADE\n\
         RETURNING *\nid bigint GENERATED ALWAYS AS IDENTITY\nREFERENCES t\nCREATE TRIGGER x",
        &[2, 3, 4, 5, 6, 7, 8, 9],
    );
    check(
        refused,
        path,
        "SELECT count(*), '*' FROM t\nON CONFLICT DO UPDATE SET x = 1 -- REFERENCES",
        &[],
    );
    check(casts, path, "SELECT $1::text,\n$2, '$3' -- $4", &[2]);
    let unnamed = "WITH a AS (\nDELETE FROM outtray.message\nUSING b WHERE seq = 1)\nSELECT a WHERE topic = $1::text";
    check(topics, path, unnamed, &[2]);
    check(
        topics,
        path,
        "UPDATE outtray.message SET x = 1;\nSELECT topic = 1",
        &[1],
    );
    check(
        topics,
        path,
        "UPDATE outtray.message SET x = (1) WHERE message.topic = $1::text",
        &[],
    );
    let odd = "SELECT extract(epoch FROM\nmessage.sent_at), topic.config ->> 'x',\nextract(epoch FROM least(a, b) - now()), config";
    check(odd_rows, path, odd, &[1, 2]);
    let names = names(&[File::new(
        "src/message/claimed.rs",
        "// bad\nlet badly = include_str!(\"sql/good.sql\");",
    )]);
    check(|file| unused(file, &names), path, "", &[1]);
    check(|file| unused(file, &names), "src/keys/good.sql", "", &[]);
}

#[test]
fn a_statement_with_the_name_of_another_is_found() {
    let files = ["keys/claim", "message/claim", "keys/claims"];
    let files = files.map(|name| File::new(&format!("src/{name}.sql"), ""));

    let found = same_names(&files);

    let places: Vec<&str> = found.iter().map(Offence::place).collect();
    assert_eq!(places, ["src/message/claim.sql:1"]);
}
