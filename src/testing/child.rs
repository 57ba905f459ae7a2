//! A process that dies in a test, and not the test with it.

use crate::words::{Error, ErrorKind, Result};
use std::any::type_name;
use std::env;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Tells a test program that it is the child of one, and which database it works on.
const DATABASE: &str = "OUTTRAY_TESTING_DATABASE";
/// Tells which test it is to run.
const TEST: &str = "OUTTRAY_TESTING_TEST";

/// The signal of [`std::process::abort`].
const SIGABRT: i32 = 6;

/// This test program, run again as a process of its own, to crash or to be killed.
///
/// [`of_this_test`](Self::of_this_test) has to be the first thing in the test: the child runs the
/// same test, and there its closure, after which the process ends. So nothing of what follows runs
/// in the child.
///
/// ```
/// use outtray::testing::{AssertSent, ChildProcess, Proxy, Runner, Step, TestDatabase};
/// use outtray::{Message, Messaging};
///
/// # fn in_a_test() -> Result<(), Box<dyn std::error::Error>> {
/// // #[test] fn an_order_is_shipped_once_although_the_process_crashed() …
/// let child = ChildProcess::of_this_test(|url| {
///     let proxy = Proxy::before(url)?;
///     let messaging = Messaging::connect(proxy.url())?;
///     proxy.crash_before(Step::Commit);
///     let ship = |session: &mut outtray::MessagingSession<'_>, order: Message<i32>| {
///         session.send_message("shipments", &order.payload)?;
///         Ok(())
///     };
///     Runner::new(&messaging).on("orders", ship).run_until_idle()?;
///     Ok(())
/// });
///
/// let database = TestDatabase::new()?;
/// database.messaging().session(|session| Ok(session.send_message("orders", &7)?))?;
/// let died = child.run(database.url())?;
/// assert!(died.has_aborted());
///
/// // The handler ran, and nothing of it is there; the order is.
/// database.messaging().assert_nothing_sent("shipments");
/// database.messaging().assert_sent_count("orders", 1);
/// # Ok(()) }
/// ```
///
/// It needs the test runner of `cargo test`, or one that starts test programs as that does, such as
/// nextest. In a child, [`TestDatabase::new`](crate::testing::TestDatabase::new) is an error: the
/// child works on the database of its parent.
#[derive(Debug, Clone)]
pub struct ChildProcess {
    test: String,
}

/// A child process that runs. Killed when it is dropped.
#[derive(Debug)]
pub struct RunningChild {
    process: Child,
}

/// How a child process ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChildEnd {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to its standard error: panics and errors.
    pub stderr: String,
}

impl ChildProcess {
    /// Names the test that calls this. In the child, calls `body` with the database's URL and ends
    /// the process: with status 0, or 1 for an error, which goes to standard error.
    ///
    /// # Panics
    /// Where `body` was not written inside a test function.
    pub fn of_this_test<F>(body: F) -> ChildProcess
    where
        F: FnOnce(&str) -> Result<(), Box<dyn std::error::Error>>,
    {
        // A closure's type is named after the function it is in.
        let name = type_name::<F>();
        let function = name.split("::{{closure}}").next().unwrap_or(name);
        let (_, test) = function
            .split_once("::")
            .expect("a closure is in a function of a crate");
        let child = ChildProcess {
            test: test.to_owned(),
        };
        if let Some(url) = child.database() {
            match body(&url) {
                Ok(()) => std::process::exit(0),
                Err(error) => {
                    eprintln!("the child process failed: {error}");
                    std::process::exit(1);
                }
            }
        }
        child
    }

    /// Returns the database of this process, if it is the child.
    fn database(&self) -> Option<String> {
        let is_ours = env::var(TEST).is_ok_and(|test| test == self.test);
        env::var(DATABASE).ok().filter(|_| is_ours)
    }

    /// Starts the child, for a database, and waits until it has ended.
    ///
    /// # Errors
    /// `Server` when this program cannot be run again.
    pub fn run(&self, url: &str) -> Result<ChildEnd> {
        self.start(url)?.wait()
    }

    /// Starts the child, for a database, and does not wait.
    ///
    /// # Errors
    /// The same as [`run`](Self::run).
    pub fn start(&self, url: &str) -> Result<RunningChild> {
        let started = env::current_exe().and_then(|program| {
            Command::new(program)
                .args(["--exact", &self.test, "--nocapture", "--test-threads=1"])
                .arg("--include-ignored")
                .env(DATABASE, url)
                .env(TEST, &self.test)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
        });
        let process = started.map_err(|error| failed("be run again", error))?;
        Ok(RunningChild { process })
    }
}

impl RunningChild {
    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// `Server` when it cannot be waited for.
    pub fn wait(mut self) -> Result<ChildEnd> {
        let mut stderr = Vec::new();
        if let Some(mut pipe) = self.process.stderr.take() {
            // What was written before it died counts.
            let _ = pipe.read_to_end(&mut stderr);
        }
        let status = self.process.wait();
        Ok(ChildEnd {
            status: status.map_err(|error| failed("be waited for", error))?,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    /// Kills it with SIGKILL, so that nothing of its own runs any more, and waits for its end.
    ///
    /// # Errors
    /// `Server` when it cannot be killed.
    pub fn kill(mut self) -> Result<ChildEnd> {
        let killed = self.process.kill();
        killed.map_err(|error| failed("be killed", error))?;
        self.wait()
    }
}

impl Drop for RunningChild {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl ChildEnd {
    /// Returns whether it aborted, as [`Proxy::crash_before`](crate::testing::Proxy::crash_before)
    /// has it do.
    pub fn has_aborted(&self) -> bool {
        self.status.signal() == Some(SIGABRT)
    }
}

/// Refuses to make a database in a child process, which has that of its parent.
///
/// # Errors
/// `Invalid` in a child process.
pub(crate) fn refuse_in_child() -> Result<()> {
    match env::var_os(TEST) {
        None => Ok(()),
        Some(_) => Err(Error::invalid(
            "a child process works on its parent's database: call ChildProcess::of_this_test first thing in the test",
        )),
    }
}

fn failed(what: &str, error: std::io::Error) -> Error {
    let text = format!("the test program cannot {what}");
    Error::new(ErrorKind::Server, text).because(error)
}
