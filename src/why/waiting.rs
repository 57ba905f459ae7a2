//! Messages that wait or are in work: ready, scheduled, or behind others of their key.

use crate::connect::transaction::OpenTransaction;
use crate::db::{Params, Statement, column, query, sql};
use crate::doctor::finding::Remedy;
use crate::doctor::listed::word;
use crate::finding::place::Located;
use crate::message::claimed::time;
use crate::message::columns::{attempts, failures, shown};
use crate::rate_limit::OVER_RATE;
use crate::why::answer::{AwaitedMessage, Bounded, KeyHead, Obstacle, Why, WhyState};
use crate::why::holder::{LockHolder, LockSessions};
use crate::why::question::{WhyLook, WhyQuestion, gone};
use crate::why::receivers::{Receivers, unreceived};
use crate::why::topic_facts::TopicFacts;
use crate::words::topic_config::PoisonedKey;
use crate::words::{MessageId, Result};
use postgres::Row;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

static WHY_BEHIND: Statement = sql!("why_behind", Anew);
static WHY_HEADS: Statement = sql!("why_heads", Anew);
static WHY_READY: Statement = sql!("why_ready", Anew);
static WHY_SCHEDULED: Statement = sql!("why_scheduled", Anew);

const DOING: &str = "looking at a message";

/// So many messages ahead are counted, and one more says that there are more.
const COUNTED: i64 = 1_000;
/// So many messages of those that one comes after are told.
const AFTER: i64 = 100;
/// So many messages of a key are told that are out of its line.
const HEADS: i64 = 10;

const NO_LOCK: &str = "whether that session is a worker's: receivers behind a pooler do not show which sessions are theirs";

/// What is known of a message apart from where it is.
struct Frame {
    why: Why,
    topic: TopicFacts,
    receivers: Receivers,
    sessions: LockSessions,
    /// Its headers, as they are stored.
    headers: Option<String>,
    expires_at: Option<SystemTime>,
}

impl Frame {
    /// Reads a message, and asks for its topic and for who has these transactions open.
    fn ask(
        open: &mut OpenTransaction<'_>,
        place: &Located,
        row: &Row,
        question: &WhyQuestion,
        mut transactions: BTreeSet<String>,
    ) -> Result<Self> {
        let key: Option<String> = column(row, "key")?;
        let topic = TopicFacts::ask(open, &place.topic, key.as_deref(), place.id)?;
        transactions.extend(topic.transactions());
        let receivers = Receivers::ask(open, &place.topic, question.namespace)?;
        let sessions = LockSessions::ask(open, &transactions, &receivers.lock_keys())?;
        // Its state follows.
        let state = WhyState::NotThere { is_sure: false };
        let mut why = Why::new(question.id, Some(place.topic.clone()), state, topic.now);
        why.key = key;
        why.attempts = attempts(row)?;
        why.deaths = topic.deaths;
        why.failures = failures(row)?;
        why.sent_at = Some(time(column(row, "sent_at_us")?));
        why.receivers = receivers.living(&sessions);
        let unreadable = shown(row, &place.topic)?.unreadable;
        why.obstacles
            .extend(unreadable.map(|why| Obstacle::Unreadable { why }));
        Ok(Frame {
            why,
            topic,
            receivers,
            sessions,
            headers: column(row, "headers")?,
            expires_at: column::<Option<i64>>(row, "expires_at_us")?.map(time),
        })
    }

    /// Adds what keeps it once its state allows it to be handled.
    fn add_obstacles(&mut self) {
        let since = self.topic.cancelled_at;
        self.why
            .obstacles
            .extend(since.map(|since| Obstacle::Cancelled { since }));
        let at = self.expires_at.filter(|at| *at <= self.topic.now);
        self.why
            .obstacles
            .extend(at.map(|at| Obstacle::Expired { at }));
        if self.topic.is_log {
            // No receiver of its own, no limit: it moves into the log.
            self.why.obstacles.push(Obstacle::NotYetInLog);
            return;
        }
        let unreceived = unreceived(&self.why.receivers, self.headers.as_deref());
        let of_topic = self.topic.obstacles(&self.sessions, unreceived);
        self.why.obstacles.extend(of_topic);
    }

    /// Returns the state of a message whose row a session has in hand.
    fn in_hand(&mut self, holder: LockHolder) -> WhyState {
        let is_receiving = self.sessions.is_receiving(&holder);
        if !is_receiving && !self.receivers.has_lockless() {
            self.add_obstacles();
            return WhyState::Locked { holder };
        }
        if !is_receiving {
            self.why.not_known.push(NO_LOCK.to_owned());
        }
        WhyState::InWork {
            worker: self.receivers.handling(self.why.id, holder.server_process),
            holder,
            is_cancelled: self.topic.cancelled_at.is_some(),
        }
    }

