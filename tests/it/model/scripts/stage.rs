//! Where a round takes place: a database of its own, the handlers, and what is found in the end.

use super::WORK;
use super::acting::{Actor, Work};
use super::expected::{Asked, Fate, Final, Trace, Where};
use super::kept;
use super::script::{From, Hands, Round};
use super::told::Told;
use super::wrapped::{around_batches, around_one, around_reader, router};
use crate::support::{PATIENCE, Place, pass_time};
use outtray::{
    Backoff, BatchMessage, Cancelled, ErrorKind, How, Message, MessageId, NewMessage, Receiver,
    ReceiverBuilder, Topic, TopicConfig, TopicKind,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// The handlers' own tables, without unique constraints but one, so that what happened twice shows.
const TABLES: &str = "
    CREATE TABLE effect (n integer NOT NULL, run integer NOT NULL, at integer NOT NULL CONSTRAINT positive CHECK (at >= 0));
    CREATE TABLE tally (n integer PRIMARY KEY, runs text NOT NULL DEFAULT '');
    INSERT INTO tally SELECT generate_series(0, 99);
    CREATE TABLE taken (n integer CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO taken VALUES (7);
    CREATE TABLE late (n integer);
    CREATE FUNCTION take_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        SET CONSTRAINTS public.once DEFERRED;
        INSERT INTO public.taken VALUES (NEW.n);
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION take_late()";

/// A sequence is not undone, so the next try succeeds.
const LEAK: &str = "
    CREATE SEQUENCE removal;
    CREATE FUNCTION keep_some() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF OLD.topic LIKE 'work%' AND nextval('public.removal') % 20 = 0 THEN RETURN NULL; END IF;
        RETURN OLD;
    END $$;
    CREATE TRIGGER leaky BEFORE DELETE ON outtray.message FOR EACH ROW EXECUTE FUNCTION keep_some()";

/// What is left of a log, and of what its reader put aside.
const LEFT_OF_LOG: &str = "SELECT CASE WHEN outtray.log_has_news('work') THEN 1 ELSE 0 END
    + (SELECT count(*) FROM outtray.log_place WHERE topic = 'work'
        AND tick <= (SELECT max(tick) FROM outtray.log_tick WHERE topic = 'work'))
    + (SELECT count(*) FROM outtray.message WHERE topic = 'work@reader')
    + (SELECT count(*) FROM outtray.scheduled WHERE topic = 'work@reader')
    + (SELECT count(*) FROM outtray.follower WHERE topic = 'work@reader')";

const LEFT: &str = "SELECT (SELECT count(*) FROM outtray.message WHERE topic = 'work')
    + (SELECT count(*) FROM outtray.scheduled WHERE topic = 'work')
    + (SELECT count(*) FROM outtray.follower WHERE topic = 'work')";

const TRACES: &str = "
    SELECT 0 AS place, n, run, at FROM effect
    UNION ALL SELECT 1, n, split_part(run, '.', 1)::integer, split_part(run, '.', 2)::integer
        FROM tally, unnest(string_to_array(ltrim(runs), ' ')) AS run
    UNION ALL SELECT 2, (payload ->> 0)::integer, (payload ->> 1)::integer, (payload ->> 2)::integer
        FROM (SELECT topic, payload FROM outtray.message UNION ALL SELECT topic, payload FROM outtray.follower) AS sent
        WHERE topic = 'on'
    UNION ALL SELECT 3, (payload ->> 0)::integer, (payload ->> 1)::integer, (payload ->> 2)::integer
        FROM outtray.scheduled WHERE topic = 'on'";

/// How long a drain is tried again whose connection breaks.
const MAX_DRAINS: usize = 100;

/// Whom what handlers publish reaches: one topic, once.
const SUBSCRIPTIONS: &str = "
    INSERT INTO outtray.subscription (topic, pattern)
        VALUES ('on', 'acts.*'), ('on', '#.published'), ('nobody', 'others.#');
    INSERT INTO outtray.subscription_version VALUES ('', gen_random_uuid())";

pub(super) struct Stage {
    pub(super) place: Place,
    pub(super) actor: Arc<Actor>,
    pub(super) round: Round,
    /// By the numbers of the messages.
    pub(super) ids: HashMap<usize, MessageId>,
    receiver: Option<Receiver>,
    pub(super) told: Told,
}

impl Stage {
    /// Sends the messages of a round. `sabotage` is done to the database first.
    pub(super) fn set(round: &Round, sabotage: &str) -> Stage {
        let told = Told::default();
        let mut place = told.place();
        place.sql(TABLES);
        place.sql(SUBSCRIPTIONS);
        place.sql(sabotage);
        if round.way.is_leaky {
            place.sql(LEAK);
        }
        if round.way.is_suspect {
            place.sql("INSERT INTO outtray.topic (topic, suspect_until) VALUES ('work', now() + interval '1 minute'), ('work@reader', now() + interval '1 minute')");
        }
        kept::configure(&place, round);
        if matches!(round.way.hands, Hands::Reader(_)) {
            let log = TopicConfig {
                kind: TopicKind::Log,
                ..TopicConfig::default()
            };
            place.messaging.topic(WORK).configure(log).unwrap();
        }
        let scripts = round
            .messages
            .iter()
            .map(|planned| (planned.n, planned.attempts.clone()));
        let elsewhere = (round.has_others()).then(|| told.connect(&place.url));
        let actor = Actor::new(scripts.collect(), place.messaging.clone(), elsewhere);
        let messages: Vec<NewMessage> = round
            .messages
            .iter()
            .map(|planned| {
                let n = if planned.fits {
                    json!(planned.n)
                } else {
                    json!("no number")
                };
                let mut message = NewMessage::json(WORK, &json!({"n": n}))
                    .unwrap()
                    .priority(planned.priority);
                if let Some(key) = planned.key {
                    message = message.key(key.to_string());
                }
                if planned.is_tracked {
                    message.tracked()
                } else {
                    message
                }
            })
            .collect();
        let sent = place
            .messaging
            .session(|session| Ok(session.send_all(messages)?))
            .unwrap();
        let numbers = round.messages.iter().map(|planned| planned.n);
        Stage {
            ids: numbers.zip(sent).map(|(n, sent)| (n, sent.id())).collect(),
            place,
            actor: Arc::new(actor),
            round: round.clone(),
            receiver: None,
            told,
        }
    }

    /// Lets all messages be handled until none is left.
    pub(super) fn play(&mut self) -> Result<(), String> {
        let started = Instant::now();
        if !self.round.way.is_drain && self.receiver.is_none() {
            self.receiver = Some(self.start());
        }
        loop {
            if self.round.way.is_drain {
                self.drain()?;
            }
            let left = match self.round.way.hands {
                Hands::Reader(_) => LEFT_OF_LOG,
                _ => LEFT,
            };
            let left: i64 = self.place.client.query_one(left, &[]).unwrap().get(0);
            if left == 0 {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(format!("{left} messages are left after {PATIENCE:?}"));
            }
            pass_time(Duration::from_millis(5));
        }
    }

    /// Ends the receiver.
    pub(super) fn leave(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            receiver.stop(PATIENCE);
        }
    }

    fn builder(&self) -> ReceiverBuilder<'_> {
        let way = &self.round.way;
        let at_once = Backoff::fixed(Duration::ZERO).without_jitter();
        let builder = self.place.messaging.receiver(WORK).workers(way.workers);
        let builder = builder.max_attempts(way.max_attempts).backoff(at_once);
        let builder = match way.hands {
            _ if !way.is_wrapped => builder,
            Hands::Batches(_) => around_batches(builder),
            _ => around_one(builder),
        };
        match way.hands {
            Hands::Fixed(count) => builder.messages_per_transaction(count),
            Hands::Leases => builder.lease(Duration::from_secs(60)),
            Hands::Adaptive | Hands::Batches(_) | Hands::Reader(_) => builder,
        }
    }

    /// Starts a reader of the log.
    fn start_reader(&self, size: usize) -> Receiver {
        let actor = Arc::clone(&self.actor);
        let at_once = Backoff::fixed(Duration::ZERO).without_jitter();
        let reader = self.place.messaging.reader(WORK, "reader");
        let reader = reader.batch_size(size).backoff(at_once);
        let reader = match self.round.way.is_wrapped {
            true => around_reader(reader),
            false => reader,
        };
        let started = reader.max_attempts(self.round.way.max_attempts).start(
            move |session, entries: &[Message<Work>]| actor.handle_entries(session, entries),
        );
        started.unwrap()
    }

    /// Returns the topic in which dead letters are.
    pub(super) fn ends_in(&self) -> Topic<'_> {
        let topic = match self.round.way.hands {
            Hands::Reader(_) => "work@reader",
            _ => WORK,
        };
        self.place.messaging.topic(topic)
    }

    fn start(&self) -> Receiver {
        let actor = Arc::clone(&self.actor);
        let builder = self.builder();
        match self.round.way.hands {
            Hands::Reader(size) => return self.start_reader(size),
            Hands::Batches(size) => builder
                .start_batches(size, move |session, batch: &[BatchMessage<Work>]| {
                    actor.handle_batch(session, batch)
                }),
            _ if self.round.way.is_wrapped => builder.start_router(router(actor)),
            _ => builder
                .start(move |session, message: Message<Work>| actor.handle(session, &message)),
        }
        .unwrap()
    }

    fn drain(&self) -> Result<(), String> {
        for _ in 0..MAX_DRAINS {
            let actor = Arc::clone(&self.actor);
            let drained = match self.round.way.hands {
                Hands::Batches(size) => self
                    .builder()
                    .drain_batches(size, move |session, batch: &[BatchMessage<Work>]| {
                        actor.handle_batch(session, batch)
                    }),
                _ if self.round.way.is_wrapped => self.builder().drain_router(&router(actor)),
                _ => self
                    .builder()
                    .drain(move |session, message: Message<Work>| actor.handle(session, &message)),
            };
            match drained {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Unavailable => {}
                Err(error) => return Err(format!("a drain ended with {error:?}")),
            }
        }
        Err("no drain comes to its end".to_owned())
    }

    /// Cancels messages here and elsewhere until `work` is over; says of which.
    pub(super) fn cancelling<T>(
        &mut self,
        work: impl FnOnce(&mut Stage) -> T,
    ) -> (T, HashMap<usize, Asked>) {
        if !self.round.way.is_cancelled {
            return (work(self), HashMap::new());
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let is_over_there = Arc::clone(&is_over);
        let actor = Arc::clone(&self.actor);
        let mut ids: Vec<(usize, MessageId)> = self.ids.iter().map(|(n, id)| (*n, *id)).collect();
        let canceller = thread::Builder::new().spawn(move || {
            let mut asked = HashMap::new();
            fastrand::shuffle(&mut ids);
            ids.truncate(ids.len() / 3);
            for (n, id) in ids {
                if is_over_there.load(Relaxed) {
                    break;
                }
                let from = if n % 2 == 0 {
                    From::Here
                } else {
                    From::Elsewhere
                };
                let by = actor.process(from);
                match by.cancel(id).unwrap() {
                    Cancelled::NotThere => {}
                    Cancelled::Removed => drop(asked.insert(n, Asked::Surely)),
                    _ => drop(asked.insert(n, Asked::Perhaps)),
                }
            }
            asked
        });
        let worked = work(self);
        is_over.store(true, Relaxed);
        (worked, canceller.unwrap().join().unwrap())
    }

    /// Moves all dead letters back; from now on all goes well.
    pub(super) fn redrive(&self) {
        self.actor.is_redriven.store(true, Relaxed);
        self.ends_in().redrive(..).unwrap();
    }

    /// Returns what the database has of each message's acts.
    fn traces(&mut self) -> HashMap<usize, Vec<Trace>> {
        let mut traces = HashMap::<usize, Vec<Trace>>::new();
        for row in self.place.client.query(TRACES, &[]).unwrap() {
            let number = |name| usize::try_from(row.get::<_, i32>(name)).unwrap();
            let place = [Where::Row, Where::Update, Where::Sent, Where::SentLater][number("place")];
            let trace = (place, number("run") as u32, number("at"));
            traces.entry(number("n")).or_default().push(trace);
        }
        traces
    }

    /// Returns what came of each message, and what cannot be.
    pub(super) fn found(&mut self) -> Result<HashMap<usize, Final>, String> {
        if let Some(complaint) = self.actor.complaints.lock().unwrap().first() {
            return Err(complaint.clone());
        }
        let mut traces = self.traces();
        let dead = self.ends_in().dead_letters(1_000).unwrap();
        let mut found = HashMap::new();
        for planned in &self.round.messages {
            let id = self.ids[&planned.n];
            let mut letters = dead.iter().filter(|letter| letter.id == id);
            let letter = letters.next();
            let mut fate = match letter {
                Some(letter) => Fate::Dead(
                    letter.reason.as_str(),
                    letter.attempts,
                    letter.error.clone(),
                ),
                None => Fate::Done,
            };
            if letters.next().is_some() {
                return Err(format!("{} is dead twice", planned.n));
            }
            let mut result = None;
            if planned.is_tracked {
                let completion = self.place.messaging.completion(id).unwrap();
                let completion = completion.ok_or("a tracked message has no end")?;
                match (completion.how, letter) {
                    (How::Done, None) | (How::Dead, Some(_)) => {}
                    (How::Cancelled, None) => fate = Fate::Cancelled,
                    (how, _) => {
                        let n = planned.n;
                        return Err(format!("{n} is said to be {how}, and is {fate:?}"));
                    }
                }
                result = completion.result;
            }
            let mut traces = traces.remove(&planned.n).unwrap_or_default();
            traces.sort_unstable();
            found.insert(
                planned.n,
                Final {
                    traces,
                    fate,
                    result: result.map(|result| recorded(&result)),
                },
            );
        }
        match traces.is_empty() && dead.len() <= found.len() {
            true => Ok(found),
            false => Err(format!("from nowhere: {traces:?}")),
        }
    }
}

fn recorded(result: &Value) -> (u32, usize) {
    let (_, run, at): (usize, u32, usize) = serde_json::from_value(result.clone()).unwrap();
    (run, at)
}

/// Returns whether what was found is what was expected. Only of tracked messages is known whether
/// they are done or cancelled, and what their result is.
pub(super) fn is_as(found: &Final, expected: &Final, is_tracked: bool) -> bool {
    let is_fate = match (&found.fate, &expected.fate) {
        (Fate::Dead(reason, attempts, error), Fate::Dead(expected, of, text)) => {
            (reason, attempts) == (expected, of) && error.contains(text)
        }
        (Fate::Done, Fate::Cancelled) => !is_tracked,
        (found, expected) => found == expected,
    };
    let is_result = !is_tracked || found.result == expected.result;
    found.traces == expected.traces && is_fate && is_result
}
