//! The document: the figures and all that one needs to judge them.

use crate::failure::Failure;
use crate::figures::{Figure, Figures};
use crate::machine::Machine;
use crate::measuring::Plan;
use crate::system::System;
use crate::table::{COLUMNS, Row};
use peer_protocol::{BULK, Case, REST};
use std::fmt::{Display, Formatter, Result};

/// What is written down of a run.
pub struct Document<'a> {
    pub machine: Machine,
    pub plan: Plan,
    pub systems: &'a [System],
    pub rows: Vec<Row>,
    pub left_out: Vec<(System, Failure)>,
    pub figures: Figures,
}

impl Display for Document<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.opening(f)?;
        self.table(f)?;
        self.columns(f)?;
        self.machine(f)?;
        self.tuned(f)?;
        self.atomicity(f)?;
        self.failures(f)
    }
}

impl Document<'_> {
    fn opening(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(
            f,
            "# Beside other queues\n\n\
             outtray and other queues that live in PostgreSQL, measured on {date} on one machine, on one\n\
             server, in one run, in turns. Every figure comes from the command\n\n\
             ```sh\n\
             cargo run --release --manifest-path benches/peers/Cargo.toml -- --write docs/BENCHMARKS.md\n\
             ```\n\n\
             which measures your machine as well. Ratios within the table mean more than the figures, and\n\
             figures that differ by less than a fifth mean nothing.\n",
            date = self.machine.date,
        )
    }

    fn table(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "| {} |", COLUMNS.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(COLUMNS.len() - 1))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        writeln!(f)
    }

    fn columns(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(
            f,
            "- **send one**: messages a second, one to a transaction, over one connection.\n\
             - **send bulk**: messages a second by the system's own bulk API, {BULK} to a call, over one\n  \
               connection; where there is none, so many sends in one transaction.\n\
             - **no-op**: messages a second with a handler that does nothing, until the last ack has\n  \
               committed; *tuned* with what the system recommends for speed, *default* with what it does\n  \
               when nothing is said.\n\
             - **crud**: messages a second with a handler that inserts a row into a table and sends a message\n  \
               to a second queue, 8 workers, until the last ack has committed.\n\
             - **idle**: from the commit of a send to the start of its handler, in one process, workers idle\n  \
               for at least {rest} ms before.\n\
             - **atomic**: whether the end of the message commits with what the handler did; see below.\n\
             - **WAL**, **commits**: bytes written to the WAL and transactions committed for each message of\n  \
               crud, for everything from claim to ack; sending it before is not counted.\n\n\
             A dash is what a system has no notion of or another row tells.\n",
            rest = REST.as_millis(),
        )
    }

    fn machine(&self, f: &mut Formatter<'_>) -> Result {
        let machine = &self.machine;
        writeln!(
            f,
            "## The machine\n\n\
             {cores} cores ({cpu}), {memory:.0} GiB of memory, Linux {kernel}, data on {file_system}.\n\
             PostgreSQL {postgresql} on the same machine, with `{settings}` and defaults otherwise.\n\
             Rounds of each case for each system: {rounds}, each on as many messages as take it about\n\
             {seconds} s; the table has the medians. Each round had a fresh copy of the system's database,\n\
             analyzed, whose pages the WAL had already: what it counts is the work's, without whole pages\n\
             after a checkpoint.\n",
            cores = machine.cores,
            cpu = machine.cpu,
            memory = machine.memory_gib,
            kernel = machine.kernel,
            file_system = machine.file_system,
            postgresql = machine.postgresql,
            settings = machine.settings.join("`, `"),
            rounds = self.plan.rounds,
            seconds = self.plan.round.as_secs_f64(),
        )
    }

    fn tuned(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "## What tuned means\n")?;
        for system in self.systems {
            writeln!(f, "- **{}**: {}", system.title, system.tuned)?;
        }
        writeln!(f)
    }

    fn atomicity(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(
            f,
            "## Atomic with the handler?\n\n\
             *yes*: claim, handler and ack are one transaction. *by hand*: they can be, where the user writes\n\
             that transaction, as was done here. *ack only*: the handler's transaction can include the ack,\n\
             as was done here; the claim has committed before, so after a crash a clock decides when the\n\
             message is free again. *no*: the ack is a transaction after the handler's, so a crash between\n\
             the two runs the handler's work twice.\n"
        )?;
        for system in self.systems {
            let word = system.atomic.word();
            writeln!(f, "- **{}**, {word}: {}", system.title, system.why_atomic)?;
        }
        Ok(())
    }

    fn failures(&self, f: &mut Formatter<'_>) -> Result {
        let failed = self.systems.iter().flat_map(|system| {
            let figures = Case::TIMED.into_iter().filter_map(|case| {
                let Some(Figure::Failed(why)) = self.figures.get(system, case) else {
                    return None;
                };
                Some(format!("- **{}**, {}: {why}", system.title, case.name()))
            });
            figures.collect::<Vec<String>>()
        });
        let left_out = self
            .left_out
            .iter()
            .map(|(system, why)| format!("- **{}**: {why}", system.title));
        let lines: Vec<String> = left_out.chain(failed).collect();
        if lines.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n## Left out or failed\n\n{}", lines.join("\n"))
    }
}
