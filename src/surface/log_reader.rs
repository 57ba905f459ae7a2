//! Reading a log by name.

use crate::log::places::place_of;
use crate::log::readers;
use crate::receive::log::builder::{ReaderBuilder, ReaderWish};
use crate::surface::messaging::Messaging;
use crate::words::Error;

impl Messaging {
    /// Returns a builder for a named reader of a log, which has a durable place in it; see
    /// [`start`](ReaderBuilder::start). The name is 1 byte or longer, of the characters that a
    /// topic's name may have but for `@`, and together with it and an `@` no longer than 200 bytes.
    pub fn reader(&self, topic: &str, name: &str) -> ReaderBuilder<'_> {
        let enroll = |wish: &ReaderWish<'_>| {
            self.prepare(|connection| {
                let ReaderWish { log, name, .. } = *wish;
                let lanes = match readers::lanes(connection, log, name)? {
                    Some(lanes) => lanes,
                    None => {
                        let from = place_of(connection, log, &wish.from)?;
                        readers::ensure(connection, log, name, wish.lanes, from)?
                    }
                };
                match lanes == wish.lanes {
                    true => Ok(()),
                    false => Err(Error::invalid(format!(
                        "reader {name} of log {log} has {lanes} lanes, not {}: read with so many, or \
                         remove the reader first",
                        wish.lanes
                    ))),
                }
            })?;
            self.enroll(wish.side)
        };
        ReaderBuilder::new(topic, name, self.base().clone(), Box::new(enroll))
    }
}
