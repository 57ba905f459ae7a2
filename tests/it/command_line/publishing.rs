//! `outtray publish`, `subscribe`, `unsubscribe` and `subscriptions`.

use super::{Desk, check, objects};
use serde_json::{Value, json};

fn subscribed() -> Desk {
    let desk = Desk::new();
    let said = desk.done(&["subscribe", "orders.*", "billing"]);
    assert_eq!(said, "billing gets what matches orders.*\n");
    let filter = "region = eu and amount >= 1000";
    desk.done(&["subscribe", "orders.#", "reviews", "--filter", filter]);
    desk
}

#[test]
fn what_is_published_is_copied_to_all_who_subscribed() {
    let desk = subscribed();
    assert_eq!(
        desk.done(&["publish", "orders.created", "{\"n\": 1}"]),
        "1 copy\n"
    );
    let large = [
        "publish",
        "orders.created",
        "2",
        "--header",
        "region=eu",
        "--header",
        "amount=5e3",
    ];
    assert_eq!(desk.done(&large), "2 copies\n");
    let printed = desk.done(&["publish", "orders.created", "-3", "--json"]);
    let object: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (&object["copies"], object["ids"].as_array().unwrap().len()),
        (&json!(1), 1)
    );
    assert_eq!(desk.done(&["publish", "nobody", "1"]), "0 copies\n");
    assert_eq!(
        (desk.numbers("billing")[0], desk.numbers("reviews")[0]),
        (3, 1)
    );

    let mandatory = desk.run(&["publish", "nobody", "1", "--mandatory"]);
    check(&mandatory, 1, "nobody subscribed to routing key \"nobody\"");
    for bad in ["a..b", "orders.*", ""] {
        check(&desk.run(&["publish", bad, "1"]), 2, "routing key");
        check(&desk.run(&["publish", bad]), 2, "routing key");
    }
    check(&desk.run(&["publish", "a", "{"]), 2, "the payload");
}

#[test]
fn lines_of_standard_input_are_published_in_order() {
    let desk = subscribed();
    desk.done(&["subscribe", "#", "audit"]);
    let lines = "1\n2\n\n3\n";
    let said = desk.done_with(&["publish", "orders.created", "--batch", "2"], lines);
    assert_eq!(said, "published 3 messages, 6 copies\n");
    let printed = desk.done_with(&["publish", "x", "--json"], lines);
    let object: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(object, json!({ "published": 3, "copies": 3 }));
    let mut payloads = Vec::new();
    let drained = desk
        .messaging
        .drain("billing", |_, message: outtray::Message<i32>| {
            payloads.push(message.payload);
            Ok(())
        });
    drained.unwrap();
    assert_eq!(payloads, [1, 2, 3]);

    let failed = super::run(desk.command(&["publish", "x", "--batch", "1"]), "1\n{\n3\n");
    check(&failed, 1, "line 2");
    for part in ["1 message published before", "outtray publish x"] {
        assert!(failed.stderr.contains(part), "{failed:?}");
    }
    let twice = [
        "publish",
        "x",
        "1",
        "--dedupe",
        "k",
        "--dedupe-window",
        "1h",
    ];
    assert_eq!(desk.done(&twice), "1 copy, 0 duplicates\n");
    assert_eq!(desk.done(&twice), "0 copies, 1 duplicate\n");
}

#[test]
fn subscriptions_are_listed_tried_and_ended() {
    let desk = subscribed();
    let again = desk.done(&["subscribe", "orders.*", "billing"]);
    assert_eq!(again, "billing already gets what matches orders.*\n");
    let listed = desk.done(&["subscriptions"]);
    for part in [
        "TOPIC",
        "billing",
        "orders.#",
        "region = 'eu' and amount >= 1000",
    ] {
        assert!(listed.contains(part), "{part} in {listed}");
    }
    let all = objects(&desk.done(&["subscriptions", "--json"]));
    let billing = json!({ "topic": "billing", "pattern": "orders.*", "filter": null, "flaw": null, "is_ephemeral": false });
    assert_eq!((all.len(), &all[0]), (2, &billing));
    assert_eq!(all[1]["filter"], "region = 'eu' and amount >= 1000");

    let dry = |more: &[&str]| {
        desk.done(&[&["subscriptions", "--dry-run", "orders.created"], more].concat())
    };
    assert_eq!(dry(&[]), "billing\n");
    assert_eq!(
        dry(&["--header", "region=eu", "--header", "amount=1000"]),
        "billing\nreviews\n"
    );
    let object: Value = serde_json::from_str(&dry(&["--json"])).unwrap();
    assert_eq!(
        object,
        json!({ "key": "orders.created", "topics": ["billing"] })
    );
    assert_eq!(
        desk.done(&["subscriptions", "--dry-run", "nobody"]),
        "nobody\n"
    );
    check(
        &desk.run(&["subscriptions", "--header", "a=b"]),
        2,
        "--dry-run",
    );
    assert_eq!(desk.numbers("billing"), [0, 0, 0], "nothing was sent");

    desk.done(&["unsubscribe", "orders.*", "billing"]);
    let gone = desk.run(&["unsubscribe", "orders.*", "billing"]);
    check(&gone, 1, "billing did not subscribe to orders.*");
    desk.done(&["unsubscribe", "orders.#", "reviews"]);
    assert_eq!(desk.done(&["subscriptions"]), "no subscription\n");
    for bad in ["orders*", "a..b", ""] {
        check(&desk.run(&["subscribe", bad, "t"]), 2, "pattern");
    }
    check(&desk.run(&["subscribe", "a", "bad topic"]), 2, "topic name");
    check(
        &desk.run(&["subscribe", "a", "t", "--filter", "x <"]),
        2,
        "filter",
    );
}
