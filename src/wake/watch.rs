//! Looks after calls in which no bytes move any more, and cuts those that will never be answered.
//!
//! A statement that takes long and a server that silently vanished look the same to the thread that
//! waits for the answer. So this thread asks on a connection of its own: does the server process
//! exist, and is it at work? A process that is gone, answered long ago, or waits for its client
//! will send nothing more. If no such connection can be had for a while either, every silent
//! connection is cut. Its own connection has a time limit for each answer.
//!
//! After a cut, no connection that existed then is reused, and connections that were just lost are
//! asked about sooner: the network may be back. The server may not know yet that clients are gone,
//! and keep their transactions; it is told.
//!
//! Behind a pooler nobody knows which server process works for which client, and a call may have to
//! wait for one. There a call is cut only after [`PATIENCE_WITH_POOLERS`] times as long, if no
//! process of this role has been at work for about that time.

use crate::connect::connection::Connection;
use crate::connect::pulse::Pulse;
use crate::connect::settings::ConnectionSettings;
use crate::db::silence::{self, Hold, ProcessActivity};
use crate::threads::Stop;
use crate::threads::pause;
use crate::words::Result;
use crate::words::sqlstate::is_answer;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The part of the time after which silence is asked about, and that after which it is cut if no
/// answer can be had. With the listener, which gives a sign of life after a third, that is less
/// than the whole.
const ASK: f64 = 0.2;
const CUT: f64 = 0.6;
/// The part of the time that an answer to the question may take, and the least: a busy machine is
/// slow.
const ANSWER: (f64, Duration) = (0.15, Duration::from_millis(500));
/// The part of the time between two looks, and the longest.
const LOOK: (f64, Duration) = (0.02, Duration::from_millis(250));
/// How soon silence is asked about once the network was lost and found.
const ALERT: Duration = Duration::from_millis(500);
/// How long a server process must have been silent by its own account.
const SURE: Duration = Duration::from_millis(500);
/// How long the connection of the thread is kept without a question.
const KEPT: Duration = Duration::from_secs(30);
const PATIENCE_WITH_POOLERS: u32 = 4;
/// For how long a lost server process is looked for.
const SEARCH: Duration = Duration::from_secs(60);

/// Watches the connections to one place until stopped.
pub(crate) fn watch(settings: &ConnectionSettings, stop: &Stop) {
    let within = settings.silence;
    let mut watch = Watch {
        settings,
        within,
        connection: None,
        asked_at: Instant::now(),
        is_troubled: false,
        alert_until: None,
        lost: Vec::new(),
    };
    let look = within.mul_f64(LOOK.0).min(LOOK.1);
    while pause::wait(stop, look) {
        watch.look();
    }
}

struct Watch<'a> {
    settings: &'a ConnectionSettings,
    within: Duration,
    connection: Option<Connection>,
    asked_at: Instant,
    /// Whether the last question had no answer.
    is_troubled: bool,
    /// Until when lost calls are looked for sooner.
    alert_until: Option<Instant>,
    /// What was cut and may be held still.
    lost: Vec<Lost>,
}

/// A connection that was cut.
struct Lost {
    server: ServerProcess,
    until: Instant,
}

/// The server process of one, which may not know that its client is gone.
enum ServerProcess {
    Known {
        process: i32,
        opened: Instant,
    },
    /// One that is found by what it holds. Nothing was heard since then.
    Holding(Hold, Instant),
}

impl ServerProcess {
    fn of(pulse: &Pulse) -> Option<ServerProcess> {
        let now = Instant::now();
        if let Some(process) = pulse.process() {
            let opened = now.checked_sub(pulse.age())?;
            return Some(ServerProcess::Known { process, opened });
        }
        let silent_since = now.checked_sub(pulse.silence().unwrap_or_default())?;
        Some(ServerProcess::Holding(pulse.hold()?, silent_since))
    }
}

/// What was learned about silent calls.
enum Answer {
    /// What their server processes do, and for how long one has been at work.
    Known(Vec<ProcessActivity>, Option<Duration>),
    /// The server is there, and does not say.
    Unclear,
    /// Nothing is heard.
    Silence,
}

