//! Several statements in one round trip.
//!
//! The driver cannot pipeline, but one text query may hold many statements: `RELEASE …; ack;
//! COMMIT; BEGIN; claim` is one round trip instead of five (measured: 268 µs a message against 476
//! with prepared statements one by one). However, a server writes each statement that it refuses to
//! its log, and of a text query the whole text. So where the stream under the driver is ours, a
//! flight travels in the other form of the protocol, statement by statement, with the values beside
//! them (see `connect/pipeline`). Through a socket file, or on a lent connection, it travels as a
//! text.

use crate::db::commands;
use crate::db::protocol;
use crate::db::statement::{PlannerSetting, Statement};
use crate::db::value::{Value, push_all};
use crate::schema::name::SchemaName;
use postgres::{SimpleQueryMessage, SimpleQueryRow};

/// Whether statements stay prepared on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallMode {
    /// They do: they are planned once.
    Prepared,
    /// A pooler may hand each transaction to another server process, so they are planned each time.
    Inline,
}

/// How flights travel on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// The values beside the statements.
    Protocol(CallMode),
    /// All as one text, the values as literals.
    Text(CallMode),
}

impl Transport {
    /// Returns whether statements stay prepared, and what goes with them travels beside them.
    pub(crate) fn keeps_statements(self) -> bool {
        self == Transport::Protocol(CallMode::Prepared)
    }
}

/// What most flights need, in bytes. A buffer that grows piece by piece took a twentieth of a
/// worker's time.
const USUAL: usize = 2 << 10;

/// Statements that are to travel together. An error of one ends the flight there.
#[derive(Debug)]
pub(crate) struct Flight {
    transport: Transport,
    schema: SchemaName,
    /// What travels as text.
    sql: String,
    /// What travels in messages of the protocol.
    messages: Vec<u8>,
    /// What has to be prepared before.
    named: Vec<&'static Statement>,
    /// What the planner is kept from at its end.
    settings: Vec<PlannerSetting>,
    /// Whether settings are put back to what they were, since the caller may have made them.
    keeps_settings: bool,
    /// Whether other servers may plan what is done with the tables.
    is_planned_elsewhere: bool,
    is_empty: bool,
    begins: bool,
}

/// A statement of the caller's own, which travels with ours.
pub(crate) struct Own<'a> {
    /// The name under which it is prepared.
    pub(crate) name: &'a str,
    /// Its text, if it is to be prepared first.
    pub(crate) new: Option<&'a str>,
    /// Its values: in their binary form after their lengths, or as literals.
    pub(crate) values: OwnValues,
}

/// The values of a statement of the caller's own.
pub(crate) enum OwnValues {
    /// So many, in their binary form after their lengths.
    Binary(usize, Vec<u8>),
    /// As the server reads them.
    Texts(Vec<Option<String>>),
}

/// What a flight is when it goes.
pub(crate) enum Form {
    Text(String),
    /// In messages of the protocol, with the end.
    Messages(Vec<u8>),
}

impl Flight {
    pub(crate) fn new(transport: Transport, schema: &SchemaName) -> Self {
        let (text, messages) = match transport {
            Transport::Text(_) => (USUAL, 0),
            Transport::Protocol(_) => (0, USUAL),
        };
        Flight {
            transport,
            schema: schema.clone(),
            sql: String::with_capacity(text),
            messages: Vec::with_capacity(messages),
            named: Vec::new(),
            settings: Vec::new(),
            keeps_settings: false,
            is_planned_elsewhere: false,
            is_empty: true,
            begins: false,
        }
    }

    /// Puts settings back to what they were, instead of to the session's defaults, if the caller
    /// `has_set` some. That takes the server longer.
    #[must_use]
    pub(crate) fn keeping_settings(mut self, has_set: bool) -> Self {
        self.keeps_settings = has_set;
        self
    }

    /// Leaves out settings that do harm where other servers may plan what is done with the tables.
    #[must_use]
    pub(crate) fn planned_elsewhere(mut self, is_so: bool) -> Self {
        self.is_planned_elsewhere = is_so;
        self
    }

    /// Lets nothing in it stay prepared, since it is seldom that it is needed.
    #[must_use]
    pub(crate) fn seldom(mut self) -> Self {
        self.transport = match self.transport {
            Transport::Protocol(_) => Transport::Protocol(CallMode::Inline),
            Transport::Text(_) => Transport::Text(CallMode::Inline),
        };
        self
    }

