//! What operators set for topics.

pub(crate) mod cache;

use crate::db::{Params, Run, Statement, column, execute, query, sql};
use crate::words::topic_config::PoisonedKey;
use crate::words::topic_document::{Document, Read};
use crate::words::{Result, TopicConfig};
use uuid::Uuid;

static CONFIG_ACCESS: Statement = sql!("config_access", Kept);
static CONFIGS: Statement = sql!("configs", Kept);
static CONFIGURE: Statement = sql!("configure", Kept);
static LOCK_CONFIG: Statement = sql!("lock_config", Kept);
static PAUSE: Statement = sql!("pause", Kept);
static RESUME: Statement = sql!("resume", Kept);

const DOING: &str = "setting up a topic";

/// What was set for one topic.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Setting {
    pub(crate) config: TopicConfig,
    pub(crate) is_paused: bool,
    /// When something of it was changed last, in microseconds since 1970.
    pub(crate) changed_at_us: i64,
    /// The names of settings that this release cannot read.
    pub(crate) unreadable: Vec<String>,
}

/// Returns all topics for which something is set.
pub(crate) fn settings(run: &mut dyn Run) -> Result<Vec<(String, Setting)>> {
    query(run, &CONFIGS, &[], "reading the settings of topics")?
        .iter()
        .map(|row| {
            let topic: String = column(row, "topic")?;
            let document: Option<&str> = column(row, "config")?;
            let Read { config, unreadable } = document.map(read).unwrap_or_default();
            let setting = Setting {
                config,
                is_paused: column(row, "is_paused")?,
                changed_at_us: column::<Option<i64>>(row, "changed_at_us")?.unwrap_or_default(),
                unreadable,
            };
            Ok((topic, setting))
        })
        .collect()
}

/// Reads a document. One that is no object is named as a whole.
fn read(document: &str) -> Read {
    match Document::parse(document) {
        Some(document) => document.read(),
        None => Read {
            unreadable: vec!["all".to_owned()],
            ..Read::default()
        },
    }
}

/// How settings can be read in a transaction of the caller's.
#[derive(Debug)]
pub(crate) struct Access {
    /// Whether the role may read them: a refusal would abort the transaction.
    pub(crate) is_allowed: bool,
    /// Whether a statement sees what is set now, and not what was set when the transaction began.
    pub(crate) sees_latest: bool,
}

/// Returns how settings can be read in this transaction.
pub(crate) fn access(run: &mut dyn Run) -> Result<Access> {
    let doing = "asking for the settings of topics";
    let rows = query(run, &CONFIG_ACCESS, &[], doing)?;
    let asked = |name| rows.first().map_or(Ok(false), |row| column(row, name));
    Ok(Access {
        is_allowed: asked("is_allowed")?,
        sees_latest: asked("sees_latest")?,
    })
}

/// Returns the settings of a topic, which nobody else changes until the caller's transaction ends.
pub(crate) fn lock(run: &mut dyn Run, topic: &str) -> Result<Document> {
    let rows = query(run, &LOCK_CONFIG, &[&topic], DOING)?;
    let document: Option<&str> = rows.first().map_or(Ok(None), |row| column(row, "config"))?;
    Ok(document.and_then(Document::parse).unwrap_or_default())
}

/// Sets what holds for a topic, in the document that [`lock`] returned. Where that is more or less
/// for its keys than `before`, they are stalled: the caller tends them.
pub(crate) fn configure(
    run: &mut dyn Run,
    topic: &str,
    before: &TopicConfig,
    document: Document,
    config: &TopicConfig,
) -> Result<()> {
    let is_new_for_keys = for_keys(before) != for_keys(config);
    let text = document.changed_to(config);
    let said_by = Uuid::now_v7();
    let params: Params<'_> = &[&topic, &text, &said_by, &is_new_for_keys];
    execute(run, &CONFIGURE, params, DOING).map(drop)
}

/// Returns what of the settings decides about the lines of keys.
fn for_keys(config: &TopicConfig) -> (u32, PoisonedKey) {
    (
        config.max_in_work_per_key.unwrap_or(1),
        config.poisoned_key.unwrap_or(PoisonedKey::Skip),
    )
}

pub(crate) fn pause(run: &mut dyn Run, topic: &str) -> Result<()> {
    execute(run, &PAUSE, &[&topic], "pausing a topic").map(drop)
}

pub(crate) fn resume(run: &mut dyn Run, topic: &str) -> Result<()> {
    execute(run, &RESUME, &[&topic], "resuming a topic").map(drop)
}
