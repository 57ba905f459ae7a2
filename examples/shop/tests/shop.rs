//! The tests of a program that uses outtray: each part of `outtray::testing`, by its public API.

use outtray::testing::{
    AssertSent, ChildProcess, DatabaseFault, Proxy, RunOutcome, Runner, Step, TestDatabase,
    advance, message,
};
use outtray::{
    DeadReason, ErrorKind, HandlerError, Message, Messaging, MessagingSession, NewMessage,
    TopicConfig, TopicKind,
};
use postgres::error::SqlState;
use postgres::{Client, NoTls};
use shop::{Mail, Order, TABLES, UNTIL_ASKED, orders, place, report_nightly, ship};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn database() -> TestDatabase {
    let made = TestDatabase::from_template("shop 1", |url| {
        Client::connect(url, NoTls)?.batch_execute(TABLES)?;
        Ok(())
    });
    made.expect("a database to test with")
}

fn order(id: i32) -> Order {
    Order {
        id,
        address: "Harbour Road 1".to_owned(),
    }
}

fn order_seven(messaging: &Messaging) {
    messaging
        .session(|session| Ok(place(session, &order(7))?))
        .unwrap();
}

fn runner(messaging: &Messaging) -> Runner<'_> {
    Runner::new(messaging).on_receiver("orders", orders, ship)
}

fn shipments(database: &TestDatabase) -> i64 {
    let mut client = Client::connect(database.url(), NoTls).unwrap();
    client
        .query_one("SELECT count(*) FROM shipment", &[])
        .unwrap()
        .get(0)
}

// What was sent.

#[test]
fn an_order_that_is_placed_is_to_be_shipped() {
    let database = database();

    order_seven(database.messaging());

    let sent = database
        .messaging()
        .assert_sent("orders", |order: &Order| order.id == 7);
    assert_eq!(sent.key.as_deref(), Some("order-7"));
    database.messaging().assert_sent_count("orders", 1);
    database
        .messaging()
        .assert_not_sent::<Order>("orders", |order| order.id == 8);
    database.messaging().assert_nothing_sent("mails");
}

#[test]
fn an_order_that_is_rolled_back_is_not_shipped() {
    let database = database();

    let failed: outtray::Result<()> = database.messaging().session(|session| {
        place(session, &order(7))?;
        session.assert_sent("orders", |order: &Order| order.id == 7);
        Err("the card was declined".into())
    });

    assert_eq!(failed.unwrap_err().kind(), ErrorKind::RolledBack);
    database.messaging().assert_nothing_sent("orders");
}

#[test]
fn a_handler_runs_in_a_transaction_of_the_tests_own() {
    let database = database();
    let mut client = Client::connect(database.url(), NoTls).unwrap();
    let mut transaction = client.transaction().unwrap();
    let mut session = MessagingSession::join(database.messaging(), &mut transaction).unwrap();
    place(&mut session, &order(7)).unwrap();

    let order = message(NewMessage::json("orders", &order(7)).unwrap()).unwrap();
    ship(&mut session, order).unwrap();

    session.assert_sent("mails", |mail: &Mail| {
        mail.text == "it goes to Harbour Road 1"
    });
    drop(session);
    transaction.rollback().unwrap();
    database.messaging().assert_nothing_sent("mails");
}

#[test]
fn whoever_subscribed_is_told_of_shipments() {
    let database = database();
    database
        .messaging()
        .subscribe("orders.*", "statistics")
        .unwrap();
    order_seven(database.messaging());

    runner(database.messaging()).run_ready().unwrap();

    database
        .messaging()
        .assert_sent("statistics", |order: &i32| *order == 7);
}

#[test]
fn what_a_log_keeps_is_found() {
    let database = database();
    let messaging = database.messaging();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    messaging.topic("ledger").configure(log).unwrap();

    messaging
        .session(|session| Ok(session.send_messages("ledger", [1, 2, 3])?))
        .unwrap();

    let entries = messaging.sent::<i32>("ledger").unwrap();
    assert_eq!(
        entries
            .iter()
            .map(|entry| entry.payload)
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
}

#[test]
#[should_panic(
    expected = "no message of topic mails matches, of 1 that are there:\n  1. {\"order\":7,"
)]
fn an_assertion_that_fails_shows_what_was_sent() {
    let database = database();
    let mail = Mail {
        order: 7,
        text: "hello".to_owned(),
    };
    database
        .messaging()
        .session(|session| Ok(session.send_message("mails", &mail)?))
        .unwrap();

    database
        .messaging()
        .assert_sent("mails", |mail: &Mail| mail.order == 8);
}

// Running handlers, and time.

#[test]
fn an_order_is_shipped_and_its_customer_told_at_once_and_asked_later() {
    let database = database();
    order_seven(database.messaging());

    let ran = runner(database.messaging())
        .run_one("orders")
        .unwrap()
        .unwrap();

    assert!(ran.is_done());
    assert_eq!(shipments(&database), 1);
    let messaging = database.messaging();
    messaging.assert_sent_message::<Mail>("mails", |mail| mail.due_in.is_none());
    messaging.assert_sent_message::<Mail>("mails", |mail| {
        mail.payload.text == "how was it?" && mail.due_in > Some(UNTIL_ASKED - DAY)
    });
}

