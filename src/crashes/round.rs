//! Shows that this process's receivers live, and notices those that died without signing off.
//!
//! Each receiver has a row and, on the upkeep connection, a session advisory lock under the row's
//! id. A process that dies loses its connection and with it the lock; its row stays. Whoever finds
//! such a row removes it. If the row says that the receiver may have had messages in hand (see
//! `wake::hands`) and the topic has messages, the topic becomes suspect: receivers note what they
//! have in hand before they run handlers (see `transaction::careful`), so that a message that kills
//! its process reaches its limit.
//!
//! The suspicion lasts until the messages that may have been in hand have ended. Nobody knows which
//! those were. But claims take the first free messages, and the receivers' rows say how many they
//! hold at most, so they are among the first so many of each rank: when none up to the last of
//! those is left, the suspicion is over. A message can slip through if many others came before it
//! since, from transactions that committed late. It kills once more uncounted, and is among the
//! first then. Where no such end comes, as with a filter that leaves messages lying, a time limit
//! ends the suspicion.
//!
//! Behind a pooler there are no session locks; rows carry the time when they were last seen
//! instead.
//!
//! A wrong guess (a process that lost its connection and is on its way back) only costs some speed
//! for a while. So a new receiver believes what it sees at once, since it may be the successor of a
//! process that a message just killed; later looks must see it twice.
//!
//! A busy server lets go of what a dead process held one connection after the other, and its
//! successor may be there before it let go of the lock. So a new receiver that finds others at work
//! notes what it has in hand for a moment, as if the topic were suspect, and looks again.

use crate::connect::connection::Connection;
use crate::crashes::mine::Mine;
use crate::crashes::newcomer::{Caution, Newcomer};
use crate::crashes::presence::{self as store, Enrolled, Living};
use crate::db::Run;
use crate::observe::fields::told;
use crate::processes::crews::Crews;
use crate::processes::identity::ProcessIdentity;
use crate::processes::running::UNSEEN_S;
use crate::schema::name::SchemaName;
use crate::wake::hint::Hint;
use crate::wake::round::{Polled, PolledTopic, Round, Work};
use crate::wake::waker::Waker;
use crate::words::sqlstate::is_held_up;
use crate::words::{Doing, Result};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a sign of life is given, and the others are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a topic is suspect after a death at most; each death that is found begins the time
/// anew. Long enough for slow handlers of what was in hand, one after the other, and for a
/// supervisor that waits before it starts a process again; work goes on in batches meanwhile. What
/// lies five minutes or more ahead is taken for a clock that was set back.
const SUSPECT_S: i64 = 240;

/// How long a new receiver is careful that finds others at work: a busy server needs some tens of
/// milliseconds to let go of what a dead process held.
const WARY_FOR: Duration = Duration::from_secs(3);
/// How soon it looks again whether they live.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The receivers of this process, and what is thought of the others.
pub(crate) struct Presence {
    mine: Vec<Mine>,
    /// Those that ended and could not sign off yet.
    leaving: Vec<Enrolled>,
    /// The locks that the present connection holds.
    held: HashSet<i64>,
    /// Found dead at the last look: believed at the next.
    doubted: HashSet<i64>,
    look_at: Instant,
    namespace: i64,
    identity: ProcessIdentity,
    /// Where it is seen what its receivers do.
    crews: Arc<Crews>,
    holds_locks: bool,
}

impl Presence {
    /// Makes the presence of a process, whose receivers show life by locks, or, where nobody can
    /// hold any, by rows.
    pub(crate) fn new(
        schema: &SchemaName,
        identity: ProcessIdentity,
        crews: Arc<Crews>,
        holds_locks: bool,
    ) -> Self {
        Presence {
            mine: Vec::new(),
            leaving: Vec::new(),
            held: HashSet::new(),
            doubted: HashSet::new(),
            look_at: Instant::now() + LOOK_EVERY,
            namespace: schema.lock_namespace(),
            identity,
            crews,
            holds_locks,
        }
    }

    /// Records a receiver, and believes at once what it sees of its topic's past. Returns its row,
    /// and how careful it is to be.
    pub(crate) fn enroll(
        &mut self,
        connection: &mut Connection,
        waker: &Waker,
        newcomer: &Newcomer,
    ) -> Result<(Enrolled, Caution)> {
        let topic = newcomer.topic.as_str();
        if newcomer.is_strict {
            store::ensure_turn(connection, topic)?;
        }
        let most = i32::try_from(newcomer.most).unwrap_or(i32::MAX);
        let enrolled = self.insert(connection, newcomer, most)?;
        self.mine.push(Mine {
            enrolled: enrolled.clone(),
            most,
            hands: Arc::clone(&newcomer.hands),
            state: newcomer.state.clone(),
        });
        let looked = self.look_back(connection, waker, topic);
        match looked.and_then(|suspect_for| self.care(connection, topic, suspect_for)) {
            Ok(care) => Ok((enrolled, care)),
            Err(error) => {
                // It does not start.
                self.leave(&enrolled);
                let _ = self.sign_off(connection, &enrolled);
                Err(error)
            }
        }
    }

