//! Dead letters are grouped by their errors, redriven, edited and deleted; recurring messages run
//! now; and the page of changes says who did it.

use super::{Place, Visit, row_of, text_of_page};
use crate::support::{HOUR, reject};
use outtray::{HandlerError, Message, MessagingSession, NewMessage, Operator, Recurrence};

/// Makes dead letters of these numbers, with errors that have them.
fn bury(place: &Place, numbers: std::ops::Range<i32>) {
    place.send_all("orders", numbers);
    let give_up =
        |_: &mut MessagingSession<'_>, message: Message<i32>| -> Result<(), HandlerError> {
            Err(HandlerError::reject(match message.payload % 2 {
                0 => format!("order {} timed out", message.payload),
                _ => format!("order {} is odd", message.payload),
            }))
        };
    place.messaging.drain("orders", give_up).unwrap();
}

#[test]
fn dead_letters_are_shown_by_error_and_one_by_one() {
    let place = Place::new();
    bury(&place, 0..5);
    let mut visit = Visit::new(&place.messaging);

    let topics = visit.page("/dead");
    let page = visit.page("/dead?topic=orders");
    let odd = visit.page("/dead?topic=orders&error=IS%20ODD");
    let shape = visit.page("/dead?topic=orders&shape=order+%23+timed+out");

    assert_eq!(row_of(&topics, "orders")[1], "5");
    assert_eq!(row_of(&page, "3")[1], "order # timed out");
    assert_eq!(row_of(&page, "2")[1], "order # is odd");
    assert!(text_of_page(&page).contains("5 found, 5 looked at"));
    assert!(text_of_page(&odd).contains("2 found, 5 looked at"));
    assert!(text_of_page(&shape).contains("3 found, 5 looked at"));
    assert!(!page.contains("/dead/redrive"));
}

#[test]
fn dead_letters_are_redriven_and_deleted_one_some_or_all_that_are_found() {
    let place = Place::new();
    bury(&place, 0..9);
    let ids: Vec<String> = place
        .dead_letters("orders")
        .iter()
        .map(|one| one.id.to_string())
        .collect();
    let mut visit = Visit::logged_in(&place.messaging);
    let topic = ("topic", "orders");

    let one = visit.change("/dead/redrive", &[topic, ("id", &ids[0])]);
    assert!(one.contains("Redriven 1 dead letters of orders"), "{one}");
    let some = visit.change("/dead/purge", &[topic, ("id", &ids[1]), ("id", &ids[3])]);
    assert!(some.contains("Deleted 2 dead letters of orders"));
    let found = visit.change("/dead/redrive-all", &[topic, ("error", "is odd")]);
    assert!(
        found.contains("Redriven 2 dead letters of orders"),
        "{found}"
    );
    let all = visit.change("/dead/purge-all", &[topic]);
    assert!(all.contains("Deleted 4 dead letters of orders"));

    assert!(place.dead_letters("orders").is_empty());
    let mut back: Vec<i32> = place.handled("orders");
    back.sort_unstable();
    assert_eq!(back, [0, 5, 7]);
}

#[test]
fn a_dead_letter_is_edited_in_a_form_and_redriven() {
    let place = Place::new();
    let message = NewMessage::json_text("orders", "{\"amount\": 1.50}").unwrap();
    let id = place.send_new(message.header("a", "x\ny\\z"));
    place.messaging.drain("orders", reject).unwrap();
    let mut visit = Visit::logged_in(&place.messaging);
    let id = id.to_string();
    let form = visit.page(&format!("/message?id={id}"));
    assert!(
        form.contains("{&quot;amount&quot;: 1.50}</textarea>"),
        "{form}"
    );
    assert!(form.contains("a=x\\ny\\\\z\n</textarea>"), "{form}");
    let named = [("topic", "orders"), ("id", id.as_str())];

    let bad = [named[0], named[1], ("payload", "{no")];
    let refused = visit.change("/dead/edit", &bad);
    assert!(refused.contains("is not JSON"), "{refused}");
    assert_eq!(place.dead_letters("orders").len(), 1);
    let good = [
        named[0],
        named[1],
        ("payload", "{\"amount\": 2}"),
        ("headers", "a=x\\ny\\\\z\r\nb=2\r\n"),
    ];
    let done = visit.change("/dead/edit", &good);
    assert!(done.contains("Edited and redriven"), "{done}");

    let waiting = place.messaging.topic("orders").peek(1).unwrap().remove(0);
    assert_eq!(waiting.payload.to_string(), "{\"amount\": 2}");
    assert_eq!(waiting.headers["a"], "x\ny\\z");
    assert_eq!(waiting.headers["b"], "2");
    let changes = visit.page("/changes");
    assert!(text_of_page(&changes).contains("old_payload_sha256") && changes.contains(&id));
}

