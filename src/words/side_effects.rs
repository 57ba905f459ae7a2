//! What a caller's SQL did beyond the rows that it read and wrote: to its transaction, and to the
//! connection.
//!
//! The server's command tags say what it ran, and texts show what no tag says. Neither shows what a
//! function does inside.

use crate::words::control::each_command;

/// What the SQL of a caller did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SideEffects(u16);

impl SideEffects {
    /// Something that lasts longer than a statement, and can be put back as it was: a setting, a
    /// role, a temporary table, a cursor, a channel.
    pub(crate) const SET: SideEffects = SideEffects(1);
    /// The same, which a rollback does not undo: advisory locks of the session.
    pub(crate) const LOCKED: SideEffects = SideEffects(1 << 1);
    /// What cannot be put back: statements that were prepared or dropped, a seed, a library.
    pub(crate) const SPOILT: SideEffects = SideEffects(1 << 2);
    /// Opened or released a savepoint.
    pub(crate) const SAVED: SideEffects = SideEffects(1 << 3);
    /// Rolled back, to a savepoint or at all.
    pub(crate) const ROLLED_BACK: SideEffects = SideEffects(1 << 4);
    pub(crate) const BEGUN: SideEffects = SideEffects(1 << 5);
    pub(crate) const COMMITTED: SideEffects = SideEffects(1 << 6);
    /// Said CHAIN, with which a rollback leaves another transaction open.
    pub(crate) const CHAINED: SideEffects = SideEffects(1 << 7);
    /// No transaction was open afterwards.
    pub(crate) const ENDED: SideEffects = SideEffects(1 << 8);
    /// Left it failed, where that could not be told before it was rolled back.
    pub(crate) const FAILED: SideEffects = SideEffects(1 << 10);
    /// Was kept from ending the transaction; the connection is cut.
    pub(crate) const STOPPED: SideEffects = SideEffects(1 << 9);

    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    pub(crate) fn of_bits(bits: u16) -> SideEffects {
        SideEffects(bits)
    }

    pub(crate) fn add(&mut self, other: SideEffects) {
        self.0 |= other.0;
    }

    pub(crate) fn without(self, other: SideEffects) -> SideEffects {
        SideEffects(self.0 & !other.0)
    }

    /// Returns whether it did any of these.
    pub(crate) fn any(self, of: &[SideEffects]) -> bool {
        of.iter().any(|one| self.0 & one.0 != 0)
    }

    /// Returns whether the connection is not as it was.
    pub(crate) fn is_lasting(self) -> bool {
        self.any(&[SideEffects::SET, SideEffects::LOCKED, SideEffects::SPOILT])
    }

    /// Reads the tag with which the server says that a command was carried out: a word or two, and
    /// numbers. A command that is not known here counts as one that lasts.
    pub(crate) fn of_tag(tag: &[u8]) -> SideEffects {
        let mut words = tag.split(|byte| matches!(byte, b' ' | 0));
        let first = words.next().unwrap_or_default();
        match (first, words.next().unwrap_or_default()) {
            (b"INSERT" | b"SELECT" | b"UPDATE" | b"DELETE" | b"MERGE" | b"COPY" | b"", _)
            | (b"FETCH" | b"MOVE" | b"SHOW" | b"EXPLAIN" | b"NOTIFY" | b"ANALYZE", _)
            | (b"VALUES" | b"WITH" | b"TABLE", _)
            | (b"LOCK" | b"TRUNCATE", _) => SideEffects::default(),
            (b"SAVEPOINT" | b"RELEASE", _) => SideEffects::SAVED,
            (b"ROLLBACK", _) => SideEffects::ROLLED_BACK,
            (b"BEGIN" | b"START", _) => SideEffects::BEGUN,
            (b"COMMIT", _) | (b"PREPARE", b"TRANSACTION") => SideEffects::COMMITTED,
            (b"PREPARE" | b"DEALLOCATE" | b"DISCARD" | b"LOAD", _) => SideEffects::SPOILT,
            _ => SideEffects::SET,
        }
    }

