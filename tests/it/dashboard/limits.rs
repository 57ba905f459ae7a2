//! Limits and rates, and how far each is used; keys that are stuck.

use super::{Place, Visit, row_of, text_of_page};
use crate::support::{MINUTE, reject};
use outtray::dashboard::Dashboard;
use outtray::{NewMessage, PoisonedKey};

#[test]
fn limits_are_shown_with_how_much_of_each_is_used() {
    let place = Place::new();
    let orders = place.messaging.topic("orders");
    orders
        .reconfigure(|config| {
            config.max_in_work = Some(4);
            config.max_length = Some(100);
            config.set("rate", "10/1h").unwrap();
            config.max_in_work_per_key = Some(2);
        })
        .unwrap();
    place.send_all("orders", 0..7);
    place.send("free", &1);
    let leased = orders.receive::<i32>(MINUTE).unwrap().unwrap();
    let mut visit = Visit::new(&place.messaging);

    let page = visit.page("/limits");

    let row = row_of(&page, "orders");
    assert_eq!(row[1], "1 of 4", "{row:?}");
    assert_eq!(row[2], "7 of 100", "{row:?}");
    assert_eq!(row[3], "10/1h,10", "{row:?}");
    assert_eq!(row[4], "9 of 10", "{row:?}");
    assert_eq!(row[5], "2 in work", "{row:?}");
    assert!(!page.contains("free"));
    leased.ack().unwrap();
}

#[test]
fn a_key_that_waits_for_an_operator_is_shown_with_how_many_wait() {
    let place = Place::new();
    let lines = place.messaging.topic("lines");
    lines
        .reconfigure(|config| config.poisoned_key = Some(PoisonedKey::Block))
        .unwrap();
    let send = |key: &str| {
        let message = NewMessage::json("lines", &1).unwrap();
        place.send_new(message.key(key));
    };
    send("customer-7");
    place.messaging.drain("lines", reject).unwrap();
    send("customer-7");
    send("customer-7");
    send("customer-8");
    let mut visit = Visit::new(&place.messaging);
    let mut hiding = Visit::with(Dashboard::new(&place.messaging).hide_payloads(true));

    let page = visit.page("/topic?name=lines");
    let hidden = hiding.page("/topic?name=lines");

    let (_, stuck) = page.split_once("Stuck keys").expect("it is listed");
    assert_eq!(row_of(stuck, "customer-7")[1], "2");
    assert!(text_of_page(&hidden).contains("Stuck keys") && !hidden.contains("customer-"));
}
