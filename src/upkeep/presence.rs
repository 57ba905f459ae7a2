//! Shows that this process's receivers live, and notices those that died without a word.
//!
//! Each receiver has a row and, on the upkeep's connection, a session advisory lock under the row's
//! id. A process that dies loses its connection and with it the lock; its row stays. Whoever finds
//! such a row removes it and makes its topic suspect: receivers count attempts before they run
//! handlers for a while, so that a message that kills its process reaches its limit.
//!
//! Behind a pooler there are no session locks; rows carry the time they were last seen instead.
//!
//! A wrong guess (a process that lost its connection and is on its way back) costs speed for a
//! minute, nothing else. So a new receiver believes what it sees at once, since it may be the
//! successor of a process that a message killed a moment ago; later looks want to see it twice.

use crate::connect::connection::Connection;
use crate::store::presence::{self as store, Enrolled};
use crate::store::statements::Statements;
use crate::wake::hint::Hint;
use crate::wake::waker::Waker;
use crate::words::Result;
use crate::words::sqlstate::{classify, is_held_up};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How often a sign of life is given, and the others are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// A receiver without a lock that was not seen for this long is dead: three signs missed.
const UNSEEN_S: i64 = 30;
/// How long a topic is suspect after a death. A process that dies and comes back dies again within
/// seconds, unless its supervisor makes it wait; each death that is found begins the time anew.
const SUSPECT_S: i64 = 60;

/// The receivers of this process, and what is thought of the others.
pub(crate) struct Presence {
    mine: Vec<Enrolled>,
    /// Those that ended while somebody had their rows in hand.
    leaving: Vec<Enrolled>,
    /// The locks that the present connection holds.
    held: HashSet<i64>,
    /// Found dead at the last look: believed at the next.
    doubted: HashSet<i64>,
    look_at: Instant,
    namespace: i64,
    process: String,
    holds_locks: bool,
}

impl Presence {
    pub(crate) fn new(schema: &str, process: String, holds_locks: bool) -> Self {
        Presence {
            mine: Vec::new(),
            leaving: Vec::new(),
            held: HashSet::new(),
            doubted: HashSet::new(),
            look_at: Instant::now() + LOOK_EVERY,
            namespace: namespace(schema),
            process,
            holds_locks,
        }
    }

    pub(crate) fn at(&self) -> Instant {
        self.look_at
    }

    /// Records a receiver, and believes at once what it sees of its topic's past. Returns its row, and for how long its
    /// topic is suspect.
    pub(crate) fn enroll(
        &mut self,
        connection: &mut Connection,
        statements: &Statements,
        waker: &Waker,
        topic: &str,
        is_strict: bool,
    ) -> Result<(Enrolled, Duration)> {
        if is_strict {
            store::ensure_turn(connection, statements, topic)?;
        }
        let enrolled = self.insert(connection, statements, topic)?;
        self.mine.push(enrolled.clone());
        match self.look_back(connection, statements, waker, topic) {
            Ok(suspect_for) => Ok((enrolled, suspect_for)),
            Err(error) => {
                // It does not start. What cannot be removed is found by others, as that of a process that died.
                let _ = self.sign_off(connection, statements, &enrolled);
                Err(error)
            }
        }
    }

    /// Looks who died that received a topic; returns for how long that makes it suspect.
    fn look_back(
        &mut self,
        connection: &mut Connection,
        statements: &Statements,
        waker: &Waker,
        topic: &str,
    ) -> Result<Duration> {
        let vanished = self.find(connection, statements)?;
        let (here, elsewhere): (Vec<_>, Vec<_>) = vanished
            .into_iter()
            .partition(|receiver| receiver.topic == topic);
        self.doubted
            .extend(elsewhere.iter().map(|receiver| receiver.id));
        match self.suspect(connection, statements, waker, &here) {
            // Somebody has the topic's row in hand: told to the others at the next look.
            Err(error) if is_held_up(&error) => {
                self.doubted.extend(here.iter().map(|receiver| receiver.id));
                Ok(Duration::from_secs(SUSPECT_S.unsigned_abs()))
            }
            suspected => {
                suspected?;
                store::suspicion(connection, statements, topic)
            }
        }
    }

