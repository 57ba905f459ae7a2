//! Messages are searched, shown whole, and run, cancelled or downloaded.

use super::{Place, Visit, row_of, text_of_page, token};
use crate::support::{HOUR, reject};
use outtray::dashboard::Dashboard;
use outtray::{MessagePlace, NewMessage};

fn order(payload: &str) -> NewMessage {
    NewMessage::json_text("orders", payload).unwrap()
}

#[test]
fn messages_are_found_by_id_key_header_error_and_place() {
    let place = Place::new();
    let keyed = place.send_new(order("1").key("customer-7").header("country", "ch"));
    let later = place.send_new(order("2").delay(HOUR));
    let dead = place.send_new(NewMessage::json("bad", &3).unwrap());
    place.messaging.drain("bad", reject).unwrap();
    let mut visit = Visit::new(&place.messaging);

    let form = visit.page("/messages");
    let all = visit.page("/messages?topic=orders");
    let by_key = visit.page("/messages?topic=orders&key=customer-7");
    let by_header = visit.page("/messages?topic=orders&filter=country%20%3D%20ch");
    let scheduled = visit.page("/messages?topic=orders&place=scheduled");
    let by_error = visit.page("/messages?topic=bad&error=no");

    assert!(form.contains("name=\"id\"") && form.contains("name=\"topic\""));
    assert_eq!(
        row_of(&all, &keyed.to_string())[1..3],
        ["ready", "customer-7"]
    );
    assert!(row_of(&all, &later.to_string())[1].starts_with("delayed in "));
    for page in [&by_key, &by_header] {
        row_of(page, &keyed.to_string());
        assert!(!page.contains(&later.to_string()));
    }
    row_of(&scheduled, &later.to_string());
    assert!(!scheduled.contains(&keyed.to_string()));
    assert_eq!(row_of(&by_error, &dead.to_string())[6], "no");
    assert!(text_of_page(&by_error).contains("1 found, 1 looked at"));
    for (bad, why) in [
        ("/messages?topic=orders&filter=%28", "400"),
        ("/messages?topic=orders&place=x", "400"),
        ("/messages?topic=orders&after=x", "400"),
        ("/messages?topic=orders&from=x", "400"),
    ] {
        assert_eq!(visit.get(bad).status.to_string(), why, "{bad}");
    }
}

#[test]
fn a_search_goes_on_page_by_page() {
    let place = Place::new();
    place.send_all("orders", 0..120);
    let mut visit = Visit::new(&place.messaging);

    let (mut path, mut seen) = ("/messages?topic=orders".to_owned(), 0);
    for _ in 0..3 {
        let page = visit.page(&path);
        seen += page.matches("class=\"mono\" href=\"/message?").count();
        let Some((before, _)) = page.split_once("\">Go on →") else {
            break;
        };
        path = before.rsplit_once('"').unwrap().1.replace("&amp;", "&");
    }

    assert_eq!(seen, 120);
}