    fn end(mut self, state: WhyState) -> Why {
        self.why.state = state;
        for process in self.sessions.hidden() {
            self.why.not_known.push(format!(
                "what server process {process} does: this role sees it with pg_read_all_stats"
            ));
        }
        self.why.add_remedies();
        self.why
    }
}

/// Tells of a message that is ready or in work.
pub(crate) fn ready(
    open: &mut OpenTransaction<'_>,
    place: &Located,
    question: &WhyQuestion,
) -> Result<WhyLook> {
    let most = COUNTED + 1;
    let params: Params<'_> = &[&place.topic, &place.rank, &place.seq, &place.id, &most];
    let rows = query(open, &WHY_READY, params, DOING)?;
    let row = rows.first().ok_or_else(|| gone(question.id))?;
    let holder: Option<String> = column(row, "holder")?;
    let head_holder: Option<String> = column(row, "head_holder")?;
    let transactions = holder.iter().chain(&head_holder).cloned().collect();
    let mut frame = Frame::ask(open, place, row, question, transactions)?;
    if let Some(session) = frame.sessions.of(holder.as_deref()).cloned() {
        let state = frame.in_hand(session);
        return Ok(frame.end(state).into());
    }
    frame.add_obstacles();
    let state = match span(row, "left_us")? {
        // The failed head of a topic in strict order.
        Some(due_in) => WhyState::Retrying {
            due_at: frame
                .topic
                .now
                .checked_add(due_in)
                .unwrap_or(frame.topic.now),
            due_in,
            attempt: frame.why.attempts.saturating_add(1),
            error: frame
                .why
                .failures
                .last()
                .map(|failure| failure.error.clone()),
        },
        None => {
            strict_order(&mut frame, row, question.id)?;
            let ahead = bounded(column(row, "ahead")?);
            WhyState::Ready { ahead }
        }
    };
    let why = frame.end(state);
    let doubt = holder.map(|holder| (place.clone(), holder));
    Ok(WhyLook { why, doubt })
}

/// Adds that another message comes first, where a topic is handled in strict order.
fn strict_order(frame: &mut Frame, row: &Row, id: MessageId) -> Result<()> {
    let first = MessageId(column(row, "head_id")?);
    if !frame.topic.has_turn || first == id {
        return Ok(());
    }
    let holder: Option<&str> = column(row, "head_holder")?;
    let due_in = span(row, "head_left_us")?;
    // Somebody may have received it so once, and it is not received so any more.
    if due_in.is_some() || frame.sessions.of(holder).is_some() {
        frame
            .why
            .obstacles
            .push(Obstacle::StrictOrder { first, due_in });
    }
    Ok(())
}

/// Tells of a message that is scheduled or leased.
pub(crate) fn scheduled(
    open: &mut OpenTransaction<'_>,
    place: &Located,
    question: &WhyQuestion,
) -> Result<Why> {
    let most = AFTER + 1;
    let params: Params<'_> = &[&place.topic, &place.id, &most];
    let rows = query(open, &WHY_SCHEDULED, params, DOING)?;
    let row = rows.first().ok_or_else(|| gone(question.id))?;
    let holder: Option<String> = column(row, "holder")?;
    let mut frame = Frame::ask(open, place, row, question, holder.iter().cloned().collect())?;
    let due_at = column::<Option<i64>>(row, "due_at_us")?.map(time);
    let due_in = span(row, "due_in_us")?;
    let Some((due_at, due_in)) = due_at.zip(due_in) else {
        let state = after_others(row)?;
        frame.add_obstacles();
        return Ok(frame.end(state));
    };
    if column(row, "is_leased")? {
        let attempt = frame.why.attempts.max(1);
        // The one in work counts already.
        frame.why.attempts = attempt - 1;
        let state = WhyState::Leased {
            until: due_at,
            left: due_in,
            attempt,
            worker: frame.receivers.handling(question.id, None),
            is_cancelled: column(row, "is_cancelled")?,
        };
        return Ok(frame.end(state));
    }
    if let Some(session) = frame.sessions.of(holder.as_deref()).cloned() {
        frame.why.obstacles.push(Obstacle::Held { holder: session });
    }
    frame.add_obstacles();
    let error: Option<String> = column(row, "error")?;
    if error.as_deref() == Some(OVER_RATE) {
        let is_rate = |obstacle: &Obstacle| matches!(obstacle, Obstacle::KeyRateUsedUp { .. });
        frame.why.obstacles.retain(|obstacle| !is_rate(obstacle));
        frame
            .why
            .obstacles
            .push(Obstacle::KeyRateUsedUp { next_in: due_in });
    }
    let attempt = frame.why.attempts.saturating_add(1);
    let state = match error.is_some() || attempt > 1 {
        true => WhyState::Retrying {
            due_at,
            due_in,
            attempt,
            error,
        },
        false => WhyState::Delayed { due_at, due_in },
    };
    Ok(frame.end(state))
}

