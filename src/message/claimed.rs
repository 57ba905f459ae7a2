//! Claims: how they are asked for, and what their rows say.

use crate::db::Value;
use crate::words::headers;
use crate::words::{
    ClaimPlace, Error, ErrorKind, Headers, MessageId, OnEnd, Payload, Program, Result,
};
use postgres::SimpleQueryRow;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// A range of the claim index: from a position up to, but without, a rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: ClaimPlace,
    pub(crate) until: i32,
}

/// The whole index.
pub(crate) const EVERYTHING: Span = Span {
    from: ClaimPlace {
        rank: i16::MIN,
        seq: i64::MIN,
    },
    until: i16::MAX as i32 + 1,
};

/// A message in hand, as far as settling it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) position: ClaimPlace,
    pub(crate) id: MessageId,
    pub(crate) key: Option<String>,
    pub(crate) on_end: OnEnd,
}

impl Held {
    /// Returns whether anything is to be done about the end of this message.
    pub(crate) fn matters(&self) -> bool {
        self.key.is_some() || self.on_end.stored().is_some()
    }
}

/// A message that is ours: this worker holds its lock, or a lease of it.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) held: Held,
    /// Failed deliveries so far.
    pub(crate) attempts: u32,
    pub(crate) sent_at: SystemTime,
    pub(crate) headers: Headers,
    pub(crate) content: Payload,
    /// Since when it could have been delivered, if that is not when it was sent.
    pub(crate) due_at: Option<SystemTime>,
    /// Its time is over.
    pub(crate) is_expired: bool,
    /// The proof that its lease is ours, of one that was claimed under a lease.
    pub(crate) receipt: Option<Uuid>,
    /// Somebody asked for it to be given up before it was leased.
    pub(crate) is_cancelled: bool,
    /// How long it is to be left alone: only the failed head of a topic in strict order.
    pub(crate) wait: Option<Duration>,
    /// Why it cannot be handled: something of it cannot be read. Stands for itself alone; what else
    /// a claim returned goes on.
    pub(crate) unreadable: Option<Error>,
}

impl Claimed {
    /// Returns since when it could have been delivered.
    pub(crate) fn due_at(&self) -> SystemTime {
        self.due_at.unwrap_or(self.sent_at)
    }
}

/// Returns the parameters of `claim`.
pub(crate) fn parameters<'a>(topic: &'a str, spans: &[Span], limit: usize) -> [Value<'a>; 5] {
    let column = |read: fn(&Span) -> i64| Value::Numbers(spans.iter().map(read).collect());
    [
        Value::Text(topic),
        column(|span| span.from.rank.into()),
        column(|span| span.from.seq),
        column(|span| span.until.into()),
        Value::Number(i64::try_from(limit).unwrap_or(i64::MAX)),
    ]
}

/// Returns the parameters of `claim_filtered`, given those of `claim`.
pub(crate) fn filtered<'a>(claim: [Value<'a>; 5], filter: &'a Program) -> Vec<Value<'a>> {
    claim.into_iter().chain(filtering(filter)).collect()
}

/// Returns what says which headers a message has to have.
pub(crate) fn filtering(filter: &Program) -> [Value<'_>; 3] {
    filter.columns().map(Value::Texts)
}

/// What every statement that claims returns first, in this order. They are read by their places:
/// the driver would look through all names for each, and there are twelve for each message.
const COLUMNS: [&str; 12] = [
    "rank",
    "seq",
    "id",
    "attempts",
    "sent_at",
    "headers",
    "payload",
    "body",
    "key",
    "on_end",
    "is_expired",
    "due_at",
];

/// Reads a row of a statement that claims.
pub(crate) fn read(row: &SimpleQueryRow) -> Result<Claimed> {
    debug_assert!(
        row.columns()
            .iter()
            .map(|column| column.name())
            .take(COLUMNS.len())
            .eq(COLUMNS),
        "the columns of a claim are in another order"
    );
    let mut unreadable = None;
    Ok(Claimed {
        held: Held {
            position: ClaimPlace {
                rank: number(row, 0)?,
                seq: number(row, 1)?,
            },
            id: text(row, 2)?.unwrap_or_default().parse()?,
            key: kept(text(row, 8), &mut unreadable).map(str::to_owned),
            on_end: OnEnd::read(
                text(row, 9)?
                    .map(|sum| parse(COLUMNS[9], sum))
                    .transpose()?,
            ),
        },
        attempts: u32::try_from(number::<i32>(row, 3)?).unwrap_or_default(),
        sent_at: sent_at(text(row, 4)?.unwrap_or_default())?,
        headers: kept(text(row, 5).and_then(headers), &mut unreadable),
        content: content(row).unwrap_or_else(|error| {
            unreadable.get_or_insert(error);
            Payload::Bytes(Vec::new())
        }),
        is_expired: text(row, 10)? == Some("t"),
        // It decides nothing.
        due_at: text(row, 11)?.and_then(|digits| sent_at(digits).ok()),
        receipt: None,
        is_cancelled: false,
        wait: None,
        unreadable,
    })
}

/// Returns what was read; if that failed, notes why and returns the default.
fn kept<T: Default>(read: Result<T>, unreadable: &mut Option<Error>) -> T {
    read.unwrap_or_else(|error| {
        unreadable.get_or_insert(error);
        T::default()
    })
}

/// Reads a row of `hold_again`.
pub(crate) fn read_position(row: &SimpleQueryRow) -> Result<ClaimPlace> {
    Ok(ClaimPlace {
        rank: number(row, 0)?,
        seq: number(row, 1)?,
    })
}