#[test]
fn all_mails_go_out_also_those_of_later() {
    let database = database();
    order_seven(database.messaging());
    let mut mails = Vec::new();

    let mut runner = runner(database.messaging()).on("mails", |_, mail: Message<Mail>| {
        mails.push(mail.payload.text);
        Ok(())
    });
    assert_eq!(runner.run_ready().unwrap().len(), 2);
    assert_eq!(runner.run_until_idle().unwrap().len(), 1);
    drop(runner);

    assert_eq!(mails, ["it goes to Harbour Road 1", "how was it?"]);
}

#[test]
fn an_order_without_an_address_is_a_dead_letter_at_once() {
    let database = database();
    let nowhere = Order {
        address: String::new(),
        ..order(7)
    };
    database
        .messaging()
        .session(|session| Ok(place(session, &nowhere)?))
        .unwrap();

    let ran = runner(database.messaging()).run_until_idle().unwrap();

    let dead = RunOutcome::Dead {
        reason: DeadReason::Rejected,
        error: "there is no address".to_owned(),
    };
    assert_eq!((ran.len(), &ran[0].outcome), (1, &dead));
    assert_eq!(
        database
            .messaging()
            .topic("orders")
            .dead_letters(10)
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_handler_that_fails_is_tried_three_times_with_backoff() {
    let database = database();
    order_seven(database.messaging());
    let fails = |_: &mut MessagingSession, _: Message<Order>| -> Result<(), HandlerError> {
        Err("the printer is jammed".into())
    };

    let mut runner = Runner::new(database.messaging()).on_receiver("orders", orders, fails);
    let ran = runner.run_until_idle().unwrap();

    let attempts: Vec<u32> = ran.iter().map(|one| one.attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert!(ran[0].retried_after() < ran[1].retried_after());
    assert!(ran[2].is_dead());
    assert_eq!(ran[2].error(), Some("the printer is jammed"));
}

#[test]
fn there_is_a_report_every_night() {
    let database = database();
    report_nightly(database.messaging()).unwrap();

    let mut runner = Runner::new(database.messaging()).on("reports", |_, _: Message| Ok(()));
    let ran = runner.run_for(7 * DAY).unwrap();

    assert_eq!(ran.len(), 7);
}

#[test]
fn an_offer_expires() {
    let database = database();
    let messaging = database.messaging();
    let offer = NewMessage::json("offers", &7).unwrap().expires_in(DAY);
    messaging.send(offer).unwrap();

    advance(messaging, 2 * DAY).unwrap();

    let mut runner = Runner::new(messaging).on("offers", |_, _: Message| Ok(()));
    let ran = runner.run_one("offers").unwrap().unwrap();
    assert!(matches!(
        ran.outcome,
        RunOutcome::Dead {
            reason: DeadReason::Expired,
            ..
        }
    ));
}

// Faults.

#[test]
fn a_full_disk_costs_no_order() {
    let database = database();
    order_seven(database.messaging());
    let fault = DatabaseFault::on_write("shipment").code(SqlState::DISK_FULL);
    fault.inject(database.messaging()).unwrap();

    let ran = runner(database.messaging()).run_until_idle().unwrap();

    assert_eq!(ran.iter().filter(|one| one.is_done()).count(), 1, "{ran:?}");
    assert_eq!(shipments(&database), 1);
}

#[test]
fn an_order_is_shipped_once_although_its_commit_is_lost() {
    for is_answered in [false, true] {
        let database = database();
        let proxy = Proxy::before(database.url()).unwrap();
        let messaging = Messaging::connect(proxy.url()).unwrap();
        order_seven(database.messaging());
        match is_answered {
            false => proxy.lose_connection(Step::Commit),
            true => proxy.lose_reply(Step::Commit),
        }

        let error = runner(&messaging).run_until_idle().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        runner(&messaging).run_until_idle().unwrap();

        assert_eq!(shipments(&database), 1);
        database.messaging().assert_sent_count("mails", 2);
    }
}

#[test]
fn nobody_knows_of_an_order_whose_commit_got_no_answer() {
    let database = database();
    let proxy = Proxy::before(database.url()).unwrap();
    let messaging = Messaging::connect(proxy.url()).unwrap();

    proxy.lose_reply(Step::Commit);
    let placed = messaging.session(|session| Ok(place(session, &order(7))?));

    assert_eq!(placed.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    database
        .messaging()
        .assert_sent("orders", |order: &Order| order.id == 7);
}

#[test]
fn an_order_is_shipped_once_although_the_process_crashes() {
    let child = ChildProcess::of_this_test(|url| {
        let proxy = Proxy::before(url)?;
        let messaging = Messaging::connect(proxy.url())?;
        proxy.crash_before(Step::Commit);
        runner(&messaging).run_until_idle()?;
        Ok(())
    });
    let database = database();
    order_seven(database.messaging());

    let died = child.run(database.url()).unwrap();

    assert!(died.has_aborted(), "{}", died.stderr);
    assert_eq!(shipments(&database), 0);
    runner(database.messaging()).run_until_idle().unwrap();
    assert_eq!(shipments(&database), 1);
}

#[test]
fn the_shop_opens_with_threads_as_well() {
    let database = database();
    let receiver = shop::open(database.messaging()).unwrap();

    order_seven(database.messaging());
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while database.messaging().sent_count("mails").unwrap() < 2 {
        assert!(
            std::time::Instant::now() < deadline,
            "the order is not shipped"
        );
    }

    receiver.stop(Duration::from_secs(10));
    assert_eq!(shipments(&database), 1);
}