#[test]
fn recurring_messages_are_shown_run_now_paused_resumed_and_removed() {
    let place = Place::new();
    let daily = Recurrence::cron("0 3 * * *").unwrap();
    let message = NewMessage::json("reports", "sales").unwrap();
    place.messaging.repeat("nightly", &daily, message).unwrap();
    let mut visit = Visit::logged_in(&place.messaging);
    let fields = [
        ("topic", "reports"),
        ("name", "nightly"),
        ("back", "/recurring"),
    ];

    let page = visit.page("/recurring");
    let runs = row_of(&page, "reports")[3].matches("03:00:00").count();
    assert_eq!(runs, 3, "{page}");
    let run = visit.change("/recurring/run", &fields);
    assert!(
        run.contains("Sent a message of nightly to reports"),
        "{run}"
    );
    let paused = visit.change("/recurring/pause", &fields);
    assert_eq!(row_of(&paused, "reports")[3], "paused", "{paused}");
    assert!(place.messaging.recurring().unwrap()[0].is_paused);
    let resumed = visit.change("/recurring/resume", &fields);
    assert!(resumed.contains("Resumed the recurring message nightly"));
    assert!(row_of(&resumed, "reports")[3].contains("03:00:00"));
    let removed = visit.change("/recurring/remove", &fields);
    assert!(
        removed.contains("Removed the recurring message nightly"),
        "{removed}"
    );
    let again = visit.change("/recurring/run", &fields);
    assert!(
        again.contains("There is no recurring message nightly"),
        "{again}"
    );

    assert_eq!(place.handled::<String>("reports"), ["sales"]);
    assert!(place.messaging.recurring().unwrap().is_empty());
}

#[test]
fn changes_are_listed_with_who_made_them_for_a_topic_or_for_all() {
    let place = Place::new();
    let ada = place
        .messaging
        .as_operator(Operator::new("ada").address("desk-12"));
    ada.topic("orders")
        .reconfigure(|config| config.max_attempts = Some(3))
        .unwrap();
    ada.topic("mails").pause().unwrap();
    let delayed = NewMessage::json("mails", &1).unwrap().delay(HOUR);
    let id = place.send_new(delayed);
    ada.cancel(id).unwrap();
    let mut visit = Visit::new(&place.messaging);

    let all = text_of_page(&visit.page("/changes"));
    let orders = text_of_page(&visit.page("/changes?topic=orders"));

    for part in [
        "ada",
        "desk-12",
        "configured",
        "paused",
        "cancelled",
        "max_attempts",
        &id.to_string(),
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
    assert!(orders.contains("configured") && !orders.contains("cancelled"));
}

#[test]
fn a_header_with_signs_that_cannot_be_seen_goes_through_the_form_as_it_was() {
    let place = Place::new();
    let message = NewMessage::json("orders", "a\u{202e}b").unwrap();
    let id = place.send_new(message.header("x=\u{202e}y", "1\n2\u{200b}"));
    place.messaging.drain("orders", reject).unwrap();
    let mut visit = Visit::logged_in(&place.messaging);
    let page = visit.page(&format!("/message?id={id}"));
    assert!(!page.contains(['\u{202e}', '\u{200b}']), "{page}");
    let area = |name: &str| -> String {
        let (_, rest) = page
            .split_once(&format!("<textarea id=\"{name}\""))
            .unwrap();
        let (text, _) = rest.split_once("</textarea>").unwrap();
        let text = text.split_once(">\n").unwrap().1;
        text.replace("&quot;", "\"").replace("&amp;", "&")
    };
    let (payload, headers, id) = (area("payload"), area("headers"), id.to_string());

    let fields = [
        ("topic", "orders"),
        ("id", &id),
        ("payload", &payload),
        ("headers", &headers),
    ];
    visit.change("/dead/edit", &fields);

    let waiting = place.messaging.topic("orders").peek(1).unwrap().remove(0);
    assert_eq!(waiting.headers["x=\u{202e}y"], "1\n2\u{200b}");
    let payload: String = serde_json::from_slice(waiting.payload.as_bytes()).unwrap();
    assert_eq!(payload, "a\u{202e}b");
}

#[test]
fn all_that_a_search_finds_is_what_the_page_shows() {
    let place = Place::new();
    let give_up = |_: &mut MessagingSession<'_>, _: Message<i32>| -> Result<(), HandlerError> {
        Err(HandlerError::reject("not equal\n  left: 1\n right: 2"))
    };
    place.send_all("orders", 0..3);
    place.messaging.drain("orders", give_up).unwrap();
    let mut visit = Visit::logged_in(&place.messaging);

    let page = visit.page("/dead?topic=orders&before=2020-01-01T00:00:00Z");
    assert!(text_of_page(&page).contains("0 found"), "{page}");
    let page = visit.page("/dead?topic=orders&from=2020-01-01T00:00:00Z");
    assert!(page.contains("name=\"from\""), "{page}");
    // A browser sends a line break as two characters.
    let search = [
        ("topic", "orders"),
        ("from", "2020-01-01T00:00:00Z"),
        ("shape", "not equal\r\n  left: #\r\n right: #"),
    ];
    let done = visit.change("/dead/redrive-all", &search);

    assert!(done.contains("Redriven 3 dead letters of orders"), "{done}");
}
