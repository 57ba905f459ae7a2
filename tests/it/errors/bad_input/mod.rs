//! Whatever a program gets wrong, it is told what, and what to do; nothing panics, nothing hangs,
//! nothing is stored, and the program goes on.
//!
//! Each file here is a table: what is tried, the kind of error, and a part of its text that helps.

mod connections;
mod extremes;
mod messages;
mod names;
mod numbers;
mod payloads;
mod schemas;
mod settings;

use crate::support::{PATIENCE, database};
use crossbeam_channel::{RecvTimeoutError, bounded};
use outtray::{ErrorKind, Message, Messaging};
use serde_json::Value;
use std::sync::Arc;
use std::thread;

/// Something wrong that a program may do, and what it is to be told.
struct Row {
    tried: String,
    kind: ErrorKind,
    says: &'static str,
    attempt: Attempt,
}

type Attempt = Box<dyn FnOnce(&Ground) -> outtray::Result<()> + Send>;

/// Makes a row; what a success of `attempt` would return does not matter.
fn row<R>(
    tried: impl Into<String>,
    kind: ErrorKind,
    says: &'static str,
    attempt: impl FnOnce(&Ground) -> outtray::Result<R> + Send + 'static,
) -> Row {
    Row {
        tried: tried.into(),
        kind,
        says,
        attempt: Box::new(move |ground| attempt(ground).map(drop)),
    }
}

/// A program in good order, on which things are tried.
struct Ground {
    url: String,
    messaging: Messaging,
}

impl Ground {
    fn new() -> Ground {
        let url = database();
        Ground {
            messaging: Messaging::connect(&url).unwrap(),
            url,
        }
    }

    /// Sends a message and takes it, and so shows that there is nothing else.
    fn works(&self) -> bool {
        let sent = self
            .messaging
            .session(|session| Ok(session.send_message("good", &1)?));
        let all = self.messaging.topics().unwrap();
        let handled = self.messaging.drain("good", |_, _: Message<Value>| Ok(()));
        sent.is_ok() && handled.is_ok_and(|report| report.handled == 1) && all.len() == 1
    }
}

/// Tries every row, and fails with all that did not end as it should.
#[track_caller]
fn check_all(rows: Vec<Row>) {
    let ground = Arc::new(Ground::new());
    let wrong: Vec<String> = rows
        .into_iter()
        .filter_map(|row| {
            let tried = row.tried.clone();
            check(&ground, row)
                .err()
                .map(|what| format!("{tried}: {what}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn check(ground: &Arc<Ground>, row: Row) -> Result<(), String> {
    let (told, outcome) = bounded(1);
    let theirs = Arc::clone(ground);
    thread::Builder::new()
        .spawn(move || told.send((row.attempt)(&theirs)))
        .unwrap();
    let error = match outcome.recv_timeout(PATIENCE) {
        Ok(Err(error)) => error,
        Ok(Ok(())) => return Err("is accepted".into()),
        Err(RecvTimeoutError::Disconnected) => return Err("panics".into()),
        Err(RecvTimeoutError::Timeout) => return Err("hangs".into()),
    };
    let text = error.to_string();
    if error.kind() != row.kind || !text.contains(row.says) || text.contains('\n') {
        let (kind, says) = (row.kind, row.says);
        return Err(format!(
            "{error:?}, instead of {kind:?} with \"{says}\" in one line"
        ));
    }
    if format!("{error:?}").contains("secret") {
        return Err(format!("shows a password: {error:?}"));
    }
    match ground.works() {
        true => Ok(()),
        false => Err("and then the program does not work any more, or something was stored".into()),
    }
}
