//! The questions of this process that were not answered yet.

use crate::message::claimed::Claimed;
use crate::request::inbox::Inbox;
use crate::threads::mutex::Mutex;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What one who asked is told.
pub(crate) enum Passed {
    Reply(Box<Claimed>),
    /// The inbox was looked at after the deadline, and there was no reply.
    TimedOut,
}

/// All questions, by their ids, and the inbox to which their replies come.
pub(crate) struct Questions(Mutex<OpenQuestions>);

struct OpenQuestions {
    inbox: Option<Arc<Inbox>>,
    waiting: HashMap<Uuid, Question>,
    /// When the last question left, or the inbox was opened.
    idle_since: Instant,
}

impl Default for Questions {
    fn default() -> Self {
        Questions(Mutex::new(OpenQuestions {
            inbox: None,
            waiting: HashMap::new(),
            idle_since: Instant::now(),
        }))
    }
}

struct Question {
    /// One is told at most; when it is gone untold, the inbox was lost.
    tell: Sender<Passed>,
    deadline: Instant,
    inbox: Arc<Inbox>,
}

/// A question that was registered.
pub(crate) struct Registered {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) answer: Receiver<Passed>,
}

impl OpenQuestions {
    fn is_awaited(&self, inbox: &Arc<Inbox>) -> bool {
        let mut waiting = self.waiting.values();
        waiting.any(|question| Arc::ptr_eq(&question.inbox, inbox))
    }

    /// Notes that questions left.
    fn note_left(&mut self) {
        self.idle_since = Instant::now();
    }

    fn close(&mut self, inbox: &Arc<Inbox>) {
        let is_open = |open: &mut Arc<Inbox>| Arc::ptr_eq(open, inbox);
        self.inbox.take_if(is_open);
        self.waiting
            .retain(|_, question| !Arc::ptr_eq(&question.inbox, inbox));
        self.waiting.shrink_to_fit();
    }
}

impl Questions {
    /// Registers a question, before it is sent; `None` where no inbox is open.
    pub(crate) fn ask(&self, id: Uuid, deadline: Instant) -> Option<Registered> {
        let mut open = self.0.lock();
        let inbox = open.inbox.as_ref().filter(|inbox| !inbox.is_lost())?;
        let inbox = Arc::clone(inbox);
        let (tell, answer) = bounded(1);
        if open.waiting.is_empty() {
            inbox.ring();
        }
        let question = Question {
            tell,
            deadline,
            inbox: Arc::clone(&inbox),
        };
        open.waiting.insert(id, question);
        Some(Registered { inbox, answer })
    }

    /// Forgets a question that nobody waits for any more.
    pub(crate) fn forget(&self, id: Uuid) {
        let mut open = self.0.lock();
        if open.waiting.remove(&id).is_some() {
            open.note_left();
        }
    }

    /// Passes a reply on to the one who asked; returns whether there is one.
    pub(crate) fn answer(&self, id: Uuid, reply: Claimed) -> bool {
        let mut open = self.0.lock();
        let Some(question) = open.waiting.remove(&id) else {
            return false;
        };
        open.note_left();
        drop(open);
        question
            .tell
            .try_send(Passed::Reply(Box::new(reply)))
            .is_ok()
    }

    /// Tells those whose deadline was over at `looked_at`, when a look began that found no reply
    /// for them.
    pub(crate) fn end_overdue(&self, looked_at: Instant) {
        let mut open = self.0.lock();
        let before = open.waiting.len();
        open.waiting.retain(|_, question| {
            let is_over = question.deadline <= looked_at;
            if is_over {
                let _ = question.tell.try_send(Passed::TimedOut);
            }
            !is_over
        });
        if open.waiting.len() < before {
            open.note_left();
        }
    }

    /// Has questions use an inbox from now on.
    pub(crate) fn open(&self, inbox: &Arc<Inbox>) {
        let mut open = self.0.lock();
        open.inbox = Some(Arc::clone(inbox));
        open.idle_since = Instant::now();
    }

    /// Returns whether questions can be asked.
    pub(crate) fn is_open(&self) -> bool {
        let open = self.0.lock();
        open.inbox.as_ref().is_some_and(|inbox| !inbox.is_lost())
    }

    /// Returns since when nobody waits for a reply in this inbox; `None` while somebody does.
    pub(crate) fn idle_since(&self, inbox: &Arc<Inbox>) -> Option<Instant> {
        let open = self.0.lock();
        (!open.is_awaited(inbox)).then_some(open.idle_since)
    }

    /// Closes an inbox that nobody waited for in `linger`; returns whether it did.
    pub(crate) fn close_if_idle(&self, inbox: &Arc<Inbox>, linger: Duration) -> bool {
        let mut open = self.0.lock();
        let is_idle = !open.is_awaited(inbox) && open.idle_since.elapsed() >= linger;
        if is_idle {
            open.close(inbox);
        }
        is_idle
    }

    /// Closes an inbox. Those who still wait for replies in it learn that none will come.
    pub(crate) fn close(&self, inbox: &Arc<Inbox>) {
        self.0.lock().close(inbox);
    }
}