    /// Adds the row and takes its lock in one transaction: nobody sees the one without the other.
    fn insert(
        &mut self,
        connection: &mut Connection,
        statements: &Statements,
        topic: &str,
    ) -> Result<Enrolled> {
        let doing = format!("enrolling a receiver of topic {topic}");
        let failed = |error| classify(error, &doing);
        let mut open = connection.begin(None).map_err(failed)?;
        let enrolled = store::enroll(
            &mut open,
            statements,
            topic,
            &self.process,
            self.holds_locks,
        )?;
        if self.holds_locks {
            let ids = [enrolled.id];
            self.held.extend(store::hold_liveness(
                &mut open,
                statements,
                self.namespace,
                &ids,
            )?);
        }
        open.transaction.commit().map_err(failed)?;
        Ok(enrolled)
    }

    /// Removes a receiver that ends in peace.
    pub(crate) fn sign_off(
        &mut self,
        connection: &mut Connection,
        statements: &Statements,
        receiver: &Enrolled,
    ) -> Result<()> {
        self.forget(receiver);
        let namespace = self.holds_locks.then_some(self.namespace);
        let signed_off = store::sign_off(connection, statements, namespace, receiver);
        if signed_off.as_ref().is_err_and(is_held_up) {
            self.leaving.push(receiver.clone());
        }
        signed_off
    }

    /// Stops showing life for a receiver.
    pub(crate) fn forget(&mut self, receiver: &Enrolled) {
        self.mine.retain(|mine| mine != receiver);
        self.held.remove(&receiver.id);
    }

    pub(crate) fn mine(&self) -> &[Enrolled] {
        &self.mine
    }

    /// Shows life on a new connection.
    pub(crate) fn reconnected(
        &mut self,
        connection: &mut Connection,
        statements: &Statements,
    ) -> Result<()> {
        self.held.clear();
        self.show_life(connection, statements)
    }

    /// Takes the locks that are missing, and brings back rows that somebody removed by mistake.
    fn show_life(&mut self, connection: &mut Connection, statements: &Statements) -> Result<()> {
        if self.mine.is_empty() {
            return Ok(());
        }
        let mut missing = self.ids();
        missing.retain(|id| !self.held.contains(id));
        if self.holds_locks && !missing.is_empty() {
            let got = store::hold_liveness(connection, statements, self.namespace, &missing)?;
            self.held.extend(got);
        }
        if !self.holds_locks {
            store::rewind(connection, statements, UNSEEN_S)?;
        }
        store::show_life(
            connection,
            statements,
            &self.mine,
            &self.process,
            self.holds_locks,
        )
    }

    /// Shows life, and looks at the others.
    pub(crate) fn run(
        &mut self,
        connection: &mut Connection,
        statements: &Statements,
        waker: &Waker,
    ) -> Result<()> {
        self.look_at = Instant::now() + LOOK_EVERY;
        for receiver in std::mem::take(&mut self.leaving) {
            self.sign_off(connection, statements, &receiver)?;
        }
        if self.mine.is_empty() {
            return Ok(());
        }
        self.show_life(connection, statements)?;
        let vanished = self.find(connection, statements)?;
        let (sure, doubted): (Vec<_>, Vec<_>) = vanished
            .into_iter()
            .partition(|receiver| self.doubted.contains(&receiver.id));
        self.doubted = doubted.iter().map(|receiver| receiver.id).collect();
        self.suspect(connection, statements, waker, &sure)
    }

    fn find(&self, connection: &mut Connection, statements: &Statements) -> Result<Vec<Enrolled>> {
        store::find_vanished(
            connection,
            statements,
            self.namespace,
            &self.ids(),
            UNSEEN_S,
        )
    }

    fn suspect(
        &self,
        connection: &mut Connection,
        statements: &Statements,
        waker: &Waker,
        vanished: &[Enrolled],
    ) -> Result<()> {
        if vanished.is_empty() {
            return Ok(());
        }
        for topic in store::suspect(connection, statements, vanished, SUSPECT_S)? {
            log::warn!(
                "topic {topic}: a process died while it received, attempts are counted ahead for \
                 {SUSPECT_S} s"
            );
            waker
                .board
                .suspect(&topic, Duration::from_secs(SUSPECT_S.unsigned_abs()));
            waker.tell(Hint::Suspect);
        }
        Ok(())
    }

    /// Returns the receivers of this process, also those that have ended and could not say so yet.
    fn ids(&self) -> Vec<i64> {
        let mine = self.mine.iter().chain(&self.leaving);
        mine.map(|receiver| receiver.id).collect()
    }
}

/// Returns what an id is mixed with to be the key of an advisory lock: FNV-1a, so that schemas in one database differ. All 64
/// bits of both count: ids may begin at any number, and no two of a schema share a key.
fn namespace(schema: &str) -> i64 {
    let hash = format!("outtray:{schema}")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    hash.cast_signed()
}
