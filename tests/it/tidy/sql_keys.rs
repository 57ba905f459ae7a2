//! Every key begins with the topic: it is what tables are distributed by, and what every statement
//! knows.

use super::files::{File, Offence, check, files, hold};
use super::sql_text::{Token, begin_with, tokens};

/// The tables that are not about topics: what was applied to the schema.
const WITHOUT_TOPICS: [&str; 2] = ["outtray.function", "outtray.migration"];

fn keys(file: &File) -> Vec<Offence> {
    let tokens = tokens(&file.text);
    let mut table = "";
    let mut offences = Vec::new();
    for at in 0..tokens.len() {
        if tokens[at].is("TABLE") {
            table = table_named(&tokens[at + 1..]);
        }
        let Some((on, first)) = key(&tokens, at) else {
            continue;
        };
        let on = on.unwrap_or(table);
        if !WITHOUT_TOPICS.contains(&on) && first != "topic" {
            let why = format!(
                "a key of {on} begins with \"{first}\", not with topic: it could not be distributed by topic"
            );
            offences.push(file.offence(tokens[at].line, why));
        }
    }
    offences
}

/// Returns the table after `TABLE`.
fn table_named<'a>(tokens: &[Token<'a>]) -> &'a str {
    let mut names = tokens.iter();
    let name = names.find(|token| {
        !["IF", "NOT", "EXISTS", "ONLY"]
            .iter()
            .any(|word| token.is(word))
    });
    name.map_or("", |token| token.text)
}

/// Returns, where a key begins at `at`, its first column, and its table if it says so.
fn key<'a>(tokens: &[Token<'a>], at: usize) -> Option<(Option<&'a str>, &'a str)> {
    let rest = &tokens[at..];
    let mut after = if begin_with(rest, &["PRIMARY", "KEY"]) {
        &rest[2..]
    } else if begin_with(rest, &["UNIQUE"]) {
        &rest[1..]
    } else {
        return None;
    };
    if begin_with(after, &["INDEX"]) {
        let on = after.iter().position(|token| token.is("ON"))?;
        let open = on + after[on..].iter().position(|token| token.text == "(")?;
        return Some((Some(after.get(on + 1)?.text), after.get(open + 1)?.text));
    }
    for words in [&["NULLS", "NOT", "DISTINCT"][..], &["NULLS", "DISTINCT"]] {
        if begin_with(after, words) {
            after = &after[words.len()..];
        }
    }
    if begin_with(after, &["("]) {
        return Some((None, after.get(1)?.text));
    }
    Some((None, column_before(&tokens[..at])))
}

/// Returns the column in whose definition the tokens end.
fn column_before<'a>(tokens: &[Token<'a>]) -> &'a str {
    let mut depth = 0;
    let mut column = "";
    for token in tokens.iter().rev() {
        match token.text {
            ")" => depth += 1,
            "(" if depth > 0 => depth -= 1,
            "(" | "," if depth == 0 => break,
            name if depth == 0 => column = name,
            _ => {}
        }
    }
    column
}

#[test]
fn keys_begin_with_the_topic() {
    hold(&files("src/schema/migrations", ".sql"), keys);
}

#[test]
fn a_key_that_does_not_begin_with_the_topic_is_found() {
    let path = "src/schema/migrations/0009_bad.sql";
    let good = "CREATE TABLE IF NOT EXISTS outtray.migration (version integer PRIMARY KEY);\n\
        CREATE TABLE outtray.topic (topic text COLLATE \"C\" CHECK (length(topic, 1) > 0) PRIMARY KEY, x text);\n\
        CREATE TABLE outtray.message (seq bigint, topic text, CONSTRAINT message_key PRIMARY KEY (topic, seq));\n\
        CREATE UNIQUE INDEX a ON outtray.message USING btree (topic, id);";
    check(keys, path, good, &[]);
    let bad = "CREATE TABLE outtray.message (\nid uuid DEFAULT f(1, 2) PRIMARY KEY,\nUNIQUE (seq, topic),\n\
        UNIQUE NULLS NOT DISTINCT (id));\nCREATE UNIQUE INDEX a ON outtray.message (id);\n\
        ALTER TABLE ONLY outtray.topic ADD PRIMARY KEY (x);";
    check(keys, path, bad, &[2, 3, 4, 5, 6]);
}
