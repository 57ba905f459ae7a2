//! The thread that asks the database, and does what is wished.
//!
//! A refresh is some statements for all topics, and one for all receivers. No topic is counted far
//! (see `Messaging::backlogs`), and asking takes at most one part in [`SHARE`] of the time: where
//! there are ten thousand topics, or the server is busy, it is done more rarely. While the database
//! is away it is tried again, and the last answer stays.

use crate::failure::{CommandFailure, chain};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use outtray::{
    Builder, DeadLetter, ErrorKind, Messaging, RunningProcess, Tally, TopicBacklog, TopicConfig,
};
use std::thread;
use std::time::{Duration, Instant};

/// Of the time at most one part in so many is spent on asking.
const SHARE: u32 = 50;
/// Wishes that wait.
const MOST_WISHES: usize = 16;
/// How far back the last minute that is over may have begun.
pub(crate) const LAST_MINUTES: Duration = Duration::from_secs(120);
/// Dead letters that the page of a topic shows.
const DEAD_LETTERS: usize = 5;
/// How often a redrive that goes on is told of.
const PROGRESS: Duration = Duration::from_millis(200);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TopWish {
    /// Ask now.
    Refresh,
    /// Ask so often from now on, about this topic, too.
    LookAt(Option<String>),
    Pause(String),
    Resume(String),
    Redrive(String),
}

/// What there is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) topics: Vec<TopicBacklog>,
    pub(crate) processes: Vec<RunningProcess>,
    /// What became of messages in the last minutes.
    pub(crate) tallies: Vec<Tally>,
    /// The topic that is looked at.
    pub(crate) topic: Option<TopicDetails>,
    /// How long asking took.
    pub(crate) took: Duration,
    /// When it is asked next.
    pub(crate) every: Duration,
}

/// What a topic's page shows, beside its numbers.
#[derive(Debug, Clone)]
pub(crate) struct TopicDetails {
    pub(crate) name: String,
    pub(crate) config: TopicConfig,
    pub(crate) letters: Vec<DeadLetter>,
}

/// What the thread found, or did.
#[derive(Debug)]
pub(crate) enum TopNews {
    Seen(Box<Snapshot>),
    /// It could not be asked, for now.
    Away(String),
    /// What was wished goes on.
    Doing(String),
    /// What was wished is done.
    Done(String),
    /// What was wished did not work.
    Failed(String),
    /// It will never work.
    Fatal(CommandFailure),
}

/// The way to the thread.
pub(crate) struct Lookout {
    wishes: Sender<TopWish>,
    answers: Receiver<TopNews>,
}

impl Lookout {
    pub(crate) fn start(builder: Builder, every: Duration) -> Result<Self, CommandFailure> {
        let (wishes, wished) = bounded(MOST_WISHES);
        let (tell, answers) = unbounded();
        let mut desk = LookoutDesk {
            builder,
            messaging: None,
            every,
            topic: None,
            tell,
        };
        let started = thread::Builder::new()
            .name("outtray-lookout".to_owned())
            .spawn(move || desk.run(&wished));
        started
            .map_err(|error| CommandFailure::failed(format!("cannot start a thread: {error}")))?;
        Ok(Lookout { wishes, answers })
    }

    pub(crate) fn answers(&self) -> &Receiver<TopNews> {
        &self.answers
    }

    /// Passes a wish on. One too many is dropped: nobody can have meant so many.
    pub(crate) fn wish(&self, wish: TopWish) {
        let _ = self.wishes.try_send(wish);
    }
}

/// What the thread has.
struct LookoutDesk {
    builder: Builder,
    messaging: Option<Messaging>,
    every: Duration,
    topic: Option<String>,
    tell: Sender<TopNews>,
}