    /// Lets it go as one text, which costs the server half a microsecond less for each statement.
    /// For names and numbers alone: nobody's data may get into the server's log. Behind a pooler it
    /// stays in messages, since only those say there what the planner is kept from.
    #[must_use]
    pub(crate) fn of_names(mut self) -> Self {
        if self.transport.keeps_statements() {
            self.transport = Transport::Text(CallMode::Prepared);
        }
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Returns whether a transaction begins in it.
    pub(crate) fn begins(&self) -> bool {
        self.begins
    }

    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    /// Appends a statement, which is planned as it says.
    pub(crate) fn call(&mut self, statement: &'static Statement, values: &[Value<'_>]) {
        for setting in statement.plan().settings() {
            self.keep_from(*setting);
        }
        let (Transport::Protocol(mode) | Transport::Text(mode)) = self.transport;
        match mode {
            CallMode::Prepared => self.call_by_name(statement, values),
            CallMode::Inline => self.call_once(statement, values),
        }
    }

    /// Appends one of the commands.
    pub(crate) fn command(&mut self, command: &'static Statement) {
        self.call(command, &[]);
    }

    /// Appends several.
    pub(crate) fn commands(&mut self, commands: &[&'static Statement]) {
        commands.iter().for_each(|command| self.command(command));
    }

    /// Appends BEGIN: READ COMMITTED, whatever the server's default.
    pub(crate) fn begin(&mut self) {
        self.command(&commands::BEGIN);
        self.begins = true;
    }

    /// Appends COMMIT, which puts settings back by itself.
    pub(crate) fn commit(&mut self) {
        self.command(&commands::COMMIT);
        self.settings.clear();
    }

    /// Appends a statement of the caller's own.
    pub(crate) fn own(&mut self, own: Own<'_>) {
        self.put_settings_back();
        self.is_empty = false;
        let Own { name, new, values } = own;
        match values {
            OwnValues::Binary(count, values) => {
                if let Some(text) = new {
                    protocol::parse(&mut self.messages, name, text);
                }
                protocol::run(&mut self.messages, name, count, false, |body| {
                    body.extend(values);
                });
            }
            OwnValues::Texts(values) => {
                if let Some(text) = new {
                    // The text may end in a comment.
                    self.sql.push_str(&format!("PREPARE {name} AS {text}\n;\n"));
                }
                let values: Vec<Value<'_>> = values
                    .iter()
                    .map(|value| value.as_deref().map_or(Value::Null, Value::Text))
                    .collect();
                push_execute(&mut self.sql, name, &values);
            }
        }
    }

    /// Appends a COPY and its rows in the binary format, where the transport
    /// [keeps statements](Transport::keeps_statements). The server asks for rows once it has the
    /// statement, but takes those that are there already.
    pub(crate) fn copy(&mut self, statement: &'static Statement, rows: &[u8]) {
        self.is_empty = false;
        self.named.push(statement);
        protocol::run(&mut self.messages, statement.prepared(), 0, false, |_| {});
        protocol::copied(&mut self.messages, rows);
    }

    fn call_by_name(&mut self, statement: &'static Statement, values: &[Value<'_>]) {
        self.is_empty = false;
        let is_command = values.is_empty() && !statement.may_have_rows();
        match self.transport {
            Transport::Protocol(_) => {
                self.named.push(statement);
                push_run(&mut self.messages, statement.prepared(), statement, values);
            }
            // There is no PREPARE for commands in SQL.
            Transport::Text(_) if is_command => self.call_once(statement, values),
            Transport::Text(_) => {
                self.named.push(statement);
                push_execute(&mut self.sql, statement.prepared(), values);
            }
        }
    }