    /// Looks who died that received a topic; returns for how long that makes it suspect.
    fn look_back(
        &mut self,
        connection: &mut Connection,
        waker: &Waker,
        topic: &str,
    ) -> Result<Duration> {
        let vanished = self.find(connection)?;
        let (here, elsewhere): (Vec<_>, Vec<_>) = vanished
            .into_iter()
            .partition(|receiver| receiver.topic == topic);
        self.doubted
            .extend(elsewhere.iter().map(|receiver| receiver.id));
        match self.suspect(connection, waker, &here) {
            // Somebody has the topic's row in hand: told to the others at the next look.
            Err(error) if is_held_up(&error) => Ok(Duration::from_secs(SUSPECT_S.unsigned_abs())),
            suspected => {
                suspected?;
                store::suspicion(connection, topic)
            }
        }
    }

    /// Looks who else is at work, and may have died a moment ago: they are looked at again soon,
    /// and the newcomer is careful until then.
    fn care(
        &mut self,
        connection: &mut Connection,
        topic: &str,
        suspect_for: Duration,
    ) -> Result<Caution> {
        let busy = match self.holds_locks {
            true => store::find_busy(connection, topic, &self.ids())?,
            // They are found by when they were seen last.
            false => Vec::new(),
        };
        if busy.is_empty() {
            let wary_for = Duration::ZERO;
            return Ok(Caution {
                suspect_for,
                wary_for,
            });
        }
        self.doubted.extend(busy);
        self.look_at = self.look_at.min(Instant::now() + LOOK_AGAIN);
        Ok(Caution {
            suspect_for,
            wary_for: WARY_FOR,
        })
    }

    /// Adds the row and takes its lock in one transaction: nobody sees the one without the other.
    fn insert(
        &mut self,
        connection: &mut Connection,
        newcomer: &Newcomer,
        most: i32,
    ) -> Result<Enrolled> {
        let topic = newcomer.topic.as_str();
        let doing = format!("enrolling a receiver of topic {topic}");
        let mut open = connection.read_committed(&doing)?;
        let who = (&self.identity, self.holds_locks);
        let enrolled = store::enroll(&mut open, topic, who, most, &newcomer.state)?;
        if self.holds_locks {
            let ids = [enrolled.id];
            self.held
                .extend(store::hold_liveness(&mut open, self.namespace, &ids)?);
        }
        open.transaction.commit().doing(&doing)?;
        Ok(enrolled)
    }

    /// Notes that a receiver ends in peace. Its row stays until it has signed off.
    pub(crate) fn leave(&mut self, receiver: &Enrolled) {
        self.mine.retain(|mine| mine.enrolled != *receiver);
        if !self.leaving.contains(receiver) {
            self.leaving.push(receiver.clone());
        }
    }

    /// Removes a receiver that leaves; tried again at the next look where it fails.
    pub(crate) fn sign_off(
        &mut self,
        connection: &mut Connection,
        receiver: &Enrolled,
    ) -> Result<()> {
        let namespace = self.holds_locks.then_some(self.namespace);
        store::sign_off(connection, namespace, receiver)?;
        self.leaving.retain(|leaving| leaving != receiver);
        self.held.remove(&receiver.id);
        Ok(())
    }

    /// Signs off those that could not before, each also where another one cannot.
    fn sign_off_leaving(&mut self, connection: &mut Connection) -> Result<()> {
        let leaving = self.leaving.clone().into_iter();
        let signed_off = leaving.map(|receiver| self.sign_off(connection, &receiver));
        let signed_off: Vec<_> = signed_off.collect();
        signed_off.into_iter().collect()
    }

    /// Shows life on a new connection. Where somebody has the rows of receivers in hand, it does so
    /// soon, and all else goes on.
    pub(crate) fn reconnected(&mut self, connection: &mut Connection) -> Result<()> {
        self.held.clear();
        match self.show_life(connection) {
            Err(error) if is_held_up(&error) && !connection.is_closed() => {
                self.look_at = self.look_at.min(Instant::now() + LOOK_AGAIN);
                Ok(())
            }
            shown => shown,
        }
    }

    /// Takes the locks that are missing, and brings back rows that somebody removed by mistake.
    fn show_life(&mut self, connection: &mut Connection) -> Result<()> {
        if self.mine.is_empty() {
            return Ok(());
        }
        let mut missing = self.ids();
        missing.retain(|id| !self.held.contains(id));
        if self.holds_locks && !missing.is_empty() {
            let got = store::hold_liveness(connection, self.namespace, &missing)?;
            if got.len() < missing.len() {
                // A former connection of this process has them for a moment.
                self.look_at = self.look_at.min(Instant::now() + LOOK_AGAIN);
            }
            self.held.extend(got);
        }
        if !self.holds_locks {
            store::rewind(connection, UNSEEN_S)?;
        }
        let mut seen = self.crews.states();
        for mine in &mut self.mine {
            if let Some(state) = seen.remove(&mine.enrolled.id) {
                mine.state = state;
            }
        }
        let rows: Vec<Living<'_>> = self.mine.iter().map(Mine::living).collect();
        store::show_life(connection, &rows, &self.identity, self.holds_locks)
    }

