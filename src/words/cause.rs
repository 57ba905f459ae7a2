//! What a message that is sent while another is in work carries on from that one: correlation,
//! causation and the trace.
//!
//! It is worked out with the first send, once for all that a handler sends, and as JSON, as it is
//! stored. So a handler that sends nothing pays for no text, and a thousand messages that have no
//! headers of their own share one.

use crate::words::envelope::{
    CAUSATION_ID, CORRELATION_ID, TRACEPARENT, TRACESTATE, traceparent, tracestate,
};
use crate::words::headers::{self, Headers, MAX_TOTAL_BYTES};
use crate::words::message::{Message, MessageId};
use crate::words::new_message::NewMessage;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use uuid::fmt::Hyphenated;

/// What the JSON takes of a message that says nothing itself: two names and two ids.
const LEAST_JSON: usize = 112;

/// What a message in work says of where it comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lineage {
    correlation_id: Option<String>,
    /// Well formed, or missing.
    traceparent: Option<String>,
    tracestate: Option<String>,
}

impl Lineage {
    /// Reads it; `None` for a message that says nothing.
    pub(crate) fn of(headers: &Headers) -> Option<Arc<Self>> {
        if headers.is_empty() {
            return None;
        }
        let correlation_id = headers.get(CORRELATION_ID).filter(|id| !id.is_empty());
        let lineage = Lineage {
            correlation_id: correlation_id.cloned(),
            traceparent: traceparent(headers).map(str::to_owned),
            tracestate: tracestate(headers).map(str::to_owned),
        };
        let says_something = lineage.correlation_id.is_some() || lineage.traceparent.is_some();
        says_something.then(|| Arc::new(lineage))
    }
}

/// The message in work whose handler sends.
#[derive(Debug)]
pub(crate) struct MessageInWork {
    id: MessageId,
    lineage: Option<Arc<Lineage>>,
    carried: OnceLock<Option<Arc<Carried>>>,
}

impl MessageInWork {
    pub(crate) fn new(id: MessageId, lineage: Option<Arc<Lineage>>) -> Self {
        MessageInWork {
            id,
            lineage,
            carried: OnceLock::new(),
        }
    }

    /// Returns what the message gets that is sent now; `None` if its headers would be too large
    /// with that.
    pub(crate) fn carried_by(&self, message: &NewMessage) -> Option<Arc<Carried>> {
        let carried = || Carried::of(self.id, self.lineage.clone());
        let carried = self.carried.get_or_init(carried).as_ref()?;
        carried.fits(message).then(|| Arc::clone(carried))
    }
}

/// The headers that messages get from the one in work.
#[derive(Debug)]
pub(crate) struct Carried {
    id: MessageId,
    lineage: Option<Arc<Lineage>>,
    /// All of them, as they are stored.
    json: String,
}

impl Carried {
    /// Writes them as they are stored, which is all that most need: every handler that sends pays
    /// for it.
    fn of(id: MessageId, lineage: Option<Arc<Lineage>>) -> Option<Arc<Self>> {
        let mut carried = Carried {
            id,
            lineage,
            json: String::new(),
        };
        let mut buffer = id_buffer();
        let headers = carried.headers(text_of(id, &mut buffer));
        let bytes = headers
            .iter()
            .flatten()
            .map(|(name, value)| name.len() + value.len());
        if bytes.sum::<usize>() > MAX_TOTAL_BYTES {
            return None;
        }
        let mut json = String::with_capacity(LEAST_JSON);
        for (name, value) in headers.into_iter().flatten() {
            json.push_str(if json.is_empty() { "{\"" } else { ",\"" });
            json.push_str(name);
            json.push_str("\":");
            push_text(&mut json, value);
        }
        json.push('}');
        carried.json = json;
        Some(Arc::new(carried))
    }

