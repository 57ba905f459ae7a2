//! The server itself: its version, its standbys, and what this role may see of it.

use crate::db::{Statement, column, sql};
use crate::doctor::ask::Ask;
use crate::doctor::finding::{Finding, RELOAD};
use crate::doctor::role_settings;
use crate::words::{Error, ErrorKind, Result};

static OWN_SIGHT: Statement = sql!("own_sight", Anew);
static SYNCHRONOUS_STANDBYS: Statement = sql!("synchronous_standbys", Anew);

/// The oldest version that knows the settings in use.
const OLDEST: i32 = 140_000;
/// Versions that the tests run on.
const TESTED: [i32; 2] = [15, 18];

/// Checks the version of the server.
pub(crate) fn version(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let facts = ask.facts;
    let seen = format!("PostgreSQL {}", facts.version);
    if facts.version_number < OLDEST {
        let finding = ask.is_unsafe(seen);
        return Ok(vec![
            finding
                .means("older than 14, the oldest version that knows the settings in use")
                .advice("upgrade the server, to 15 or later"),
        ]);
    }
    if TESTED.contains(&(facts.version_number / 10_000)) {
        return Ok(ask.ok(seen));
    }
    let finding = ask.note(seen);
    Ok(vec![finding.means("outtray is tested on 15 and 18")])
}

/// Checks what the role sees of other roles' sessions.
pub(crate) fn visibility(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let rows = ask.rows(&OWN_SIGHT, &[])?;
    let sees_all: bool = rows
        .first()
        .map_or(Ok(false), |row| column(row, "sees_all"))?;
    if sees_all {
        return Ok(ask.ok("sees the sessions of all roles"));
    }
    let finding = ask.note(format!(
        "role {} sees only its own sessions",
        ask.facts.role
    ));
    Ok(vec![
        finding
            .means(
                "who else holds dead rows back, and whether standbys are synchronous, stays hidden",
            )
            .sql(format!("GRANT pg_monitor TO {};", ask.facts.role)),
    ])
}

/// Checks that a COMMIT which waits for standbys does not wait in vain.
pub(crate) fn synchronous_standby(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let commit = role_settings::value(ask, "synchronous_commit")?.unwrap_or_default();
    let rows = ask.rows(&SYNCHRONOUS_STANDBYS, &[])?;
    let none = || Error::new(ErrorKind::Server, "the server says nothing of its standbys");
    let row = rows.first().ok_or_else(none)?;
    let names: String = column(row, "names")?;
    let [standbys, synchronous, hidden]: [i64; 3] = [
        column(row, "standbys")?,
        column(row, "synchronous")?,
        column(row, "hidden")?,
    ];
    if names.is_empty() {
        let seen = format!("no synchronous standby is asked for, {standbys} standbys are there");
        return Ok(ask.ok(seen));
    }
    let needed = needed(&names);
    let seen = format!(
        "synchronous_standby_names is '{names}': {needed} needed, {synchronous} there, synchronous_commit is {commit}"
    );
    if ["off", "local"].contains(&commit.as_str()) {
        let finding = ask.warning(seen);
        return Ok(vec![
            finding
                .means("commits of this role do not wait for the standby: a failover loses the latest of them")
                .sql(format!("ALTER ROLE {} SET synchronous_commit = on;", ask.facts.role)),
        ]);
    }
    if synchronous >= needed {
        return Ok(ask.ok(seen));
    }
    if standbys >= needed && hidden > 0 {
        let finding = ask.note(seen);
        return Ok(vec![
            finding
                .means(
                    "standbys are there, and this role does not see whether they are synchronous",
                )
                .sql(format!("GRANT pg_monitor TO {};", ask.facts.role)),
        ]);
    }
    Ok(vec![
        ask.is_unsafe(seen)
            .means("each COMMIT waits for a standby that is not there: nothing is sent and nothing handled until it comes")
            .advice("start the standbys that it names; or, to go on without them:")
            .sql("ALTER SYSTEM SET synchronous_standby_names = '';")
            .call(RELOAD),
    ])
}

/// Returns how many standbys a COMMIT waits for: `FIRST 2 (a, b)`, `ANY 2 (…)`, `2 (…)`, else one.
fn needed(names: &str) -> i64 {
    let (before, is_list) = match names.split_once('(') {
        Some((before, _)) => (before, true),
        None => ("", false),
    };
    let number = before.split_whitespace().last();
    let number = number.and_then(|number| number.parse().ok());
    number.filter(|_| is_list).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_standbys_is_read_in_all_forms() {
        for (names, expected) in [
            ("*", 1),
            ("a, b", 1),
            ("FIRST 2 (a, b)", 2),
            ("any 3(a,b,c)", 3),
            ("2 (a, \"b (c)\")", 2),
        ] {
            assert_eq!(needed(names), expected, "{names}");
        }
    }
}
