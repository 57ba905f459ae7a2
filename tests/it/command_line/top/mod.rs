//! `outtray top` in a real pseudo-terminal: keys are typed, and the screen is read.

mod ending;
mod once;
mod showing;

use super::{Desk, OUTTRAY};
use crate::support::eventually;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};

/// How long nothing has to be written for the screen to be as it is to be for now.
const STILL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// A terminal with `outtray top` in it. Killed when dropped.
struct Terminal {
    process: Child,
    master: File,
    /// Kept open, so that it can be seen how the terminal is left.
    slave: File,
    parser: vt100::Parser,
    written: Vec<u8>,
}

impl Desk {
    /// Starts `outtray top` in a terminal of the usual size, with these options.
    fn top(&self, options: &[&str]) -> Terminal {
        let arguments = [&["top", "--every", "100ms"], options].concat();
        Terminal::start(self.command(&arguments))
    }
}

impl Terminal {
    /// Runs a command in a terminal of its own, which is the controlling one of its session.
    fn start(command: Command) -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = File::from(ioctl_tiocgptpeer(&master, flags).unwrap());
        tcsetwinsize(&slave, size(24, 80)).unwrap();
        let mut session = Command::new("setsid");
        session
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .env("TERM", "xterm-256color")
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave.try_clone().unwrap());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        Terminal {
            process: session.spawn().unwrap(),
            master: File::from(master),
            slave,
            parser: vt100::Parser::default(),
            written: Vec::new(),
        }
    }

    /// Reads what was written, until nothing is for a moment.
    fn read(&mut self) {
        let mut chunk = [0; 4096];
        loop {
            let mut asked = [PollFd::new(&self.master, PollFlags::IN)];
            let is_there = poll(&mut asked, Some(&STILL)).unwrap() > 0;
            if !is_there || !asked[0].revents().contains(PollFlags::IN) {
                return;
            }
            let Ok(length @ 1..) = self.master.read(&mut chunk) else {
                return;
            };
            self.parser.process(&chunk[..length]);
            self.written.extend(&chunk[..length]);
        }
    }

    /// Waits until the screen has all of these texts.
    #[track_caller]
    fn await_texts(&mut self, texts: &[&str]) {
        eventually(&format!("the screen has {texts:?}"), || {
            self.read();
            let contents = self.parser.screen().contents();
            let has_all = texts.iter().all(|text| contents.contains(text));
            if !has_all && self.has_ended() {
                panic!("it ended, and the screen has {contents}");
            }
            has_all
        });
    }

    /// Waits until the screen has a text no more.
    #[track_caller]
    fn await_no_text(&mut self, text: &str) {
        eventually(&format!("the screen has no {text}"), || {
            self.read();
            !self.parser.screen().contents().contains(text)
        });
    }

    /// Returns the line that has a text.
    #[track_caller]
    fn line_with(&mut self, text: &str) -> String {
        self.await_texts(&[text]);
        let contents = self.parser.screen().contents();
        let found = contents.lines().find(|line| line.contains(text));
        found.unwrap_or_default().to_owned()
    }

    fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    fn resize(&mut self, rows: u16, columns: u16) {
        tcsetwinsize(&self.slave, size(rows, columns)).unwrap();
        let [rows, columns] = [rows, columns].map(|size| NonZeroU16::new(size).unwrap());
        self.parser.screen_mut().set_size(rows, columns);
    }

    fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end, and returns the exit code: 128 and the signal, if it was one.
    #[track_caller]
    fn end(&mut self) -> i32 {
        eventually("the end", || {
            self.read();
            self.has_ended()
        });
        let status = self.process.wait().unwrap();
        self.read();
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    /// Fails unless the terminal is as a shell wants it.
    #[track_caller]
    fn check_restored(&self) {
        let screen = self.parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor());
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        let usual = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        assert!(modes.contains(usual), "{modes:?}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