#[test]
fn a_message_is_shown_whole_with_its_payload_spread_out() {
    let place = Place::new();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let message = order(r#"{"id":1.50,"lines":[{"sku":"<b>"}]}"#).message_type("order.created");
    let id = place.send_new(
        message
            .traceparent(trace)
            .key("k")
            .header("a", "<i>")
            .tracked(),
    );
    let mut visit = Visit::new(&place.messaging);

    let page = visit.page(&format!("/message?id={id}"));
    let on_topic = visit.page(&format!("/message?id={id}&topic=orders"));
    let gone = visit.page("/message?id=01981c35-6f2b-7cc0-9a51-3c1e0f6f2d10");
    let bad = visit.get("/message?id=x");

    let text = text_of_page(&page);
    for part in [
        "no receiver",
        "ready",
        "order.created",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "Tracked",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(
        page.contains("{\n  &quot;id&quot;: 1.50,\n  &quot;lines&quot;: ["),
        "{page}"
    );
    assert_eq!(row_of(&page, "a")[1], "&lt;i&gt;");
    assert!(on_topic.contains("1.50"));
    assert!(gone.contains("No such message waits"));
    assert_eq!(bad.status, 400);
    // Without a token there is nothing to press.
    assert!(!page.contains("/messages/cancel"));
}

#[test]
fn a_large_payload_is_cut_and_can_be_downloaded_as_a_file_that_is_no_page() {
    let place = Place::new();
    let html = format!("<script>alert(1)</script>{}", "x".repeat((1 << 20) - 100));
    let long = place.send_new(NewMessage::json("orders", &html).unwrap());
    let bytes = place.send_new(NewMessage::bytes("orders", b"\x01<script>\xff".to_vec()));
    let mut visit = Visit::new(&place.messaging);

    let page = visit.page(&format!("/message?id={long}"));
    let file = visit.get(&format!("/message/payload?id={long}&topic=orders"));
    let hex = visit.page(&format!("/message?id={bytes}"));
    let nothing = visit.get("/message/payload?id=01981c35-6f2b-7cc0-9a51-3c1e0f6f2d10");

    assert!(
        page.len() < 60_000 && page.contains("This is the beginning."),
        "{}",
        page.len()
    );
    assert!(!page.contains("<script>alert"));
    assert_eq!(file.body.len(), (1 << 20) - 100 + 25 + 2);
    assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    let disposition = file.header("content-disposition").unwrap();
    assert_eq!(disposition, format!("attachment; filename=\"{long}.json\""));
    let kind = file.header("content-type").unwrap();
    assert!(!kind.contains("html") && !kind.contains("json"), "{kind}");
    assert!(hex.contains("01 3c 73 63 72 69 70 74 3e ff"), "{hex}");
    assert_eq!(nothing.status, 404);
}

#[test]
fn chosen_messages_are_run_or_cancelled_and_that_is_listed() {
    let place = Place::new();
    let delayed = [1, 2].map(|n| place.send_new(order(&n.to_string()).delay(HOUR)));
    let ids = delayed.map(|id| id.to_string());
    let mut visit = Visit::logged_in(&place.messaging);
    let back = ("back", "/messages?topic=orders");
    let topic = ("topic", "orders");

    let page = visit.page("/messages?topic=orders");
    assert!(page.contains("type=\"checkbox\"") && page.contains("Cancel the chosen…"));
    let nothing = visit.change("/messages/run-now", &[topic, back]);
    assert!(nothing.contains("No message was chosen"), "{nothing}");
    let run = visit.change("/messages/run-now", &[topic, back, ("id", &ids[0])]);
    assert!(run.contains("Made 1 messages of orders due now"), "{run}");
    let both = [topic, back, ("id", &ids[0]), ("id", &ids[1])];
    let cancelled = visit.change("/messages/cancel", &both);
    assert!(
        cancelled.contains("Removed 2 messages of orders"),
        "{cancelled}"
    );

    assert!(place.is_empty("orders"));
    let changes = place.messaging.changes(10).unwrap();
    let done = changes
        .iter()
        .map(|change| (change.operator.as_str(), change.what.as_str()));
    assert_eq!(
        done.collect::<Vec<_>>(),
        [("Ada", "cancelled"), ("Ada", "run now")]
    );
    assert!(changes[0].address.as_deref().unwrap().contains("127.0.0.1"));
}

#[test]
fn what_changes_messages_is_refused_without_a_login_or_the_mark_of_a_page() {
    let place = Place::new();
    let id = place.send("orders", &1).to_string();
    place.send("bad", &1);
    place.messaging.drain("bad", reject).unwrap();
    let dead = place.dead_letters("bad")[0].id.to_string();
    let mut stranger = Visit::with(Dashboard::new(&place.messaging).token(token()));
    let mut known = Visit::logged_in(&place.messaging);

    for path in [
        "/messages/cancel",
        "/messages/run-now",
        "/dead/redrive",
        "/dead/purge",
        "/dead/redrive-all",
        "/dead/purge-all",
        "/dead/edit",
        "/recurring/run",
        "/recurring/pause",
        "/recurring/resume",
        "/recurring/remove",
    ] {
        let fields = [
            ("topic", "bad"),
            ("id", dead.as_str()),
            ("id", id.as_str()),
            ("payload", "1"),
        ];
        let refused = stranger.post(path, &fields);
        assert!(
            [303, 401, 403].contains(&refused.status),
            "{path}: {refused:?}"
        );
        let unmarked = known.post(path, &fields);
        assert_eq!(unmarked.status, 403, "{path}");
    }

    assert_eq!(place.messaging.changes(10).unwrap(), []);
    let found = place
        .messaging
        .message(dead.parse().unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(found.place, MessagePlace::Dead);
}

#[test]
fn hidden_payloads_are_on_no_page_about_messages() {
    let place = Place::new();
    let message = NewMessage::json("orders", "secret-1")
        .unwrap()
        .key("secret-2");
    let id = place.send_new(message.header("a", "secret-3").tracked());
    place.messaging.drain("orders", reject).unwrap();
    let hiding = Dashboard::new(&place.messaging).hide_payloads(true);
    let mut visit = Visit::with(hiding.token(token()));
    visit.log_in();

    for path in [
        format!("/message?id={id}"),
        "/messages?topic=orders".to_owned(),
        "/dead?topic=orders".to_owned(),
    ] {
        let page = visit.page(&path);
        assert!(!page.contains("secret-"), "{path}: {page}");
    }
    let file = visit.get(&format!("/message/payload?id={id}"));
    assert_eq!(file.status, 404);
    assert!(!file.body.contains("secret-"));
}

#[test]
fn hostile_texts_are_text_on_every_page_about_messages() {
    let place = Place::new();
    let hostile =
        "</pre></textarea><script>alert(1)</script>\u{202e}\"'<img src=x onerror=alert(1)>";
    let message = NewMessage::json("orders", hostile).unwrap().key(hostile);
    let id = place.send_new(message.header(hostile, hostile).message_type(hostile));
    let error = move |_: &mut outtray::MessagingSession<'_>,
                      _: outtray::Message|
          -> Result<(), outtray::HandlerError> {
        Err(outtray::HandlerError::reject(hostile))
    };
    place.messaging.drain("orders", error).unwrap();
    let mut visit = Visit::logged_in(&place.messaging);
    let ada = outtray::Operator::new(hostile).address(hostile);
    place
        .messaging
        .as_operator(ada)
        .topic("orders")
        .pause()
        .unwrap();

    for path in [
        format!("/message?id={id}"),
        "/messages?topic=orders".to_owned(),
        "/dead".to_owned(),
        "/dead?topic=orders".to_owned(),
        "/dead?topic=orders&error=%3Cscript%3Ealert(1)&shape=%3Cscript%3Ealert(1)".to_owned(),
        "/messages?topic=%3Cscript%3Ealert(1)&key=%3Cscript%3Ealert(1)".to_owned(),
        "/changes".to_owned(),
        "/changes?topic=%3Cscript%3Ealert(1)".to_owned(),
        "/recurring".to_owned(),
    ] {
        let page = visit.get(&path).body;
        assert!(
            !page.contains("<script>alert") && !page.contains("<img"),
            "{path}: {page}"
        );
    }
}

#[test]
fn a_search_without_a_topic_goes_through_all() {
    let place = Place::new();
    let one = place.send_new(order("1").key("customer-7"));
    let bad = NewMessage::json("bad", &3).unwrap().key("customer-7");
    let dead = place.send_new(bad);
    place.send_new(order("2").key("other"));
    place.messaging.drain("bad", reject).unwrap();
    let mut visit = Visit::logged_in(&place.messaging);

    let found = visit.page("/messages?topic=&key=customer-7");
    let none = visit.page("/messages?topic=&key=nobody");

    assert_eq!(row_of(&found, "orders")[1], one.to_string());
    assert_eq!(row_of(&found, "bad")[1], dead.to_string());
    let text = text_of_page(&found);
    assert!(text.contains("2 found, 2 looked at\nof 2 topics") || text.contains("of 2 topics"));
    assert!(!found.contains("formaction"), "they are of several topics");
    assert!(none.contains("No message was found"));
}

#[test]
fn a_message_that_has_ended_has_a_page_where_its_topic_keeps_that() {
    let place = Place::new();
    let config = outtray::TopicConfig {
        keep_done: Some(HOUR),
        ..outtray::TopicConfig::default()
    };
    place.messaging.topic("orders").configure(config).unwrap();
    let id = place.send_new(order("\"content\"").key("customer-7"));
    place.handled::<String>("orders");
    let mut visit = Visit::logged_in(&place.messaging);

    let page = visit.page(&format!("/message?id={id}"));

    let text = text_of_page(&page);
    for part in [
        "ended",
        "How it ended",
        "Took",
        "Process",
        "customer-7",
        "keeps no headers",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!page.contains("/messages/cancel"), "{page}");
}

#[test]
fn changes_are_listed_page_by_page() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.change (topic, id, at, operator, what)
        SELECT 'jobs', gen_random_uuid(), now() - n * interval '1 minute', 'bob-' || n, 'paused'
        FROM generate_series(1, 250) AS n",
    );
    let mut visit = Visit::new(&place.messaging);

    let mut page = visit.page("/changes?topic=jobs");
    let mut rows = page.matches("bob-").count();
    while let Some((_, next)) = page.split_once("rel=\"next\" href=\"") {
        let next = next.split('"').next().unwrap().replace("&amp;", "&");
        page = visit.page(&next);
        assert!(page.contains("To the latest"));
        rows += page.matches("bob-").count();
    }

    assert_eq!(rows, 250);
    assert!(page.contains("bob-250"));
    assert_eq!(visit.get("/changes?after=x").status, 400);
}