/// Reads a row of `claim_head`.
pub(crate) fn read_head(row: &SimpleQueryRow) -> Result<Claimed> {
    let wait_us = row
        .try_get("wait_us")
        .map_err(|error| odd("wait_us").because(error))?;
    let wait_us: u64 = wait_us.map_or(Ok(0), |us| parse("wait_us", us))?;
    Ok(Claimed {
        wait: Some(Duration::from_micros(wait_us)).filter(|wait| !wait.is_zero()),
        ..read(row)?
    })
}

/// Reads stored headers; none is an empty map.
pub(crate) fn headers(json: Option<&str>) -> Result<Headers> {
    match json {
        None => Ok(Headers::new()),
        Some(json) => headers::read(json).map_err(|error| odd("headers").because(error)),
    }
}

/// Reads a time from the digits of its binary form, which no setting changes, and which costs the
/// server a sixth less of a claim than to compute microseconds as a number. One that is endless, or
/// further away than a calendar goes, becomes the last or the first that a calendar holds.
fn sent_at(digits: &str) -> Result<SystemTime> {
    let bits = u64::from_str_radix(digits, 16).map_err(|error| odd("sent_at").because(error))?;
    let since_1970 = bits.cast_signed().saturating_add(US_FROM_1970_TO_2000);
    Ok(time(since_1970.clamp(FIRST_US, LAST_US)))
}

/// Where the server's times begin.
const US_FROM_1970_TO_2000: i64 = 946_684_800_000_000;
/// The beginning of the year 1, and of the last day of the year 9999, in microseconds since 1970.
const FIRST_US: i64 = -62_135_596_800_000_000;
const LAST_US: i64 = 253_402_214_400_000_000;

/// Turns microseconds since 1970 into a time.
pub(crate) fn time(us: i64) -> SystemTime {
    let distance = Duration::from_micros(us.unsigned_abs());
    if us < 0 {
        UNIX_EPOCH.checked_sub(distance).unwrap_or(UNIX_EPOCH)
    } else {
        UNIX_EPOCH.checked_add(distance).unwrap_or(UNIX_EPOCH)
    }
}

fn content(row: &SimpleQueryRow) -> Result<Payload> {
    match (text(row, 6)?, text(row, 7)?) {
        (Some(json), _) => Ok(Payload::json(json.to_owned())),
        (None, Some(body)) => bytes(body).map(Payload::Bytes),
        (None, None) => Err(odd("payload")),
    }
}

/// Reads `bytea` in either of its text forms, between which the session's `bytea_output` chooses:
/// `\x` and hexadecimal digits, or bytes as they are, where a backslash is doubled or begins three
/// octal digits.
fn bytes(text: &str) -> Result<Vec<u8>> {
    let Some(hex) = text.strip_prefix("\\x") else {
        return escaped(text.as_bytes());
    };
    hex.as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).map_err(|_| odd("body"))?;
            u8::from_str_radix(pair, 16).map_err(|_| odd("body"))
        })
        .collect()
}

fn escaped(text: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
        } else if let Some(after) = rest.strip_prefix(b"\\") {
            bytes.push(b'\\');
            rest = after;
        } else {
            let (octal, after) = rest.split_at_checked(3).ok_or_else(|| odd("body"))?;
            let octal = std::str::from_utf8(octal).map_err(|_| odd("body"))?;
            bytes.push(u8::from_str_radix(octal, 8).map_err(|_| odd("body"))?);
            rest = after;
        }
    }
    Ok(bytes)
}

fn text(row: &SimpleQueryRow, column: usize) -> Result<Option<&str>> {
    row.try_get(column)
        .map_err(|error| odd(COLUMNS[column]).because(error))
}

fn number<T: FromStr>(row: &SimpleQueryRow, column: usize) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    parse(COLUMNS[column], text(row, column)?.unwrap_or_default())
}

fn parse<T: FromStr>(name: &str, text: &str) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error| odd(name).because(error))
}

fn odd(name: &str) -> Error {
    Error::new(
        ErrorKind::Database,
        format!("a message's {name} cannot be read: was the table changed by hand?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_from_their_text_form() {
        assert_eq!(bytes("\\x00ff10").unwrap(), [0, 255, 16]);
        assert!(bytes("\\x").unwrap().is_empty());
        assert_eq!(bytes(r"a\\x00\000\377").unwrap(), b"a\\x00\x00\xff");
        assert_eq!(bytes(r"\\x00").unwrap(), br"\x00");
        assert!(bytes("").unwrap().is_empty());
        assert!(bytes(r"a\0").is_err());
        assert!(bytes(r"\999").is_err());
        assert!(bytes("\\xzz").is_err());
    }

    #[test]
    fn times_are_read_from_the_digits_of_their_binary_form() {
        let us = |digits: &str| match sent_at(digits).unwrap().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap(),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap(),
        };
        assert_eq!(us("0000000000000000"), US_FROM_1970_TO_2000);
        assert_eq!(us("0000000000000001"), US_FROM_1970_TO_2000 + 1);
        assert_eq!(us("fffca2fec4c82000"), 0);
        assert_eq!(us("7fffffffffffffff"), LAST_US);
        assert_eq!(us("8000000000000000"), FIRST_US);
        assert!(sent_at("").is_err());
    }

    #[test]
    fn times_before_and_after_1970_are_read() {
        assert_eq!(time(1_500_000), UNIX_EPOCH + Duration::from_millis(1500));
        assert_eq!(time(-1_500_000), UNIX_EPOCH - Duration::from_millis(1500));
    }
}
