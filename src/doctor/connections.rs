//! How many connections are left.

use crate::db::{Statement, column, sql};
use crate::doctor::ask::Ask;
use crate::doctor::finding::Finding;
use crate::words::Result;
use postgres::Row;

static CONNECTION_ROOM: Statement = sql!("connection_room", Anew);

/// What a process with the defaults and one receiver may use.
const A_PROCESS: i64 = 26;

/// Checks each limit of connections.
pub(crate) fn connections(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let rows = ask.rows(&CONNECTION_ROOM, &[])?;
    let mut found = Vec::new();
    let mut all = Vec::new();
    for row in &rows {
        let room = Room::of(row)?;
        let seen = format!(
            "{} of {} connections {}",
            room.used,
            room.most,
            room.of_what()
        );
        if let Some(finding) = room.finding(ask, &seen) {
            found.push(finding);
        }
        all.push(seen);
    }
    Ok(ask.or_ok(found, all.join("; ")))
}

/// A limit, and how much of it is used.
struct Room {
    limit: String,
    most: i64,
    used: i64,
}

impl Room {
    fn of(row: &Row) -> Result<Self> {
        Ok(Room {
            limit: column(row, "limited")?,
            most: column(row, "most")?,
            used: column(row, "used")?,
        })
    }

    fn of_what(&self) -> &str {
        match self.limit.as_str() {
            "role" => "of the role are in use",
            "database" => "of the database are in use",
            _ => "of the server are in use",
        }
    }

    fn finding(&self, ask: &Ask<'_, '_>, seen: &str) -> Option<Finding> {
        let left = self.most - self.used;
        if left >= A_PROCESS && left > self.most / 10 {
            return None;
        }
        let finding = match left <= (self.most / 10).max(2) {
            true => ask.warning(seen),
            false => ask.note(seen),
        };
        let finding = finding.means(format!(
            "{} are left, and one process with the defaults may use {A_PROCESS}: too few make work slow, and new processes are refused",
            left.max(0)
        ));
        let more = self.most + 10 * A_PROCESS;
        Some(match self.limit.as_str() {
            "role" => finding.sql(format!("ALTER ROLE {} CONNECTION LIMIT -1;", ask.facts.role)),
            "database" => finding.sql(format!(
                "ALTER DATABASE {} CONNECTION LIMIT -1;",
                ask.facts.database
            )),
            _ => finding
                .sql(format!("ALTER SYSTEM SET max_connections = {more};"))
                .advice("restart the server; or put a pooler in front of it, or close what is not needed"),
        })
    }
}
