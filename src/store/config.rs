//! What operators set for topics.

use crate::store::room;
use crate::store::run::{Run, column, execute, query};
use crate::store::statements::Statements;
use crate::store::tokens;
use crate::words::Result;
use crate::words::topic_config::TopicConfig;
use postgres::types::ToSql;
use uuid::Uuid;

const DOING: &str = "setting up a topic";

/// What was set for one topic.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Setting {
    pub(crate) config: TopicConfig,
    pub(crate) is_paused: bool,
    /// The names of settings that this release cannot read.
    pub(crate) unreadable: Vec<String>,
}

/// Returns all topics for which something is set.
pub(crate) fn settings(
    run: &mut dyn Run,
    statements: &Statements,
) -> Result<Vec<(String, Setting)>> {
    query(
        run,
        &statements.configs,
        &[],
        "reading the settings of topics",
    )?
    .iter()
    .map(|row| {
        let topic: String = column(row, "topic")?;
        let document: Option<&str> = column(row, "config")?;
        let (config, unreadable) = document.map(TopicConfig::read).unwrap_or_default();
        let setting = Setting {
            config,
            is_paused: column(row, "is_paused")?,
            unreadable,
        };
        Ok((topic, setting))
    })
    .collect()
}

/// Returns the settings of a topic, which nobody else changes until the caller's transaction ends.
pub(crate) fn lock(run: &mut dyn Run, statements: &Statements, topic: &str) -> Result<TopicConfig> {
    let rows = query(run, &statements.lock_config, &[&topic], DOING)?;
    let document: Option<&str> = rows.first().map_or(Ok(None), |row| column(row, "config"))?;
    let config = document.map(TopicConfig::read);
    Ok(config.map(|(config, _)| config).unwrap_or_default())
}

/// Sets what holds for a topic. Where that is more or less for its keys, they are stalled: the caller tends them.
pub(crate) fn configure(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
    config: &TopicConfig,
) -> Result<()> {
    let text = (*config != TopicConfig::default())
        .then(|| serde_json::to_string(config).expect("settings that were checked are JSON"));
    let said_by = Uuid::now_v7();
    let params: [&(dyn ToSql + Sync); 3] = [&topic, &text, &said_by];
    execute(run, &statements.configure, &params, DOING).map(drop)
}

/// Forgets what was counted under the settings before, when others are set.
pub(crate) fn forget_counts(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
    config: &TopicConfig,
) -> Result<()> {
    // What was counted under another limit, or none, says nothing.
    room::forget(run, statements, topic)?;
    tokens::forget(run, statements, topic, config)
}

pub(crate) fn pause(run: &mut dyn Run, statements: &Statements, topic: &str) -> Result<()> {
    execute(run, &statements.pause, &[&topic], "pausing a topic").map(drop)
}

pub(crate) fn resume(run: &mut dyn Run, statements: &Statements, topic: &str) -> Result<()> {
    execute(run, &statements.resume, &[&topic], "resuming a topic").map(drop)
}
