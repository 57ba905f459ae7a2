//! Settings as a new session of the role has them, whoever set them.

use crate::db::{Statement, column, sql};
use crate::doctor::ask::Ask;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Severity};
use crate::words::Result;
use postgres::Row;

static ROLE_SETTINGS: Statement = sql!("role_settings", Anew);

/// What a value must not be.
enum Bad {
    Is(&'static [&'static str]),
    IsNot(&'static str),
    /// More than 0, which is no limit, and less than so many milliseconds.
    Below(i64),
}

/// What is known of a setting.
struct Rule {
    name: &'static str,
    bad: Bad,
    severity: Severity,
    /// What to set it to.
    wanted: &'static str,
    means: &'static str,
}

/// As long as a handler may take that works in a transaction.
const A_HANDLER: i64 = 60_000;

const RULES: &[Rule] = &[
    Rule {
        name: "fsync",
        bad: Bad::Is(&["off"]),
        severity: Severity::Unsafe,
        wanted: "on",
        means: "a crash of the machine loses committed messages, or damages the whole server",
    },
    Rule {
        name: "full_page_writes",
        bad: Bad::Is(&["off"]),
        severity: Severity::Unsafe,
        wanted: "on",
        means: "a crash of the machine may leave torn pages: damaged tables and indexes",
    },
    Rule {
        name: "synchronous_commit",
        bad: Bad::Is(&["off"]),
        severity: Severity::Unsafe,
        wanted: "on",
        means: "a crash of the server loses the latest commits: messages whose sender was told Ok",
    },
    Rule {
        name: "autovacuum",
        bad: Bad::Is(&["off"]),
        severity: Severity::Warning,
        wanted: "on",
        means: "dead rows of handled messages stay for ever, and claims become slower with each",
    },
    Rule {
        name: "track_counts",
        bad: Bad::Is(&["off"]),
        severity: Severity::Warning,
        wanted: "on",
        means: "autovacuum does not learn of dead rows, so that they stay for ever",
    },
    Rule {
        name: "track_activities",
        bad: Bad::Is(&["off"]),
        severity: Severity::Warning,
        wanted: "on",
        means: "nobody sees what a server process does: whether one that is silent is at work, who holds a message, which transaction is old",
    },
    Rule {
        name: "old_snapshot_threshold",
        bad: Bad::IsNot("-1"),
        severity: Severity::Warning,
        wanted: "-1",
        means: "long handlers and readers of logs may fail with \"snapshot too old\"",
    },
    Rule {
        name: "vacuum_defer_cleanup_age",
        bad: Bad::IsNot("0"),
        severity: Severity::Warning,
        wanted: "0",
        means: "dead rows of handled messages stay for so many transactions, and claims walk over them",
    },
    Rule {
        name: "statement_timeout",
        bad: Bad::Below(A_HANDLER),
        severity: Severity::Warning,
        wanted: "'10min'",
        means: "a statement of a handler that takes longer fails, and with it that attempt of its message",
    },
    Rule {
        name: "idle_in_transaction_session_timeout",
        bad: Bad::Below(A_HANDLER),
        severity: Severity::Warning,
        wanted: "'10min'",
        means: "a handler that does something else for longer loses its connection, and its transaction with all messages in it",
    },
    Rule {
        name: "transaction_timeout",
        bad: Bad::Below(A_HANDLER),
        severity: Severity::Warning,
        wanted: "'10min'",
        means: "a handler that takes longer loses its connection, and its transaction with all messages in it",
    },
    Rule {
        name: "idle_session_timeout",
        bad: Bad::Below(A_HANDLER),
        severity: Severity::Note,
        wanted: "'1h'",
        means: "the connection that listens for notifications is cut again and again; meanwhile messages are found by polling",
    },
    Rule {
        name: "lock_timeout",
        bad: Bad::Below(1000),
        severity: Severity::Warning,
        wanted: "'20s'",
        means: "sends with a key, a dedupe key or to a bounded topic fail as soon as another sender is in their way",
    },
    Rule {
        name: "default_transaction_isolation",
        bad: Bad::IsNot("read committed"),
        severity: Severity::Warning,
        wanted: "'read committed'",
        means: "sessions and joined transactions meet serialization failures (Conflict) where they send with keys, to bounded topics or publish",
    },
    Rule {
        name: "default_transaction_read_only",
        bad: Bad::Is(&["on"]),
        severity: Severity::Warning,
        wanted: "off",
        means: "outtray turns it off on its own connections; other programs of this role cannot send, and behind a pooler in transaction mode nobody can connect",
    },
    Rule {
        name: "enable_indexscan",
        bad: Bad::Is(&["off"]),
        severity: Severity::Warning,
        wanted: "on",
        means: "claims and look-ups read whole tables: the more messages wait, the slower each is",
    },
    Rule {
        name: "enable_nestloop",
        bad: Bad::Is(&["off"]),
        severity: Severity::Warning,
        wanted: "on",
        means: "acknowledgements and look-ups of several messages read whole tables",
    },
    Rule {
        name: "plan_cache_mode",
        bad: Bad::IsNot("auto"),
        severity: Severity::Note,
        wanted: "auto",
        means: "statements are planned in a way that was not measured; with force_generic_plan a distributed PostgreSQL refuses keyed sends",
    },
];

