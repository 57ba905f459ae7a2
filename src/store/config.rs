//! What operators set for topics.

use crate::store::room;
use crate::store::run::{Run, column, execute, query};
use crate::store::statements::Statements;
use crate::store::tokens;
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::topic_config::TopicConfig;

/// What was set for one topic.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Setting {
    pub(crate) config: TopicConfig,
    pub(crate) is_paused: bool,
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
        let config = read(&topic, column(row, "config")?)?;
        let is_paused = column(row, "is_paused")?;
        Ok((topic, Setting { config, is_paused }))
    })
    .collect()
}

pub(crate) fn configure(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
    config: &TopicConfig,
) -> Result<()> {
    let text = (*config != TopicConfig::default())
        .then(|| serde_json::to_string(config).expect("settings that were checked are JSON"));
    let doing = "setting up a topic";
    // What was counted under another limit, or none, says nothing. First, since it waits for senders, with the row of the
    // topic not locked yet.
    room::forget(run, statements, topic)?;
    execute(run, &statements.configure, &[&topic, &text], doing)?;
    tokens::forget(run, statements, topic, config)
}

pub(crate) fn pause(run: &mut dyn Run, statements: &Statements, topic: &str) -> Result<()> {
    execute(run, &statements.pause, &[&topic], "pausing a topic").map(drop)
}

pub(crate) fn resume(run: &mut dyn Run, statements: &Statements, topic: &str) -> Result<()> {
    execute(run, &statements.resume, &[&topic], "resuming a topic").map(drop)
}

/// Reads a document. Settings of a newer release are passed over.
fn read(topic: &str, text: Option<&str>) -> Result<TopicConfig> {
    let Some(text) = text else {
        return Ok(TopicConfig::default());
    };
    serde_json::from_str(text).map_err(|error| {
        let text = format!("the settings of topic {topic} cannot be read: configure it again");
        Error::new(ErrorKind::Database, text).because(error)
    })
}
