//! A suite of a hundred tests, each with a database of its own, to see how long one takes:
//!
//! ```sh
//! cargo test --package shop --features hundred --test hundred
//! ```

use outtray::Message;
use outtray::testing::{AssertSent, Runner, TestDatabase};
use shop::{Order, TABLES, place, ship};

/// Places orders, ships them, and sends the mails, through a delay of three days.
fn ships_and_mails(orders: i32) {
    let made = TestDatabase::from_template("shop 1", |url| {
        postgres::Client::connect(url, postgres::NoTls)?.batch_execute(TABLES)?;
        Ok(())
    });
    let database = made.unwrap();
    let messaging = database.messaging();
    for id in 0..orders {
        let address = "Harbour Road 1".to_owned();
        let order = Order { id, address };
        messaging
            .session(|session| Ok(place(session, &order)?))
            .unwrap();
    }
    messaging.assert_sent_count("orders", orders as usize);

    let mut runner = Runner::new(messaging)
        .on("orders", ship)
        .on("mails", |_, _: Message| Ok(()));
    let ran = runner.run_until_idle().unwrap();

    assert_eq!(
        ran.iter().filter(|one| one.is_done()).count(),
        3 * orders as usize
    );
    messaging.assert_nothing_sent("mails");
}

macro_rules! tests {
    ($($tens:ident)*) => {
        $(mod $tens {
            tests!(@ a b c d e f g h i j);
        })*
    };
    (@ $($ones:ident)*) => {
        $(#[test]
        fn $ones() {
            super::ships_and_mails(3);
        })*
    };
}

tests!(a b c d e f g h i j);