/// Tells what a message comes after.
fn after_others(row: &Row) -> Result<WhyState> {
    let ids: Vec<Uuid> = column(row, "after")?;
    let needs: Vec<bool> = column(row, "needs")?;
    let told = usize::try_from(AFTER).unwrap_or(usize::MAX);
    let on = ids.iter().zip(needs).take(told);
    let on = on.map(|(id, needs_success)| AwaitedMessage {
        id: MessageId(*id),
        needs_success,
        why: None,
    });
    Ok(WhyState::AfterOthers {
        on: on.collect(),
        has_more: ids.len() > told,
    })
}

/// Tells of a message that waits behind others of its key.
pub(crate) fn behind(
    open: &mut OpenTransaction<'_>,
    place: &Located,
    question: &WhyQuestion,
) -> Result<Why> {
    let most = COUNTED + 1;
    let params: Params<'_> = &[&place.topic, &place.key, &place.seq, &place.id, &most];
    let rows = query(open, &WHY_BEHIND, params, DOING)?;
    let row = rows.first().ok_or_else(|| gone(question.id))?;
    let params: Params<'_> = &[&place.topic, &place.key, &HEADS];
    let out = query(open, &WHY_HEADS, params, DOING)?;
    let mut transactions = BTreeSet::new();
    for head in &out {
        transactions.extend(column::<Option<String>>(head, "holder")?);
    }
    let mut frame = Frame::ask(open, place, row, question, transactions)?;
    frame.add_obstacles();
    let heads: Vec<KeyHead> = out
        .iter()
        .map(|head| key_head(head, &frame.sessions))
        .collect::<Result<_>>()?;
    let waiting: i64 = column(row, "ahead")?;
    let mut ahead = bounded(waiting);
    ahead.count = ahead.count.saturating_add(heads.len() as u64);
    let is_holding =
        frame.topic.config.poisoned_key.unwrap_or(PoisonedKey::Skip) != PoisonedKey::Skip;
    let dead: Option<Uuid> = column(row, "dead_id")?;
    let blocked_by = dead.filter(|_| is_holding).map(MessageId);
    Ok(frame.end(WhyState::Behind {
        ahead,
        heads,
        blocked_by,
    }))
}

fn key_head(row: &Row, sessions: &LockSessions) -> Result<KeyHead> {
    let holder: Option<&str> = column(row, "holder")?;
    Ok(KeyHead {
        id: MessageId(column(row, "id")?),
        holder: sessions.of(holder).cloned(),
        is_leased: column(row, "is_leased")?,
        due_in: span(row, "left_us")?,
    })
}

fn span(row: &Row, name: &str) -> Result<Option<Duration>> {
    let us: Option<i64> = column(row, name)?;
    Ok(us.map(|us| Duration::from_micros(us.max(0).unsigned_abs())))
}

fn bounded(counted: i64) -> Bounded {
    Bounded {
        count: counted.clamp(0, COUNTED).unsigned_abs(),
        is_exact: counted <= COUNTED,
    }
}

impl Why {
    /// Adds what would change it.
    fn add_remedies(&mut self) {
        let Some(topic) = self.topic.as_deref().map(word) else {
            return;
        };
        let commands = |commands: Vec<String>| commands.into_iter().map(Remedy::Command);
        if let WhyState::Locked { holder } | WhyState::InWork { holder, .. } = &self.state
            && let Some(process) = holder.server_process
        {
            self.remedies
                .push(Remedy::call(&format!("pg_terminate_backend({process})")));
        }
        if let WhyState::Behind {
            blocked_by: Some(dead),
            ..
        } = &self.state
        {
            self.remedies.extend(commands(vec![
                format!("outtray dead redrive {topic} {dead}"),
                format!("outtray dead purge {topic} {dead}"),
            ]));
        }
        for obstacle in &self.obstacles {
            let remedy = match obstacle {
                Obstacle::Paused { .. } => Remedy::Command(format!("outtray resume {topic}")),
                Obstacle::NoReceiver | Obstacle::NotWanted { .. } => Remedy::Advice(format!(
                    "start the program that receives {topic}, or a worker: outtray work {topic} -- COMMAND"
                )),
                Obstacle::RateUsedUp { .. } => {
                    Remedy::Command(format!("outtray rate reset {topic}"))
                }
                Obstacle::MaxInWorkUsedUp { limit, .. } => Remedy::Command(format!(
                    "outtray config {topic} --set max_in_work={}",
                    limit.saturating_mul(2).min(10_000)
                )),
                _ => continue,
            };
            self.remedies.push(remedy);
        }
    }
}
