//! Changes what a dead letter carries, before it is redriven.

use crate::db::{Params, Run, Statement, column, execute, query, sql};
use crate::message::columns::content;
use crate::message::written;
use crate::words::finite::to_json;
use crate::words::headers;
use crate::words::{Error, ErrorKind, Headers, NewMessage, Payload, Result};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

static EDIT_DEAD: Statement = sql!("edit_dead", Anew);
static HOLD_DEAD: Statement = sql!("hold_dead", Anew);

const DOING: &str = "editing a dead letter";

/// What of a message is to be another, for [`redrive_edited`](crate::Topic::redrive_edited). All
/// that is not said stays as it is.
///
/// ```
/// use outtray::Edit;
///
/// let edit = Edit::new()
///     .json(&serde_json::json!({"amount": 12}))?
///     .header("mended-by", "ada")
///     .without_header("amount");
/// # Ok::<(), outtray::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "an edit is made by Topic::redrive_edited"]
pub struct Edit {
    payload: Option<Payload>,
    /// Whether the headers of before are all gone.
    is_anew: bool,
    /// Headers to be set; `None`: to be removed.
    headers: BTreeMap<String, Option<String>>,
}

impl Edit {
    /// Makes one that changes nothing.
    pub fn new() -> Self {
        Edit::default()
    }

    /// Replaces the payload by a value as JSON.
    ///
    /// # Errors
    /// `Payload` when the value cannot become JSON.
    pub fn json<T: Serialize + ?Sized>(self, payload: &T) -> Result<Self> {
        let text = to_json(payload).map_err(|error| {
            let text = format!("the payload cannot become JSON: {error}");
            Error::new(ErrorKind::Payload, text).because(error)
        })?;
        Ok(self.payload(Payload::json(text)))
    }

    /// Replaces the payload by JSON text, which is checked when the message is redriven.
    pub fn json_text(self, text: impl Into<String>) -> Self {
        self.payload(Payload::json(text.into()))
    }

    /// Replaces the payload by bytes.
    pub fn bytes(self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload(Payload::Bytes(payload.into()))
    }

    fn payload(mut self, payload: Payload) -> Self {
        self.payload = Some(payload);
        self
    }

    /// Adds a header, or replaces the one of that name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), Some(value.into()));
        self
    }

    /// Removes a header.
    pub fn without_header(mut self, name: impl Into<String>) -> Self {
        self.headers.insert(name.into(), None);
        self
    }

    /// Replaces all headers by these.
    pub fn headers(mut self, headers: Headers) -> Self {
        self.is_anew = true;
        let texts = headers.into_iter();
        self.headers = texts.map(|(name, value)| (name, Some(value))).collect();
        self
    }

    /// Returns the message as it is going to be, checked as one that is sent is.
    fn applied(
        &self,
        topic: &str,
        stored: Option<&str>,
        content: Payload,
        max_payload_bytes: usize,
    ) -> Result<NewMessage> {
        let mut headers = match (self.is_anew, stored) {
            (true, _) | (_, None) => BTreeMap::new(),
            (false, Some(stored)) => serde_json::from_str(stored).map_err(|error| {
                let text = format!(
                    "the headers of a dead letter of topic {topic} cannot be read: replace all of them"
                );
                Error::invalid(text).because(error)
            })?,
        };
        for (name, value) in &self.headers {
            match value {
                Some(value) => headers.insert(name.clone(), Some(value.clone())),
                None => headers.remove(name),
            };
        }
        let mut message = match &self.payload {
            Some(Payload::Json(text)) => NewMessage::json_text(topic, text.get())?,
            Some(payload) => NewMessage::with(topic, payload.clone()),
            None => NewMessage::with(topic, content),
        };
        for (name, value) in headers {
            message = match value {
                Some(value) => message.header(name, value),
                None => message.null_header(name),
            };
        }
        message.check(max_payload_bytes)?;
        Ok(message)
    }
}

/// Changes a dead letter as an edit says, in the caller's transaction. Returns what the list of
/// changes keeps of how it was, which is no value of it; `None` if there is no such dead letter.
pub(crate) fn edit(
    run: &mut dyn Run,
    topic: &str,
    id: Uuid,
    edit: &Edit,
    max_payload_bytes: usize,
) -> Result<Option<Value>> {
    let rows = query(run, &HOLD_DEAD, &[&topic, &id], DOING)?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let stored: Option<&str> = column(row, "headers")?;
    let message = edit.applied(topic, stored, content(row)?, max_payload_bytes)?;
    let (payload, body) = written::content(&message);
    let headers = headers::written(&message.headers, &message.rare.null_headers);
    let params: Params<'_> = &[&topic, &id, &headers, &payload, &body];
    execute(run, &EDIT_DEAD, params, DOING)?;
    let (bytes, hash): (i64, String) = (column(row, "bytes")?, column(row, "hash")?);
    let names: BTreeSet<&String> = edit.headers.keys().collect();
    Ok(Some(json!({
        "payload_replaced": edit.payload.is_some(), "old_payload_bytes": bytes, "old_payload_sha256": hash,
        "headers": names, "all_headers_replaced": edit.is_anew
    })))
}
