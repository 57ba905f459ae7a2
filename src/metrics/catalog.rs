//! Every metric: its name, what it counts, its unit. `docs/METRICS.md` lists the same.

use metrics::Unit;
use std::fmt;

/// The label of topics: OpenTelemetry's `messaging.destination.name`, as Prometheus writes it.
pub(crate) const TOPIC: &str = "messaging_destination_name";
/// Why a message became a dead letter: the name of a [`DeadReason`](crate::DeadReason).
pub(crate) const REASON: &str = "reason";
/// Whose connection: `worker`, `upkeep` or `listener`.
pub(crate) const ROLE: &str = "role";
/// Whether connections of the pool are used or idle: OpenTelemetry's `db.client.connection.state`.
pub(crate) const STATE: &str = "db_client_connection_state";

/// What kind of metric one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// Grows from 0 as long as the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution; durations in seconds.
    Histogram,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        })
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: MetricKind,
    /// Its unit: seconds, or a number of the things that its name says.
    pub unit: Unit,
    /// What it says, in one sentence.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

const OF_TOPIC: &[&str] = &[TOPIC];

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    metric(name, MetricKind::Counter, Unit::Count, labels, help)
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    metric(name, MetricKind::Gauge, Unit::Count, labels, help)
}

const fn seconds(
    name: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    metric(name, kind, Unit::Seconds, labels, help)
}

const fn metric(
    name: &'static str,
    kind: MetricKind,
    unit: Unit,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        unit,
        help,
        labels,
    }
}

pub(crate) const SENT: Metric = counter(
    "outtray_sent_messages_total",
    OF_TOPIC,
    "Messages that were sent, once their transaction has committed.",
);
pub(crate) const DONE: Metric = counter(
    "outtray_done_messages_total",
    OF_TOPIC,
    "Messages that were handled, once their transaction has committed.",
);
pub(crate) const FAILED: Metric = counter(
    "outtray_failed_attempts_total",
    OF_TOPIC,
    "Attempts that failed: by an error or a panic of the handler.",
);
pub(crate) const RETRIED: Metric = counter(
    "outtray_retried_messages_total",
    OF_TOPIC,
    "Failed attempts after which the message is tried again.",
);
pub(crate) const SNOOZED: Metric = counter(
    "outtray_snoozed_messages_total",
    OF_TOPIC,
    "Messages that their handlers put off without spending an attempt.",
);
pub(crate) const PUT_OFF: Metric = counter(
    "outtray_put_off_messages_total",
    OF_TOPIC,
    "Messages that were claimed and put off unhandled, such as for want of a token of their key's rate.",
);
pub(crate) const RELEASED: Metric = counter(
    "outtray_released_messages_total",
    OF_TOPIC,
    "Leased messages that went back to their place without an attempt spent.",
);
pub(crate) const UNDONE: Metric = counter(
    "outtray_undone_messages_total",
    OF_TOPIC,
    "Messages whose transaction was rolled back by nobody's fault, such as a conflict or a lost connection.",
);
pub(crate) const DEAD: Metric = counter(
    "outtray_dead_messages_total",
    &[TOPIC, REASON],
    "Messages that became dead letters.",
);
pub(crate) const EXPIRED: Metric = counter(
    "outtray_expired_messages_total",
    OF_TOPIC,
    "Messages that expired before they were handled, kept as dead letters or not.",
);
pub(crate) const CANCELLED: Metric = counter(
    "outtray_cancelled_messages_total",
    OF_TOPIC,
    "Messages that were cancelled.",
);
pub(crate) const REDRIVEN: Metric = counter(
    "outtray_redriven_messages_total",
    OF_TOPIC,
    "Dead letters that were moved back to their topic.",
);
pub(crate) const PURGED: Metric = counter(
    "outtray_purged_messages_total",
    OF_TOPIC,
    "Messages that were purged.",
);
pub(crate) const WAIT: Metric = seconds(
    "outtray_wait_duration_seconds",
    MetricKind::Histogram,
    OF_TOPIC,
    "From when a message was due until its handler started, each attempt.",
);
pub(crate) const PROCESS: Metric = seconds(
    "outtray_process_duration_seconds",
    MetricKind::Histogram,
    OF_TOPIC,
    "How long handlers ran, each attempt.",
);
pub(crate) const END_TO_END: Metric = seconds(
    "outtray_end_to_end_duration_seconds",
    MetricKind::Histogram,
    OF_TOPIC,
    "From when a message was sent until it was done.",
);
pub(crate) const UNKNOWN: Metric = counter(
    "outtray_unknown_commits_total",
    &[],
    "Transactions of which nobody knows whether they committed, since the connection broke meanwhile.",
);
pub(crate) const LOST: Metric = counter(
    "outtray_lost_connections_total",
    &[ROLE],
    "Connections that broke.",
);
pub(crate) const RECONNECTS: Metric = counter(
    "outtray_reconnects_total",
    &[ROLE],
    "Connections that were opened again after one broke.",
);
pub(crate) const SWEEPS: Metric = counter(
    "outtray_sweeps_total",
    OF_TOPIC,
    "Claims that searched their topic from its very beginning.",
);
pub(crate) const WORKERS: Metric =
    gauge("outtray_workers", OF_TOPIC, "Workers of running receivers.");
pub(crate) const BUSY: Metric = gauge(
    "outtray_busy_workers",
    OF_TOPIC,
    "Workers that look for messages, handle or settle them.",
);
pub(crate) const CREW: Metric = gauge(
    "outtray_crew_size",
    OF_TOPIC,
    "How many workers may keep the database busy at a time, as found by trying.",
);
pub(crate) const POOL: Metric = gauge(
    "outtray_pool_connections",
    &[STATE],
    "Connections of the pool for sessions.",
);
pub(crate) const POOL_MAX: Metric = gauge(
    "outtray_pool_max_connections",
    &[],
    "How many connections the pool may have.",
);
pub(crate) const POOL_WAITS: Metric = counter(
    "outtray_pool_waits_total",
    &[],
    "Sessions that waited longer than 1 ms for a connection of the pool.",
);
pub(crate) const POOL_WAITED: Metric = seconds(
    "outtray_pool_waited_seconds",
    MetricKind::Gauge,
    &[],
    "How long sessions waited for connections of the pool, together since the start.",
);
pub(crate) const LISTENING: Metric = gauge(
    "outtray_listening",
    &[],
    "Whether notifications of other processes are heard: 1 or 0.",
);
pub(crate) const UPKEEP_LAG: Metric = seconds(
    "outtray_upkeep_lag_seconds",
    MetricKind::Gauge,
    &[],
    "How long the upkeep thread has been late with what it has to do.",
);

/// All metrics of a process.
pub(crate) const ALL: &[Metric] = &[
    SENT,
    DONE,
    FAILED,
    RETRIED,
    SNOOZED,
    PUT_OFF,
    RELEASED,
    UNDONE,
    DEAD,
    EXPIRED,
    CANCELLED,
    REDRIVEN,
    PURGED,
    WAIT,
    PROCESS,
    END_TO_END,
    UNKNOWN,
    LOST,
    RECONNECTS,
    SWEEPS,
    WORKERS,
    BUSY,
    CREW,
    POOL,
    POOL_MAX,
    POOL_WAITS,
    POOL_WAITED,
    LISTENING,
    UPKEEP_LAG,
];
