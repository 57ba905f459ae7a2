//! The schema's name: the one dynamic identifier of the system.

use crate::words::{Error, Result};
use std::borrow::Cow;
use std::sync::Arc;

/// PostgreSQL silently truncates identifiers and NOTIFY channels to 63 bytes.
const MAX_BYTES: usize = 63;

/// The schema's name as written in statements.
const USUAL: &str = "outtray";

/// A schema name that is safe to place into SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchemaName(Arc<str>);

impl SchemaName {
    /// Checks a name: a letter or underscore, then letters, digits and underscores, ASCII, at most
    /// 63 bytes, not beginning with `pg_`.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let reads_well = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !starts_well || !reads_well || name.len() > MAX_BYTES {
            let shown: String = name.chars().take(64).collect();
            return Err(Error::invalid(format!(
                "schema name \"{}\" is not allowed, use a letter and then letters, digits and _, \
                 at most {MAX_BYTES} in all",
                shown.escape_debug()
            )));
        }
        if name.to_ascii_lowercase().starts_with("pg_") {
            return Err(Error::invalid(format!(
                "schema name \"{name}\" is not allowed, PostgreSQL keeps pg_ for itself"
            )));
        }
        Ok(SchemaName(name.into()))
    }

    /// Replaces `outtray.` in `sql` by the quoted name.
    pub(crate) fn substitute(&self, sql: &str) -> String {
        sql.replace("outtray.", &format!("\"{}\".", self.0))
    }

    /// Like [`substitute`](Self::substitute), without a copy if the schema has the usual name.
    pub(crate) fn place<'s>(&self, sql: &'s str) -> Cow<'s, str> {
        match &*self.0 {
            USUAL => Cow::Borrowed(sql),
            _ => Cow::Owned(self.substitute(sql)),
        }
    }

    /// Returns the number that ids are mixed with to become keys of advisory locks: a hash of the
    /// name (FNV-1a), so that schemas in one database differ. All 64 bits of both count: ids may
    /// begin at any number, and no two ids of a schema share a key.
    pub(crate) fn lock_namespace(&self) -> i64 {
        let hash = format!("outtray:{}", self.0)
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        hash.cast_signed()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, is_allowed: bool) {
        assert_eq!(SchemaName::parse(name).is_ok(), is_allowed, "{name}");
    }

    #[test]
    fn only_plain_identifiers_are_schema_names() {
        check("outtray", true);
        check("_Team7", true);
        check(&"s".repeat(63), true);
        check(&"s".repeat(64), false);
        check("", false);
        check("7up", false);
        check("a-b", false);
        check("a\"; DROP SCHEMA public; --", false);
        check("a'b", false);
        check("line\nbreak", false);
        check("größe", false);
        check("pg_catalog", false);
        check("PG_x", false);
    }

    #[test]
    fn the_name_replaces_the_marked_token_everywhere() {
        let name = SchemaName::parse("Team7").unwrap();
        assert_eq!(
            name.substitute("SELECT nextval('outtray.message_seq') FROM outtray.message"),
            "SELECT nextval('\"Team7\".message_seq') FROM \"Team7\".message"
        );
    }
}