    /// Returns them in the order of their names, given the text of the id.
    fn headers<'c>(&'c self, id: &'c str) -> [Option<(&'static str, &'c str)>; 4] {
        let lineage = self.lineage.as_deref();
        let said = |read: fn(&Lineage) -> &Option<String>| {
            lineage.and_then(|lineage| read(lineage).as_deref())
        };
        let correlation_id = said(|lineage| &lineage.correlation_id).unwrap_or(id);
        [
            Some((CAUSATION_ID, id)),
            Some((CORRELATION_ID, correlation_id)),
            said(|lineage| &lineage.traceparent).map(|value| (TRACEPARENT, value)),
            said(|lineage| &lineage.tracestate).map(|value| (TRACESTATE, value)),
        ]
    }

    /// Calls `add` with those that a message does not say itself. A trace is one thing in two
    /// headers.
    fn each_added(
        &self,
        own: &Headers,
        nulls: &BTreeSet<String>,
        mut add: impl FnMut(&'static str, &str),
    ) {
        let says = |name: &str| own.contains_key(name) || nulls.contains(name);
        let is_traced = says(TRACEPARENT) || says(TRACESTATE);
        let is_added = |name: &str| match name {
            TRACEPARENT | TRACESTATE => !is_traced,
            _ => !says(name),
        };
        let mut buffer = id_buffer();
        let headers = self.headers(text_of(self.id, &mut buffer));
        let added = headers.into_iter().flatten();
        added
            .filter(|(name, _)| is_added(name))
            .for_each(|(name, value)| add(name, value));
    }

    /// Returns whether a message with all of these has no more headers than it may have.
    fn fits(&self, message: &NewMessage) -> bool {
        let (own, nulls) = (&message.headers, &message.rare.null_headers);
        if own.is_empty() && nulls.is_empty() {
            return true;
        }
        let mut bytes = headers::total_bytes(own, nulls);
        self.each_added(own, nulls, |name, value| bytes += name.len() + value.len());
        bytes <= MAX_TOTAL_BYTES
    }

    /// Returns them as they are stored, for a message without headers of its own.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// Returns the headers of a message with these.
    pub(crate) fn merged(&self, own: &Headers, nulls: &BTreeSet<String>) -> Headers {
        let mut merged = own.clone();
        self.each_added(own, nulls, |name, value| {
            merged.insert(name.to_owned(), value.to_owned());
        });
        merged
    }
}

fn id_buffer() -> [u8; Hyphenated::LENGTH] {
    [0; Hyphenated::LENGTH]
}

fn text_of(id: MessageId, buffer: &mut [u8; Hyphenated::LENGTH]) -> &str {
    id.0.hyphenated().encode_lower(buffer)
}

/// Appends a text as JSON.
fn push_text(json: &mut String, text: &str) {
    let is_plain = |c: u8| matches!(c, b' '..=b'~') && c != b'"' && c != b'\\';
    if text.bytes().all(is_plain) {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&serde_json::to_string(text).expect("a text is JSON"));
    }
}

impl NewMessage {
    /// Says that the message follows from another: it gets the other's id as its `causation-id`,
    /// the other's `correlation-id`, or else its id, and the other's trace. Headers that the
    /// message has already stay as they are, and those that would be too large are left out.
    ///
    /// What a handler sends through its session says so by itself. This is for what does not: a
    /// handler of batches, which has several messages in hand, and sends beside the session.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::NewMessage;
    ///
    /// messaging.start_receiving_batches("orders", 100, |session, orders| {
    ///     for order in orders {
    ///         let order: &outtray::BatchMessage<i64> = order;
    ///         session.send(NewMessage::json("mails", &order.payload)?.caused_by(order))?;
    ///     }
    ///     Ok(())
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn caused_by<T>(mut self, message: &Message<T>) -> Self {
        let cause = MessageInWork::new(message.id, Lineage::of(&message.headers));
        self.carry(Some(&cause));
        self
    }

