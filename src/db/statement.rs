//! One SQL statement: its text, how it is planned, and the types of its parameters, which its casts
//! declare.

use crate::db::value::Value;
use crate::schema::name::SchemaName;
use postgres::types::Type;
use std::borrow::Cow;
use std::sync::OnceLock;

/// Names a statement: the file of its name beside the one that runs it, and its [`Plan`].
macro_rules! sql {
    ($file:literal, $plan:ident) => {
        $crate::db::statement::Statement::new(
            $file,
            include_str!(concat!($file, ".sql")),
            $crate::db::statement::Plan::$plan,
        )
    };
}

pub(crate) use sql;

/// A statement of ours.
#[derive(Debug)]
pub(crate) struct Statement {
    name: &'static str,
    sql: &'static str,
    plan: Plan,
    parsed: OnceLock<Parsed>,
}

/// How a statement is planned, and carried out, however few rows there are when it is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Once for each connection.
    Kept,
    /// Each time, with the tables as large as they are. A plan that was made and kept while they
    /// were nearly empty would scan one from end to end for each key, until the next ANALYZE.
    Anew,
    /// One row by its whole key.
    Key,
    /// The first rows in the order of an index, and nothing joined to them.
    Head,
    /// Rows in the order of an index, as many as are asked for.
    Order,
    /// Several rows, each by its whole key.
    Keys,
    /// The same, each looked up behind a fence (OFFSET 0): tables are joined with nothing.
    Fenced,
    /// Not at all: it has neither parameters nor rows.
    Command,
}

impl Plan {
    /// Returns what the planner is kept from in a flight, where such a statement is planned once
    /// for the connection and must never read a whole topic; what the caller's own SQL is planned
    /// with stays as it is.
    ///
    /// Left to itself the planner makes a new plan each time, because the parameters of an array or
    /// LIMIT look costly when unknown (measured: 140 µs of a claim's 450). And a plan that was made
    /// while the table was nearly empty would scan it from end to end when it is full, until the
    /// next ANALYZE: it sorts all of a topic for a claim, or joins all of it with what is
    /// acknowledged (measured with eight workers at 10,000 ready messages: 20 ms for a claim that
    /// takes 1.2 ms). Each setting costs some microseconds, so there are no more than needed.
    pub(crate) fn settings(self) -> &'static [PlannerSetting] {
        const ALL: [PlannerSetting; 5] = [
            PlannerSetting::NoSeqscan,
            PlannerSetting::GenericPlan,
            PlannerSetting::NoBitmapscan,
            PlannerSetting::NoHashjoin,
            PlannerSetting::NoMergejoin,
        ];
        match self {
            Plan::Kept | Plan::Anew | Plan::Command => &[],
            Plan::Key => &ALL[..1],
            // Whatever does not follow the index has to sort.
            Plan::Head => &[PlannerSetting::NoSort, PlannerSetting::GenericPlan],
            Plan::Order | Plan::Fenced => &ALL[..3],
            Plan::Keys => &ALL,
        }
    }
}

/// What the planner is kept from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlannerSetting {
    NoSeqscan,
    GenericPlan,
    NoBitmapscan,
    NoHashjoin,
    NoMergejoin,
    NoSort,
}

/// What is found out about a statement when it is first used.
#[derive(Debug)]
struct Parsed {
    /// Without comments.
    text: String,
    /// The name under which it is prepared for flights.
    prepared: String,
    types: Vec<Type>,
    /// The text cut at its parameters: what stands before each, and the parameter's index.
    pieces: Vec<(String, usize)>,
    tail: String,
    may_have_rows: bool,
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

impl Statement {
    /// Makes one from the text of a file of this crate.
    pub(crate) const fn new(name: &'static str, sql: &'static str, plan: Plan) -> Self {
        let parsed = OnceLock::new();
        Statement {
            name,
            sql,
            plan,
            parsed,
        }
    }

    fn parsed(&self) -> &Parsed {
        self.parsed
            .get_or_init(|| Parsed::read(self.name, self.sql))
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the name under which it is prepared for flights.
    pub(crate) fn prepared(&self) -> &str {
        &self.parsed().prepared
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan
    }

    /// Returns the text of a command, in which there is no name to place.
    pub(crate) fn command(&self) -> &'static str {
        self.sql
    }

    /// Returns the text, with the schema's name in its places.
    pub(crate) fn text(&self, schema: &SchemaName) -> Cow<'_, str> {
        schema.place(&self.parsed().text)
    }

    /// Returns whether the driver has it planned each time: where it runs, settings of the planner
    /// would be the caller's.
    pub(crate) fn is_planned_anew(&self) -> bool {
        matches!(
            self.plan,
            Plan::Anew | Plan::Key | Plan::Keys | Plan::Fenced
        )
    }

    pub(crate) fn types(&self) -> &[Type] {
        &self.parsed().types
    }

    pub(crate) fn may_have_rows(&self) -> bool {
        self.parsed().may_have_rows && self.plan != Plan::Command
    }

    /// Appends the text with `values` in the places of its parameters.
    pub(crate) fn push_text(&self, sql: &mut String, schema: &SchemaName, values: &[Value<'_>]) {
        let parsed = self.parsed();
        for (before, index) in &parsed.pieces {
            sql.push_str(&schema.place(before));
            values[*index].push_literal(sql);
        }
        sql.push_str(&schema.place(&parsed.tail));
    }
}

impl Parsed {
    /// Reads a statement of ours.
    ///
    /// # Panics
    /// On a parameter without a cast of [`CASTS`]: a mistake in a file of this crate, which the
    /// first test to use it meets.
    fn read(name: &str, sql: &str) -> Self {
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
        let is_write = ["INSERT ", "UPDATE ", "DELETE "]
            .iter()
            .any(|word| text.starts_with(word));
        Parsed {
            prepared: format!("outtray_{name}"),
            types: types
                .into_iter()
                .map(|kind| kind.expect("parameters in a statement of ours leave no gap"))
                .collect(),
            tail: rest.to_owned(),
            pieces,
            may_have_rows: !is_write || text.contains("RETURNING"),
            text,
        }
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
        static EXAMPLE: Statement = Statement::new(
            "example",
            "-- Does $9 things.\nSELECT $2::text, $1::bigint[] -- why\nFROM outtray.t WHERE $2::text = 'x'",
            Plan::Kept,
        );

        assert_eq!(EXAMPLE.types(), [Type::INT8_ARRAY, Type::TEXT]);
        let mut sql = String::new();
        let schema = SchemaName::parse("mine").unwrap();
        EXAMPLE.push_text(
            &mut sql,
            &schema,
            &[Value::Numbers(vec![1]), Value::Text("a")],
        );
        assert_eq!(
            sql,
            "SELECT E'a'::text, '{1}'::bigint[] FROM \"mine\".t WHERE E'a'::text = 'x'"
        );
    }

    #[test]
    #[should_panic(expected = "is cast")]
    fn a_parameter_without_a_cast_is_a_mistake() {
        Statement::new("example", "SELECT $1", Plan::Kept).types();
    }
}
