//! What it costs to publish, beside sending as many messages.

use super::bed::{Bed, Result};
use super::plan::Effort;
use super::report::Report;
use outtray::{HandlerError, MessagingSession};
use serde_json::json;
use std::time::{Duration, Instant};

/// Subscriptions of the case with many, and those of them that match.
const SUBSCRIPTIONS: u64 = 1000;
const MATCHING: u64 = 10;

/// Publishes to one subscriber, one message to a transaction, beside the same sends.
pub(crate) fn publish_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    bed.messaging.subscribe("orders.created", "send")?;
    let messages = plan.scaled(5_000);
    let report = compared(bed, plan, "publish", messages, 1)?;
    bed.messaging.unsubscribe("orders.created", "send")?;
    Ok(report.note("one subscriber, no wildcard"))
}

/// Publishes to ten of a thousand subscriptions, beside ten sends in a session.
pub(crate) fn publish_many_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    // By hand: one call after the other waits for publishers each time.
    bed.sql(&format!(
        "INSERT INTO outtray.subscription (topic, pattern)
            SELECT 'send-' || n, CASE WHEN n < {MATCHING} THEN 'orders.*' ELSE 'others.' || n || '.#' END
            FROM generate_series(0, {SUBSCRIPTIONS} - 1) AS n;
        INSERT INTO outtray.subscription_version (topic, version) VALUES ('', gen_random_uuid())
            ON CONFLICT (topic) DO UPDATE SET version = excluded.version"
    ))?;
    let messages = plan.scaled(20_000);
    let report = compared(bed, plan, "publish-many", messages, MATCHING)?;
    bed.sql(
        "DELETE FROM outtray.subscription;
        UPDATE outtray.subscription_version SET version = gen_random_uuid()",
    )?;
    Ok(report.note("ten of a thousand subscriptions match"))
}

fn compared(
    bed: &Bed,
    plan: &Effort,
    name: &'static str,
    messages: u64,
    copies: u64,
) -> Result<Report> {
    let calls = messages.div_ceil(copies);
    let pass = |work: &dyn Fn(&mut MessagingSession<'_>, u64) -> Result<(), HandlerError>| {
        bed.settle()?;
        let started = Instant::now();
        for number in 0..calls {
            bed.messaging.session(|session| work(session, number))?;
        }
        Ok::<Duration, Box<dyn std::error::Error + Send + Sync>>(started.elapsed())
    };
    let (ours, theirs) = plan.compare(
        bed,
        calls * copies,
        || {
            pass(&|session, number| {
                session.publish("orders.created", &json!({ "n": number }))?;
                Ok(())
            })
        },
        || {
            pass(&|session, number| {
                for topic in 0..copies {
                    session.send_message(&format!("send-{topic}"), &json!({ "n": number }))?;
                }
                Ok(())
            })
        },
    )?;
    Ok(Report::new(name, calls * copies).rates(ours, theirs, "the same sends"))
}