    fn find(&self, connection: &mut Connection) -> Result<Vec<Enrolled>> {
        store::find_vanished(connection, self.namespace, &self.ids())
    }

    /// Tells of those that vanished, topic by topic. Where that fails, they are told of at the next
    /// look.
    fn suspect(
        &mut self,
        connection: &mut Connection,
        waker: &Waker,
        vanished: &[Enrolled],
    ) -> Result<()> {
        let mut of_topics = BTreeMap::<&str, Vec<i64>>::new();
        for receiver in vanished {
            let of_topic = of_topics.entry(&receiver.topic).or_default();
            of_topic.push(receiver.id);
        }
        let mut done = Ok(());
        for (topic, ids) in of_topics {
            let suspected = begin_suspicion(connection, waker, topic, &ids);
            if suspected.is_err() {
                self.doubted.extend(ids);
            }
            done = done.and(suspected);
        }
        done
    }

    /// Returns the receivers of this process, also those that have ended and could not say so yet.
    pub(crate) fn all(&self) -> Vec<Enrolled> {
        let mine = self.mine.iter().map(|mine| &mine.enrolled);
        mine.chain(&self.leaving).cloned().collect()
    }

    fn ids(&self) -> Vec<i64> {
        self.all().iter().map(|receiver| receiver.id).collect()
    }
}

impl Round for Presence {
    fn at(&self) -> Option<Instant> {
        Some(self.look_at)
    }

    /// Shows life, and looks at the others.
    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        self.look_at = Instant::now() + LOOK_EVERY;
        let left = self.sign_off_leaving(work.connection);
        if self.mine.is_empty() {
            return left;
        }
        self.show_life(work.connection)?;
        let vanished = self.find(work.connection)?;
        let (sure, doubted): (Vec<_>, Vec<_>) = vanished
            .into_iter()
            .partition(|receiver| self.doubted.contains(&receiver.id));
        self.doubted = doubted.iter().map(|receiver| receiver.id).collect();
        left.and(self.suspect(work.connection, work.waker, &sure))
    }

    fn polled(&mut self, polled: &Polled, work: &mut Work<'_>) -> Result<()> {
        let topics = polled.topics.iter();
        let learnt: Vec<_> = topics.map(|state| learn_suspect(work, state)).collect();
        learnt.into_iter().collect()
    }
}

/// Makes a topic suspect of which these receivers vanished, if they may have had messages in hand.
fn begin_suspicion(run: &mut dyn Run, waker: &Waker, topic: &str, vanished: &[i64]) -> Result<()> {
    if !store::suspect(run, topic, vanished, SUSPECT_S)? {
        tracing::debug!(
            topic = told(&topic),
            "topic {topic}: a receiver is gone that had nothing in hand"
        );
        return Ok(());
    }
    tracing::warn!(
        topic = told(&topic),
        "topic {topic}: suspect, a process died that may have had messages in hand; until they have ended, \
         {SUSPECT_S} s at most, deliveries are counted ahead"
    );
    let suspect_for = Duration::from_secs(SUSPECT_S.unsigned_abs());
    waker.board.suspect(topic, suspect_for);
    waker.tell(Hint::Suspect);
    Ok(())
}

/// Learns whether a topic is suspect, and ends that if what may have been in hand has ended: no
/// worker may be there that asks.
fn learn_suspect(work: &mut Work<'_>, state: &PolledTopic) -> Result<()> {
    let topic = &state.topic;
    let is_news = work.waker.board.suspect(topic, state.suspect_for);
    if state.suspect_for.is_zero() {
        if is_news {
            tracing::info!(topic = told(&topic), "topic {topic}: suspect no more");
        }
        return Ok(());
    }
    if is_news {
        tracing::warn!(
            topic = told(&topic),
            "topic {topic}: suspect, a process died that may have had messages in hand; until they have ended, \
             deliveries are counted ahead"
        );
    }
    end_if_over(work.connection, work.waker, topic)
}

/// Ends the suspicion of a topic if all that may have been in hand has ended.
pub(crate) fn end_if_over(run: &mut dyn Run, waker: &Waker, topic: &str) -> Result<()> {
    if store::end_suspicion(run, topic)? {
        tracing::info!(
            topic = told(&topic),
            "topic {topic}: suspect no more, what was in hand when a process died has ended"
        );
        waker.board.suspect(topic, Duration::ZERO);
        waker.tell(Hint::Suspect);
    }
    Ok(())
}
