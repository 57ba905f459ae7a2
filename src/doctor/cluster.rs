//! A distributed PostgreSQL (Citus): whether the schema is distributed, whether the tables of
//! handlers take part in its two-phase commits, and whether those can work.
//!
//! Citus cannot be installed where the tests run. They plant an extension of its name with catalogs
//! and functions of the same shape, those of Citus 13.

use crate::db::{Statement, column, sql};
use crate::doctor::ask::Ask;
use crate::doctor::finding::Finding;
use crate::doctor::listed::{at_most, span};
use crate::words::Result;
use postgres::Row;

static CLUSTER_VERSION: Statement = sql!("cluster/cluster_version", Anew);
static ENTRY_NODES: Statement = sql!("cluster/entry_nodes", Anew);
static LOCAL_TABLES: Statement = sql!("cluster/local_tables", Anew);
static PREPARED_ON_NODES: Statement = sql!("cluster/prepared_on_nodes", Anew);
static SCHEMA_ON_CLUSTER: Statement = sql!("cluster/schema_on_cluster", Anew);
static SETTINGS_OF_NODES: Statement = sql!("cluster/settings_of_nodes", Anew);

/// Says which version of Citus is there.
pub(crate) fn version(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let rows = ask.rows(&CLUSTER_VERSION, &[])?;
    let version: String = rows
        .first()
        .map_or(Ok(String::new()), |row| column(row, "version"))?;
    Ok(ask.ok(format!("Citus {version}")))
}

/// Checks that the schema is distributed as a whole.
pub(crate) fn schema(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let schema = ask.facts.schema.as_str();
    if is_distributed(ask)? {
        return Ok(ask.ok(format!("schema \"{schema}\" is distributed")));
    }
    Ok(vec![
        ask.warning(format!("Citus is there, and schema \"{schema}\" is not distributed"))
            .means("all of it is on the coordinator, and commits with what handlers write on other nodes only as safely as Citus does with local tables")
            .call(format!("citus_schema_distribute('{schema}')")),
    ])
}

fn is_distributed(ask: &mut Ask<'_, '_>) -> Result<bool> {
    let schema = ask.facts.schema.as_str();
    let rows = ask.rows(&SCHEMA_ON_CLUSTER, &[&schema])?;
    rows.first()
        .map_or(Ok(false), |row| column(row, "is_distributed"))
}

/// Checks that the tables of handlers are tables of Citus.
pub(crate) fn tables(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    if !is_distributed(ask)? {
        // What commits with what is another question then.
        return Ok(Vec::new());
    }
    let named = &ask.facts.wishes.tables;
    let rows = ask.rows(&LOCAL_TABLES, &[named])?;
    let read = |row: &Row| {
        let (name, is_missing): (String, bool) = (column(row, "name")?, column(row, "is_missing")?);
        if is_missing {
            let finding = ask.warning(format!("there is no table {name}"));
            return Ok(finding
                .means("it was named as one that handlers write")
                .advice("name it as in SQL, with its schema"));
        }
        let seen = format!("table {name} is local to the coordinator");
        let finding = match named.is_empty() {
            true => ask.warning(format!(
                "{seen}; whether handlers write it is not known (--table)"
            )),
            false => ask.is_unsafe(seen),
        };
        Ok(finding
            .means("it has no part in the two-phase commit: when the coordinator crashes, what a handler wrote there can be lost although its message is done")
            .advice("distribute its schema (citus_schema_distribute), or this table alone:")
            .call(format!("create_distributed_table({}, NULL)", literal(&name))))
    };
    let found: Result<Vec<Finding>> = rows.iter().map(read).collect();
    Ok(ask.or_ok(
        at_most(ask, found?),
        "all tables of handlers are tables of Citus",
    ))
}

/// Reads the numbers that a node answered; none where it says why it does not.
fn numbers(answer: &str) -> Vec<i64> {
    let words = answer.split(' ');
    words.filter_map(|word| word.parse().ok()).collect()
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Checks that each node can take part in a two-phase commit.
pub(crate) fn two_phase(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let rows = ask.rows(&SETTINGS_OF_NODES, &[])?;
    let mut found = Vec::new();
    for row in &rows {
        let (node, answer): (String, String) = (column(row, "node")?, column(row, "answer")?);
        match numbers(&answer)[..] {
            [prepared, connections] if prepared >= connections => {}
            [prepared, connections] => found.push(too_few(ask, &node, prepared, connections)),
            _ => found.push(silent(ask, &node, &answer)),
        }
    }
    let seen = format!(
        "{} nodes can prepare as many transactions as they have connections",
        rows.len()
    );
    Ok(ask.or_ok(at_most(ask, found), seen))
}

fn too_few(ask: &Ask<'_, '_>, node: &str, prepared: i64, connections: i64) -> Finding {
    let seen = format!(
        "max_prepared_transactions is {prepared} on node {node}, max_connections {connections}"
    );
    let finding = match prepared {
        0 => ask
            .is_unsafe(seen)
            .means("no transaction that writes on this node and another can commit"),
        _ => ask.warning(seen).means(
            "with more commits at a time over several nodes than that, some fail and are run again",
        ),
    };
    finding
        .advice(format!("on node {node}:"))
        .sql(format!(
            "ALTER SYSTEM SET max_prepared_transactions = {};",
            connections * 2
        ))
        .advice("restart that node")
}

fn silent(ask: &Ask<'_, '_>, node: &str, answer: &str) -> Finding {
    ask.warning(format!("node {node} does not answer: {answer}"))
        .means("what commits over several nodes fails while it is away")
        .advice("look after that node")
}

/// Checks for transactions that were prepared long ago on any node.
pub(crate) fn prepared(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let patience = ask.facts.patience_ms();
    let rows = ask.rows(&PREPARED_ON_NODES, &[&patience])?;
    let mut found = Vec::new();
    for row in &rows {
        let (node, answer): (String, String) = (column(row, "node")?, column(row, "answer")?);
        // What does not answer is a finding of another check.
        let [count, oldest_ms] = numbers(&answer)[..] else {
            continue;
        };
        if count > 0 {
            let seen = format!(
                "{count} transactions are prepared on node {node}, the oldest for {}",
                span(oldest_ms)
            );
            found.push(
                ask.warning(seen)
                    .means("their locks are held, and dead rows stay, until they end; Citus ends its own within minutes, unless it cannot reach a node")
                    .advice("what is left after this is of somebody else, who has to end it:")
                    .call("recover_prepared_transactions()"),
            );
        }
    }
    Ok(ask.or_ok(at_most(ask, found), "none is old"))
}

/// Checks that all clients come in by one node.
pub(crate) fn entry(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let rows = ask.rows(&ENTRY_NODES, &[])?;
    let mut nodes = Vec::new();
    for row in &rows {
        let (node, clients): (String, i64) = (column(row, "node")?, column(row, "clients")?);
        nodes.push(format!("{clients} on {node}"));
    }
    if nodes.len() < 2 {
        return Ok(ask.ok(format!("clients: {}", nodes.join(", "))));
    }
    Ok(vec![
        ask.warning(format!("clients come in by {} nodes: {}", nodes.len(), nodes.join(", ")))
            .means("advisory locks and notifications stay on a node: living processes are taken for dead, which makes topics suspect and slow, and messages are found by polling")
            .advice("lead the URLs of all programs of this schema to one node"),
    ])
}
