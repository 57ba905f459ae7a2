//! Errors of the database, by triggers in the test's own database: the server itself raises them.

use crate::surface::messaging::Messaging;
use crate::words::{Error, Result, classify};
use postgres::error::SqlState;

/// Where it is in the database.
const SCHEMA: &str = "outtray_testing";

/// Makes the server refuse what is written to a table, or the COMMIT after it, with an error of
/// your choice: in the middle of a handler, or at its end.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use outtray::testing::{DatabaseFault, RunOutcome, Runner, TestDatabase};
/// use outtray::Message;
///
/// let database = TestDatabase::new()?;
/// let messaging = database.messaging();
/// messaging.session(|session| {
///     session.batch_execute("CREATE TABLE account (id integer)")?;
///     Ok(session.send_message("orders", &7)?)
/// })?;
/// let mut runner = Runner::new(messaging).on("orders", |session, order: Message<i32>| {
///     session.execute("INSERT INTO account VALUES ($1)", &[&order.payload])?;
///     Ok(())
/// });
///
/// DatabaseFault::on_write("account").inject(messaging)?;
/// let first = runner.run_one("orders")?.expect("a message");
/// assert!(matches!(first.outcome, RunOutcome::Retried { .. }));
/// let ran = runner.run_until_idle()?;
/// assert!(ran[0].is_done(), "it was refused once");
/// # Ok(()) }
/// ```
///
/// The trigger stays in the test's database, which goes with the test. Statements that empty a
/// table with TRUNCATE are not refused.
#[derive(Debug, Clone)]
#[must_use = "nothing happens before inject"]
pub struct DatabaseFault {
    table: String,
    is_at_commit: bool,
    code: SqlState,
    times: u32,
}

impl DatabaseFault {
    /// Refuses the next statement that inserts into a table, or updates or deletes there, as it
    /// runs. The table is named as in SQL: `account`, `shop.account`, `"Account"`.
    pub fn on_write(table: &str) -> Self {
        DatabaseFault {
            table: table.to_owned(),
            is_at_commit: false,
            code: SqlState::RAISE_EXCEPTION,
            times: 1,
        }
    }

    /// Refuses COMMIT of the next transaction that changed a row of a table, as a deferred
    /// constraint does.
    pub fn on_commit(table: &str) -> Self {
        DatabaseFault {
            is_at_commit: true,
            ..DatabaseFault::on_write(table)
        }
    }

    /// Sets the SQLSTATE of the error. Default `RAISE_EXCEPTION`, P0001. What outtray does about it
    /// depends on it: `T_R_SERIALIZATION_FAILURE` and `T_R_DEADLOCK_DETECTED` have the whole
    /// transaction run again, and `DISK_FULL` leaves the message alone for a while, without an
    /// attempt spent.
    pub fn code(mut self, code: SqlState) -> Self {
        self.code = code;
        self
    }

    /// Sets how often it happens before all is well again. Default 1.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Has it happen from now on, in the database of `messaging`. Waits for transactions that are
    /// writing to the table.
    ///
    /// # Errors
    /// `Invalid` for a table that does not exist; `Denied`, `Unavailable`, `PoolExhausted`.
    pub fn inject(self, messaging: &Messaging) -> Result<()> {
        messaging.with_connection(|connection, _| {
            let failed = |error| classify(error, "injecting a fault of the database");
            let client = connection.client();
            let sql = "SELECT to_regclass($1::text)::text, nextval(\
                 format('%I.fault', $2::text)::regclass)::text";
            client.batch_execute(&prepared()).map_err(failed)?;
            let row = client.query_one(sql, &[&self.table, &SCHEMA]);
            let named = row.and_then(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
            let (table, number): (Option<String>, String) = named.map_err(failed)?;
            let table =
                table.ok_or_else(|| Error::invalid(format!("there is no table {}", self.table)))?;
            client
                .batch_execute(&self.trigger(&table, &number))
                .map_err(failed)
        })
    }

    fn trigger(&self, table: &str, number: &str) -> String {
        let (times, code) = (self.times, self.code.code());
        let name = format!("{SCHEMA}.fault_{number}");
        let when = match self.is_at_commit {
            true => format!(
                "CREATE CONSTRAINT TRIGGER outtray_fault_{number} AFTER INSERT OR UPDATE OR DELETE ON {table} \
                 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
            ),
            false => format!(
                "CREATE TRIGGER outtray_fault_{number} BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH STATEMENT"
            ),
        };
        // A sequence counts what is rolled back, too.
        format!(
            "CREATE SEQUENCE {name}_count;
             CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
             BEGIN
                 IF pg_catalog.nextval('{name}_count'::regclass) <= {times} THEN
                     RAISE EXCEPTION 'a fault that the test injected' USING ERRCODE = '{code}';
                 END IF;
                 RETURN NULL;
             END $$;
             {when} EXECUTE FUNCTION {name}();"
        )
    }
}

/// Returns the statements that make room for faults.
fn prepared() -> String {
    format!("CREATE SCHEMA IF NOT EXISTS {SCHEMA}; CREATE SEQUENCE IF NOT EXISTS {SCHEMA}.fault;")
}
