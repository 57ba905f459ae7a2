//! What options of messages, topics and receivers cost when the handler does nothing, each beside
//! the least that does the same by hand.

use super::bed::work::Task;
use super::bed::{Bed, Result, plain};
use super::delivery::{keyed, send};
use super::plan::Effort;
use super::report::Report;
use outtray::postgres::Client;
use outtray::{Filter, NewMessage, Rate, ReceiverBuilder, TopicConfig};
use std::time::Duration;
use uuid::Uuid;

/// Connections of both sides, where several may work.
const WORKERS: usize = 8;
/// Keys that messages are spread over: eight of each are in a run of full size.
const KEYS: u64 = 5_000;
/// How long outcomes are kept.
const KEPT: Duration = Duration::from_secs(60);

/// Claims and deletes messages that fulfil a condition, 64 at a time.
fn take(condition: &str) -> String {
    format!(
        "WITH ready AS MATERIALIZED (
             SELECT rank, seq FROM outtray.message WHERE topic = 'work' {condition}
             ORDER BY rank, seq LIMIT 64 FOR UPDATE SKIP LOCKED)
         DELETE FROM outtray.message USING ready
         WHERE topic = 'work' AND message.rank = ready.rank AND message.seq = ready.seq
         RETURNING message.id, message.payload::text"
    )
}

/// Handles messages of 5,000 keys, beside the same without keys.
pub(crate) fn keyed_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(40_000);
    keyed(bed, plan, "keyed-drain", messages, KEYS, Task::Drain)
}

/// Handles messages strictly in order. By hand: one connection locks a row, which is the turn, and
/// takes 64 messages.
pub(crate) fn strict_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let option = OptionTrial {
        name: "strict",
        messages: plan.scaled(40_000),
        config: TopicConfig::default(),
        by_hand: 1,
    };
    let fill = |bed: &Bed, messages| {
        bed.sql("INSERT INTO thing (n) VALUES (1)")?;
        bed.fill(messages)
    };
    option.run(bed, plan, fill, in_order, |client| {
        let turn = client.prepare("SELECT n FROM thing FOR UPDATE")?;
        let take = client.prepare(&take(""))?;
        loop {
            let mut transaction = client.transaction()?;
            transaction.query(&turn, &[])?;
            let is_empty = transaction.query(&take, &[])?.is_empty();
            transaction.commit()?;
            if is_empty {
                return Ok(());
            }
        }
    })
}

/// Handles messages of a topic with a limit of those in work. By hand: a row for each slot, of
/// which each transaction locks one.
pub(crate) fn limited_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let option = OptionTrial {
        name: "limited",
        messages: plan.scaled(100_000),
        config: TopicConfig {
            max_in_work: Some(WORKERS as u32),
            ..TopicConfig::default()
        },
        by_hand: WORKERS,
    };
    let fill = |bed: &Bed, messages| {
        bed.sql(&format!(
            "INSERT INTO thing (n) SELECT generate_series(1, {WORKERS})"
        ))?;
        bed.fill(messages)
    };
    option.run(bed, plan, fill, as_it_is, |client| {
        let slot = client.prepare("SELECT n FROM thing LIMIT 1 FOR UPDATE SKIP LOCKED")?;
        let take = client.prepare(&take(""))?;
        loop {
            let mut transaction = client.transaction()?;
            let is_free = !transaction.query(&slot, &[])?.is_empty();
            let is_empty = is_free && transaction.query(&take, &[])?.is_empty();
            transaction.commit()?;
            if is_empty {
                return Ok(());
            }
        }
    })
}

/// Handles messages of a topic with a rate that it never reaches. By hand: a row is counted down
/// before each transaction.
pub(crate) fn rated_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let option = OptionTrial {
        name: "rated",
        messages: plan.scaled(100_000),
        config: TopicConfig {
            rate: Some(Rate {
                messages: 10_000_000,
                per: Duration::from_secs(1),
                burst: 1_000_000,
            }),
            ..TopicConfig::default()
        },
        by_hand: WORKERS,
    };
    let fill = |bed: &Bed, messages| {
        bed.sql("INSERT INTO thing (n) VALUES (1000000000)")?;
        bed.fill(messages)
    };
    option.run(bed, plan, fill, as_it_is, |client| {
        let spend = client.prepare("UPDATE thing SET n = n - 64 WHERE n >= 64")?;
        let take = client.prepare(&take(""))?;
        loop {
            client.execute(&spend, &[])?;
            if client.query(&take, &[])?.is_empty() {
                return Ok(());
            }
        }
    })
}

/// Handles messages with a filter that all of them pass. By hand: a condition on the headers.
pub(crate) fn filtered_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let option = OptionTrial {
        name: "filtered",
        messages: plan.scaled(100_000),
        config: TopicConfig::default(),
        by_hand: WORKERS,
    };
    let fill = |bed: &Bed, messages| {
        let with_header = |_, message: NewMessage| message.header("region", "eu");
        send(bed, "work", messages, with_header)
    };
    option.run(bed, plan, fill, only_eu, |client| {
        take_all(client, &take("AND headers ->> 'region' = 'eu'"))
    })
}

