//! One topic: what is shown of it, and what is done to it.

use super::{Place, Visit, fill_log, row_of, text_of_page};
use outtray::{NewMessage, TopicConfig};
use std::time::Duration;

#[test]
fn a_topic_shows_what_waits_and_why() {
    let place = Place::new();
    let first = place.send("orders", &1);
    let message = NewMessage::json("orders", &2).unwrap();
    let delayed = place.send_new(message.delay(Duration::from_secs(7_260)));
    place.send("failing", &1);
    let orders = place.messaging.topic("failing");
    let delivery = orders
        .receive::<i32>(Duration::from_secs(60))
        .unwrap()
        .unwrap();
    delivery.retry_after(Duration::from_secs(120)).unwrap();
    place.messaging.subscribe("order.*", "orders").unwrap();
    let mut visit = Visit::new(&place.messaging);

    let page = visit.page("/topic?name=orders");
    let failing = visit.page("/topic?name=failing");

    let ready = row_of(&page, &first.to_string());
    assert_eq!(ready[1..5], ["ready", "–", "0", "0"], "{ready:?}");
    let due = row_of(&page, &delayed.to_string());
    assert_eq!(due[1], "delayed");
    assert!(due[2].starts_with("in 2 h"), "{due:?}");
    assert!(text_of_page(&page).contains("order.*"));
    assert!(text_of_page(&failing).contains("retrying"), "{failing}");
}

#[test]
fn a_topic_is_paused_resumed_and_purged() {
    let place = Place::new();
    place.send_all("orders", 0..7);
    let mut visit = Visit::logged_in(&place.messaging);
    let topic = place.messaging.topic("orders");
    let here = "/topic?name=orders";
    let fields = [("topic", "orders"), ("back", here)];

    let page = visit.change("/topic/pause", &fields);
    assert!(topic.is_paused().unwrap());
    assert!(
        page.contains("Paused orders") && page.contains("/topic/resume"),
        "{page}"
    );

    let page = visit.change("/topic/resume", &fields);
    assert!(!topic.is_paused().unwrap());
    assert!(page.contains("Resumed orders"));

    let page = visit.change("/topic/purge", &fields);
    assert!(topic.is_empty().unwrap());
    assert!(page.contains("Removed 7 messages of orders"), "{page}");
}

#[test]
fn settings_are_shown_and_only_those_that_were_changed_are_set() {
    let place = Place::new();
    let topic = place.messaging.topic("orders");
    topic
        .reconfigure(|config| config.max_attempts = Some(3))
        .unwrap();
    let mut visit = Visit::logged_in(&place.messaging);
    let page = visit.page("/settings?topic=orders");
    for setting in TopicConfig::settings() {
        assert!(
            page.contains(&format!("name=\"set.{}\"", setting.name)),
            "{}",
            setting.name
        );
    }
    assert!(page.contains("name=\"was.max_attempts\" value=\"3\""));
    // Somebody else changes another one meanwhile.
    topic
        .reconfigure(|config| config.max_in_work = Some(8))
        .unwrap();

    let fields = [
        ("topic", "orders"),
        ("set.max_attempts", ""),
        ("was.max_attempts", "3"),
        ("set.max_in_work", ""),
        ("was.max_in_work", ""),
        ("set.rate", "100/1s"),
        ("was.rate", ""),
    ];
    let page = visit.change("/settings/save", &fields);

    assert!(
        page.contains("Set for orders: max_attempts to its default, rate to 100/1s"),
        "{page}"
    );
    let config = topic.config().unwrap();
    assert_eq!((config.max_attempts, config.max_in_work), (None, Some(8)));
    assert_eq!(config.get("rate").as_deref(), Some("100/1s,100"));
}

#[test]
fn a_setting_that_is_out_of_range_is_explained_and_nothing_is_set() {
    let place = Place::new();
    let mut visit = Visit::logged_in(&place.messaging);
    for (name, value) in [
        ("set.max_attempts", "0"),
        ("set.max_attempts", "many"),
        ("set.rate", "x"),
    ] {
        let fields = [("topic", "orders"), (name, value), ("set.lease", "5s")];
        let page = visit.change("/settings/save", &fields);
        assert!(page.contains("class=\"flash error\""), "{page}");
        assert_eq!(
            place.messaging.topic("orders").config().unwrap(),
            TopicConfig::default()
        );
    }
}

#[test]
fn a_log_shows_its_readers_and_how_far_behind_they_are() {
    let place = Place::new();
    fill_log(&place);
    let mut visit = Visit::new(&place.messaging);

    let page = visit.page("/topic?name=ledger");

    assert!(text_of_page(&page).contains("Entries\n5\n"), "{page}");
    let row = row_of(&page, "billing");
    assert_eq!((row[1].as_str(), row[3].as_str()), ("1", "5"), "{row:?}");
}
