//! All topics with their numbers.

use super::{Place, SOON, Visit, row_of, text_of_page};
use crate::support::{MINUTE, client, eventually, pass_time, reject};
use outtray::NewMessage;
use std::time::Duration;

#[test]
fn the_list_has_the_numbers_that_the_database_has() {
    let mut place = Place::new();
    place.send_all("orders", 0..1_005);
    let delayed = NewMessage::json("orders", &5).unwrap();
    place.send_new(delayed.delay(Duration::from_secs(600)));
    place.send_all("mails", 0..3);
    place.messaging.drain("mails", reject).unwrap();
    for number in 0..3 {
        let keyed = NewMessage::json("lines", &number).unwrap();
        place.send_new(keyed.key("one"));
    }
    place.messaging.topic("mails").pause().unwrap();
    let orders = place.messaging.topic("orders");
    let leased = orders.receive::<i32>(MINUTE).unwrap().unwrap();
    place.sql(
        "UPDATE outtray.message SET sent_at = now() - interval '2 hours' WHERE topic = 'orders'",
    );
    let mut visit = Visit::new(&place.messaging);

    let page = visit.page("/");

    let orders = row_of(&page, "orders");
    assert_eq!(orders[1..6], ["≈1004", "1", "1", "0", "0"], "{orders:?}");
    assert!(orders[6].starts_with("2 h"), "{orders:?}");
    assert_eq!(orders[9], "no receiver");
    let mails = row_of(&page, "mails");
    assert_eq!(mails[1..6], ["0", "0", "0", "0", "3"]);
    assert_eq!(mails[9], "paused");
    let lines = row_of(&page, "lines");
    assert_eq!(lines[1..6], ["1", "0", "0", "2", "0"]);
    assert!(
        text_of_page(&page).contains("Topics\n3\nReady\n1005\n"),
        "{page}"
    );
    leased.ack().unwrap();
}

#[test]
fn many_topics_are_paged_found_by_name_and_sorted() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload)
             SELECT 'topic-' || lpad(topic::text, 3, '0'), 0, gen_random_uuid(), '1'
             FROM generate_series(1, 120) AS topic, generate_series(1, topic)",
    );
    let mut visit = Visit::new(&place.messaging);
    let topics = |page: &str| page.matches("class=\"topic\"").count();

    let first = visit.page("/");
    let last = visit.page("/?page=3");
    let past = visit.page("/?page=99");
    let found = visit.page("/?find=c-01");
    let none = visit.page("/?find=nowhere");
    let most = visit.page("/?sort=ready");

    assert_eq!((topics(&first), topics(&last), topics(&past)), (50, 20, 20));
    assert!(
        first.contains("href=\"/?page=2\" rel=\"next\"")
            || first.contains("rel=\"next\" href=\"/?page=2\"")
    );
    assert!(!last.contains("rel=\"next\""));
    assert_eq!(topics(&found), 10);
    assert!(none.contains("No topic that is listed has this"));
    let order = most.find("topic-120").unwrap() < most.find("topic-119").unwrap();
    assert!(order && topics(&most) == 50 && !most.contains("topic-070"));
}

#[test]
fn a_database_without_topics_says_so() {
    let place = Place::new();
    let mut visit = Visit::new(&place.messaging);
    assert!(visit.page("/").contains("There are no topics yet"));
}

#[test]
fn nothing_is_asked_while_nobody_looks() {
    let mut place = Place::new();
    place.send_all("orders", 0..5);
    let mut visit = Visit::new(&place.messaging);
    visit.page("/");
    let last = "SELECT extract(epoch FROM max(query_start)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";

    // The pool opens its connections by and by.
    eventually("nothing is asked for a while", || {
        let before = place.number(last);
        pass_time(Duration::from_millis(1_500));
        place.number(last).to_bits() == before.to_bits()
    });

    assert_eq!(row_of(&visit.page("/"), "orders")[1], "5");
}

#[test]
fn the_last_hour_is_drawn_minute_by_minute() {
    let mut place = Place::new();
    place.send("orders", &1);
    place.sql(
        "INSERT INTO outtray.tally (topic, minute, done, failed, dead, expired, cancelled, handled_us)
         SELECT tallied.topic, floor(extract(epoch FROM now()) / 60)::bigint - ago, 100 + ago, 1, 0, 0, 0, 505000
         FROM generate_series(1, 90) AS ago, unnest(ARRAY['orders', 'mails']) AS tallied (topic)",
    );
    let mut visit = Visit::new(&place.messaging);

    let all = visit.page("/");
    let one = visit.page("/topic?name=orders");

    assert!(
        all.contains("Handled, a minute; done: 202 now, 320 at most"),
        "{all}"
    );
    assert!(
        one.contains("Handled, a minute; done: 101 now, 160 at most"),
        "{one}"
    );
    assert!(one.contains("Went wrong, a minute; failed: 1 now, 1 at most"));
    assert_eq!(one.matches("<svg").count(), 3);
    // In the last five minutes: 101 to 105.
    assert_eq!(row_of(&all, "orders")[7], "103");
}

#[test]
fn names_of_topics_that_take_long_are_waited_for_by_no_page() {
    let place = Place::new();
    place.send("orders", &1);
    let mut visit = Visit::new(&place.messaging);
    let mut other = client(&place.url);
    let mut listing_waits = other.transaction().unwrap();
    listing_waits
        .batch_execute("LOCK TABLE outtray.recurring IN ACCESS EXCLUSIVE MODE")
        .unwrap();

    let found = visit.get("/?find=ord");
    listing_waits.commit().unwrap();

    assert_eq!(found.status, 200);
    assert!(found.body.contains(SOON) && found.body.contains("not known yet"));
    assert_eq!(row_of(&visit.page("/?find=ord"), "orders")[1], "1");
}
