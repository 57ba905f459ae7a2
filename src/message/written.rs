//! What the columns of messages are written as, by whichever statement.

use crate::db::Value;
use crate::words::headers::written;
use crate::words::limits::micros;
use crate::words::{NewMessage, Outgoing, Payload};
use postgres::types::ToSql;
use std::borrow::Cow;
use uuid::Uuid;

/// A parameter in the driver's form.
pub(crate) type Param<'p> = &'p (dyn ToSql + Sync);

/// Messages as the arrays that the bulk statements take.
pub(crate) struct Columns<'a> {
    topics: Vec<&'a str>,
    ranks: Vec<i16>,
    ids: Vec<Uuid>,
    keys: Vec<Option<&'a str>>,
    expiries: Vec<Option<i64>>,
    on_ends: Vec<Option<i16>>,
    headers: Vec<Option<Cow<'a, str>>>,
    payloads: Vec<Option<&'a str>>,
    bodies: Vec<Option<&'a [u8]>>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(messages: &'a [Outgoing]) -> Self {
        let length = messages.len();
        let mut columns = Columns {
            topics: Vec::with_capacity(length),
            ranks: Vec::with_capacity(length),
            ids: Vec::with_capacity(length),
            keys: Vec::with_capacity(length),
            expiries: Vec::with_capacity(length),
            on_ends: Vec::with_capacity(length),
            headers: Vec::with_capacity(length),
            payloads: Vec::with_capacity(length),
            bodies: Vec::with_capacity(length),
        };
        for outgoing in messages {
            let Outgoing {
                id,
                message,
                on_end,
                ..
            } = outgoing;
            let (payload, body) = content(message);
            columns.topics.push(&message.topic);
            columns.ranks.push(rank(message.priority));
            columns.ids.push(id.0);
            columns.keys.push(message.rare.key.as_deref());
            columns.expiries.push(message.rare.expires_in.map(micros));
            columns.on_ends.push(on_end.stored());
            columns.headers.push(headers(outgoing));
            columns.payloads.push(payload);
            columns.bodies.push(body);
        }
        columns
    }

    /// Returns the topics and the keys of the messages, one for each.
    pub(crate) fn lanes(&self) -> (&[&'a str], &[Option<&'a str>]) {
        (&self.topics, &self.keys)
    }

    /// Returns the parameters of statements for plain messages.
    pub(crate) fn plain(&self) -> [Param<'_>; 6] {
        [
            &self.topics,
            &self.ranks,
            &self.ids,
            &self.headers,
            &self.payloads,
            &self.bodies,
        ]
    }

    /// Returns the parameters of statements for all messages.
    pub(crate) fn full(&self) -> [Param<'_>; 9] {
        let [topics, ranks, ids, headers, payloads, bodies] = self.plain();
        let rare: [Param<'_>; 3] = [&self.keys, &self.expiries, &self.on_ends];
        let [keys, expiries, on_ends] = rare;
        [
            topics, ranks, ids, keys, expiries, on_ends, headers, payloads, bodies,
        ]
    }

    /// Returns the parameters of statements for plain messages, for a flight.
    pub(crate) fn plain_values(&self) -> [Value<'_>; 6] {
        let [topics, ranks, ids, _, _, _, headers, payloads, bodies] = self.values();
        [topics, ranks, ids, headers, payloads, bodies]
    }

    /// Returns the parameters of statements for all messages, for a flight.
    pub(crate) fn values(&self) -> [Value<'_>; 9] {
        let wide = |number: &Option<i16>| number.map(i64::from);
        [
            Value::Texts(self.topics.iter().copied().map(Some).collect()),
            Value::Numbers(self.ranks.iter().copied().map(i64::from).collect()),
            Value::Uuids(self.ids.clone()),
            Value::Texts(self.keys.clone()),
            Value::MaybeNumbers(self.expiries.clone()),
            Value::MaybeNumbers(self.on_ends.iter().map(wide).collect()),
            Value::Texts(self.headers.iter().map(Option::as_deref).collect()),
            Value::Texts(self.payloads.clone()),
            Value::MaybeBytes(self.bodies.clone()),
        ]
    }
}

/// A plain message as the statements for one take it.
pub(crate) struct Only<'a> {
    topic: &'a str,
    rank: i16,
    id: Uuid,
    headers: Option<Cow<'a, str>>,
    payload: Option<&'a str>,
    body: Option<&'a [u8]>,
}

impl<'a> Only<'a> {
    pub(crate) fn of(outgoing: &'a Outgoing) -> Self {
        let message = &outgoing.message;
        let (payload, body) = content(message);
        Only {
            topic: &message.topic,
            rank: rank(message.priority),
            id: outgoing.id.0,
            headers: headers(outgoing),
            payload,
            body,
        }
    }

    /// Returns the parameters of a statement.
    pub(crate) fn params(&self) -> [Param<'_>; 6] {
        let Only {
            topic, rank, id, ..
        } = self;
        [topic, rank, id, &self.headers, &self.payload, &self.body]
    }

    /// Returns the same for a flight.
    pub(crate) fn values(&self) -> [Value<'_>; 6] {
        [
            Value::Text(self.topic),
            Value::Number(self.rank.into()),
            Value::Uuid(self.id),
            self.headers.as_deref().map_or(Value::Null, Value::Text),
            self.payload.map_or(Value::Null, Value::Text),
            self.body.map_or(Value::Null, Value::Bytes),
        ]
    }
}

/// Returns the payload as the columns for JSON and for bytes take it; one of them is `None`.
pub(crate) fn content(message: &NewMessage) -> (Option<&str>, Option<&[u8]>) {
    match &*message.content {
        Payload::Json(text) => (Some(text.get()), None),
        Payload::Bytes(bytes) => (None, Some(bytes)),
    }
}

/// Returns the place in claim order of a priority, which was checked not to be the minimum.
pub(crate) fn rank(priority: i16) -> i16 {
    priority.saturating_neg()
}

/// Returns the headers as they are stored; `None` for a message without any.
pub(crate) fn headers(outgoing: &Outgoing) -> Option<Cow<'_, str>> {
    let NewMessage { headers, rare, .. } = &outgoing.message;
    let nulls = &rare.null_headers;
    let written = match &outgoing.carried {
        Some(carried) if headers.is_empty() && nulls.is_empty() => {
            return Some(Cow::Borrowed(carried.json()));
        }
        Some(carried) => written(&carried.merged(headers, nulls), nulls),
        None => written(headers, nulls),
    };
    written.map(Cow::Owned)
}
