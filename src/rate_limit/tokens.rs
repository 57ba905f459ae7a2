//! Rates: how many messages may be begun, counted in tokens that all processes share.
//!
//! Before it claims, a worker takes as many tokens as it may claim messages, in a statement of its
//! own: the row of the bucket is locked for no longer than that. Each handler that begins spends
//! one. What is left over serves the next transaction of any worker of the receiver, and goes back
//! when nothing is ready, when the topic is paused, and when its settings changed.
//!
//! Keys are known only after the claim, so their tokens are taken between two claims.
//! A message whose key has no token is put off until there is one, which costs it no attempt.

use crate::db::Run;
use crate::message::claimed::Claimed;
use crate::message::outcome::{Decision, Outcome};
use crate::observe::fields::told;
use crate::rate_limit::{self, Grant, OVER_RATE};
use crate::settings::Setting;
use crate::threads::mutex::Mutex;
use crate::words::Result;
use crate::words::topic_config::Rate;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// The least wait for a token: rates of more than this in a burst of one are not even.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// The longest that a worker leaves an empty bucket alone: another process may put tokens back that
/// it did not need, and tells nobody.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The tokens that the workers of a receiver took from the bucket of its topic and did not spend.
#[derive(Debug, Default)]
pub(crate) struct TopicTokens(Mutex<Spare>);

/// The rate of a topic, and when the topic was changed last. What was taken before a change, or
/// before a pause, is not spent after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RateTerms {
    rate: Rate,
    changed_at_us: i64,
}

impl RateTerms {
    fn of(setting: Option<&Setting>) -> Option<Self> {
        let setting = setting?;
        Some(RateTerms {
            rate: setting.config.rate?,
            changed_at_us: setting.changed_at_us,
        })
    }
}

/// Tokens, and the terms on which they were taken.
type Lot = (RateTerms, usize);

#[derive(Debug, Default)]
struct Spare {
    /// One for each of the terms; seldom more than one.
    lots: Vec<Lot>,
    /// Until when there will be no more on these terms, so that not every wake-up asks.
    empty_until: Option<(RateTerms, Instant)>,
}

impl Spare {
    fn add(&mut self, terms: RateTerms, tokens: usize) {
        match self.lots.iter_mut().find(|lot| lot.0 == terms) {
            Some(lot) => lot.1 += tokens,
            None => self.lots.push((terms, tokens)),
        }
    }

    /// Takes up to `wanted` of those that were taken on these terms.
    fn take(&mut self, terms: RateTerms, wanted: usize) -> usize {
        let Some(lot) = self.lots.iter_mut().find(|lot| lot.0 == terms) else {
            return 0;
        };
        let count = lot.1.min(wanted);
        lot.1 -= count;
        count
    }

    /// Takes all but those that were taken on these terms.
    fn take_others(&mut self, terms: Option<RateTerms>) -> Vec<Lot> {
        let lots = std::mem::take(&mut self.lots).into_iter();
        let (kept, others): (Vec<Lot>, Vec<Lot>) = lots
            .filter(|(_, count)| *count > 0)
            .partition(|lot| Some(lot.0) == terms);
        self.lots = kept;
        if !others.is_empty() {
            self.empty_until = None;
        }
        others
    }
}

/// How many messages a worker may begin.
#[derive(Debug)]
pub(crate) struct Allowance {
    terms: Option<RateTerms>,
    pub(crate) size: usize,
}

impl Allowance {
    /// Notes that so many handlers begin.
    pub(crate) fn spend(&mut self, messages: usize) {
        self.size = self.size.saturating_sub(messages);
    }
}

impl TopicTokens {
    /// Takes tokens for up to `wanted` messages, where the topic has a rate. If there is none,
    /// returns how long to wait. Outside transactions.
    pub(crate) fn take(
        &self,
        run: &mut dyn Run,
        topic: &str,
        setting: Option<&Setting>,
        wanted: usize,
    ) -> Result<Result<Allowance, Duration>> {
        let terms = RateTerms::of(setting);
        let allowance = |size| Ok(Ok(Allowance { terms, size }));
        let Some(terms) = terms else {
            return allowance(wanted);
        };
        let others = self.0.lock().take_others(Some(terms));
        put_back(run, topic, others);
        {
            let mut spare = self.0.lock();
            let count = spare.take(terms, wanted);
            if count > 0 {
                return allowance(count);
            }
            if let Some((at_terms, until)) = spare.empty_until
                && at_terms == terms
                && until > Instant::now()
            {
                return Ok(Err(until
                    .saturating_duration_since(Instant::now())
                    .max(LEAST_WAIT)));
            }
        }
        let grant = rate_limit::take(run, topic, terms.rate, wanted)?;
        if grant.tokens > 0 {
            return allowance(grant.tokens);
        }
        let wait = grant.wait.clamp(LEAST_WAIT, LONGEST_WAIT);
        let until = Instant::now().checked_add(wait);
        self.0.lock().empty_until = until.map(|until| (terms, until));
        Ok(Err(wait))
    }

    /// Leaves what was not spent to the other workers.
    pub(crate) fn leave(&self, left: Allowance) {
        if let Some(terms) = left.terms {
            self.0.lock().add(terms, left.size);
        }
    }

    /// Leaves the tokens of messages that were not begun after all to the workers.
    pub(crate) fn unspend(&self, setting: Option<&Setting>, messages: usize) {
        if let Some(terms) = RateTerms::of(setting) {
            self.0.lock().add(terms, messages);
        }
    }