/// Handles tracked messages. By hand: the transaction that deletes them updates a row for each.
pub(crate) fn tracked_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let option = OptionTrial {
        name: "tracked",
        messages: plan.scaled(50_000),
        config: TopicConfig::default(),
        by_hand: WORKERS,
    };
    let fill = |bed: &Bed, messages| {
        send(bed, "work", messages, |_, message| {
            message.tracked_for(KEPT)
        })?;
        bed.sql("VACUUM ANALYZE outtray.outcome")
    };
    option.run(bed, plan, fill, as_it_is, |client| {
        let take = client.prepare(&take(""))?;
        let end = client.prepare(
            "UPDATE outtray.outcome SET state = 'done', ended_at = now()
             FROM unnest($1::uuid[]) AS ended (id)
             WHERE outcome.topic = 'work' AND outcome.id = ended.id",
        )?;
        loop {
            let mut transaction = client.transaction()?;
            let rows = transaction.query(&take, &[])?;
            let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
            if !ids.is_empty() {
                transaction.execute(&end, &[&ids])?;
            }
            transaction.commit()?;
            if ids.is_empty() {
                return Ok(());
            }
        }
    })
}

/// Handles messages whose delay is over. By hand: 1,000 at a time are moved to where claims look,
/// and then taken.
pub(crate) fn delayed_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let option = OptionTrial {
        name: "delayed",
        messages: plan.scaled(50_000),
        config: TopicConfig::default(),
        by_hand: WORKERS,
    };
    let fill = |bed: &Bed, messages| {
        bed.sql(&format!(
            "INSERT INTO outtray.scheduled (topic, rank, id, due_at, payload)
             SELECT 'work', 0, gen_random_uuid(), now() + n * interval '1 microsecond', json_build_object('n', n)
             FROM generate_series(1, {messages}) AS n"
        ))?;
        bed.sql("VACUUM ANALYZE outtray.scheduled")
    };
    option.run(bed, plan, fill, as_it_is, |client| {
        let due = client.prepare(
            "WITH due AS MATERIALIZED (
                 SELECT topic, id FROM outtray.scheduled WHERE due_at <= now()
                 ORDER BY due_at LIMIT 1000 FOR UPDATE SKIP LOCKED),
             moved AS (
                 DELETE FROM outtray.scheduled USING due
                 WHERE scheduled.topic = due.topic AND scheduled.id = due.id
                 RETURNING scheduled.topic, scheduled.rank, scheduled.id, scheduled.payload)
             INSERT INTO outtray.message (topic, rank, id, payload)
             SELECT moved.topic, moved.rank, moved.id, moved.payload FROM moved",
        )?;
        while client.execute(&due, &[])? > 0 {}
        take_all(client, &take(""))
    })
}

/// Handles messages with ten priorities. By hand: in the same order.
pub(crate) fn priorities_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let option = OptionTrial {
        name: "priorities",
        messages: plan.scaled(100_000),
        config: TopicConfig::default(),
        by_hand: WORKERS,
    };
    let fill = |bed: &Bed, messages| {
        bed.sql(&format!(
            "INSERT INTO outtray.message (topic, rank, id, payload)
             SELECT 'work', -(n % 10), gen_random_uuid(), json_build_object('n', n)
             FROM generate_series(1, {messages}) AS n"
        ))
    };
    option.run(bed, plan, fill, as_it_is, |client| {
        take_all(client, &take(""))
    })
}

/// An option, and how much is measured of it.
struct OptionTrial {
    name: &'static str,
    messages: u64,
    /// What is set for the topic.
    config: TopicConfig,
    /// Connections of the other side.
    by_hand: usize,
}

impl OptionTrial {
    /// Drains what `fill` puts into the topic, by a receiver and by hand.
    fn run(
        self,
        bed: &Bed,
        plan: &Effort,
        fill: impl Fn(&Bed, u64) -> Result<()>,
        receiver: impl Fn(ReceiverBuilder<'_>) -> ReceiverBuilder<'_>,
        by_hand: impl Fn(&mut Client) -> Result<()> + Sync,
    ) -> Result<Report> {
        let topic = bed.messaging.topic("work");
        topic.configure(self.config)?;
        let filled = || fill(bed, self.messages).and_then(|()| bed.settle());
        let compared = plan.compare(
            bed,
            self.messages,
            || {
                filled()?;
                let receiver = receiver(bed.messaging.receiver("work").workers(WORKERS));
                bed.receive_with(receiver, self.messages, |_, _| Ok(()))
            },
            || {
                filled()?;
                plain::on_threads(bed, self.by_hand, &by_hand)
            },
        );
        topic.configure(TopicConfig::default())?;
        let (ours, theirs) = compared?;
        Ok(Report::new(self.name, self.messages).rates(ours, theirs, plain::PREPARED))
    }
}

fn as_it_is(receiver: ReceiverBuilder<'_>) -> ReceiverBuilder<'_> {
    receiver
}

fn in_order(receiver: ReceiverBuilder<'_>) -> ReceiverBuilder<'_> {
    receiver.strict_order()
}

fn only_eu(receiver: ReceiverBuilder<'_>) -> ReceiverBuilder<'_> {
    receiver.filter(Filter::new().equals("region", "eu"))
}

fn take_all(client: &mut Client, take: &str) -> Result<()> {
    let take = client.prepare(take)?;
    while !client.query(&take, &[])?.is_empty() {}
    Ok(())
}
