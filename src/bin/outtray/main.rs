//! The `outtray` command: the library's verbs for shells, scripts and operators.
//!
//! Each command is one file: its options and what it does with them, over the library's public API
//! and nothing else. What they share is in `global` (where the database is), `output` and `table`
//! (how things are printed), `failure` (how a command ends when it fails) and `signals`.
//!
//! Exit codes: 0 done, 1 failed, 2 bad usage.

mod bench;
mod by_name;
mod cancel;
mod changes;
mod child;
mod config;
mod confirm;
mod conversation;
mod dead;
mod dev;
mod doctor;
mod drop_schema;
mod failure;
mod filters;
mod global;
mod history;
mod known;
mod lines;
mod log;
mod mend;
mod migrate;
mod output;
mod processes;
mod program;
mod progress;
mod publish;
mod reaper;
mod recurring;
mod request;
mod scheduled;
mod schema;
mod search;
mod send;
mod sender;
mod serve;
mod shape;
mod shell;
mod show;
mod signals;
mod table;
mod top;
mod topics;
mod verdict;
mod verify;
mod wait;
mod who;
mod why;
mod work;

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// A message queue in PostgreSQL, from the shell
#[derive(Debug, Parser)]
#[command(name = "outtray", version)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 bad usage.\n\n\
    To try it: outtray dev -- sh -c 'outtray send hello \"{}\" && outtray work hello --until-empty -- cat'")]
struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Starts a throwaway PostgreSQL with the schema in it, for as long as a command runs
    Dev(dev::DevOptions),
    /// Makes or upgrades the schema
    Migrate(migrate::MigrateOptions),
    /// Prints the SQL that makes the schema, for those who apply it by hand
    Schema,
    /// Removes the schema for good, with all that is in it
    DropSchema(drop_schema::DropSchemaOptions),
    /// Sends one message, or one for each line of standard input
    Send(send::SendOptions),
    /// Sends a question to a topic, waits for the reply, and prints it
    Request(request::RequestOptions),
    /// Publishes one message, or one for each line of standard input, to all who subscribed
    Publish(publish::PublishOptions),
    /// Has a topic get a copy of what is published with certain routing keys
    Subscribe(publish::SubscribeOptions),
    /// Ends a subscription
    Unsubscribe(publish::UnsubscribeOptions),
    /// Lists subscriptions, or who would get a message
    Subscriptions(publish::SubscriptionsOptions),
    /// Runs a command for each message of a topic
    Work(work::WorkOptions),
    /// Serves clients that do not speak SQL, until it is told to stop
    Serve(serve::ServeOptions),
    /// Shows topics and processes live in the terminal
    Top(top::TopOptions),
    /// Lists all topics and their numbers
    Topics,
    /// Shows the numbers of one topic
    Stats(topics::StatsOptions),
    /// Shows the first messages of a topic, and takes none
    Peek(topics::PeekOptions),
    /// Lists the processes that receive, on all hosts, and what they have in work for long
    Processes,
    /// Shows all that is known of one message, wherever it is
    Show(show::ShowMessageOptions),
    /// Searches the messages of a topic: by key, header, error, place or time
    Search(search::SearchOptions),
    /// Lists what operators changed, and who they were
    Changes(changes::ChangesOptions),
    /// Shows how messages ended, of a topic that keeps it
    History(history::HistoryOptions),
    /// Reads logs, and looks after their named readers
    #[command(subcommand)]
    Log(log::LogVerb),
    /// Shows or changes what is set for a topic, for every process
    Config(config::ConfigOptions),
    /// Has every process begin no more messages of a topic
    Pause(config::PauseOptions),
    /// Ends a pause
    Resume(config::ResumeOptions),
    /// Sends messages again and again
    #[command(subcommand)]
    Recurring(recurring::RecurringVerb),
    /// Looks at dead letters, moves them back or removes them
    #[command(subcommand)]
    Dead(dead::DeadVerb),
    /// Forgets or keeps dedupe keys by their names
    #[command(subcommand)]
    Dedupe(by_name::DedupeVerb),
    /// Lets a rate of a topic or of a key begin anew
    #[command(subcommand)]
    Rate(by_name::RateVerb),
    /// Gives messages up: removes those that wait, asks the handlers of those in work
    Cancel(cancel::CancelOptions),
    /// Makes scheduled messages ready before their time
    RunNow(mend::RunNowOptions),
    /// Says why messages are not handled now, or what became of them
    Why(why::WhyOptions),
    /// Waits until a tracked message has ended, and says how
    Wait(wait::WaitOptions),
    /// Removes all ready and scheduled messages of a topic for good
    Purge(topics::PurgeOptions),
    /// Examines the server and the schema, and says what to change
    Doctor(doctor::DoctorOptions),
    /// Finds out which of the messages that senders were told of the database lacks
    Verify(verify::VerifyOptions),
    /// Measures what outtray does in a second here, beside the same work in plain SQL
    Bench(bench::BenchOptions),
    /// Prints a script by which a shell completes this command
    Completions(shell::CompletionsOptions),
    /// Prints the manual page of this command, or of one of its commands
    Man(shell::ManOptions),
}

