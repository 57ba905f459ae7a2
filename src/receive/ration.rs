//! Rates: how many messages may be begun, counted in tokens that all processes share.
//!
//! Before it claims, a worker takes as many tokens as it may claim messages, in a statement of its own: the
//! row of the bucket is locked for no longer than that. Each handler that begins spends one. What is left over
//! serves the next transaction of any worker of the receiver, and goes back when nothing is ready.
//!
//! Keys are known only after the claim. A message whose key has no token is put off until there is one, which
//! costs it no attempt.

use crate::connect::connection::Connection;
use crate::receive::ending::Fate;
use crate::receive::line::Line;
use crate::store::claim::Claimed;
use crate::store::tokens::{self, Grant};
use crate::words::Result;
use crate::words::topic_config::Rate;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The least wait for a token: rates of more than this in a burst of one are not even.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// The longest that a worker leaves an empty bucket alone: another process may put tokens back that it did not
/// need, and tells nobody.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What the workers of a receiver know about the tokens of their topic.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    /// Tokens that were taken and not spent.
    spare: usize,
    /// Until when there will be no more at this rate, so that not every wake-up asks.
    empty_until: Option<(Rate, Instant)>,
}

/// The tokens of one worker.
#[derive(Debug)]
pub(crate) struct Ration {
    rate: Option<Rate>,
    /// How many messages may be claimed.
    pub(crate) size: usize,
}

impl Line {
    /// Returns the rate of the topic, if it has one.
    pub(crate) fn rate(&self) -> Option<Rate> {
        let setting = self.base.kit.configs.get(&self.topic)?;
        setting.config.rate
    }

    fn rate_per_key(&self) -> Option<Rate> {
        let setting = self.base.kit.configs.get(&self.topic)?;
        setting.config.rate_per_key
    }
}

impl Ration {
    /// Takes tokens for up to `wanted` messages, where the topic has a rate. None: returns how long to wait.
    /// `connection` is in no transaction.
    pub(crate) fn take(
        line: &Line,
        connection: &mut Connection,
        wanted: usize,
    ) -> Result<Result<Ration, Duration>> {
        let rate = line.rate();
        let ration = |size| Ok(Ok(Ration { rate, size }));
        let Some(rate) = rate else {
            return ration(wanted);
        };
        {
            let mut purse = line.purse();
            let spare = purse.spare.min(wanted);
            if spare > 0 {
                purse.spare -= spare;
                return ration(spare);
            }
            if let Some((at_rate, until)) = purse.empty_until
                && at_rate == rate
                && until > Instant::now()
            {
                return Ok(Err(until
                    .saturating_duration_since(Instant::now())
                    .max(LEAST_WAIT)));
            }
        }
        let statements = &line.base.kit.statements;
        let grant = tokens::take(connection, statements, &line.topic, rate, wanted)?;
        if grant.tokens > 0 {
            return ration(grant.tokens);
        }
        let wait = grant.wait.clamp(LEAST_WAIT, LONGEST_WAIT);
        line.purse().empty_until = Instant::now().checked_add(wait).map(|until| (rate, until));
        Ok(Err(wait))
    }

    /// Spends tokens: so many handlers begin.
    pub(crate) fn spend(&mut self, messages: usize) {
        self.size = self.size.saturating_sub(messages);
    }

    /// Leaves what was not spent to the other workers.
    pub(crate) fn leave(self, line: &Line) {
        if self.rate.is_some() {
            line.purse().spare += self.size;
        }
    }
}

/// Notes that the tokens of messages that were not begun after all are left to the workers.
pub(crate) fn unspend(line: &Line, messages: usize) {
    if line.rate().is_some() {
        line.purse().spare += messages;
    }
}

/// Gives back what no worker spent: nothing is ready, or the receiver stops.
pub(crate) fn give_back(line: &Line, connection: &mut Connection) {
    let mut purse = line.purse();
    let spare = std::mem::take(&mut purse.spare);
    if spare > 0 {
        purse.empty_until = None;
    }
    drop(purse);
    let Some(rate) = line.rate().filter(|_| spare > 0) else {
        return;
    };
    let statements = &line.base.kit.statements;
    let wanted = [("", spare)];
    if let Err(error) = tokens::give_back(connection, statements, &line.topic, rate, &wanted) {
        // The topic is slower for a moment than it might be.
        log::debug!("topic {}: {spare} tokens are lost: {error}", line.topic);
    }
}

/// Takes a token for the key of each message, where keys have a rate. Returns the messages that may begin; those that are
/// put off get their fate.
pub(crate) fn admit<'a>(
    line: &Line,
    messages: Vec<&'a Claimed>,
    fates: &mut Vec<Fate>,
) -> Result<Vec<&'a Claimed>> {
    let Some(rate) = line.rate_per_key() else {
        return Ok(messages);
    };
    let wanted = keys(&messages);
    if wanted.is_empty() {
        return Ok(messages);
    }
    let mut grants = on_the_side(line, |connection| {
        let statements = &line.base.kit.statements;
        tokens::take_of_keys(connection, statements, &line.topic, rate, &wanted)
    })?;
    let each = (rate.per / rate.messages).max(LEAST_WAIT);
    let mut put_off = |message: &Claimed| {
        let grant = grants.get_mut(message.held.key.as_deref()?)?;
        let Some(left) = grant.tokens.checked_sub(1) else {
            let wait = grant.wait.max(LEAST_WAIT);
            // The next one of the key, if it is here too, takes the token after.
            grant.wait = wait.saturating_add(each);
            return Some(wait);
        };
        *grant = Grant {
            tokens: left,
            ..*grant
        };
        None
    };
    let mut admitted = Vec::with_capacity(messages.len());
    for message in messages {
        match put_off(message) {
            Some(wait) => fates.push(Fate::put_off(message, wait, "its key is over its rate")),
            None => admitted.push(message),
        }
    }
    Ok(admitted)
}

/// Gives back the tokens of the keys of messages that were admitted and not begun.
pub(crate) fn give_back_keys(line: &Line, unbegun: &[&Claimed]) {
    let Some(rate) = line.rate_per_key() else {
        return;
    };
    let wanted = keys(unbegun);
    if wanted.is_empty() {
        return;
    }
    let done = on_the_side(line, |connection| {
        let statements = &line.base.kit.statements;
        tokens::give_back(connection, statements, &line.topic, rate, &wanted)
    });
    if let Err(error) = done {
        log::debug!("topic {}: tokens of keys are lost: {error}", line.topic);
    }
}

/// Counts messages by their keys.
fn keys<'a>(messages: &[&'a Claimed]) -> Vec<(&'a str, usize)> {
    let mut counts = HashMap::<&str, usize>::new();
    for message in messages {
        if let Some(key) = &message.held.key {
            *counts.entry(key).or_default() += 1;
        }
    }
    counts.into_iter().collect()
}

/// Runs a statement beside the open transaction.
fn on_the_side<T>(line: &Line, run: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
    let mut connection = line.base.dedicated.take()?;
    let done = run(&mut connection);
    line.base.dedicated.give_back(connection);
    done
}