    /// Appends a statement that is seldom run, and does not stay prepared.
    pub(crate) fn call_once(&mut self, statement: &'static Statement, values: &[Value<'_>]) {
        self.is_empty = false;
        match self.transport {
            Transport::Protocol(_) => {
                protocol::parse(&mut self.messages, "", &statement.text(&self.schema));
                push_run(&mut self.messages, "", statement, values);
            }
            Transport::Text(_) => {
                statement.push_text(&mut self.sql, &self.schema, values);
                self.sql.push_str(";\n");
            }
        }
    }

    /// Keeps the planner from something from here on. On a lent connection its owner may have said
    /// how to plan.
    fn keep_from(&mut self, setting: PlannerSetting) {
        if !setting.helps(self.transport, self.is_planned_elsewhere)
            || self.settings.contains(&setting)
        {
            return;
        }
        self.settings.push(setting);
        match self.keeps_settings {
            // It does not stay prepared: that would take a round trip.
            true => self.call_once(&setting.switch().noted_off, &[]),
            false => self.command(&setting.switch().off),
        }
    }

    fn put_settings_back(&mut self) {
        for setting in std::mem::take(&mut self.settings) {
            match self.keeps_settings {
                true => self.call_once(&setting.switch().noted, &[]),
                false => self.command(&setting.switch().usual),
            }
        }
    }

    /// Ends it; returns what has to be prepared before it goes, and how it goes. What the planner
    /// is kept from is put back, unless that was done.
    pub(crate) fn end(mut self) -> (Vec<&'static Statement>, Form) {
        self.put_settings_back();
        let form = match self.transport {
            Transport::Text(_) => Form::Text(self.sql),
            Transport::Protocol(_) => {
                protocol::sync(&mut self.messages);
                Form::Messages(self.messages)
            }
        };
        (self.named, form)
    }
}

impl PlannerSetting {
    /// Returns whether it is of use to statements that travel so.
    ///
    /// Citus sends a statement on with its values in place. A plan for all values has none: Citus
    /// refuses some statements then, such as the sending of messages with keys. The other settings
    /// do no harm there, and serve tables that this very server has.
    fn helps(self, transport: Transport, is_planned_elsewhere: bool) -> bool {
        match transport {
            // Planned with its values, by a connection of whose owner nothing is known.
            Transport::Text(CallMode::Inline) => false,
            // What does not stay prepared has its values when it is planned.
            Transport::Protocol(CallMode::Inline) => self != PlannerSetting::GenericPlan,
            Transport::Protocol(CallMode::Prepared) | Transport::Text(CallMode::Prepared) => {
                !is_planned_elsewhere || self != PlannerSetting::GenericPlan
            }
        }
    }
}

/// Returns the rows among what a flight was answered with.
pub(crate) fn rows(answers: Vec<SimpleQueryMessage>) -> Vec<SimpleQueryRow> {
    let rows = answers.into_iter().filter_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.collect()
}

