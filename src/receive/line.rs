//! What the workers of one receiver share.

use crate::connect::dedicated::Dedicated;
use crate::receive::careful::Quarantine;
use crate::receive::crew::Crew;
use crate::receive::floor::Floors;
use crate::receive::handler::Handler;
use crate::receive::options::{Options, Terms};
use crate::receive::progress::Progress;
use crate::receive::slots::Slots;
use crate::session::messaging_session::Kit;
use crate::wake::board::Station;
use crate::wake::waker::Waker;
use crate::words::message::MessageId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a receiver needs of its process.
#[derive(Clone)]
pub(crate) struct Base {
    pub(crate) kit: Arc<Kit>,
    pub(crate) dedicated: Arc<Dedicated>,
    pub(crate) waker: Arc<Waker>,
    pub(crate) quarantine: Arc<Quarantine>,
}

/// One receiver, as its workers see it.
pub(crate) struct Line {
    pub(crate) topic: String,
    pub(crate) base: Base,
    pub(crate) options: Options,
    pub(crate) handler: Box<Handler>,
    pub(crate) station: Arc<Station>,
    pub(crate) progress: Progress,
    pub(crate) crew: Crew,
    pub(crate) slots: Slots,
    floors: Mutex<Floors>,
    /// How often the connection broke while a message was in its handler.
    losses: Mutex<HashMap<MessageId, u32>>,
}

/// Messages whose losses are remembered; in a flood of broken connections the count begins anew.
const MAX_LOSSES: usize = 10_000;

impl Line {
    pub(crate) fn new(topic: &str, base: Base, options: Options, handler: Box<Handler>) -> Self {
        Line {
            topic: topic.to_owned(),
            station: Arc::new(Station::new(topic, options.workers)),
            crew: Crew::new(options.workers),
            base,
            options,
            handler,
            progress: Progress::default(),
            slots: Slots::default(),
            floors: Mutex::new(Floors::new()),
            losses: Mutex::new(HashMap::new()),
        }
    }

    /// Returns what is done with failures at present.
    pub(crate) fn terms(&self) -> Terms {
        let setting = self.base.kit.configs.get(&self.topic);
        self.options
            .terms(setting.as_ref().map(|setting| &setting.config))
    }

    /// Returns whether an operator paused the topic.
    pub(crate) fn is_paused(&self) -> bool {
        self.base.kit.configs.is_paused(&self.topic)
    }

    /// Returns how many messages of the topic may be in work at the same time, if that is limited.
    pub(crate) fn max_in_work(&self) -> Option<u32> {
        let setting = self.base.kit.configs.get(&self.topic);
        setting.and_then(|setting| setting.config.max_in_work)
    }

    /// Logs a handler that held its transaction open for long.
    pub(crate) fn warn_if_slow(&self, id: MessageId, took: Duration) {
        if took >= self.options.slow_handler {
            log::warn!(
                "topic {}: the handler of message {id} held its transaction open for {took:?}; meanwhile vacuum could \
                 clean up nothing in the whole database",
                self.topic,
            );
        }
    }

    pub(crate) fn floors(&self) -> MutexGuard<'_, Floors> {
        self.floors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a broken connection against a message; returns how many there were.
    pub(crate) fn count_loss(&self, id: MessageId) -> u32 {
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        if losses.len() >= MAX_LOSSES {
            losses.clear();
        }
        let count = losses.entry(id).or_default();
        *count += 1;
        *count
    }
}
