//! Detects a pooler in between that gives each transaction another server connection.
//!
//! Behind one, prepared statements and session settings belong to somebody else a moment later: at
//! best there is an error, at worst another statement of the same name runs. So this is known
//! before anything is prepared or set. A pooler makes up the server process that it announces. In
//! session mode a client then has one server process, which no other client has. In transaction
//! mode two clients that are connected at once meet the same server process, or one client meets
//! several.

use crate::connect::connection::Connection;
use crate::connect::greeting::ASK;
use crate::connect::settings::ConnectionSettings;
use crate::words::sqlstate::is_answer;
use crate::words::{Doing, Error, ErrorKind, Result, chain};
use postgres::SimpleQueryMessage;
use std::sync::Arc;
use std::time::Duration;

/// How long each answer to the question may take.
const ANSWER: Duration = Duration::from_secs(4);

/// How often two clients ask in turn, each twice in a row. A pooler that hands out the latest used
/// connection shows itself by the second client, one that goes round by the second question. More
/// often, since others are at work too.
const ROUNDS: usize = 4;

/// Opens the first connection, by the settings that fit what is between where nobody said it.
///
/// # Errors
/// Those of the settings, and of opening a connection.
pub(crate) fn open(
    settings: impl Fn(bool) -> Result<ConnectionSettings>,
    is_pooler_safe: Option<bool>,
) -> Result<(Arc<ConnectionSettings>, Connection)> {
    let first = settings(is_pooler_safe.unwrap_or(false))?;
    if is_pooler_safe.is_some() {
        first.dial.trust();
    }
    let connection = Connection::open(&first)?;
    let is_behind_pooler = connection.is_behind_pooler();
    if is_pooler_safe.is_some() || is_behind_pooler == Some(false) {
        first.dial.trust();
        return Ok((Arc::new(first), connection));
    }
    // It was not set up, and whatever it holds of the pooler is needed to find out.
    drop(connection);
    let target = &first.target;
    let is_shared = match is_shared(&first) {
        Ok(is_shared) => is_shared,
        Err(error) => {
            let why = chain(&error);
            tracing::debug!("{target}: not found out whether a pooler shares connections: {why}");
            is_behind_pooler.is_some() || !is_answer(&error)
        }
    };
    let fitting = if is_shared {
        tracing::warn!(
            "{target} is a pooler in transaction mode, or may be one: going on without LISTEN, prepared statements and session \
             settings; pooler_safe(true) says so, and pooler_safe(false) that it is not"
        );
        settings(true)?
    } else {
        first.dial.trust();
        first
    };
    let connection = Connection::open(&fitting)?;
    Ok((Arc::new(fitting), connection))
}

/// Returns whether two clients that are connected at once share server processes.
fn is_shared(settings: &ConnectionSettings) -> Result<bool> {
    let mut clients = [
        Connection::open_limited(settings, ANSWER)?,
        Connection::open_limited(settings, ANSWER)?,
    ];
    let mut seen = [None; 2];
    for _ in 0..ROUNDS {
        for client in [0, 0, 1, 1] {
            let process = process(&mut clients[client])?;
            let before = seen[client].replace(process);
            if before.is_some_and(|before| before != process) || seen[1 - client] == Some(process) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn process(connection: &mut Connection) -> Result<i32> {
    let answers = connection.client().simple_query(ASK);
    let answers = answers.doing("asking for the server process")?;
    let process = answers.iter().rev().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    process.ok_or_else(|| Error::new(ErrorKind::Server, "the server does not name its process"))
}
