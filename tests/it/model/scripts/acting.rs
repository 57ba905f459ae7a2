//! The handler: does what the scripts say.

use super::misdoing::{fail, nest};
use super::script::{Act, End, From, Lasting, Left, Nested, Script, second_life};
use super::{LATER, ON};
use outtray::{
    BatchMessage, Cancelled, HandlerError, Message, MessageId, Messaging, MessagingSession,
    NewMessage,
};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// What a message carries.
#[derive(Debug, Deserialize)]
pub(super) struct Work {
    n: usize,
}

/// A message and the number of the run: the attempt, a hundred higher after a redrive.
pub(super) type Run = (usize, u32);

/// What was in hand in a call, each with whether it is put off this time.
pub(super) type Call = Vec<(Run, bool)>;

/// More calls of handlers than any round takes.
const MAX_CALLS: usize = 10_000;

/// What is added to the attempts of a second life.
pub(super) const REDRIVEN: u32 = 100;

/// What handlers do, and what they noticed.
pub(super) struct Actor {
    pub(super) scripts: HashMap<usize, Vec<Script>>,
    pub(super) messaging: Messaging,
    /// Another process, if there is one.
    pub(super) elsewhere: Option<Messaging>,
    /// Whether the scripts are over, and all goes well now.
    pub(super) is_redriven: AtomicBool,
    pub(super) calls: Mutex<Vec<Call>>,
    /// What is done once in each run and was.
    once: Mutex<HashSet<(Run, usize)>>,
    /// What should not have been seen.
    pub(super) complaints: Mutex<Vec<String>>,
}

/// Where a handler is in its script.
struct Step<'a> {
    run: Run,
    /// Rows that were inserted in this run.
    rows: &'a mut i64,
    /// What this handler may have left behind so far.
    left: Vec<Left>,
    at: usize,
    id: MessageId,
}

impl Actor {
    pub(super) fn new(
        scripts: HashMap<usize, Vec<Script>>,
        messaging: Messaging,
        elsewhere: Option<Messaging>,
    ) -> Actor {
        Actor {
            scripts,
            messaging,
            elsewhere,
            is_redriven: AtomicBool::new(false),
            calls: Mutex::default(),
            once: Mutex::default(),
            complaints: Mutex::default(),
        }
    }

    /// The handler of single messages.
    pub(super) fn handle(
        &self,
        session: &mut MessagingSession<'_>,
        message: &Message<Work>,
    ) -> Result<(), HandlerError> {
        let call = self.enter(&[message])?;
        self.perform(session, message, call[0], &mut false, true)
    }

