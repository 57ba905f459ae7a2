//! This test program, run again as a child process to be killed or to run as somebody else.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// Tells a test function that it runs in a child process, and what it is to do there.
const ROLE: &str = "OUTTRAY_TEST_ROLE";
/// Marks the lines meant for the parent among those of the test harness.
const MARK: &str = "@@";

/// A child process that runs one test function of this program. Killed when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts `program`, a copy of this test program, to run only `test`, as `role`.
    pub(crate) fn start(mut program: Command, test: &str, role: &str) -> Child {
        let mut process = program
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test program runs again");
        Child {
            input: process.stdin.take().expect("piped"),
            output: BufReader::new(process.stdout.take().expect("piped")),
            process,
        }
    }

    /// Returns this test program, to be run again.
    pub(crate) fn this_program() -> Command {
        Command::new(std::env::current_exe().expect("this program has a path"))
    }

    /// Returns what this process is to do as a child, or nothing when it is none.
    pub(crate) fn role() -> Option<String> {
        std::env::var(ROLE).ok()
    }

    /// In the child: sends a line to the parent.
    pub(crate) fn tell(line: &str) {
        println!("{MARK}{line}");
    }

    /// In the child: waits until the parent says go on, or is gone.
    pub(crate) fn await_parent() {
        let _ = std::io::stdin().read_line(&mut String::new());
    }

    /// In the parent: returns the next line the child tells.
    pub(crate) fn listen(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            let length = self.output.read_line(&mut line).expect("text");
            assert_ne!(length, 0, "the child process ended without a word");
            if let Some((_, told)) = line.trim_end().split_once(MARK) {
                return told.to_owned();
            }
        }
    }

    /// In the parent: lets the child go on, and waits until it has ended well.
    pub(crate) fn finish(mut self) {
        writeln!(self.input, "go on").expect("the child is there");
        let status = self.process.wait().expect("the child ends");
        assert!(status.success(), "{status}");
    }

    /// In the parent: returns the child's process id, by which it signs its effects.
    pub(crate) fn id(&self) -> i32 {
        i32::try_from(self.process.id()).expect("process ids are small")
    }

    /// In the parent: returns how the child ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("the child is ours")
    }

    /// Ends the child with SIGKILL: nothing of its own runs any more.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("the child is there");
        self.process.wait().expect("the child ends");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
