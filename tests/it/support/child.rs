//! This test program, run again as a child process to be killed or to run as somebody else.

use crossbeam_channel::Sender;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;

/// Tells a test function that it runs in a child process, and what it is to do there.
const ROLE: &str = "OUTTRAY_TEST_ROLE";
/// Marks the lines meant for the parent among those of the test harness.
const MARK: &str = "@@";

/// A child process that runs one test function of this program. Killed when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    input: ChildStdin,
    /// Gone once somebody else listens.
    output: Option<BufReader<ChildStdout>>,
}

/// Names a test function of this module, whichever that is, as [`Child::start`] wants it.
macro_rules! test_name {
    ($function:ident) => {{
        // It has to be there.
        const _: fn() = $function;
        concat!(module_path!(), "::", stringify!($function))
    }};
}
pub(crate) use test_name;

impl Child {
    /// Starts `program`, a copy of this test program, to run only `test`, a [`test_name`], as
    /// `role`.
    pub(crate) fn start(mut program: Command, test: &str, role: &str) -> Child {
        // The harness knows tests by their paths inside the crate.
        let (_, test) = test.split_once("::").expect("the path of a test");
        let mut process = program
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            // Where it panicked is said all the same, and many do when their server goes away.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test program runs again");
        Child {
            input: process.stdin.take().expect("piped"),
            output: process.stdout.take().map(BufReader::new),
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
        let output = self.output.as_mut().expect("nobody else listens");
        next_line(output).expect("the child process ended without a word")
    }

    /// In the parent: passes on all that the child tells from now on, until it ends.
    pub(crate) fn pass_on(&mut self, told: Sender<String>) {
        let mut output = self.output.take().expect("nobody else listens");
        let pass_on = move || {
            while let Some(line) = next_line(&mut output) {
                let _ = told.send(line);
            }
        };
        thread::Builder::new().spawn(pass_on).expect("a thread");
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

/// Returns the next line that a child told; one that it was killed in does not count.
fn next_line(output: &mut BufReader<ChildStdout>) -> Option<String> {
    let mut line = String::new();
    loop {
        line.clear();
        if output.read_line(&mut line).expect("text") == 0 {
            return None;
        }
        if let Some((_, told)) = line.split_once(MARK)
            && let Some(told) = told.strip_suffix('\n')
        {
            return Some(told.to_owned());
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
