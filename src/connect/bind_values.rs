//! Takes the values out of the text of a flight.
//!
//! A server writes each statement that it refuses to its log, and of a text query all of the text. So what is in a
//! payload, a header, a key or a handler's row must not be a literal there. Statements with such values go to the server in the
//! other form of the protocol, their values beside them, in the same round trip (see `pipeline`); the rest of their flight stays
//! a text, which is quicker for many statements. This reads the texts that `store/call` writes, and no other SQL.

use crate::store::call::PRIVATE;

/// What goes to the server as one request of its protocol.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Statements without values to hide.
    Text(String),
    /// One after the other, each with its values.
    Apart(Vec<Step>),
}

/// A statement of [`Request::Apart`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A statement, with `$1` and so on in the places of its values.
    Text(String, Vec<Option<String>>),
    /// A call of a prepared one.
    Call(String, Vec<Option<String>>),
    /// One that is prepared, under its name.
    Prepare(String, String),
}

/// What stands before a literal in [`PRIVATE`].
const HIDING: &str = "/**/";

/// Returns whether a flight has values that are nobody's business.
pub(crate) fn has_private(sql: &str) -> bool {
    sql.contains(PRIVATE)
}

/// Statements in a row that go with their neighbours: a text of their own costs an answer more.
const FEW: usize = 6;

/// Takes a flight apart; nothing for a text that is none of ours.
pub(crate) fn take_apart(sql: &str) -> Option<Vec<Request>> {
    let mut requests = Vec::new();
    let mut apart = Vec::new();
    // Statements without values to hide, as long as it is not known where they belong.
    let (mut plain, mut start) = (Vec::new(), sql);
    let mut rest = sql.trim_start();
    while !rest.is_empty() {
        let (step, left) = step(rest)?;
        let left = left.trim_start();
        if has_private(&rest[..rest.len() - left.len()]) {
            if plain.len() <= FEW {
                plain.drain(..).for_each(|step| push_step(&mut apart, step));
            } else {
                finish(&mut requests, &mut apart);
                requests.push(Request::Text(start[..start.len() - rest.len()].to_owned()));
                plain.clear();
            }
            push_step(&mut apart, step);
            start = left;
        } else {
            plain.push(step);
        }
        rest = left;
    }
    if plain.len() <= FEW {
        plain.drain(..).for_each(|step| push_step(&mut apart, step));
    }
    finish(&mut requests, &mut apart);
    if !plain.is_empty() {
        requests.push(Request::Text(start.to_owned()));
    }
    Some(requests)
}

/// How an array's NULL is written. Where the setting `array_nulls` is off it is a text, so that is on meanwhile; a text that
/// looks like it does no harm.
const GAP: &str = "NULL";

fn push_step(apart: &mut Vec<Step>, step: Step) {
    let (Step::Text(_, values) | Step::Call(_, values)) = &step else {
        return apart.push(step);
    };
    let is_gap = |value: &String| value.starts_with('{') && value.contains(GAP);
    let setting = |to: &str| Step::Text(format!("SET LOCAL array_nulls {to}"), Vec::new());
    match values.iter().flatten().any(is_gap) {
        false => apart.push(step),
        true => apart.extend([setting("= on"), step, setting("TO DEFAULT")]),
    }
}

fn finish(requests: &mut Vec<Request>, apart: &mut Vec<Step>) {
    if !apart.is_empty() {
        requests.push(Request::Apart(std::mem::take(apart)));
    }
}

