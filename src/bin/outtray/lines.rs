//! Lines of an input that may be endless, slow, or both.
//!
//! Memory is bounded by the longest line allowed. Whoever collects lines can ask to be told when
//! the input pauses, so that `tail -f … | outtray send` does not hold messages back until a batch
//! is full.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd};

/// Longest line: more than a payload may have by default (1 MiB), with room for fields around it.
const LONGEST: usize = 16 << 20;
/// How long an input has to be quiet before it counts as pausing. Programs that write many lines
/// rest for less; people notice more.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextLine {
    /// A line without its end.
    Line(String),
    /// Nothing for a while.
    Pause,
    /// The alarm came first.
    Alarm,
    End,
}

/// The lines of an input, counted.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    partial: Vec<u8>,
    number: u64,
}

impl<R: Read + AsFd> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Lines {
            input: BufReader::with_capacity(64 << 10, input),
            partial: Vec::new(),
            number: 0,
        }
    }

    /// Returns the number of the line that was read last, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Reads on. Blocks for a line, or until the `alarm` is readable, or, if `is_in_hurry`, until
    /// the input pauses.
    ///
    /// # Errors
    /// Of the input; `InvalidData` for a line that is too long or no UTF-8.
    pub(crate) fn next(
        &mut self,
        is_in_hurry: bool,
        alarm: BorrowedFd<'_>,
    ) -> io::Result<NextLine> {
        loop {
            if self.input.buffer().is_empty()
                && let Some(next) = self.wait(is_in_hurry, alarm)
            {
                return Ok(next);
            }
            let chunk = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() && self.partial.is_empty() {
                return Ok(NextLine::End);
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let is_complete = end.is_some() || chunk.is_empty();
            let used = end.map_or(chunk.len(), |at| at + 1);
            self.partial.extend_from_slice(&chunk[..used]);
            self.input.consume(used);
            if self.partial.len() > LONGEST {
                self.number += 1;
                return Err(bad("is longer than 16 MiB"));
            }
            if is_complete {
                return self.complete().map(NextLine::Line);
            }
        }
    }

    fn complete(&mut self) -> io::Result<String> {
        self.number += 1;
        let line = String::from_utf8(std::mem::take(&mut self.partial))
            .map_err(|_| bad("is not UTF-8"))?;
        // Editors of some systems mark the beginning of a file.
        let text = match self.number {
            1 => line.trim_start_matches('\u{feff}'),
            _ => &line,
        };
        Ok(text.trim().to_owned())
    }

    /// Waits for input; returns what came instead. What cannot be waited for, such as a file, has
    /// always something.
    fn wait(&self, is_in_hurry: bool, alarm: BorrowedFd<'_>) -> Option<NextLine> {
        let input = self.input.get_ref();
        let mut files = [
            PollFd::new(input, PollFlags::IN),
            PollFd::from_borrowed_fd(alarm, PollFlags::IN),
        ];
        loop {
            match poll(&mut files, is_in_hurry.then_some(&PAUSE)) {
                Ok(0) => return Some(NextLine::Pause),
                Ok(_) if !files[1].revents().is_empty() => return Some(NextLine::Alarm),
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Write, pipe};

    #[test]
    fn lines_come_whole_and_counted_whatever_their_ends() {
        let (silence, _quiet) = pipe().unwrap();
        let (reader, mut writer) = pipe().unwrap();
        writer
            .write_all("\u{feff}one\r\n\n  zwölf \nlast".as_bytes())
            .unwrap();
        drop(writer);
        let mut lines = Lines::new(reader);

        for expected in ["one", "", "zwölf", "last"] {
            assert_eq!(
                lines.next(true, silence.as_fd()).unwrap(),
                NextLine::Line(expected.to_owned())
            );
        }
        assert_eq!(lines.number(), 4);
        assert_eq!(lines.next(false, silence.as_fd()).unwrap(), NextLine::End);
    }

    #[test]
    fn a_pause_in_a_line_is_told_and_loses_nothing() {
        let (silence, _quiet) = pipe().unwrap();
        let (reader, mut writer) = pipe().unwrap();
        let mut lines = Lines::new(reader);

        writer.write_all(b"half").unwrap();
        assert_eq!(lines.next(true, silence.as_fd()).unwrap(), NextLine::Pause);
        writer.write_all(b" and half\n").unwrap();

        assert_eq!(
            lines.next(true, silence.as_fd()).unwrap(),
            NextLine::Line("half and half".to_owned())
        );
    }

    #[test]
    fn an_alarm_is_heard_before_the_input_comes_and_before_it_goes_on() {
        let (reader, mut writer) = pipe().unwrap();
        let (alarm, mut sound) = pipe().unwrap();
        let mut lines = Lines::new(reader);
        writer.write_all(b"one\ntwo").unwrap();
        let one = NextLine::Line("one".to_owned());
        assert_eq!(lines.next(false, alarm.as_fd()).unwrap(), one);

        sound.write_all(b"!").unwrap();

        assert_eq!(lines.next(false, alarm.as_fd()).unwrap(), NextLine::Alarm);
    }

    #[test]
    fn a_line_that_is_no_text_is_an_error_with_its_number() {
        let (silence, _quiet) = pipe().unwrap();
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"ok\n\xff\xfe\n").unwrap();
        let mut lines = Lines::new(reader);

        lines.next(false, silence.as_fd()).unwrap();
        let error = lines.next(false, silence.as_fd()).unwrap_err();

        assert_eq!(error.to_string(), "is not UTF-8");
        assert_eq!(lines.number(), 2);
    }
}