impl Watch<'_> {
    /// Looks once at all connections.
    fn look(&mut self) {
        let now = Instant::now();
        let is_alert = self.alert_until.is_some_and(|until| now < until);
        self.lost.retain(|lost| now < lost.until);
        let ask = self.within.mul_f64(ASK);
        let after = if is_alert { ask.min(ALERT) } else { ask };
        let mut silent = self.settings.dial.pulses().silent_for(after);
        // The first touch only asks whether somebody waits there.
        silent.retain(|pulse| pulse.is_settled() && pulse.touch());
        if silent.is_empty() && !self.is_troubled && (self.lost.is_empty() || !is_alert) {
            if self.asked_at.elapsed() > KEPT {
                self.connection = None;
            }
            return;
        }
        self.asked_at = now;
        let cut = self.within.mul_f64(CUT);
        match self.ask(&silent) {
            Answer::Known(processes, longest) => {
                if std::mem::take(&mut self.is_troubled) {
                    self.alert_until = Some(Instant::now() + self.within);
                }
                silent.retain(|pulse| match pulse.process() {
                    Some(number) => !has_more_to_say(number, &processes),
                    None => self.is_over(pulse, cut) && !is_at_work(pulse, longest),
                });
                self.cut(&silent, "its server process has no more to say");
                self.end_lost();
            }
            Answer::Unclear => self.is_troubled = false,
            Answer::Silence => {
                self.is_troubled = true;
                silent.retain(|pulse| self.is_over(pulse, cut));
                self.cut(&silent, "the server cannot be asked");
            }
        }
    }

    fn is_over(&self, pulse: &Pulse, longest: Duration) -> bool {
        let is_pooled = self.settings.is_pooler_safe || pulse.is_behind_pooler();
        let longest = longest * if is_pooled { PATIENCE_WITH_POOLERS } else { 1 };
        pulse.silence().is_some_and(|silence| silence >= longest)
    }

    fn cut(&mut self, silent: &[Arc<Pulse>], why: &str) {
        for pulse in silent {
            let silence = pulse.silence().unwrap_or_default();
            log::warn!("a connection was silent for {silence:.1?} and {why}: it is given up");
            let server = ServerProcess::of(pulse);
            pulse.cut();
            let until = Instant::now() + SEARCH.max(self.within);
            self.lost
                .extend(server.map(|server| Lost { server, until }));
        }
        if !silent.is_empty() {
            self.settings.dial.pulses().outdate();
            self.alert_until = Some(Instant::now() + self.within);
        }
    }

    /// Asks about server processes, on a connection that is opened if need be.
    fn ask(&mut self, silent: &[Arc<Pulse>]) -> Answer {
        let numbers: Vec<i32> = silent.iter().filter_map(|pulse| pulse.process()).collect();
        let asked = self.with_connection(|connection| {
            let processes = silence::look(connection, &numbers)?;
            let is_named = numbers.len() == silent.len();
            let longest = match is_named {
                true => None,
                false => silence::longest(connection)?,
            };
            Ok((processes, longest))
        });
        match asked {
            Ok((processes, longest)) => Answer::Known(processes, longest),
            Err(error) => {
                log::debug!("asking about silent connections: {error}");
                match is_answer(&error) {
                    true => Answer::Unclear,
                    false => Answer::Silence,
                }
            }
        }
    }

    /// Has the server end what lost connections hold.
    fn end_lost(&mut self) {
        if self.lost.is_empty() {
            return;
        }
        let (mut known, mut held) = (Vec::new(), Vec::new());
        for lost in &self.lost {
            match &lost.server {
                ServerProcess::Known { process, opened } => {
                    known.push((*process, opened.elapsed()))
                }
                // What came to it and was not answered it may have done after that.
                ServerProcess::Holding(hold, since) => {
                    held.push((hold.clone(), since.elapsed() / 2))
                }
            }
        }
        let ended = self.with_connection(|connection| {
            if !known.is_empty() {
                silence::end(connection, &known)?;
            }
            let mut held = held.iter();
            held.try_for_each(|(hold, idle)| silence::end_holder(connection, hold, *idle))
        });
        if let Err(error) = ended {
            log::debug!("ending lost connections: {error}");
        }
    }

    fn with_connection<T>(&mut self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let kept = self.connection.take();
        let mut connection = match kept.filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => {
                let limit = self.within.mul_f64(ANSWER.0).max(ANSWER.1);
                Connection::open_limited(self.settings, limit)?
            }
        };
        let done = work(&mut connection);
        if done.is_ok() {
            self.connection = Some(connection);
        }
        done
    }
}

/// Returns whether the answer of a server process may still come.
fn has_more_to_say(number: i32, processes: &[ProcessActivity]) -> bool {
    let process = processes.iter().find(|process| process.number == number);
    process.is_some_and(|process| process.is_at_work.unwrap_or(true) || process.since < SURE)
}

/// Returns whether what has been at work for longest may be what is awaited.
fn is_at_work(pulse: &Pulse, longest: Option<Duration>) -> bool {
    let silence = pulse.silence().unwrap_or_default();
    longest.is_some_and(|longest| longest >= silence / 2)
}
