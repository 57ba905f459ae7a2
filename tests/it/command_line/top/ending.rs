//! However it ends, and whatever is away, the terminal is as it was.

use super::{Desk, Terminal};
use crate::command_line::outtray;
use crate::support::Tunnel;

#[test]
fn a_signal_ends_it_and_leaves_the_terminal_as_it_was() {
    let desk = Desk::new();
    for signal in ["TERM", "HUP", "INT", "QUIT"] {
        let mut top = desk.top(&[]);
        top.await_texts(&["no topics yet"]);
        assert!(top.parser.screen().alternate_screen());

        top.signal(signal);

        assert_eq!(top.end(), 0, "{signal}");
        top.check_restored();
    }
}

#[test]
fn control_c_ends_it_and_leaves_the_terminal_as_it_was() {
    let desk = Desk::new();
    let mut top = desk.top(&[]);
    top.await_texts(&["no topics yet"]);

    top.keys("\x03");

    assert_eq!(top.end(), 0);
    top.check_restored();
}

#[test]
fn it_ends_with_its_terminal() {
    let desk = Desk::new();
    let mut top = desk.top(&[]);
    top.await_texts(&["no topics yet"]);

    // The last ones of either side that the test has.
    let nowhere = || std::fs::File::open("/dev/null").unwrap();
    top.slave = nowhere();
    top.master = nowhere();

    crate::support::eventually("the end", || top.has_ended());
}

#[test]
fn a_database_that_is_away_is_told_and_asked_again() {
    let desk = Desk::new();
    let tunnel = Tunnel::to(&desk.url);
    desk.done(&["send", "mails", "1"]);
    let mut top = Terminal::start(outtray(&["top", "--every", "100ms", "--url", tunnel.url()]));
    top.await_texts(&["mails", "asked in"]);

    tunnel.lead_to("postgresql://postgres@127.0.0.1:1/none");
    tunnel.cut();
    top.await_texts(&["no answer for", "mails"]);
    top.keys("?");
    top.await_texts(&["quit"]);
    top.keys("x");
    tunnel.lead_to(&desk.url);

    top.await_texts(&["asked in", "mails"]);
    top.await_no_text("no answer");
}

#[test]
fn a_database_that_is_away_from_the_start_is_told_and_what_cannot_be_meant_ends_it() {
    let away = ["top", "--url", "postgresql://postgres@127.0.0.1:1/none"];
    let mut top = Terminal::start(outtray(&away));
    top.await_texts(&["no answer for"]);
    top.keys("q");
    assert_eq!(top.end(), 0);

    let mut top = Terminal::start(outtray(&["top", "--url", "nonsense"]));
    assert_eq!(top.end(), 2);
    top.await_texts(&["error: ", "malformed"]);
    top.check_restored();
}