/// Appends the messages that run a prepared statement; one without a name is the last one.
fn push_run(to: &mut Vec<u8>, name: &str, statement: &Statement, values: &[Value<'_>]) {
    protocol::run(to, name, values.len(), statement.may_have_rows(), |body| {
        push_all(body, statement.types(), values);
    });
}

fn push_execute(sql: &mut String, name: &str, values: &[Value<'_>]) {
    sql.push_str("EXECUTE ");
    sql.push_str(name);
    for (index, value) in values.iter().enumerate() {
        sql.push(if index == 0 { '(' } else { ',' });
        value.push_literal(sql);
    }
    sql.push_str(if values.is_empty() { ";\n" } else { ");\n" });
}

/// Returns what prepares statements, which are missing on a connection, before a flight goes.
pub(crate) fn prepare(
    transport: Transport,
    schema: &SchemaName,
    missing: &[&'static Statement],
) -> Form {
    match transport {
        Transport::Text(_) => Form::Text(
            missing
                .iter()
                .map(|one| prepare_text(one, schema))
                .collect(),
        ),
        Transport::Protocol(_) => {
            let mut messages = Vec::new();
            for statement in missing {
                // It may be there, from a time when one after it failed.
                protocol::close(&mut messages, statement.prepared());
                let text = statement.text(schema);
                protocol::parse(&mut messages, statement.prepared(), &text);
            }
            protocol::sync(&mut messages);
            Form::Messages(messages)
        }
    }
}

fn prepare_text(statement: &Statement, schema: &SchemaName) -> String {
    // PostgreSQL takes its internal names of types in SQL too: `int8`, `_int8` for the array.
    let types: Vec<&str> = statement.types().iter().map(|kind| kind.name()).collect();
    let types = match types.is_empty() {
        true => String::new(),
        false => format!(" ({})", types.join(", ")),
    };
    format!(
        "PREPARE {}{types} AS {};\n",
        statement.prepared(),
        statement.text(schema)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::statement::Plan;

    static EXAMPLE: Statement =
        Statement::new("example", "SELECT $1::text, $2::bigint[]", Plan::Head);

    fn text(mode: CallMode, fill: impl FnOnce(&mut Flight)) -> String {
        let schema = SchemaName::parse("outtray").unwrap();
        let mut flight = Flight::new(Transport::Text(mode), &schema);
        fill(&mut flight);
        match flight.end() {
            (_, Form::Text(sql)) => sql,
            (_, Form::Messages(_)) => panic!("it is a text"),
        }
    }

    #[test]
    fn a_call_is_an_execute_or_the_text() {
        let values = || [Value::Text("t"), Value::Numbers(vec![7])];

        let prepared = text(CallMode::Prepared, |flight| {
            flight.call(&EXAMPLE, &values());
            flight.commit();
            flight.call_once(&EXAMPLE, &values());
        });
        let expected = "SET LOCAL enable_sort = off;\nSET LOCAL plan_cache_mode = force_generic_plan;\n\
            EXECUTE outtray_example(E't','{7}');\nCOMMIT;\nSELECT E't'::text, '{7}'::bigint[];\n";
        assert_eq!(prepared, expected);

        let inline = text(CallMode::Inline, |flight| flight.call(&EXAMPLE, &values()));
        assert_eq!(inline, "SELECT E't'::text, '{7}'::bigint[];\n");

        let schema = SchemaName::parse("outtray").unwrap();
        assert_eq!(
            prepare_text(&EXAMPLE, &schema),
            "PREPARE outtray_example (text, _int8) AS SELECT $1::text, $2::bigint[];\n"
        );
    }

    #[test]
    fn only_settings_that_help_are_set() {
        let all = [PlannerSetting::NoSeqscan, PlannerSetting::GenericPlan];
        let cases = [
            (Transport::Protocol(CallMode::Prepared), false, [true, true]),
            (Transport::Protocol(CallMode::Prepared), true, [true, false]),
            (Transport::Text(CallMode::Prepared), false, [true, true]),
            (Transport::Text(CallMode::Prepared), true, [true, false]),
            (Transport::Protocol(CallMode::Inline), false, [true, false]),
            (Transport::Protocol(CallMode::Inline), true, [true, false]),
            (Transport::Text(CallMode::Inline), false, [false, false]),
            (Transport::Text(CallMode::Inline), true, [false, false]),
        ];
        for (transport, is_planned_elsewhere, expected) in cases {
            let helps = all.map(|setting| setting.helps(transport, is_planned_elsewhere));
            assert_eq!(helps, expected, "{transport:?}, {is_planned_elsewhere}");
        }
    }

    #[test]
    fn settings_of_the_callers_are_put_back_to_what_they_were() {
        let schema = SchemaName::parse("outtray").unwrap();
        let transport = Transport::Text(CallMode::Prepared);
        let mut flight = Flight::new(transport, &schema).keeping_settings(true);
        flight.call(&EXAMPLE, &[Value::Null, Value::Null]);

        let (named, Form::Text(sql)) = flight.end() else {
            panic!("it is a text");
        };

        assert_eq!(named.len(), 1, "{named:?}");
        assert!(!sql.contains("DEFAULT"), "{sql}");
        let note =
            "set_config('outtray.enable_sort', pg_catalog.current_setting('enable_sort'), true)";
        let back =
            "set_config('enable_sort', pg_catalog.current_setting('outtray.enable_sort'), true)";
        let call = sql.find("EXECUTE").unwrap();
        assert!(sql.find(note).unwrap() < call, "{sql}");
        assert!(sql.find(back).unwrap() > call, "{sql}");
    }

    #[test]
    fn settings_are_set_once_and_put_back_unless_the_transaction_ends() {
        let sql = text(CallMode::Prepared, |flight| {
            flight.call(&EXAMPLE, &[Value::Null, Value::Null]);
            flight.call(&EXAMPLE, &[Value::Null, Value::Null]);
        });

        let count = |of: &str| sql.matches(of).count();
        assert_eq!(count("SET LOCAL enable_sort = off"), 1, "{sql}");
        assert_eq!(count("SET LOCAL enable_sort TO DEFAULT"), 1, "{sql}");
        assert!(
            sql.ends_with("SET LOCAL plan_cache_mode TO DEFAULT;\n"),
            "{sql}"
        );
    }
}
