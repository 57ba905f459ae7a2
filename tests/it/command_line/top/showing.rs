//! What is shown, and what keys do.

use super::Desk;
use crate::support::{Gate, done, reject};
use outtray::NewMessage;

impl Desk {
    fn send(&self, topic: &str, count: usize) {
        let sent = self.messaging.session(|session| {
            session.send_messages(topic, 0..count)?;
            Ok(())
        });
        sent.unwrap();
    }
}

#[test]
fn topics_are_shown_with_their_numbers_as_they_change() {
    let desk = Desk::new();
    desk.send("mails", 3);

    let mut top = desk.top(&[]);
    top.await_texts(&["TOPIC", "READY*", "mails", "? help"]);
    let words = top.line_with("mails");
    assert_eq!(words.split_whitespace().nth(1), Some("3"), "{words}");
    assert!(words.contains("no receiver"), "{words}");

    desk.send("mails", 4);
    desk.send("orders", 1);
    top.await_texts(&["2 topics  8 ready"]);
    top.keys("q");
    assert_eq!(top.end(), 0);
    top.check_restored();
}

#[test]
fn a_filter_is_typed_and_the_order_changes_by_a_key() {
    let desk = Desk::new();
    for (topic, count) in [("mails", 3), ("orders", 2), ("mailings", 1)] {
        desk.send(topic, count);
    }
    let mut top = desk.top(&[]);
    top.await_texts(&["mails", "orders", "mailings"]);

    top.keys("/MAIL");
    top.await_no_text("orders");
    top.await_texts(&["/MAIL_", "mailings"]);
    top.keys("\r");
    top.await_texts(&["only /MAIL"]);
    let order = |screen: &str| screen.find("mails") < screen.find("mailings");
    assert!(order(&top.parser.screen().contents()), "by what is ready");
    top.keys("S");
    top.await_texts(&["TOPIC*"]);
    assert!(!order(&top.parser.screen().contents()), "by name");
    top.keys("\x1b");
    top.await_texts(&["orders"]);
}

#[test]
fn a_pause_and_its_end_are_asked_for_first() {
    let desk = Desk::new();
    desk.send("mails", 1);
    let topic = desk.messaging.topic("mails");
    let mut top = desk.top(&[]);
    top.await_texts(&["mails"]);

    top.keys("p");
    top.await_texts(&["Pause mails in all processes?"]);
    top.keys("n");
    top.await_no_text("Pause mails");
    assert!(!topic.is_paused().unwrap());
    top.keys("py");
    top.await_texts(&["paused mails"]);
    assert!(topic.is_paused().unwrap());
    top.await_texts(&["paused, no receiver"]);
    top.keys("p");
    top.await_texts(&["Resume mails in all processes?"]);
    top.keys("y");
    top.await_texts(&["resumed mails"]);
    assert!(!topic.is_paused().unwrap());
}

#[test]
fn dead_letters_are_redriven_after_a_question() {
    let desk = Desk::new();
    desk.send("mails", 5);
    desk.messaging.drain("mails", reject).unwrap();
    let mut top = desk.top(&[]);
    top.await_texts(&["5 dead"]);

    top.keys("R");
    top.await_texts(&["Redrive all 5 dead letters of mails?"]);
    top.keys("y");
    top.await_texts(&["redriven 5 of mails", "0 dead"]);

    assert_eq!(desk.numbers("mails"), [5, 0, 0]);
}

#[test]
fn all_about_a_topic_is_shown_with_its_settings_and_dead_letters() {
    let desk = Desk::new();
    desk.send("mails", 1);
    desk.messaging.drain("mails", reject).unwrap();
    let topic = desk.messaging.topic("mails");
    let set = |config: &mut outtray::TopicConfig| config.max_attempts = Some(7);
    topic.reconfigure(set).unwrap();
    let mut top = desk.top(&[]);
    top.await_texts(&["mails"]);

    top.keys("\r");
    top.await_texts(&[
        "1 dead",
        "max_attempts = 7",
        "the first dead letters:",
        "rejected: no",
        "no process receives it",
    ]);
    top.keys("\x1b");
    top.await_no_text("max_attempts");
}

#[test]
fn processes_are_shown_with_what_they_have_had_for_long() {
    let desk = Desk::new();
    let gate = Gate::new();
    let held = gate.holding(desk.messaging.receiver("mails").workers(3));
    let _idle = desk.messaging.receiver("orders").start(done).unwrap();
    let message = NewMessage::json("mails", &1).unwrap();
    let id = desk.messaging.send(message).unwrap().id();
    gate.await_arrivals(1);

    let mut top = desk.top(&["--view", "processes"]);
    top.await_texts(&["HOST*", "mails", "orders", "1/3", "0/4"]);
    top.keys("\r");
    top.await_texts(&[
        &std::process::id().to_string(),
        "receives since",
        "1 of 3 workers busy",
    ]);
    top.await_texts(&[&id.to_string()]);
    top.keys("\x1b");
    top.await_no_text("receives since");
    top.keys("\t");
    top.await_texts(&["TOPIC", "READY*"]);

    gate.open_for(1);
    drop(held);
}

#[test]
fn help_is_shown_over_all_and_any_key_ends_it() {
    let desk = Desk::new();
    let mut top = desk.top(&[]);
    top.await_texts(&["no topics yet"]);

    top.keys("?");
    top.await_texts(&["redrive the dead letters of the topic", "quit"]);
    top.keys("x");
    top.await_no_text("redrive the dead letters of the topic");
}

#[test]
fn a_terminal_of_any_size_is_drawn_on_and_follows_its_changes() {
    let desk = Desk::new();
    desk.send("mails", 1);
    let mut top = desk.top(&[]);
    top.await_texts(&["mails", "OLDEST"]);

    top.resize(6, 20);
    top.await_texts(&["mails"]);
    top.await_no_text("OLDEST");
    top.resize(1, 1);
    top.keys("?pR/x");
    top.resize(40, 132);
    top.keys("\x1b\x1b");
    top.await_texts(&["mails", "RECEIVERS"]);
    top.keys("\x03");
    assert_eq!(top.end(), 0);
}

#[test]
fn nothing_of_a_name_or_an_error_reaches_the_terminal_as_a_command() {
    let desk = Desk::new();
    let hostile = "UPDATE outtray.dead_letter SET error = E'a\\x1b[2Jb\\u202ec'";
    desk.send("mails", 1);
    desk.messaging.drain("mails", reject).unwrap();
    let planted = desk
        .messaging
        .session(|session| Ok(session.execute(hostile, &[])?));
    planted.unwrap();
    let mut top = desk.top(&[]);
    top.await_texts(&["mails"]);

    top.keys("\r");

    top.await_texts(&[r"a\u{1b}[2Jb\u{202e}c"]);
}

#[test]
fn there_are_no_colours_where_none_are_wanted() {
    let desk = Desk::new();
    desk.send("mails", 1);
    desk.messaging.drain("mails", reject).unwrap();
    let is_coloured = |written: &[u8]| {
        let text = String::from_utf8_lossy(written);
        text.contains("\x1b[38;5;1")
    };

    let mut coloured = desk.top(&[]);
    coloured.await_texts(&["1 dead"]);
    let mut command = desk.command(&["top"]);
    command.env("NO_COLOR", "1");
    let mut plain = super::Terminal::start(command);
    plain.await_texts(&["1 dead"]);

    assert!(is_coloured(&coloured.written));
    assert!(!is_coloured(&plain.written));
}
