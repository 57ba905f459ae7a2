//! Code of the user's own that runs before each send.
//!
//! Every way to send goes through it once for each message, before anything is checked or stored:
//! what it adds counts in all limits, and what it refuses touches no transaction.

use crate::words::panics::{CallersValue, catch};
use crate::words::{Error, ErrorKind, NewMessage, Result};
use std::error::Error as StdError;
use std::sync::Arc;

/// Why the caller's closure refuses a message.
pub(crate) type SendRefusal = Box<dyn StdError + Send + Sync>;

/// The caller's closure.
pub(crate) type SendHook = dyn Fn(NewMessage) -> Result<NewMessage, SendRefusal> + Send + Sync;

/// All that runs before a send, in the order in which it was added.
pub(crate) struct SendHooks(CallersValue<Vec<Arc<SendHook>>>);

impl SendHooks {
    pub(crate) fn new(hooks: Vec<Arc<SendHook>>) -> Self {
        SendHooks(CallersValue::new(hooks))
    }

    pub(crate) fn are_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Returns what the hooks make of a message.
    ///
    /// # Errors
    /// `Vetoed` when one refuses it, or panics: it may run on a thread of ours.
    pub(crate) fn run(&self, message: NewMessage) -> Result<NewMessage> {
        if !self.are_any() {
            return Ok(message);
        }
        self.0.iter().try_fold(message, |message, hook| {
            let topic = message.topic.clone();
            let vetoed = |why: SendRefusal| {
                let text = format!(
                    "a send hook refused a message to topic {}",
                    topic.escape_debug()
                );
                Error::new(ErrorKind::Vetoed, text).because(why)
            };
            match catch(|| hook(message)) {
                Ok(returned) => returned.map_err(vetoed),
                Err(text) => Err(vetoed(format!("it panicked: {text}").into())),
            }
        })
    }

    /// The same for a message that is only looked at.
    pub(crate) fn run_on_copy(&self, message: &NewMessage) -> Result<Option<NewMessage>> {
        match self.are_any() {
            true => self.run(message.clone()).map(Some),
            false => Ok(None),
        }
    }
}