    /// Reads a text for what no tag shows.
    pub(crate) fn hidden_in(sql: &[u8]) -> SideEffects {
        const SIGNS: [(&[u8], SideEffects); 4] = [
            (b"set_config", SideEffects::SET),
            (b"advisory_lock", SideEffects::LOCKED),
            (b"setseed", SideEffects::SPOILT),
            (b"dblink_connect", SideEffects::SPOILT),
        ];
        let mut did = SideEffects::default();
        let is_at = |at: usize, sign: &[u8]| {
            let found = sql.get(at..at + sign.len());
            found.is_some_and(|found| found.eq_ignore_ascii_case(sign))
        };
        for (at, byte) in sql.iter().enumerate() {
            match byte | 0x20 {
                b's' | b'a' | b'd' => {}
                // SELECT … INTO TEMP and CREATE TEMP TABLE … AS have the tag of a query.
                b't' if is_at(at, b"temp") && follows(sql, at, &MADE) => did.add(SideEffects::SET),
                b'c' if is_at(at, b"chain") && follows(sql, at, &[b"AND"]) => {
                    did.add(SideEffects::CHAINED)
                }
                _ => continue,
            }
            let mut signs = SIGNS.iter().filter(|(sign, _)| is_at(at, sign));
            if let Some((_, what)) = signs.next() {
                did.add(*what);
            }
        }
        did
    }

    /// Reads from the commands of a text what their tags would say.
    pub(crate) fn as_written(sql: &str) -> SideEffects {
        let mut did = SideEffects::default();
        each_command(sql.as_bytes(), |command| {
            let words = [0, 1].map(|at| command.word(at).to_ascii_uppercase());
            did.add(SideEffects::of_tag(&words.join(&b' ')));
            true
        });
        did
    }
}

/// What a word follows that says what is made or filled.
const MADE: [&[u8]; 4] = [b"CREATE", b"INTO", b"LOCAL", b"GLOBAL"];

/// Returns whether the word at `at` comes after one of these.
fn follows(sql: &[u8], at: usize, words: &[&[u8]]) -> bool {
    let before = sql[..at].trim_ascii_end();
    let mut words = words.iter();
    before.len() < at
        && words.any(|word| {
            let start = before.len().checked_sub(word.len());
            start.is_some_and(|start| before[start..].eq_ignore_ascii_case(word))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_tag(tag: &str, expected: SideEffects) {
        assert_eq!(SideEffects::of_tag(tag.as_bytes()), expected, "{tag}");
    }

    #[test]
    fn tags_say_what_was_done() {
        for tag in ["SELECT 1", "INSERT 0 1", "UPDATE 3\0", "LOCK TABLE", ""] {
            check_tag(tag, SideEffects::default());
        }
        for tag in [
            "SET",
            "RESET",
            "LISTEN",
            "CREATE TABLE",
            "DO",
            "CALL",
            "NEW",
        ] {
            check_tag(tag, SideEffects::SET);
        }
        check_tag("COMMIT\0", SideEffects::COMMITTED);
        check_tag("PREPARE TRANSACTION", SideEffects::COMMITTED);
        check_tag("PREPARE", SideEffects::SPOILT);
        check_tag("DEALLOCATE ALL", SideEffects::SPOILT);
        check_tag("ROLLBACK", SideEffects::ROLLED_BACK);
        check_tag("START TRANSACTION", SideEffects::BEGUN);
        assert_eq!(
            SideEffects::as_written("select 1; Set x = 1; savepoint s"),
            SideEffects(SideEffects::SET.0 | SideEffects::SAVED.0)
        );
    }

    #[track_caller]
    fn check_hidden(sql: &str, expected: SideEffects) {
        assert_eq!(SideEffects::hidden_in(sql.as_bytes()), expected, "{sql}");
    }

    #[test]
    fn texts_say_what_tags_do_not() {
        check_hidden(
            "SELECT pg_catalog.Set_Config($1, $2, true)",
            SideEffects::SET,
        );
        check_hidden("SELECT pg_try_advisory_lock(1)", SideEffects::LOCKED);
        check_hidden("SELECT pg_advisory_xact_lock(1)", SideEffects::default());
        check_hidden("SELECT 1 INTO TEMP t", SideEffects::SET);
        check_hidden("create  temporary table t as select 1", SideEffects::SET);
        check_hidden("SELECT temp, attempt FROM weather", SideEffects::default());
        check_hidden("ROLLBACK AND CHAIN", SideEffects::CHAINED);
    }
}