    /// Adds what it carries on from the message in work, if there is one.
    pub(crate) fn carry(&mut self, cause: Option<&MessageInWork>) {
        if let Some(carried) = cause.and_then(|cause| cause.carried_by(self)) {
            self.headers = carried.merged(&self.headers, &self.rare.null_headers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const OTHER_TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    fn headers<const N: usize>(pairs: [(&str, &str); N]) -> Headers {
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn cause(of: &Headers) -> (String, MessageInWork) {
        let id = MessageId::new();
        (id.to_string(), MessageInWork::new(id, Lineage::of(of)))
    }

    /// Returns the headers of a message that is sent while one with `these` is in work, and the id
    /// of that one.
    fn carried<const N: usize>(these: [(&str, &str); N], message: NewMessage) -> (String, Headers) {
        let (id, cause) = cause(&headers(these));
        let mut message = message;
        message.carry(Some(&cause));
        assert!(message.check(1000).is_ok());
        (id, message.headers)
    }

    fn message() -> NewMessage {
        NewMessage::bytes("t", [1])
    }

    #[test]
    fn what_is_sent_names_its_cause_and_what_that_correlates_with() {
        let (id, found) = carried([], message());
        let expected = headers([(CAUSATION_ID, &id), (CORRELATION_ID, &id)]);
        assert_eq!(found, expected);

        let (id, found) = carried(
            [(CORRELATION_ID, "order-7"), (CAUSATION_ID, "x")],
            message(),
        );
        let expected = headers([(CAUSATION_ID, &id), (CORRELATION_ID, "order-7")]);
        assert_eq!(found, expected);

        let (id, found) = carried([(CORRELATION_ID, "")], message());
        assert_eq!(found[CORRELATION_ID], id);
    }

    #[test]
    fn a_trace_goes_on_as_it_is_and_a_bad_one_does_not() {
        let (_, found) = carried([(TRACEPARENT, TRACE), (TRACESTATE, "a=1")], message());
        assert_eq!([&*found[TRACEPARENT], &*found[TRACESTATE]], [TRACE, "a=1"]);

        let (_, found) = carried([(TRACEPARENT, TRACE), (TRACESTATE, "a")], message());
        assert_eq!(found[TRACEPARENT], TRACE);
        assert!(!found.contains_key(TRACESTATE));

        let (_, found) = carried([(TRACEPARENT, "bad"), (TRACESTATE, "a=1")], message());
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn what_a_message_says_itself_stays() {
        let these = [
            (CORRELATION_ID, "theirs"),
            (TRACEPARENT, TRACE),
            (TRACESTATE, "a=1"),
        ];
        let (id, found) = carried(these, message().correlation_id("mine").header("x", "y"));
        assert_eq!(found[CORRELATION_ID], "mine");
        assert_eq!(found[CAUSATION_ID], id);
        assert_eq!(found["x"], "y");

        let (_, found) = carried(
            these,
            message().causation_id("mine").traceparent(OTHER_TRACE),
        );
        assert_eq!(found[CAUSATION_ID], "mine");
        assert_eq!(found[TRACEPARENT], OTHER_TRACE);
        assert!(
            !found.contains_key(TRACESTATE),
            "of another trace: {found:?}"
        );

        let (_, found) = carried(these, message().null_header(CORRELATION_ID));
        assert!(!found.contains_key(CORRELATION_ID));
    }

    #[test]
    fn headers_never_become_too_large_by_what_is_carried() {
        let long = "c".repeat(MAX_TOTAL_BYTES - 100);
        let (_, found) = carried([(CORRELATION_ID, &long)], message());
        assert_eq!(found.get(CORRELATION_ID), Some(&long));

        let (_, found) = carried(
            [(CORRELATION_ID, &long)],
            message().header("own", "v".repeat(60)),
        );
        assert_eq!(found.len(), 1, "only its own header is left");

        let (_, found) = carried([(CORRELATION_ID, &"c".repeat(MAX_TOTAL_BYTES))], message());
        assert!(found.is_empty());

        let nearly_full = message().header("own", "v".repeat(MAX_TOTAL_BYTES - 50));
        let (_, found) = carried([], nearly_full);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn what_is_stored_is_the_same_with_and_without_headers_of_its_own() {
        let (id, cause) = cause(&headers([(TRACEPARENT, TRACE)]));
        let carried = cause.carried_by(&message()).unwrap();
        let nulls = BTreeSet::new();

        let merged = carried.merged(&Headers::new(), &nulls);

        assert_eq!(headers::read(carried.json()).unwrap(), merged);
        assert_eq!(
            Some(carried.json()),
            headers::written(&merged, &nulls).as_deref()
        );
        assert_eq!(merged[CAUSATION_ID], id);
    }
}
