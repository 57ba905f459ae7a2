//! `outtray completions` and `outtray man`: what shells and `man` are to know of this command.

use crate::failure::CommandFailure;
use crate::output::Output;
use clap::{Args, Command};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use serde_json::json;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const COMPLETIONS_HELP: &str = "\
Examples:
  outtray completions bash > ~/.local/share/bash-completion/completions/outtray
  outtray completions zsh > ~/.zfunc/_outtray
  outtray completions fish > ~/.config/fish/completions/outtray.fish";

const MAN_HELP: &str = "\
Examples:
  outtray man | man -l -
  outtray man dead redrive | man -l -
  outtray man --to /usr/local/share/man/man1";

#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct CompletionsOptions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = MAN_HELP)]
pub(crate) struct ManOptions {
    /// The command that it is about, word by word; none for the command as a whole
    #[arg(conflicts_with = "to")]
    command: Vec<String>,

    /// Writes the pages of all commands into this folder
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

pub(crate) fn completions(
    options: &CompletionsOptions,
    mut command: Command,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let mut script = Vec::new();
    generate(options.shell, &mut command, "outtray", &mut script);
    print(&String::from_utf8_lossy(&script), "script", output)
}

pub(crate) fn man(
    options: &ManOptions,
    mut command: Command,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    command.build();
    if let Some(folder) = &options.to {
        return write_all(&command, folder, output);
    }
    let mut found = &command;
    for word in &options.command {
        found = found.find_subcommand(word).ok_or_else(|| {
            CommandFailure::usage(format!("{} has no command {word}", display_name(found)))
        })?;
    }
    print(&page(found)?, "page", output)
}

/// Prints a text as it is, or as the only thing of an object.
fn print(text: &str, name: &str, output: &mut Output) -> Result<(), CommandFailure> {
    match output.is_json() {
        true => output.object(&json!({ name: text }))?,
        false => output.verbatim(text)?,
    }
    Ok(())
}

/// Writes the page of a command and those of the commands in it.
fn write_all(command: &Command, folder: &Path, output: &mut Output) -> Result<(), CommandFailure> {
    let path = folder.join(format!("{}.1", display_name(command)));
    fs::write(&path, page(command)?).map_err(|error| {
        CommandFailure::failed(format!("cannot write {}: {error}", path.display()))
    })?;
    let path = path.display().to_string();
    output.say(&format!("written {path}"), &json!({ "written": path }))?;
    let mut inner = command.get_subcommands();
    // The pages of `help` say nothing.
    inner.try_for_each(|inner| match inner.get_name() {
        "help" => Ok(()),
        _ => write_all(inner, folder, output),
    })
}

/// Returns what a page is called: `outtray-dead-redrive`.
fn display_name(command: &Command) -> String {
    let name = command.get_display_name();
    name.unwrap_or(command.get_name()).to_owned()
}

fn page(command: &Command) -> Result<String, io::Error> {
    let mut page = Vec::new();
    let title = display_name(command);
    Man::new(command.clone()).title(title).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