    /// Gives back what no worker spent: nothing is ready, the topic is paused, or the receiver
    /// stops. A topic that has no rate any more has no bucket.
    pub(crate) fn give_back(&self, run: &mut dyn Run, topic: &str, rate: Option<Rate>) {
        let all = self.0.lock().take_others(None);
        if rate.is_some() {
            put_back(run, topic, all);
        }
    }
}

/// Puts tokens back into the bucket that they were taken from.
fn put_back(run: &mut dyn Run, topic: &str, lots: Vec<Lot>) {
    for (terms, count) in lots {
        if let Err(error) = rate_limit::give_back(run, topic, terms.rate, &[("", count)]) {
            // The topic is slower for a moment than it might be.
            tracing::debug!(
                topic = told(&topic),
                error = told(&error),
                "topic {topic}: {count} tokens are lost: {error}"
            );
        }
    }
}

/// Returns whether tokens of keys are to be taken for messages.
pub(crate) fn needs_tokens(per_key: Option<Rate>, messages: &[Claimed]) -> bool {
    let has_key = |message: &Claimed| message.held.key.is_some();
    per_key.is_some() && messages.iter().any(has_key)
}

/// Takes a token for the key of each message, where keys have a rate, in a transaction that ends
/// before handlers run.
pub(crate) fn ask(
    run: &mut dyn Run,
    topic: &str,
    per_key: Option<Rate>,
    messages: &[&Claimed],
) -> Result<Option<HashMap<String, Grant>>> {
    let Some(rate) = per_key else {
        return Ok(None);
    };
    let wanted = keys(messages);
    if wanted.is_empty() {
        return Ok(None);
    }
    rate_limit::take_of_keys(run, topic, rate, &wanted).map(Some)
}

/// Returns how long to leave a message alone, at most, whose key got no token; `None` if it got one
/// or needs none.
pub(crate) fn wait(grants: Option<&HashMap<String, Grant>>) -> Option<Duration> {
    let used_up = grants?.values().filter(|grant| grant.tokens == 0);
    let wait = used_up.map(|grant| grant.wait).max()?;
    Some(wait.clamp(LEAST_WAIT, LONGEST_WAIT))
}

/// What `ask` got, spent.
pub(crate) struct Admitted<'a> {
    /// The messages that may begin.
    pub(crate) messages: Vec<&'a Claimed>,
    /// Keys with the tokens that are left over, and with none those of which a message is put off.
    pub(crate) loose: Vec<(String, usize)>,
}

/// Spends what `ask` got. Decides about the messages that are put off.
pub(crate) fn admit<'a>(
    per_key: Option<Rate>,
    grants: Option<HashMap<String, Grant>>,
    messages: Vec<&'a Claimed>,
    decided: &mut Vec<Decision<'a>>,
) -> Admitted<'a> {
    let (Some(rate), Some(mut grants)) = (per_key, grants) else {
        return Admitted {
            messages,
            loose: Vec::new(),
        };
    };
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
    let mut loose = Vec::new();
    for message in messages {
        match put_off(message) {
            Some(wait) => {
                let put_off = Outcome::put_off(message.attempts, wait, OVER_RATE);
                decided.push((&message.held, put_off));
                loose.extend(message.held.key.clone().map(|key| (key, 0)));
            }
            None => admitted.push(message),
        }
    }
    loose.extend(unspent(Some(grants)));
    Admitted {
        messages: admitted,
        loose,
    }
}

/// Returns the tokens that nothing was begun with.
pub(crate) fn unspent(
    grants: Option<HashMap<String, Grant>>,
) -> impl Iterator<Item = (String, usize)> {
    let grants = grants.into_iter().flatten();
    grants
        .map(|(key, grant)| (key, grant.tokens))
        .filter(|(_, tokens)| *tokens > 0)
}

/// Returns the tokens of messages that were admitted and not begun.
pub(crate) fn unbegun(per_key: Option<Rate>, messages: &[&Claimed]) -> Vec<(String, usize)> {
    if per_key.is_none() {
        return Vec::new();
    }
    let counts = keys(messages).into_iter();
    counts.map(|(key, count)| (key.to_owned(), count)).collect()
}

/// Gives back the tokens of keys that were not spent, and hastens what was put off of these keys.
/// Returns whether something is due earlier now. Outside transactions.
pub(crate) fn give_back_keys(
    run: &mut dyn Run,
    topic: &str,
    per_key: Option<Rate>,
    loose: &mut Vec<(String, usize)>,
) -> bool {
    if loose.is_empty() {
        return false;
    }
    let mut counts = BTreeMap::<&str, usize>::new();
    for (key, count) in loose.iter() {
        *counts.entry(key).or_default() += count;
    }
    let keys: Vec<&str> = counts.keys().copied().collect();
    counts.retain(|_, count| *count > 0);
    let counts: Vec<(&str, usize)> = counts.into_iter().collect();
    let given_back = match per_key {
        Some(rate) if !counts.is_empty() => rate_limit::give_back(run, topic, rate, &counts),
        _ => Ok(()),
    };
    let hastened = given_back.and_then(|()| rate_limit::hasten(run, topic, per_key, &keys));
    match hastened {
        Ok(is_any) => {
            loose.clear();
            is_any
        }
        Err(error) => {
            // The keys are slower for a moment than they might be. Their tokens may be back, and
            // are not given back twice; what was put off is hastened the next time.
            tracing::debug!(
                topic = told(&topic),
                error = told(&error),
                "topic {topic}: tokens of keys are lost: {error}"
            );
            *loose = keys.iter().map(|key| ((*key).to_owned(), 0)).collect();
            false
        }
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
