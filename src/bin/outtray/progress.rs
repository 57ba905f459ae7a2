//! A progress bar on standard error, if that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// How far along an input is; draws nothing where nobody looks.
#[derive(Debug)]
pub(crate) struct Meter {
    bar: ProgressBar,
}

impl Meter {
    /// Begins at the position of `input`, towards its end if it is a file.
    pub(crate) fn of(input: &File) -> Self {
        // Somebody who types needs no bar.
        if !io::stderr().is_terminal() || input.is_terminal() {
            return Meter {
                bar: ProgressBar::hidden(),
            };
        }
        let metadata = input.metadata().ok().filter(|metadata| metadata.is_file());
        let bar = match metadata {
            Some(metadata) => ProgressBar::new(metadata.len())
                .with_style(style("{bar:30} {bytes}/{total_bytes} {msg} {eta}")),
            None => ProgressBar::new_spinner().with_style(style("{spinner} {bytes} {msg}")),
        };
        bar.enable_steady_tick(Duration::from_millis(100));
        Meter { bar }
    }

    /// Begins to count what is done with messages, of which nobody knows how many there are.
    pub(crate) fn counting() -> Self {
        let bar = match io::stderr().is_terminal() {
            true => ProgressBar::new_spinner().with_style(style("{spinner} {msg}")),
            false => ProgressBar::hidden(),
        };
        bar.enable_steady_tick(Duration::from_millis(100));
        Meter { bar }
    }

    /// Says what is being done, of which nobody knows how far it is.
    pub(crate) fn doing(what: impl Into<String>) -> Self {
        let meter = Meter::counting();
        meter.bar.set_message(what.into());
        meter
    }

    /// Shows how many messages were done with so far.
    pub(crate) fn counted(&self, messages: u64, done: &str) {
        self.bar.set_message(format!("{messages} {done}"));
    }

    /// Returns the input, watched: what is read of it moves the bar.
    pub(crate) fn watch(&self, mut input: File) -> Watched {
        self.bar.set_position(input.stream_position().unwrap_or(0));
        Watched {
            input,
            bar: self.bar.clone(),
        }
    }

    /// Shows how many messages were sent so far.
    pub(crate) fn sent(&self, messages: u64) {
        self.bar.set_message(format!("{messages} sent"));
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// An input whose progress is shown.
#[derive(Debug)]
pub(crate) struct Watched {
    input: File,
    bar: ProgressBar,
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(into)?;
        self.bar.inc(length as u64);
        Ok(length)
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
