//! One SQL statement: its text and the types of its parameters, which its casts declare.

use crate::store::call::Value;
use postgres::types::Type;

/// A statement of the store.
#[derive(Debug)]
pub(crate) struct Statement {
    name: &'static str,
    text: String,
    types: Vec<Type>,
    /// The text cut at its parameters: what stands before each, and the parameter's index.
    pieces: Vec<(String, usize)>,
    tail: String,
}

/// The casts that may follow a parameter, longest first, with the types they stand for.
const CASTS: &[(&str, Type)] = &[
    ("smallint[]", Type::INT2_ARRAY),
    ("bigint[]", Type::INT8_ARRAY),
    ("integer[]", Type::INT4_ARRAY),
    ("text[]", Type::TEXT_ARRAY),
    ("uuid[]", Type::UUID_ARRAY),
    ("bytea[]", Type::BYTEA_ARRAY),
    ("boolean[]", Type::BOOL_ARRAY),
    ("smallint", Type::INT2),
    ("bigint", Type::INT8),
    ("integer", Type::INT4),
    ("boolean", Type::BOOL),
    ("text", Type::TEXT),
    ("uuid", Type::UUID),
    ("bytea", Type::BYTEA),
];

/// Statements that look rows up in tables which a queue fills and empties.
const PLANNED_ANEW: &[&str] = &[
    "ask_held",
    "ask_leased",
    "ask_rest",
    "bury",
    "bury_lease",
    "cancel_followers",
    "cancel_ready",
    "cancel_scheduled",
    "change_dedupe",
    "count_leased",
    "dead_letters",
    "dead_topics",
    "deaths",
    "depend",
    "end_cancelled",
    "end_held_lease",
    "end_lease",
    "extend_lease",
    "find_again",
    "forget_buckets",
    "forget_dedupe",
    "free_dedupe_of_dead",
    "give_back_lease",
    "group_members",
    "group_progress",
    "hold",
    "hold_in_turn",
    "hold_lease",
    "hold_outcomes",
    "hold_waiting",
    "horizon",
    "keep_wait",
    "known_dedupe",
    "make_due",
    "park",
    "peek",
    "postpone_head",
    "postpone_lease",
    "prolong_lease",
    "promote",
    "purge_dead",
    "put_back",
    "redrive",
    "release_dedupe",
    "reset_bucket",
    "retry",
    "send_keyed",
    "stalled_keys",
    "take_dedupe",
    "take_dedupe_one",
    "take_stalled",
    "topics",
    "waiting_for_time",
];

impl Statement {
    /// Reads a statement of ours.
    ///
    /// # Panics
    /// On a parameter without a cast of [`CASTS`]: a mistake in a file of this crate, which the
    /// first test to load it meets.
    pub(crate) fn new(name: &'static str, sql: &str) -> Self {
        let text = without_comments(sql);
        let mut types: Vec<Option<Type>> = Vec::new();
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('$') {
            let digits = rest[at + 1..]
                .bytes()
                .take_while(u8::is_ascii_digit)
                .count();
            let number: usize = rest[at + 1..at + 1 + digits]
                .parse()
                .expect("a $ in a statement of ours begins a parameter");
            let after = &rest[at + 1 + digits..];
            let kind = cast_of(after).expect("every parameter in a statement of ours is cast");
            types.resize(types.len().max(number), None);
            types[number - 1] = types[number - 1].take().or(Some(kind));
            pieces.push((rest[..at].to_owned(), number - 1));
            rest = after;
        }
        Statement {
            name,
            types: types
                .into_iter()
                .map(|kind| kind.expect("parameters in a statement of ours leave no gap"))
                .collect(),
            tail: rest.to_owned(),
            pieces,
            text,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether it is planned anew each time, with the tables as large as they are. A plan that was made and
    /// kept while they were nearly empty would scan one from end to end for each key, until the next ANALYZE; and
    /// where it runs, settings of the planner would be the caller's. What is called in flights is kept, with settings that
    /// leave the planner no choice (see `push_hot_call`).
    pub(crate) fn is_planned_anew(&self) -> bool {
        PLANNED_ANEW.contains(&self.name)
    }

    pub(crate) fn types(&self) -> &[Type] {
        &self.types
    }

    /// Appends the text with `values` in the places of its parameters.
    pub(crate) fn push_text(&self, sql: &mut String, values: &[Value<'_>]) {
        for (before, index) in &self.pieces {
            sql.push_str(before);
            values[*index].push(sql);
        }
        sql.push_str(&self.tail);
    }
}

fn cast_of(after: &str) -> Option<Type> {
    let cast = after.strip_prefix("::")?;
    CASTS
        .iter()
        .find(|(name, _)| cast.starts_with(name))
        .map(|(_, kind)| kind.clone())
}

/// Drops comment lines, and line ends with them: statements are parsed by the server each time
/// they travel as text.
fn without_comments(sql: &str) -> String {
    sql.lines()
        .map(|line| line.split("--").next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_come_from_the_casts_and_literals_take_their_places() {
        let statement = Statement::new(
            "example",
            "-- Does $9 things.\nSELECT $2::text, $1::bigint[] -- why\nWHERE $2::text = 'x'",
        );

        assert_eq!(statement.types(), [Type::INT8_ARRAY, Type::TEXT]);
        let mut sql = String::new();
        statement.push_text(&mut sql, &[Value::Numbers(vec![1]), Value::Text("a")]);
        assert_eq!(
            sql,
            "SELECT E'a'::text, '{1}'::bigint[] WHERE E'a'::text = 'x'"
        );
    }

    #[test]
    #[should_panic(expected = "is cast")]
    fn a_parameter_without_a_cast_is_a_mistake() {
        Statement::new("example", "SELECT $1");
    }
}