/// Reads a statement up to its semicolon or the end, and returns what is left.
fn step(sql: &str) -> Option<(Step, &str)> {
    let mut text = String::new();
    let mut values = Vec::new();
    let is_call = sql.starts_with("EXECUTE ");
    let mut rest = sql;
    loop {
        let next = rest.find(['\'', ';', '[', '(']).unwrap_or(rest.len());
        let (before, from) = rest.split_at(next);
        match from.as_bytes().first() {
            Some(b'\'') => {
                let constant = before.strip_suffix(['E', 'e']);
                let is_escaped = constant.is_some();
                let constant = constant.unwrap_or(before);
                text.push_str(constant.strip_suffix(HIDING).unwrap_or(constant));
                let (value, left) = literal(from, is_escaped)?;
                match is_escaped {
                    true => push(&mut text, &mut values, Some(value)),
                    // A constant, or a number.
                    false => text.push_str(&from[..from.len() - left.len()]),
                }
                rest = left;
            }
            Some(b'[') if before.ends_with("ARRAY") => {
                let (array, left) = array(&from[1..])?;
                if left.starts_with("::") {
                    text.push_str(&before[..next - 5]);
                    push(&mut text, &mut values, Some(array));
                } else {
                    // A constant.
                    text.push_str(before);
                    text.push_str(&from[..from.len() - left.len()]);
                }
                rest = left;
            }
            Some(b'(') if is_call => {
                let name = before.strip_prefix("EXECUTE ")?.to_owned();
                let (values, left) = arguments(&from[1..])?;
                let left = left.strip_prefix(';').or(left.is_empty().then_some(""))?;
                return Some((Step::Call(name, values), left));
            }
            Some(b';') | None => {
                text.push_str(before);
                let step = match text.strip_prefix("EXECUTE ") {
                    Some(name) => Step::Call(name.to_owned(), Vec::new()),
                    None => Step::Text(text, values),
                };
                return Some((step, from.strip_prefix(';').unwrap_or_default()));
            }
            Some(_) => {
                text.push_str(before);
                text.push_str(&from[..1]);
                rest = &from[1..];
            }
        }
    }
}

fn push(text: &mut String, values: &mut Vec<Option<String>>, value: Option<String>) {
    values.push(value);
    text.push('$');
    text.push_str(&values.len().to_string());
}

/// Reads the arguments of a call up to their end.
fn arguments(sql: &str) -> Option<(Vec<Option<String>>, &str)> {
    let mut values = Vec::new();
    let mut rest = sql;
    loop {
        let (value, left) = argument(rest.trim_start())?;
        values.push(value);
        // An array is followed by its cast, which the prepared statement knows.
        let end = left.find([',', ')'])?;
        rest = &left[end + 1..];
        if left.as_bytes()[end] == b')' {
            return Some((values, rest));
        }
    }
}

fn argument(sql: &str) -> Option<(Option<String>, &str)> {
    if let Some(left) = sql.strip_prefix("NULL") {
        return Some((None, left));
    }
    if let Some(items) = sql.strip_prefix("ARRAY[") {
        let (array, left) = array(items)?;
        return Some((Some(array), left));
    }
    let sql = sql.strip_prefix(HIDING).unwrap_or(sql);
    let quoted = sql.strip_prefix(['E', 'e']);
    let (value, left) = literal(quoted.unwrap_or(sql), quoted.is_some())?;
    Some((Some(value), left))
}

/// Reads the items of an array up to its end, and returns it as a literal has it.
fn array(sql: &str) -> Option<(String, &str)> {
    let mut array = "{".to_owned();
    let mut rest = sql;
    while !rest.starts_with(']') {
        let (item, left) = argument(rest)?;
        match item {
            None => array.push_str(GAP),
            Some(item) => {
                array.push('"');
                array.push_str(&item.replace('\\', "\\\\").replace('"', "\\\""));
                array.push('"');
            }
        }
        rest = left;
        if let Some(left) = rest.strip_prefix(',') {
            array.push(',');
            rest = left;
        }
    }
    array.push('}');
    Some((array, &rest[1..]))
}

