//! Looks after calls in which no bytes move any more, and cuts those that will never be answered.
//!
//! A statement that takes long and a server that silently vanished look the same to the thread that
//! waits for the answer. So this thread asks on a connection of its own: does the server process
//! exist, and is it at work? A process that is gone, answered long ago, or waits for its client
//! will send nothing more. If no such connection can be had for a while either, every silent
//! connection is cut. Its own connection has a time limit for each answer.
//!
//! If it is another server that answers, the one before has been replaced, and what is silent there
//! is cut at once. Where there are several servers, or a name that may be moved, silence is asked
//! about sooner. A name that is moved while the server behind it still answers is noticed here too:
//! the thread looks where names lead every few seconds, and where one leads to an address that it
//! has not seen, it opens a connection to learn whether that is another server.
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
use crate::observe::fields::told;
use crate::threads::Stop;
use crate::threads::pause;
use crate::wake::names::NamesWatch;
use crate::words::Result;
use crate::words::sqlstate::is_answer;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The part of the time after which silence is asked about, and that after which it is cut if no
/// answer can be had. With the listener, which gives a sign of life after a third, that is less
/// than the whole.
const ASK: f64 = 0.2;
const CUT: f64 = 0.6;
/// The same as `ASK` where another server may have taken over.
const ASK_WITH_CHOICE: f64 = 0.1;
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
        server: None,
        names: NamesWatch::new(settings.dial.names()),
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
    /// The server that all connections lead to, as far as is known.
    server: Option<i64>,
    names: NamesWatch,
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
        /// Processes of another one may have the same number.
        server: Option<i64>,
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
            let server = pulse.server();
            return Some(ServerProcess::Known {
                process,
                server,
                opened,
            });
        }
        let silent_since = now.checked_sub(pulse.silence().unwrap_or_default())?;
        Some(ServerProcess::Holding(pulse.hold()?, silent_since))
    }
}

/// What was learned about silent calls.
enum Answer {
    /// What their server processes do, for how long one has been at work, and which server says so.
    Known(Vec<ProcessActivity>, Option<Duration>, Option<i64>),
    /// The server is there, and does not say.
    Unclear,
    /// Nothing is heard.
    Silence,
}

impl Watch<'_> {
    /// Looks once at all connections.
    fn look(&mut self) {
        self.look_elsewhere();
        let now = Instant::now();
        let is_alert = self.alert_until.is_some_and(|until| now < until);
        self.lost.retain(|lost| now < lost.until);
        let part = match self.settings.dial.has_choice() {
            true => ASK_WITH_CHOICE,
            false => ASK,
        };
        let ask = self.within.mul_f64(part);
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
            Answer::Known(processes, longest, server) => {
                if std::mem::take(&mut self.is_troubled) {
                    self.alert_until = Some(Instant::now() + self.within);
                }
                let has_one_primary = self.settings.dial.has_one_primary();
                silent.retain(|pulse| match pulse.process() {
                    Some(_) if is_elsewhere(pulse, server) => {
                        // Of several that are to be read each may be asked.
                        has_one_primary || self.is_over(pulse, self.within)
                    }
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

    /// Notes whether connections lead to another server than before, and has one opened where names
    /// lead elsewhere: if that is another server, all follow.
    fn look_elsewhere(&mut self) {
        if self.names.have_moved() {
            tracing::debug!("looking where the names of the database's hosts lead now");
            self.connection = None;
            if let Err(error) = self.with_connection(|_| Ok(())) {
                tracing::debug!(error = told(&error), "looking where a name leads: {error}");
                self.names.look_again();
            }
        }
        let server = self.settings.dial.pulses().server();
        if server != self.server && self.server.replace(server.unwrap_or_default()).is_some() {
            tracing::warn!(
                "{} is another server now, or was restarted: all connections follow",
                self.settings.target
            );
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
            tracing::warn!("a connection was silent for {silence:.1?} and {why}: it is given up");
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
            let server = connection.pulse.as_ref().and_then(|pulse| pulse.server());
            Ok((processes, longest, server))
        });
        match asked {
            Ok((processes, longest, server)) => Answer::Known(processes, longest, server),
            Err(error) => {
                tracing::debug!(
                    error = told(&error),
                    "asking about silent connections: {error}"
                );
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
        let now = self.settings.dial.pulses().server();
        for lost in &self.lost {
            match &lost.server {
                ServerProcess::Known { server, .. } if *server != now => {}
                ServerProcess::Known {
                    process, opened, ..
                } => known.push((*process, opened.elapsed())),
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
            tracing::debug!(error = told(&error), "ending lost connections: {error}");
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

/// Returns whether a connection leads to another server than this one.
fn is_elsewhere(pulse: &Pulse, server: Option<i64>) -> bool {
    server.is_some() && pulse.server().is_some_and(|its| Some(its) != server)
}

/// Returns whether what has been at work for longest may be what is awaited.
fn is_at_work(pulse: &Pulse, longest: Option<Duration>) -> bool {
    let silence = pulse.silence().unwrap_or_default();
    longest.is_some_and(|longest| longest >= silence / 2)
}
