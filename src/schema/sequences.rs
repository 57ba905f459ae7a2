//! Sequences that are behind the rows of their tables.
//!
//! Logical replication and partial restores copy rows without the values of sequences. New rows
//! then get numbers that existing rows have: sends fail, or messages overtake earlier ones of their
//! key.

use crate::schema::distributed::is_distributed;
use crate::schema::name::SchemaName;
use crate::words::{Doing, Error, ErrorKind, Result, classify};
use postgres::GenericClient;
use postgres::types::Type;

/// How far beyond the largest number a sequence is moved: more numbers than others can take between
/// the look and the move, so that a sequence never moves back.
const MARGIN: i64 = 1_000_000;

/// A sequence that is behind its table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    name: String,
    /// The largest number of a row.
    number: i64,
}

impl Behind {
    pub(crate) fn title(&self) -> String {
        format!("sequence {}", self.name)
    }
}

/// Returns the sequences that are behind. Returns none if the role may not read them, since it need
/// not be the schema's owner, and none on Citus, whose nodes have ranges of their own.
pub(crate) fn behind(client: &mut impl GenericClient, schema: &SchemaName) -> Result<Vec<Behind>> {
    let failed = |error| classify(error, "comparing sequences with their tables");
    if is_distributed(client).map_err(failed)? {
        return Ok(Vec::new());
    }
    let sql = schema.substitute(include_str!("sequences.sql"));
    let rows = match client.query_typed(&sql, &[]).map_err(failed) {
        Err(error) if error.kind() == ErrorKind::Denied => return Ok(Vec::new()),
        rows => rows?,
    };
    rows.iter()
        .map(|row| {
            Ok(Behind {
                name: row.try_get(0)?,
                number: row.try_get(1)?,
            })
        })
        .collect::<Result<_, _>>()
        .map_err(failed)
}

/// Moves a sequence beyond the rows of its table.
pub(crate) fn advance(
    client: &mut impl GenericClient,
    schema: &SchemaName,
    behind: &Behind,
) -> Result<()> {
    let sequence = schema.substitute(&format!("outtray.{}", behind.name));
    let value = behind.number.checked_add(MARGIN).ok_or_else(|| {
        let text = format!("the {} cannot go beyond {}", behind.title(), behind.number);
        Error::new(ErrorKind::Database, text)
    })?;
    client
        .query_typed_one(
            "SELECT pg_catalog.setval($1::text::regclass, $2::bigint)",
            &[(&sequence, Type::TEXT), (&value, Type::INT8)],
        )
        .map(drop)
        .doing("moving a sequence")
}