impl Verb {
    /// Returns whether the terminal is drawn on, so that no line of a log may go there.
    fn draws(&self) -> bool {
        matches!(self, Verb::Top(options) if options.draws())
    }
}

fn main() -> ExitCode {
    let CommandLine { global, verb } = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Whoever asks a group of commands for nothing wants to know what there is, too.
            let _ = write!(io::stdout(), "{}", error.render());
            return ExitCode::SUCCESS;
        }
        Err(error) => error.exit(),
    };
    let Some(verb) = verb else {
        // Whoever asks for nothing wants to know what there is.
        let _ = CommandLine::command().print_help();
        return ExitCode::SUCCESS;
    };
    if !verb.draws() || !io::stderr().is_terminal() {
        global.start_logging();
    }
    let mut output = Output::new(global.is_json());
    run(&global, verb, &mut output).unwrap_or_else(|failure| failure.report())
}

fn run(global: &Global, verb: Verb, output: &mut Output) -> Result<ExitCode, CommandFailure> {
    match verb {
        Verb::Dev(options) => return dev::run(&options, global, output),
        Verb::Migrate(options) => migrate::run(&options, global, output)?,
        Verb::Schema => schema::run(global, output)?,
        Verb::DropSchema(options) => drop_schema::run(&options, global, output)?,
        Verb::Send(options) => send::run(&options, global, output)?,
        Verb::Request(options) => request::run(&options, global, output)?,
        Verb::Publish(options) => publish::publish(&options, global, output)?,
        Verb::Subscribe(options) => publish::subscribe(&options, global, output)?,
        Verb::Unsubscribe(options) => publish::unsubscribe(&options, global, output)?,
        Verb::Subscriptions(options) => publish::subscriptions(&options, global, output)?,
        Verb::Work(options) => work::run(options, global, output)?,
        Verb::Serve(options) => serve::run(options, global, output)?,
        Verb::Top(options) => top::run(&options, global, output)?,
        Verb::Topics => topics::list(global, output)?,
        Verb::Stats(options) => topics::stats(&options, global, output)?,
        Verb::Peek(options) => topics::peek(&options, global, output)?,
        Verb::Processes => processes::run(global, output)?,
        Verb::Search(options) => search::run(&options, global, output)?,
        Verb::Changes(options) => changes::run(&options, global, output)?,
        Verb::Show(options) => show::run(&options, global, output)?,
        Verb::History(options) => history::run(&options, global, output)?,
        Verb::Log(verb) => log::run(&verb, global, output)?,
        Verb::Config(options) => config::run(&options, global, output)?,
        Verb::Pause(options) => config::pause(&options, global, output)?,
        Verb::Resume(options) => config::resume(&options, global, output)?,
        Verb::Recurring(verb) => recurring::run(&verb, global, output)?,
        Verb::Dead(verb) => dead::run(&verb, global, output)?,
        Verb::Dedupe(verb) => by_name::dedupe(&verb, global, output)?,
        Verb::Rate(verb) => by_name::rate(&verb, global, output)?,
        Verb::Cancel(options) => cancel::run(&options, global, output)?,
        Verb::RunNow(options) => mend::run_now(&options, global, output)?,
        Verb::Why(options) => return why::run(&options, global, output),
        Verb::Wait(options) => return wait::run(&options, global, output),
        Verb::Purge(options) => topics::purge(&options, global, output)?,
        Verb::Doctor(options) => return doctor::run(options, global, output),
        Verb::Verify(options) => return verify::run(&options, global, output),
        Verb::Bench(options) => bench::run(&options, output)?,
        Verb::Completions(options) => {
            shell::completions(&options, CommandLine::command(), output)?;
        }
        Verb::Man(options) => shell::man(&options, CommandLine::command(), output)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_all_commands_fit_together() {
        CommandLine::command().debug_assert();
    }
}