impl LookoutDesk {
    /// Asks and does until nobody listens any more.
    fn run(&mut self, wished: &Receiver<TopWish>) {
        loop {
            let (answer, pause) = match self.ask() {
                Ok(seen) => {
                    let pause = seen.every;
                    (TopNews::Seen(Box::new(seen)), pause)
                }
                Err(error) if is_fatal(error.kind()) && self.messaging.is_none() => {
                    (TopNews::Fatal(error.into()), self.every)
                }
                Err(error) => (TopNews::Away(chain(&error)), self.every),
            };
            if self.tell.send(answer).is_err() {
                return;
            }
            let next = Instant::now() + pause;
            if !self.obey_until(next, wished) {
                return;
            }
        }
    }

    /// Does what is wished until it is time to ask. Returns whether anybody may still wish.
    fn obey_until(&mut self, next: Instant, wished: &Receiver<TopWish>) -> bool {
        match wished.recv_deadline(next) {
            Ok(wish) => self.obey(wish),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        true
    }

    fn ask(&mut self) -> outtray::Result<Snapshot> {
        let messaging = match &self.messaging {
            Some(messaging) => messaging.clone(),
            None => {
                let messaging = self.builder.clone().connect()?;
                self.messaging.insert(messaging).clone()
            }
        };
        let begun = Instant::now();
        let topics = messaging.backlogs()?;
        let processes = messaging.processes()?;
        let tallies = messaging.tallies(None, LAST_MINUTES)?;
        let topic = match &self.topic {
            None => None,
            Some(name) => {
                let topic = messaging.topic(name);
                Some(TopicDetails {
                    name: name.clone(),
                    config: topic.config()?,
                    letters: topic.dead_letters(DEAD_LETTERS)?,
                })
            }
        };
        let took = begun.elapsed();
        Ok(Snapshot {
            topics,
            processes,
            tallies,
            topic,
            took,
            every: self.every.max(took * SHARE),
        })
    }

    fn obey(&mut self, wish: TopWish) {
        let told = match wish {
            TopWish::Refresh => return,
            TopWish::LookAt(topic) => {
                self.topic = topic;
                return;
            }
            wish => match &self.messaging {
                None => TopNews::Failed("the database is away".to_owned()),
                Some(messaging) => self.change(messaging, &wish),
            },
        };
        let _ = self.tell.send(told);
    }

    fn change(&self, messaging: &Messaging, wish: &TopWish) -> TopNews {
        let done = match wish {
            TopWish::Pause(topic) => messaging
                .topic(topic)
                .pause()
                .map(|()| format!("paused {topic}")),
            TopWish::Resume(topic) => messaging
                .topic(topic)
                .resume()
                .map(|()| format!("resumed {topic}")),
            TopWish::Redrive(topic) => return self.redrive(messaging, topic),
            TopWish::Refresh | TopWish::LookAt(_) => Ok(String::new()),
        };
        match done {
            Ok(text) => TopNews::Done(text),
            Err(error) => TopNews::Failed(chain(&error)),
        }
    }

    /// Starts to redrive all dead letters of a topic, on a thread of its own: there may be many.
    fn redrive(&self, messaging: &Messaging, topic: &str) -> TopNews {
        let (messaging, name, tell) = (messaging.clone(), topic.to_owned(), self.tell.clone());
        let redrive = move || {
            let mut told_at = Instant::now();
            let progress = |so_far: u64| {
                if told_at.elapsed() >= PROGRESS {
                    told_at = Instant::now();
                    let _ = tell.send(TopNews::Doing(format!("redriving {name}: {so_far} so far")));
                }
            };
            let done = messaging.topic(&name).redrive_with_progress(.., progress);
            let _ = tell.send(match done {
                Ok(redriven) => TopNews::Done(format!("redriven {redriven} of {name}")),
                Err(error) => TopNews::Failed(chain(&error)),
            });
        };
        let started = thread::Builder::new()
            .name("outtray-redrive".to_owned())
            .spawn(redrive);
        match started {
            Ok(_) => TopNews::Doing(format!("redriving {topic}")),
            Err(error) => TopNews::Failed(format!("cannot start a thread: {error}")),
        }
    }
}

/// Returns whether an error will stay: what was asked for cannot be meant.
fn is_fatal(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Configuration | ErrorKind::Invalid | ErrorKind::SchemaNewer
    )
}
