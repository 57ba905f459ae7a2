//! Talks to a running command: writes its standard input and reads its standard error, and its
//! standard output where that is its result, whichever it is ready for.
//!
//! A command may read all, some or none of its input, close it, write without end before it reads,
//! or leave a process behind that keeps its pipes open. One loop that waits for all pipes and
//! never blocks in either cannot get stuck in any of these, and needs no threads.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use std::io::{self, Read, Write};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

/// How often a look is taken whether the command has ended although a pipe of its is still open.
/// Usually its end closes them, and nothing waits for this.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
const LOOK_TIMEOUT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// What is kept of standard error: the end, where programs say why they failed.
const TAIL_LINES: usize = 10;
const TAIL_BYTES: usize = 2000;

/// Longest result: the library's default limit for payloads, which holds for results too.
pub(crate) const MOST_RESULT_BYTES: usize = 1 << 20;

/// The ends of a command's pipes that are ours.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: ChildStdin,
    pub(crate) stderr: ChildStderr,
    /// Only where it is the result.
    pub(crate) stdout: Option<ChildStdout>,
}

/// What a command wrote.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The end of standard error.
    pub(crate) tail: LastLines,
    /// Standard output, to one byte more than a result may have.
    pub(crate) result: Vec<u8>,
}

/// The last of what a command wrote to standard error.
#[derive(Debug, Default)]
pub(crate) struct LastLines {
    bytes: Vec<u8>,
}

impl LastLines {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 8 * TAIL_BYTES {
            self.bytes.drain(..self.bytes.len() - TAIL_BYTES);
        }
    }

    /// Returns the last lines as one.
    pub(crate) fn text(&self) -> String {
        let kept = &self.bytes[self.bytes.len().saturating_sub(TAIL_BYTES)..];
        let text = String::from_utf8_lossy(kept);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join(" | ")
    }
}

/// Writes `input` and passes standard error on to ours, until all pipes are closed or the command
/// `has_ended`. Returns what it wrote.
pub(crate) fn converse(
    pipes: Pipes,
    input: &[u8],
    mut has_ended: impl FnMut() -> io::Result<bool>,
) -> io::Result<Written> {
    ioctl_fionbio(&pipes.stdin, true)?;
    ioctl_fionbio(&pipes.stderr, true)?;
    if let Some(stdout) = &pipes.stdout {
        ioctl_fionbio(stdout, true)?;
    }
    let mut stdin = Some((pipes.stdin, input));
    let (mut stderr, mut stdout) = (Some(pipes.stderr), pipes.stdout);
    let mut said = Written::default();
    let mut looked = Instant::now();
    while stdin.is_some() || stderr.is_some() || stdout.is_some() {
        let is_over = looked.elapsed() >= LOOK && has_ended()?;
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
        }
        stdin = stdin.and_then(write_some);
        stderr = stderr.and_then(|stderr| read_some(stderr, &mut said.tail));
        stdout = stdout.and_then(|stdout| read_result(stdout, &mut said.result));
        if is_over {
            // Whoever has the pipes now is not the command.
            break;
        }
        let stdin = stdin.as_ref().map(|(stdin, _)| stdin);
        wait(stdin, stderr.as_ref(), stdout.as_ref())?;
    }
    Ok(said)
}

/// Waits until a pipe is ready, or it is time to look.
fn wait(
    stdin: Option<&ChildStdin>,
    stderr: Option<&ChildStderr>,
    stdout: Option<&ChildStdout>,
) -> io::Result<()> {
    let mut pipes = Vec::with_capacity(3);
    pipes.extend(stdin.map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
    pipes.extend(stderr.map(|stderr| PollFd::new(stderr, PollFlags::IN)));
    pipes.extend(stdout.map(|stdout| PollFd::new(stdout, PollFlags::IN)));
    if pipes.is_empty() {
        return Ok(());
    }
    match poll(&mut pipes, Some(&LOOK_TIMEOUT)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes what fits. Returns what is left, or nothing when all is written or nobody reads: what a
/// command does with its input is its own affair.
fn write_some((mut stdin, input): (ChildStdin, &[u8])) -> Option<(ChildStdin, &[u8])> {
    let mut left = input;
    while !left.is_empty() {
        match stdin.write(left) {
            Ok(length) => left = &left[length..],
            Err(error) if is_worth_a_wait(&error) => return Some((stdin, left)),
            Err(_) => return None,
        }
    }
    None
}

/// Reads what is there, to a limit that leaves `input` its turn. Returns the pipe unless it ended.
fn read_some(mut stderr: ChildStderr, tail: &mut LastLines) -> Option<ChildStderr> {
    let mut chunk = [0; 16 << 10];
    match stderr.read(&mut chunk) {
        Ok(0) => None,
        Ok(length) => {
            tail.push(&chunk[..length]);
            // Ours may be closed; the command's work goes on.
            let _ = io::stderr().write_all(&chunk[..length]);
            Some(stderr)
        }
        Err(error) if is_worth_a_wait(&error) => Some(stderr),
        Err(_) => None,
    }
}

/// Reads all that is there, also for the last time: a result is whole. What is too long is read
/// too, so that the command can end, and not kept. Returns the pipe unless it ended.
fn read_result(mut stdout: ChildStdout, result: &mut Vec<u8>) -> Option<ChildStdout> {
    let mut chunk = [0; 16 << 10];
    // As much as a pipe can hold, not more: a process that was left behind may write without end.
    for _ in 0..=MOST_RESULT_BYTES / chunk.len() {
        match stdout.read(&mut chunk) {
            Ok(0) => return None,
            Ok(length) => {
                let room = (MOST_RESULT_BYTES + 1).saturating_sub(result.len());
                result.extend_from_slice(&chunk[..length.min(room)]);
            }
            Err(error) if is_worth_a_wait(&error) => return Some(stdout),
            Err(_) => return None,
        }
    }
    Some(stdout)
}

fn is_worth_a_wait(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines_of_much() {
        let mut tail = LastLines::default();
        for number in 0..100_000 {
            tail.push(format!("line {number}\n\n").as_bytes());
        }
        tail.push("größe\u{0}".as_bytes());

        let text = tail.text();

        assert!(text.starts_with("line 99991 | line 99992"), "{text}");
        assert!(text.ends_with("line 99999 | größe\0"), "{text}");
    }

    #[test]
    fn a_tail_of_one_long_line_is_its_end() {
        let mut tail = LastLines::default();
        tail.push(&[b'x'; 50_000]);
        tail.push(b"end");

        assert_eq!(tail.text().len(), TAIL_BYTES);
        assert!(tail.text().ends_with("xend"));
    }
}
