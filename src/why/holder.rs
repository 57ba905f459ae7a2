//! Who has a row in hand.
//!
//! Whoever locks a row writes the number of its transaction into it, where it stays, and holds a
//! lock on that number, which everybody can see, until its transaction ends. So an open transaction
//! whose number is in a row has the row in hand, or had it and let go of it in a savepoint. Several
//! who share a row make a list, whose number is in the row instead.
//!
//! Nothing tells that a session is a worker's. Workers are sessions of the program that shows by an
//! advisory lock that its receiver lives: of the same role, with the same name, from the same
//! address. A session of the same program that is not a worker's counts as one.

use crate::db::{Params, Run, Statement, column, query, sql};
use crate::words::Result;
use postgres::Row;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

static LOCK_MEMBERS: Statement = sql!("lock_members", Anew);
static TOLD_HOLDERS: Statement = sql!("told_holders", Anew);

const DOING: &str = "looking who has rows in hand";

/// A session of the server that has a row in hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LockHolder {
    /// Its server process; `None` for a transaction that is prepared, or on another node.
    pub server_process: Option<i32>,
    /// What its program calls itself, its `application_name`.
    pub program: Option<String>,
    /// The role that it logged in as.
    pub role: Option<String>,
    /// The address that it came from; `None` for a socket file, or where this role may not see it.
    pub client: Option<String>,
    /// What it does: `active`, `idle in transaction` and so on; `None` where this role may not see
    /// it.
    pub state: Option<String>,
    /// How long its transaction has been open; `None` where this role may not see it.
    #[serde(rename = "open_ms", with = "crate::words::millis::optional")]
    pub open_for: Option<Duration>,
    /// How long it has been in its state; `None` where this role may not see it.
    #[serde(rename = "state_ms", with = "crate::words::millis::optional")]
    pub state_for: Option<Duration>,
}

impl LockHolder {
    fn read(row: &Row) -> Result<Self> {
        let span = |name| -> Result<Option<Duration>> {
            let ms: Option<i64> = column(row, name)?;
            Ok(ms.map(|ms| Duration::from_millis(ms.unsigned_abs())))
        };
        Ok(LockHolder {
            server_process: column(row, "server_process")?,
            program: column(row, "program")?,
            role: column(row, "role")?,
            client: column(row, "client")?,
            state: column(row, "state")?,
            open_for: span("open_ms")?,
            state_for: span("since_ms")?,
        })
    }

    /// Returns whether this may be a session of the same program as another one.
    fn is_akin(&self, other: &LockHolder) -> bool {
        self.program == other.program && self.role == other.role && self.client == other.client
    }
}

/// The sessions that were asked for.
#[derive(Debug, Default)]
pub(crate) struct LockSessions {
    transactions: BTreeMap<String, LockHolder>,
    /// Those that hold advisory locks, by the keys of these.
    keys: BTreeMap<i64, LockHolder>,
}

impl LockSessions {
    /// Looks who has these transactions, and who holds the advisory locks of these keys.
    pub(crate) fn ask(
        run: &mut dyn Run,
        transactions: &BTreeSet<String>,
        keys: &[i64],
    ) -> Result<Self> {
        let mut found = LockSessions::default();
        if transactions.is_empty() && keys.is_empty() {
            return Ok(found);
        }
        found.add(run, transactions, keys)?;
        let open = &found.transactions;
        let unknown = transactions.iter().filter(|one| !open.contains_key(*one));
        let unknown: Vec<&str> = unknown.map(String::as_str).collect();
        if !unknown.is_empty() {
            found.add_shared(run, &unknown)?;
        }
        Ok(found)
    }

    fn add(
        &mut self,
        run: &mut dyn Run,
        transactions: &BTreeSet<String>,
        keys: &[i64],
    ) -> Result<()> {
        let transactions: Vec<&str> = transactions.iter().map(String::as_str).collect();
        let params: Params<'_> = &[&transactions, &keys];
        for row in query(run, &TOLD_HOLDERS, params, DOING)? {
            let holder = LockHolder::read(&row)?;
            if let Some(transaction) = column::<Option<String>>(&row, "transaction")? {
                self.transactions.insert(transaction, holder);
            } else if let Some(key) = column::<Option<i64>>(&row, "key")? {
                self.keys.insert(key, holder);
            }
        }
        Ok(())
    }

    /// Looks who shares locks of these numbers: of each the first who is there.
    fn add_shared(&mut self, run: &mut dyn Run, numbers: &[&str]) -> Result<()> {
        let mut members = Vec::<(String, String)>::new();
        for row in query(run, &LOCK_MEMBERS, &[&numbers], DOING)? {
            members.push((column(&row, "holder")?, column(&row, "transaction")?));
        }
        if members.is_empty() {
            return Ok(());
        }
        let transactions = members.iter().map(|(_, transaction)| transaction.clone());
        self.add(run, &transactions.collect(), &[])?;
        for (number, transaction) in members {
            if let Some(session) = self.transactions.get(&transaction).cloned() {
                self.transactions.entry(number).or_insert(session);
            }
        }
        Ok(())
    }

    /// Returns who has this transaction open.
    pub(crate) fn of(&self, transaction: Option<&str>) -> Option<&LockHolder> {
        self.transactions.get(transaction?)
    }

    pub(crate) fn holds(&self, key: i64) -> bool {
        self.keys.contains_key(&key)
    }

    /// Returns whether a session is of a program that holds one of the advisory locks, for all that
    /// can be seen.
    pub(crate) fn is_receiving(&self, holder: &LockHolder) -> bool {
        self.keys.values().any(|session| session.is_akin(holder))
    }

    /// Returns the server processes of which this role may not see what they do.
    pub(crate) fn hidden(&self) -> BTreeSet<i32> {
        let sessions = self.transactions.values();
        let hidden = sessions.filter(|session| session.state.is_none());
        hidden
            .filter_map(|session| session.server_process)
            .collect()
    }
}