/// A setting as it was read.
struct RoleSetting {
    value: String,
    origin: String,
    needs_restart: bool,
}

/// Checks the setting that the check has its name from.
pub(crate) fn setting(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let name = ask.check;
    let rule = RULES.iter().find(|rule| rule.name == name);
    let (Some(rule), Some(read)) = (rule, read(ask, name)?) else {
        // This version of PostgreSQL does not have it.
        return Ok(Vec::new());
    };
    let seen = format!("{name} is {}{}", shown(rule, &read), said_by(&read.origin));
    if !is_bad(&rule.bad, &read.value) {
        return Ok(ask.ok(seen));
    }
    let is_refused = name == "plan_cache_mode" && ask.facts.is_distributed;
    let severity = match is_refused {
        true => Severity::Unsafe,
        false => rule.severity,
    };
    let finding = Finding::new(name, severity, seen).means(rule.means);
    Ok(vec![corrected(finding, rule, &read, ask.facts)])
}

/// Reads a setting of the role; `None` where there is none of this name.
fn read(ask: &mut Ask<'_, '_>, name: &str) -> Result<Option<RoleSetting>> {
    let rows = ask.rows(&ROLE_SETTINGS, &[&name])?;
    let read = |row: &Row| {
        Ok(RoleSetting {
            value: column(row, "value")?,
            origin: column(row, "origin")?,
            needs_restart: column(row, "needs_restart")?,
        })
    };
    rows.first().map(read).transpose()
}

/// Returns the value that a new session of the role has.
pub(crate) fn value(ask: &mut Ask<'_, '_>, name: &str) -> Result<Option<String>> {
    Ok(read(ask, name)?.map(|setting| setting.value))
}

fn is_bad(bad: &Bad, value: &str) -> bool {
    match bad {
        Bad::Is(values) => values.contains(&value),
        Bad::IsNot(only) => value != *only,
        Bad::Below(least) => value.parse().is_ok_and(|ms: i64| ms > 0 && ms < *least),
    }
}

fn shown(rule: &Rule, read: &RoleSetting) -> String {
    match (&rule.bad, read.value.as_str()) {
        (Bad::Below(_), "0") => "off".to_owned(),
        (Bad::Below(_), value) => format!("{value} ms"),
        (_, value) => value.to_owned(),
    }
}

/// Returns who set it, for people.
fn said_by(origin: &str) -> &str {
    match origin {
        "client" => ", by the options of the URL",
        "command line" | "environment variable" => ", by the server's command line",
        "role in database" => ", set for the role in this database",
        "role" => ", set for the role",
        "database" => ", set for the database",
        "all roles" => ", set for all roles",
        _ => "",
    }
}

/// Adds what sets it otherwise, at the place that has the say.
fn corrected(finding: Finding, rule: &Rule, read: &RoleSetting, facts: &Facts) -> Finding {
    let (name, wanted) = (rule.name, rule.wanted);
    let (role, database) = (&facts.role, &facts.database);
    match read.origin.as_str() {
        "client" => finding.advice(format!("take {name} out of the URL's options")),
        "command line" | "environment variable" => finding.advice(format!(
            "set {name} to {wanted} where the server is started, on its command line, and restart it"
        )),
        "role in database" => finding.sql(format!(
            "ALTER ROLE {role} IN DATABASE {database} SET {name} = {wanted};"
        )),
        "role" => finding.sql(format!("ALTER ROLE {role} SET {name} = {wanted};")),
        "database" => finding.sql(format!("ALTER DATABASE {database} SET {name} = {wanted};")),
        "all roles" => finding.sql(format!("ALTER ROLE ALL SET {name} = {wanted};")),
        _ if read.needs_restart => finding
            .sql(format!("ALTER SYSTEM SET {name} = {wanted};"))
            .advice("restart the server"),
        _ => finding.alter_system(name, wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::checks::CHECKS;

    #[test]
    fn each_rule_is_a_check() {
        for rule in RULES {
            assert!(
                CHECKS.iter().any(|check| check.name == rule.name),
                "{}",
                rule.name
            );
        }
    }

    #[test]
    fn no_limit_is_none_that_is_too_short() {
        assert!(!is_bad(&Bad::Below(100), "0"));
        assert!(is_bad(&Bad::Below(100), "99"));
        assert!(!is_bad(&Bad::Below(100), "100"));
        assert!(is_bad(&Bad::IsNot("auto"), "force_generic_plan"));
        assert!(!is_bad(&Bad::Is(&["off"]), "on"));
    }
}
