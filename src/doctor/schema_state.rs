//! The schema: whether it is the one of this release, what this role may do in it, and whether its
//! sequences are ahead of their tables.

use crate::db::{Statement, column, sql};
use crate::doctor::ask::Ask;
use crate::doctor::finding::Finding;
use crate::doctor::listed::some_of;
use crate::schema::{functions, migrate, sequences};
use crate::words::{Error, ErrorKind, Result, chain};
use std::collections::BTreeMap;

static LACKING_PRIVILEGES: Statement = sql!("lacking_privileges", Anew);
static SPENT_SEQUENCES: Statement = sql!("spent_sequences", Anew);

/// Checks that the schema is there, and of this release.
pub(crate) fn schema(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let schema = &ask.facts.schema;
    let client = &mut ask.open.transaction;
    let looked = migrate::version(client, schema).and_then(|at| {
        migrate::check_version(at, schema)?;
        migrate::compare(client, schema)?;
        Ok(at.unwrap_or_default())
    });
    let at = match looked {
        Ok(at) => at,
        Err(error) => return unfit(ask, error),
    };
    let name = schema.as_str();
    Ok(ask.ok(format!(
        "schema \"{name}\" at version {at}, that of this release"
    )))
}

fn unfit(ask: &Ask<'_, '_>, error: Error) -> Result<Vec<Finding>> {
    let found = match error.kind() {
        ErrorKind::SchemaMissing => ask
            .is_unsafe(chain(&error))
            .means("nothing can be sent or handled by this release")
            .command(ask.facts.command("migrate")),
        ErrorKind::SchemaNewer => ask
            .is_unsafe(chain(&error))
            .means("this release does not know what the tables are like, and refuses to work with them")
            .advice("use the release that made the schema, for this command and for all programs"),
        _ => return Err(error),
    };
    Ok(vec![found])
}

/// Checks that the SQL functions are those of this release.
pub(crate) fn functions(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let schema = &ask.facts.schema;
    if migrate::version(&mut ask.open.transaction, schema).is_ok_and(migrate::is_older) {
        // The schema's own finding says what to do.
        return Ok(Vec::new());
    }
    let stale = functions::pending(&mut ask.open.transaction, schema)?;
    ask.was_answered()?;
    if stale.is_empty() {
        return Ok(ask.ok("as in this release"));
    }
    let seen = format!("{} missing or changed: {}", stale.len(), some_of(&stale));
    Ok(vec![
        ask.warning(seen)
            .means("programs in other languages get what is not in the documentation of this release, or an error")
            .command(ask.facts.command("migrate")),
    ])
}

/// Checks what the role may do.
pub(crate) fn privileges(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let schema = ask.facts.schema.as_str();
    let rows = ask.rows(&LACKING_PRIVILEGES, &[&schema])?;
    let mut lacking: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows {
        let kind: String = column(row, "kind")?;
        lacking.entry(kind).or_default().push(column(row, "what")?);
    }
    let role = &ask.facts.role;
    if lacking.is_empty() {
        return Ok(ask.ok(format!("role {role} may send, receive and operate")));
    }
    let all: Vec<String> = lacking.values().flatten().cloned().collect();
    let schema = ask.facts.quoted_schema();
    let mut finding = ask
        .warning(format!("role {role} lacks {}: {}", all.len(), some_of(&all)))
        .means("one that only sends needs USAGE and INSERT; a receiver, an operator and upkeep need all of it");
    if lacking.contains_key("schema") {
        finding = finding.sql(format!("GRANT USAGE ON SCHEMA {schema} TO {role};"));
    }
    if lacking.contains_key("table") {
        finding = finding.sql(format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};"
        ));
    }
    if lacking.contains_key("sequence") {
        finding = finding.sql(format!(
            "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role};"
        ));
    }
    for function in lacking.get("function").into_iter().flatten() {
        let function = function.trim_start_matches("EXECUTE on ");
        finding = finding.sql(format!(
            "GRANT EXECUTE ON FUNCTION {schema}.{function} TO {role};"
        ));
    }
    Ok(vec![finding])
}

/// Checks that sequences are ahead of their tables, and have numbers left.
pub(crate) fn sequences(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let schema = &ask.facts.schema;
    let mut found: Vec<Finding> = Vec::new();
    if !ask.facts.is_distributed {
        let rows = ask.rows(&SPENT_SEQUENCES, &[&schema.as_str()])?;
        for row in &rows {
            let (name, last): (String, i64) = (column(row, "name")?, column(row, "last")?);
            let sequence = format!("{}.{name}", ask.facts.quoted_schema());
            found.push(
                ask.is_unsafe(format!("{name} is at {last}, near its end"))
                    .means("when it is used up, nothing can be sent; somebody set it, no traffic comes so far")
                    .advice("stop all programs, and have nothing in the tables that it numbers; then:")
                    .call(format!("setval('{sequence}', 1, false)")),
            );
        }
    }
    let behind = sequences::behind(&mut ask.open.transaction, schema)?;
    ask.was_answered()?;
    if !behind.is_empty() {
        let titles: Vec<String> = behind.iter().map(sequences::Behind::title).collect();
        found.push(
            ask.is_unsafe(format!("behind their tables: {}", some_of(&titles)))
                .means("sends fail (SequenceBehind), or get in before earlier ones of their key; so it is after a copy, which brings no values of sequences")
                .command(ask.facts.command("migrate")),
        );
    }
    Ok(ask.or_ok(found, "ahead of their tables"))
}
