//! The cases of `outtray bench`, each measured beside the same work in plain SQL on the same server
//! in the same run.
//!
//! Figures of one machine mean little on another; ratios mean more. Each case runs both sides in
//! turns and reports medians.

use super::bed::{Bed, Result};
use super::many;
use super::plan::Effort;
use super::report::Report;
use super::{
    delivery, fan_out, latency, leases, life, logs, options, pressure, request, throughput,
};

/// One thing that is measured.
pub(crate) struct Case {
    /// The name on the command line.
    pub(crate) name: &'static str,
    /// What is measured, in a line.
    pub(crate) about: &'static str,
    run: fn(&Bed, &Effort) -> Result<Report>,
}

impl Case {
    /// Measures. Blocks for seconds to minutes.
    pub(crate) fn run(&self, bed: &Bed, plan: &Effort) -> Result<Report> {
        (self.run)(bed, plan)
    }
}

/// All cases, in the order in which they are run.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "send-one",
        about: "one message to a transaction, one connection",
        run: throughput::send_one_case,
    },
    Case {
        name: "send-bulk",
        about: "1,000 messages to a transaction, one connection",
        run: throughput::send_bulk_case,
    },
    Case {
        name: "drain",
        about: "a handler that does nothing, adaptive batches, 8 workers",
        run: throughput::drain_case,
    },
    Case {
        name: "handle-single",
        about: "a handler that inserts and sends, one message to a transaction, 8 workers",
        run: throughput::handle_single_case,
    },
    Case {
        name: "handle-adaptive",
        about: "a handler that inserts and sends, adaptive batches, 8 workers",
        run: throughput::handle_adaptive_case,
    },
    Case {
        name: "lease",
        about: "receive and ack under leases, 100 at a time, one connection",
        run: leases::by_hand_case,
    },
    Case {
        name: "lease-receiver",
        about: "a receiver under leases that does nothing, 8 workers",
        run: leases::receiver_case,
    },
    Case {
        name: "lease-handle",
        about: "a receiver under leases that inserts and sends, 8 workers",
        run: leases::handle_case,
    },
    Case {
        name: "keyed",
        about: "as handle-adaptive with 10,000 keys, beside the same without keys",
        run: delivery::keyed_case,
    },
    Case {
        name: "send-keyed",
        about: "as send-bulk with 10,000 keys, beside the same without keys",
        run: delivery::send_keyed_case,
    },
    Case {
        name: "keys-stuck",
        about: "as drain, with 100,000 stuck messages of another key, beside the same without those",
        run: delivery::stuck_case,
    },
    Case {
        name: "keyed-drain",
        about: "as drain with 5,000 keys, beside the same without keys",
        run: options::keyed_case,
    },
    Case {
        name: "strict",
        about: "as drain in strict order, beside one connection that takes 64 at a time in its turn",
        run: options::strict_case,
    },
    Case {
        name: "limited",
        about: "as drain of a topic with max_in_work, beside plain SQL with a row for each slot",
        run: options::limited_case,
    },
    Case {
        name: "rated",
        about: "as drain of a topic with a rate it never reaches, beside plain SQL that counts",
        run: options::rated_case,
    },
    Case {
        name: "filtered",
        about: "as drain with a filter that all messages pass, beside plain SQL with a condition",
        run: options::filtered_case,
    },
    Case {
        name: "tracked",
        about: "as drain of tracked messages, beside plain SQL that updates a row for each",
        run: options::tracked_case,
    },
    Case {
        name: "delayed",
        about: "as drain of messages that were delayed, beside plain SQL that moves 1,000 at a time",
        run: options::delayed_case,
    },
    Case {
        name: "priorities",
        about: "as drain of messages with ten priorities, beside plain SQL",
        run: options::priorities_case,
    },
    Case {
        name: "history",
        about: "as handle-adaptive on a topic that keeps its history, beside the same without",
        run: delivery::history_case,
    },
    Case {
        name: "history-drain",
        about: "as drain on a topic that keeps its history, beside the same without",
        run: delivery::history_drain_case,
    },
    Case {
        name: "history-plain",
        about: "the same beside plain SQL that records a row for each message",
        run: delivery::history_plain_case,
    },
    Case {
        name: "dedupe",
        about: "as send-one with a dedupe key, beside the same without",
        run: delivery::dedupe_case,
    },
    Case {
        name: "dedupe-session",
        about: "the same in sessions, which know before they commit whether the key was taken",
        run: delivery::dedupe_session_case,
    },
    Case {
        name: "bounded",
        about: "one by one to a bounded topic, 1,000 to a session, beside the same without a bound",
        run: delivery::bounded_case,
    },
    Case {
        name: "publish",
        about: "as send-one, published to one subscriber, beside the same sends",
        run: fan_out::publish_case,
    },
    Case {
        name: "publish-many",
        about: "published to ten of 1,000 subscriptions, beside ten sends to a transaction",
        run: fan_out::publish_many_case,
    },
    Case {
        name: "log-write",
        about: "as send-bulk to a log, beside the same to a queue",
        run: logs::write_case,
    },
    Case {
        name: "log-read",
        about: "a reader of a log that does nothing, batches of 500",
        run: logs::read_case,
    },
    Case {
        name: "log-handle",
        about: "a reader of a log that inserts and sends, batches of 500",
        run: logs::handle_case,
    },
    Case {
        name: "log-read-held",
        about: "as log-read while another transaction stays open, beside the same without",
        run: logs::read_held_case,
    },
    Case {
        name: "log-handle-held",
        about: "as log-handle while another transaction stays open, beside the same without",
        run: logs::handle_held_case,
    },
    Case {
        name: "log-readers",
        about: "four readers of one log that do nothing, all they read beside one",
        run: logs::readers_case,
    },
    Case {
        name: "wal",
        about: "WAL for send, claim and ack of a payload of 100 bytes",
        run: throughput::wal_case,
    },
    Case {
        name: "workers",
        about: "as handle-adaptive with 1, 2, 4 … 64 workers, the best beside one",
        run: pressure::ladder_case,
    },
    Case {
        name: "workers-64",
        about: "as handle-adaptive with 64 workers, beside 16",
        run: pressure::workers_case,
    },
    Case {
        name: "workers-64-single",
        about: "as handle-single with 64 workers, beside 16",
        run: pressure::workers_single_case,
    },
    Case {
        name: "latency",
        about: "idle: send committed to handler started, one process",
        run: latency::in_process_case,
    },
    Case {
        name: "latency-across",
        about: "idle: there and back between two processes, halved",
        run: latency::across_case,
    },
    Case {
        name: "request",
        about: "idle: a question and its reply, one process, beside its four commits in plain SQL",
        run: request::in_process_case,
    },
    Case {
        name: "request-across",
        about: "idle: a question and its reply, between two processes",
        run: request::across_case,
    },
    Case {
        name: "backlog",
        about: "drain rate with a deep backlog, last part beside the first",
        run: pressure::backlog_case,
    },
    Case {
        name: "held",
        about: "800 messages a second while another transaction stays open",
        run: pressure::held_case,
    },
    Case {
        name: "idle",
        about: "queries a second of 64 idle workers on 64 topics",
        run: life::idle_case,
    },
    Case {
        name: "many",
        about: "32 schemas with a receiver each: transactions at rest, threads, connections, times",
        run: many::many_case,
    },
    Case {
        name: "start-stop",
        about: "starting and stopping a receiver of 8 workers",
        run: life::start_stop_case,
    },
    Case {
        name: "recovery",
        about: "a worker's connection is cut: until its message runs elsewhere",
        run: life::recovery_case,
    },
];

/// Returns the case of that name, if there is one.
pub(crate) fn case(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}
