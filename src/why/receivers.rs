//! Who receives a topic, who of them wants a message, and which worker handles it.

use crate::db::{Run, Statement, column, query, sql};
use crate::message::claimed::time;
use crate::processes::running::{RunningHandler, UNSEEN_S};
use crate::why::answer::{HandlingWorker, Obstacle, TopicReceiver};
use crate::why::holder::LockSessions;
use crate::words::{Filter, Headers, MessageId, Result};
use postgres::Row;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

static WHY_RECEIVERS: Statement = sql!("why_receivers", Anew);

/// The receivers of a topic, dead or alive.
pub(crate) struct Receivers {
    enlisted: Vec<Enlisted>,
    /// What their ids are mixed with to be the keys of their advisory locks.
    namespace: i64,
}

/// A receiver that may live.
struct Enlisted {
    told: TopicReceiver,
    holds_lock: bool,
    was_seen: bool,
    /// What its workers handled when it was seen last, each for so long by now.
    handlers: Vec<RunningHandler>,
}

impl Enlisted {
    fn read(row: &Row) -> Result<Self> {
        let pid: Option<i64> = column(row, "pid")?;
        let workers: Option<i64> = column(row, "workers")?;
        let seen_ago = Duration::from_micros(column::<i64>(row, "seen_ago_us")?.unsigned_abs());
        let handlers: Option<&str> = column(row, "handlers")?;
        // Other programs write rows, too.
        let handlers = handlers.and_then(|text| serde_json::from_str(text).ok());
        let mut handlers: Vec<RunningHandler> = handlers.unwrap_or_default();
        for handler in &mut handlers {
            handler.running_for = handler.running_for.saturating_add(seen_ago);
        }
        Ok(Enlisted {
            told: TopicReceiver {
                receiver: column(row, "id")?,
                process: column(row, "process")?,
                host: column(row, "host")?,
                pid: pid.and_then(|pid| u32::try_from(pid).ok()),
                workers: workers.and_then(|workers| u64::try_from(workers).ok()),
                filter: column(row, "filter")?,
                started_at: time(column(row, "started_at_us")?),
            },
            holds_lock: column(row, "holds_lock")?,
            was_seen: column(row, "was_seen")?,
            handlers,
        })
    }
}

impl Receivers {
    /// Looks who receives a topic.
    pub(crate) fn ask(run: &mut dyn Run, topic: &str, namespace: i64) -> Result<Self> {
        let doing = "looking at the receivers of a topic";
        let rows = query(run, &WHY_RECEIVERS, &[&topic, &UNSEEN_S], doing)?;
        Ok(Receivers {
            enlisted: rows.iter().map(Enlisted::read).collect::<Result<_>>()?,
            namespace,
        })
    }

    /// Returns the keys of the advisory locks by which they show that they live.
    pub(crate) fn lock_keys(&self) -> Vec<i64> {
        let locked = self.enlisted.iter().filter(|one| one.holds_lock);
        locked
            .map(|one| self.namespace ^ one.told.receiver)
            .collect()
    }

    /// Returns whether somebody receives who shows by no lock that it lives.
    pub(crate) fn has_lockless(&self) -> bool {
        self.enlisted
            .iter()
            .any(|one| !one.holds_lock && one.was_seen)
    }

    /// Returns those that live.
    pub(crate) fn living(&self, sessions: &LockSessions) -> Vec<TopicReceiver> {
        let lives = |one: &&Enlisted| match one.holds_lock {
            true => sessions.holds(self.namespace ^ one.told.receiver),
            false => one.was_seen,
        };
        let living = self.enlisted.iter().filter(lives);
        living.map(|one| one.told.clone()).collect()
    }

    /// Returns which worker handles a message, by its own last sign of life: one that has the
    /// message, or the session that has it in hand.
    pub(crate) fn handling(&self, id: MessageId, session: Option<i32>) -> Option<HandlingWorker> {
        let is_it = |handler: &&RunningHandler| {
            handler.ids.contains(&id) || session.is_some() && handler.server_process == session
        };
        self.enlisted.iter().find_map(|one| {
            let handler = one.handlers.iter().find(is_it)?;
            Some(HandlingWorker {
                process: one.told.process.clone(),
                host: one.told.host.clone(),
                pid: one.told.pid,
                worker: handler.worker,
                running_for: handler.running_for,
            })
        })
    }
}

/// Says that nobody who lives wants a message with these headers, if so.
pub(crate) fn unreceived(living: &[TopicReceiver], headers: Option<&str>) -> Option<Obstacle> {
    if living.is_empty() {
        return Some(Obstacle::NoReceiver);
    }
    let (texts, nulls) = parts(headers);
    let wants = |filter: &Option<String>| {
        let Some(filter) = filter else {
            return true;
        };
        // One of a later release, which this one cannot read, may want it.
        let filter = filter.parse::<Filter>();
        filter.map_or(true, |filter| filter.matches(&texts, &nulls))
    };
    let is_wanted = living.iter().any(|one| wants(&one.filter));
    let filters = living.iter().filter_map(|one| one.filter.clone());
    let filters: BTreeSet<String> = filters.collect();
    (!is_wanted).then(|| Obstacle::NotWanted {
        filters: filters.into_iter().collect(),
    })
}

/// Returns the headers as a filter takes them: the texts, and the names of those without a value.
fn parts(headers: Option<&str>) -> (Headers, BTreeSet<String>) {
    let read = headers.and_then(|text| serde_json::from_str(text).ok());
    let read: BTreeMap<String, Value> = read.unwrap_or_default();
    let (mut texts, mut nulls) = (Headers::new(), BTreeSet::new());
    for (name, value) in read {
        match value {
            Value::String(text) => drop(texts.insert(name, text)),
            Value::Null => drop(nulls.insert(name)),
            // As the database takes it for a text.
            other => drop(texts.insert(name, other.to_string())),
        }
    }
    (texts, nulls)
}