    /// The handler of batches.
    pub(super) fn handle_batch(
        &self,
        session: &mut MessagingSession<'_>,
        batch: &[BatchMessage<Work>],
    ) -> Result<(), HandlerError> {
        let messages: Vec<&Message<Work>> = batch.iter().map(|message| &**message).collect();
        let call = self.enter(&messages)?;
        let mut is_broken = false;
        for (message, entered) in batch.iter().zip(call) {
            let is_whole = self.script(entered.0).is_whole;
            if entered.1 && !is_whole {
                // Before anything is done for it, since that would stay.
                message.snooze(Duration::ZERO);
                continue;
            }
            match self.perform(session, message, entered, &mut is_broken, false) {
                Err(error) if is_whole => return Err(error),
                Err(error) => message.fail(error),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// The handler of a reader of a log, whose batch fails as a whole.
    pub(super) fn handle_entries(
        &self,
        session: &mut MessagingSession<'_>,
        entries: &[Message<Work>],
    ) -> Result<(), HandlerError> {
        let call = self.enter(&entries.iter().collect::<Vec<_>>())?;
        let mut is_broken = false;
        let mut entries = entries.iter().zip(call);
        entries.try_for_each(|(entry, entered)| {
            self.perform(session, entry, entered, &mut is_broken, false)
        })
    }

    /// Notes what is in hand. Fails when there is no end of it: a drain would go on for ever.
    fn enter(&self, messages: &[&Message<Work>]) -> Result<Call, HandlerError> {
        let call: Call = messages
            .iter()
            .map(|message| {
                let run = self.run(message);
                let may_be_put_off = self.script(run).end == End::Snooze;
                (run, may_be_put_off && self.is_first(run, usize::MAX))
            })
            .collect();
        let mut calls = self.calls.lock().unwrap();
        if calls.len() == MAX_CALLS {
            let run = call[0].0;
            self.complain(format!("{run:?} and others come again and again"));
            return Err(HandlerError::reject("there is no end of it"));
        }
        calls.push(call.clone());
        Ok(call)
    }

    fn run(&self, message: &Message<Work>) -> Run {
        let life = u32::from(self.is_redriven.load(Relaxed)) * REDRIVEN;
        (message.payload.n, life + message.attempt)
    }

    fn script(&self, (n, run): Run) -> Script {
        match run.checked_sub(REDRIVEN) {
            Some(_) => second_life(),
            None => self.scripts[&n][run as usize - 1].clone(),
        }
    }

    /// Returns an act of a run.
    pub(super) fn act_of(&self, run: Run, at: usize) -> Option<Act> {
        self.script(run).acts.get(at).copied()
    }

    fn is_first(&self, run: Run, at: usize) -> bool {
        self.once.lock().unwrap().insert((run, at))
    }

    /// Does what the script says. Once a statement has failed all others do, which is swallowed.
    fn perform(
        &self,
        session: &mut MessagingSession<'_>,
        message: &Message<Work>,
        (run, is_put_off): (Run, bool),
        is_broken: &mut bool,
        takes_result: bool,
    ) -> Result<(), HandlerError> {
        let script = self.script(run);
        let mut rows = 0;
        for (at, act) in script.acts.iter().enumerate() {
            let step = Step {
                run,
                at,
                rows: &mut rows,
                // A batch is one handler's.
                left: match takes_result {
                    true => left(&script.acts[..at]),
                    false => vec![Left::Setting, Left::Table, Left::Lock],
                },
                id: message.id,
            };
            if let Act::Fail(how, is_swallowed) = *act {
                let failed = fail(session, how, run);
                *is_broken = true;
                match is_swallowed {
                    true => continue,
                    false => return failed,
                }
            }
            if *act == Act::Record && !takes_result {
                continue;
            }
            match self.act(session, *act, step) {
                Err(_) if *is_broken => {}
                done => done?,
            }
        }
        end(script.end, run, is_put_off)
    }

    fn act(
        &self,
        session: &mut MessagingSession<'_>,
        act: Act,
        step: Step<'_>,
    ) -> Result<(), HandlerError> {
        let (n, run, at) = (step.run.0 as i32, step.run.1 as i32, step.at as i32);
        let trace = [n, run, at];
        let literals = format!("({n}, {run}, {at})");
        let insert = "INSERT INTO public.effect VALUES ($1, $2, $3)";
        let delayed = |topic| NewMessage::json(topic, &trace);
        match act {
            Act::Insert => drop(session.execute(insert, &[&n, &run, &at])?),
            Act::InsertReturning => {
                let returning = format!("{insert} RETURNING n");
                session.query_one(&returning, &[&n, &run, &at])?;
            }
            Act::Update => {
                let update = "UPDATE public.tally SET runs = runs || $2 WHERE n = $1";
                session.execute(update, &[&n, &format!(" {run}.{at}")])?;
            }
            Act::Look => self.look(session, &step)?,
            Act::Nested(how) => nest(session, how, &literals)?,
            Act::Borrow => {
                let insert = format!("INSERT INTO public.effect VALUES {literals}");
                session.with_transaction(|transaction| transaction.batch_execute(&insert))??;
            }
            Act::BatchExecute => {
                let insert = format!("INSERT INTO public.effect VALUES {literals}");
                session.batch_execute(&format!("{insert}; {insert}"))?;
            }
            Act::Leave(what) => leave(session, what)?,
            Act::Send => drop(session.send_message(ON, &trace)?),
            Act::SendDelayed => drop(session.send(delayed(ON)?.delay(LATER))?),
            Act::SendMany => drop(session.send_messages(ON, [trace; 6])?),
            Act::SendDeduped => {
                let once = delayed(ON)?.dedupe(literals, LATER);
                if session.send(once)?.is_duplicate() {
                    self.complain(format!("{:?} sent before what was undone", step.run));
                }
            }
            Act::SendKeyed => drop(session.send(delayed(ON)?.key("k"))?),
            Act::SendBySql => send_by_sql(session, &serde_json::to_string(&trace)?)?,
            Act::Publish => drop(session.publish("acts.published", &trace)?),
            Act::PublishMany => {
                for _ in 0..6 {
                    drop(session.publish("acts.published", &trace)?);
                }
            }
            Act::Record => session.record_result(&trace)?,
            Act::Violate => drop(session.execute("INSERT INTO public.taken VALUES (7)", &[])?),
            Act::ViolateLate => drop(session.execute("INSERT INTO public.late VALUES (7)", &[])?),
            Act::Conflict if self.is_first(step.run, step.at) => {
                session.batch_execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")?;
            }
            Act::Cut if self.is_first(step.run, step.at) => {
                session.execute("SELECT pg_terminate_backend(pg_backend_pid())", &[])?;
            }
            Act::Cancel(from) if self.is_first(step.run, step.at) => self.cancel(from, step.id)?,
            Act::Fail(..) | Act::Conflict | Act::Cut | Act::Cancel(_) => {}
        }
        *step.rows += rows(act);
        Ok(())
    }

    /// Looks whether what this run did is there, and nothing that was undone.
    fn look(
        &self,
        session: &mut MessagingSession<'_>,
        step: &Step<'_>,
    ) -> Result<(), HandlerError> {
        let (run, rows) = (step.run, *step.rows);
        let found = session.query_one(LEFT_BEHIND, &[])?;
        for (at, place) in [Left::Setting, Left::Table, Left::Lock]
            .into_iter()
            .enumerate()
        {
            if found.get::<_, bool>(at) && !step.left.contains(&place) {
                self.complain(format!("{run:?} saw what another one left: {place:?}"));
            }
        }
        let count = "SELECT count(*) FROM public.effect WHERE n = $1 AND run = $2";
        let params = (run.0 as i32, run.1 as i32);
        let found: i64 = session.query_one(count, &[&params.0, &params.1])?.get(0);
        if found != rows {
            self.complain(format!("{run:?} saw {found} rows of its own, not {rows}"));
        }
        Ok(())
    }

    fn cancel(&self, from: From, id: MessageId) -> Result<(), HandlerError> {
        let cancelled = self.process(from).cancel(id)?;
        if cancelled != Cancelled::Asked {
            self.complain(format!("a message in hand was cancelled: {cancelled:?}"));
        }
        Ok(())
    }

    pub(super) fn process(&self, which: From) -> &Messaging {
        match which {
            From::Here => &self.messaging,
            From::Elsewhere => self.elsewhere.as_ref().expect("there is one"),
        }
    }

    fn complain(&self, of: String) {
        self.complaints.lock().unwrap().push(of);
    }
}

/// Where handlers look for what others left behind.
const LEFT_BEHIND: &str = "SELECT pg_catalog.current_setting('search_path') = 'nowhere',
    EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = 'left_behind' AND pg_catalog.pg_table_is_visible(oid)),
    EXISTS (
        SELECT FROM pg_catalog.pg_locks
        WHERE locktype = 'advisory' AND objid = 4711 AND pid = pg_catalog.pg_backend_pid()
    )";

fn leave(session: &mut MessagingSession<'_>, what: Lasting) -> Result<(), HandlerError> {
    const SET: &str = "SET search_path = nowhere";
    match what {
        Lasting::Set => drop(session.execute(SET, &[])?),
        Lasting::SetLocal => drop(session.execute("SET LOCAL search_path = nowhere", &[])?),
        Lasting::SetByFunction => {
            let set = "SELECT pg_catalog.set_config('search_path', 'nowhere', false)";
            session.query(set, &[])?;
        }
        Lasting::SetInLent => {
            session.with_transaction(|transaction| transaction.batch_execute(SET))??;
        }
        Lasting::Table => {
            session.batch_execute("CREATE TEMP TABLE IF NOT EXISTS left_behind ()")?
        }
        Lasting::Lock => {
            drop(session.query("SELECT pg_catalog.pg_advisory_lock_shared(4711)", &[])?)
        }
    }
    Ok(())
}

/// Returns what these may have left.
fn left(acts: &[Act]) -> Vec<Left> {
    let left = acts.iter().filter_map(|act| match act {
        Act::Leave(what) => Some(what.place()),
        _ => None,
    });
    left.collect()
}

fn end(how: End, run: Run, is_put_off: bool) -> Result<(), HandlerError> {
    let why = |what: &str| format!("{what} {}/{}", run.0, run.1);
    match how {
        End::Snooze if is_put_off => Err(HandlerError::snooze(Duration::ZERO)),
        End::Done | End::Snooze => Ok(()),
        End::Fail => Err(HandlerError::failed(why("failed"))),
        // Without a word on the terminal.
        End::Panic => resume_unwind(Box::new(why("broke"))),
        End::Reject => Err(HandlerError::reject(why("rejected"))),
        End::RetryAfter => Err(HandlerError::retry_after(Duration::ZERO)),
    }
}

/// Returns how many rows an act inserts.
pub(super) fn rows(act: Act) -> i64 {
    match act {
        Act::Insert | Act::InsertReturning | Act::Borrow | Act::Nested(Nested::Commit) => 1,
        Act::BatchExecute => 2,
        _ => 0,
    }
}

fn send_by_sql(session: &mut MessagingSession<'_>, json: &str) -> Result<(), HandlerError> {
    session.query_one("SELECT outtray.send($1::text, $2::text)", &[&ON, &json])?;
    Ok(())
}