/// Reads a literal from its first quote on. Quotes are doubled in it, and so are backslashes if it is escaped.
fn literal(sql: &str, is_escaped: bool) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = sql.strip_prefix('\'')?;
    loop {
        let at = rest.find(['\'', '\\'])?;
        value.push_str(&rest[..at]);
        let sign = &rest[at..=at];
        let is_doubled = rest[at + 1..].starts_with(sign);
        match (sign, is_doubled) {
            ("'", false) => return Some((value, &rest[at + 1..])),
            ("\\", _) if !is_escaped => {
                value.push_str(sign);
                rest = &rest[at + 1..];
            }
            (_, true) => {
                value.push_str(sign);
                rest = &rest[at + 2..];
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::call::{CallMode, Value, push_call};
    use crate::store::statement::Statement;

    const ODD: &str = r#"it's; a \ "text" (e'x'), [1]{2}"#;

    fn some(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    fn flight(mode: CallMode) -> Vec<Request> {
        let statement = Statement::new(
            "example",
            "SELECT $1::text, $2::bigint, $3::text[], $4::bytea, $5::bigint[], $6::text, 'a;b' WHERE ($1::text) = '\\'",
        );
        let values = [
            Value::Private(ODD),
            Value::Number(-7),
            Value::Privates(vec![Some(ODD), None, Some("")]),
            Value::Bytes(&[0, 255]),
            Value::MaybeNumbers(vec![None, Some(2)]),
            Value::Null,
        ];
        let mut sql = "SET CONSTRAINTS ALL IMMEDIATE;\nRELEASE a;\n".to_owned();
        push_call(&mut sql, mode, &statement, &values);
        sql.push_str("SELECT ARRAY['a;b']; COMMIT");
        take_apart(&sql).unwrap()
    }

    fn around(step: Step) -> Vec<Request> {
        let text = |text: &str| Step::Text(text.to_owned(), Vec::new());
        vec![Request::Apart(vec![
            text("SET CONSTRAINTS ALL IMMEDIATE"),
            text("RELEASE a"),
            text("SET LOCAL array_nulls = on"),
            step,
            text("SET LOCAL array_nulls TO DEFAULT"),
            text("SELECT ARRAY['a;b']"),
            text("COMMIT"),
        ])]
    }

    const ARRAY: &str = r#"{"it's; a \\ \"text\" (e'x'), [1]{2}",NULL,""}"#;

    #[test]
    fn the_values_of_a_call_are_beside_it() {
        let values = vec![
            some(ODD),
            some("-7"),
            some(ARRAY),
            some(r"\x00ff"),
            some(r#"{NULL,"2"}"#),
            None,
        ];
        let call = Step::Call("outtray_example".to_owned(), values);
        assert_eq!(flight(CallMode::Prepared), around(call));
    }

    #[test]
    fn the_values_of_a_text_have_places_in_it() {
        let text = r"SELECT $1::text, '-7'::bigint, $2::text[]::text[], $3::bytea, $4::bigint[]::bigint[], NULL::text, 'a;b' WHERE ($5::text) = '\'";
        let values = vec![
            some(ODD),
            some(ARRAY),
            some(r"\x00ff"),
            some(r#"{NULL,"2"}"#),
            some(ODD),
        ];
        assert_eq!(
            flight(CallMode::Inline),
            around(Step::Text(text.to_owned(), values))
        );
    }

    #[test]
    fn many_statements_without_values_to_hide_stay_one_text() {
        let requests =
            take_apart("A;B;\nEXECUTE c(/**/e'x');\nD;D;D;D;D;E E'e';F;\nEXECUTE g(/**/e'y', 'z');\nH;H;H;H;H;I;J")
                .unwrap();

        let call = |name: &str, values: &[&str]| {
            let values = values.iter().map(|value| some(value)).collect();
            Step::Call(name.to_owned(), values)
        };
        let text = |text: &str| Step::Text(text.to_owned(), Vec::new());
        let expected = [
            Request::Apart(vec![text("A"), text("B"), call("c", &["x"])]),
            Request::Text("D;D;D;D;D;E E'e';F;\n".to_owned()),
            Request::Apart(vec![call("g", &["y", "z"])]),
            Request::Text("H;H;H;H;H;I;J".to_owned()),
        ];
        assert_eq!(requests, expected);
    }

    #[test]
    fn what_is_no_text_of_ours_stays_whole() {
        for sql in [
            "SELECT 'x",
            r"SELECT E'\n';",
            "EXECUTE a(1);",
            "EXECUTE a('1') x",
        ] {
            assert_eq!(take_apart(sql), None, "{sql}");
        }
    }
}
