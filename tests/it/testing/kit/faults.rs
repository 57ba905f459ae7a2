//! Faults happen on real connections, in real processes, by errors of the server itself.

use crate::support::{Place, client};
use outtray::testing::{
    AssertSent, ChildProcess, DatabaseFault, Proxy, RunOutcome, Runner, Step, TestDatabase, advance,
};
use outtray::{ErrorKind, HandlerError, Message, Messaging, MessagingSession, NewMessage};
use postgres::error::SqlState;
use std::time::Duration;

fn shop() -> (TestDatabase, Proxy, Messaging) {
    let database = TestDatabase::new().unwrap();
    let proxy = Proxy::before(database.url()).unwrap();
    let messaging = Messaging::connect(proxy.url()).unwrap();
    let made = "CREATE TABLE account (id integer)";
    client(database.url()).batch_execute(made).unwrap();
    (database, proxy, messaging)
}

fn book(session: &mut MessagingSession<'_>, order: Message<i32>) -> Result<(), HandlerError> {
    session.execute("INSERT INTO account VALUES ($1)", &[&order.payload])?;
    session.send_message("mails", &order.payload)?;
    Ok(())
}

fn send(messaging: &Messaging) {
    messaging
        .session(|session| Ok(session.send_message("orders", &7)?))
        .unwrap();
}

fn accounts(database: &TestDatabase) -> i64 {
    let counted = client(database.url()).query_one("SELECT count(*) FROM account", &[]);
    counted.unwrap().get(0)
}

/// Runs the order's handler with a fault; returns how often it ran in all.
#[track_caller]
fn check_once(lease: Option<Duration>, fault: impl FnOnce(&Proxy)) -> usize {
    let (database, proxy, messaging) = shop();
    send(&messaging);
    let mut ran = 0;
    let mut runner = Runner::new(&messaging).on_receiver(
        "orders",
        |receiver| match lease {
            Some(lease) => receiver.lease(lease),
            None => receiver,
        },
        |session, order: Message<i32>| {
            ran += 1;
            book(session, order)
        },
    );

    fault(&proxy);
    let broke = runner.run_one("orders");
    assert!(proxy.has_happened());
    assert!(broke.is_err(), "{broke:?}");
    runner.run_until_idle().unwrap();
    drop(runner);

    assert_eq!(accounts(&database), 1);
    database.messaging().assert_sent_count("mails", 1);
    database.messaging().assert_nothing_sent("orders");
    ran
}

#[test]
fn a_connection_lost_at_any_step_has_the_message_handled_again_with_one_effect() {
    assert_eq!(
        check_once(None, |proxy| proxy.lose_connection(Step::Claim)),
        1
    );
    assert_eq!(check_once(None, |proxy| proxy.lose_reply(Step::Claim)), 1);
    assert_eq!(
        check_once(None, |proxy| proxy.lose_connection("INTO account")),
        2
    );
    assert_eq!(
        check_once(None, |proxy| proxy.lose_reply("INTO account")),
        2
    );
    assert_eq!(
        check_once(None, |proxy| proxy.lose_connection(Step::Commit)),
        2
    );
    assert_eq!(check_once(None, |proxy| proxy.lose_reply(Step::Commit)), 1);
}

#[test]
fn the_same_holds_under_a_lease() {
    let lease = Some(Duration::from_secs(60));

    assert_eq!(
        check_once(lease, |proxy| proxy.lose_connection(Step::Claim)),
        1
    );
    assert_eq!(
        check_once(lease, |proxy| proxy.lose_connection("INTO account")),
        2
    );
}

#[test]
fn a_lost_commit_reply_is_an_unknown_outcome_to_a_session() {
    let (database, proxy, messaging) = shop();

    for (is_lost, there) in [(true, 1), (false, 1)] {
        match is_lost {
            true => proxy.lose_reply(Step::Commit),
            false => proxy.lose_connection(Step::Commit),
        }
        let error = messaging
            .session(|session| {
                session.execute("INSERT INTO account VALUES (1)", &[])?;
                Ok(session.send_message("orders", &1)?)
            })
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        assert_eq!(accounts(&database), there);
        database.messaging().assert_sent_count("orders", 1);
    }
}

#[test]
fn a_transaction_of_the_drivers_has_a_commit_too() {
    let (database, proxy, messaging) = shop();
    let mut client = client(proxy.url());
    let mut transaction = client.transaction().unwrap();
    MessagingSession::join(&messaging, &mut transaction)
        .unwrap()
        .send_message("orders", &1)
        .unwrap();

    proxy.lose_connection(Step::Commit);

    assert!(transaction.commit().is_err());
    database.messaging().assert_nothing_sent("orders");
}

#[test]
fn a_message_that_is_sent_alone_can_lose_its_reply() {
    let (database, proxy, messaging) = shop();
    messaging
        .send(NewMessage::json("orders", &1).unwrap())
        .unwrap();

    proxy.lose_reply("outtray.message");
    let error = messaging
        .send(NewMessage::json("orders", &2).unwrap())
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    database.messaging().assert_sent_count("orders", 2);
}

#[test]
fn connections_that_break_and_a_server_that_moves_are_got_over() {
    let (database, proxy, messaging) = shop();
    send(&messaging);
    proxy.disconnect();
    let other = TestDatabase::new().unwrap();
    proxy.lead_to(other.url()).unwrap();

    Runner::new(&messaging)
        .on("orders", book)
        .run_until_idle()
        .unwrap();

    assert_eq!(accounts(&database), 1);
    assert!(proxy.accepted() > 1);
}

#[test]
fn what_is_silent_is_carried_later() {
    let (database, proxy, messaging) = shop();

    proxy.fall_silent_at("outtray.message");
    let sender = crate::support::aside(move || send(&messaging));
    crate::support::eventually("it is silent", || proxy.is_silent());
    database.messaging().assert_nothing_sent("orders");
    proxy.heal();

    sender.recv_timeout(crate::support::PATIENCE).unwrap();
    database.messaging().assert_sent_count("orders", 1);
}

#[test]
fn an_error_of_the_database_fails_the_handler_as_often_as_it_is_wanted() {
    let (_database, _proxy, messaging) = shop();
    send(&messaging);
    let fault = DatabaseFault::on_write("account");
    fault.times(2).inject(&messaging).unwrap();

    let ran = Runner::new(&messaging)
        .on("orders", book)
        .run_until_idle()
        .unwrap();

    let done: Vec<bool> = ran.iter().map(outtray::testing::Ran::is_done).collect();
    assert_eq!(done, [false, false, true]);
    assert!(
        ran[0]
            .error()
            .is_some_and(|error| error.contains("a fault that the test injected"))
    );
}

#[test]
fn an_error_at_commit_rolls_all_of_it_back() {
    let (database, _proxy, messaging) = shop();
    DatabaseFault::on_commit("account")
        .inject(&messaging)
        .unwrap();

    let error = messaging
        .session(|session| {
            session.execute("INSERT INTO account VALUES (1)", &[])?;
            Ok(session.send_message("orders", &1)?)
        })
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RolledBack);
    assert_eq!(accounts(&database), 0);
    database.messaging().assert_nothing_sent("orders");
}

#[test]
fn a_conflict_spends_no_attempt() {
    let (database, _proxy, messaging) = shop();
    send(&messaging);
    let fault = DatabaseFault::on_write("account").code(SqlState::T_R_SERIALIZATION_FAILURE);
    fault.inject(&messaging).unwrap();

    let ran = Runner::new(&messaging)
        .on("orders", book)
        .run_until_idle()
        .unwrap();

    assert!(ran.iter().all(|one| one.attempt == 1), "{ran:?}");
    assert_eq!(accounts(&database), 1);
}

#[test]
fn a_fault_of_a_table_that_does_not_exist_is_an_error() {
    let place = Place::new();

    let error = DatabaseFault::on_write("nowhere")
        .inject(&place.messaging)
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);
}

/// Has a child process handle the order, and crash.
fn crash(url: &str, fault: fn(&Proxy)) -> Result<(), Box<dyn std::error::Error>> {
    let proxy = Proxy::before(url)?;
    let messaging = Messaging::connect(proxy.url())?;
    fault(&proxy);
    Runner::new(&messaging)
        .on("orders", book)
        .run_until_idle()?;
    Ok(())
}

#[test]
fn a_process_that_crashes_before_its_commit_leaves_the_message_and_nothing_else() {
    let child = ChildProcess::of_this_test(|url| crash(url, |at| at.crash_before(Step::Commit)));
    let (database, _proxy, messaging) = shop();
    send(&messaging);

    let died = child.run(database.url()).unwrap();

    assert!(died.has_aborted(), "{died:?}");
    assert_eq!(accounts(&database), 0);
    messaging.assert_sent_count("orders", 1);
    messaging.assert_nothing_sent("mails");
    Runner::new(&messaging)
        .on("orders", book)
        .run_until_idle()
        .unwrap();
    assert_eq!(accounts(&database), 1);
}

#[test]
fn a_process_that_crashes_after_its_commit_has_done_its_work() {
    let child = ChildProcess::of_this_test(|url| crash(url, |at| at.crash_after(Step::Commit)));
    let (database, _proxy, messaging) = shop();
    send(&messaging);

    let died = child.run(database.url()).unwrap();

    assert!(died.has_aborted(), "{died:?}");
    assert_eq!(accounts(&database), 1);
    messaging.assert_nothing_sent("orders");
}

#[test]
fn a_child_that_fails_says_why_and_one_that_is_killed_is_gone() {
    let child = ChildProcess::of_this_test(|url| {
        if Messaging::connect(url)?.sent_count("orders")? > 0 {
            return Err("there is an order".into());
        }
        // Dies of no fault of its own, and makes no database.
        TestDatabase::new().expect_err("it has its parent's");
        loop {
            std::thread::park();
        }
    });
    let database = TestDatabase::new().unwrap();
    let running = child.start(database.url()).unwrap();
    let killed = running.kill().unwrap();
    send(database.messaging());
    let failed = child.run(database.url()).unwrap();

    assert!(!killed.status.success() && !killed.has_aborted());
    assert_eq!(failed.status.code(), Some(1));
    assert!(failed.stderr.contains("there is an order"), "{failed:?}");
}

#[test]
fn a_crash_under_a_lease_is_an_attempt_that_is_spent_when_the_lease_ends() {
    let child = ChildProcess::of_this_test(|url| {
        let messaging = Messaging::connect(url)?;
        let leased = |_: &mut MessagingSession<'_>, _: Message<i32>| std::process::abort();
        let minute = Duration::from_secs(60);
        Runner::new(&messaging)
            .on_receiver("orders", |receiver| receiver.lease(minute), leased)
            .run_until_idle()?;
        Ok(())
    });
    let database = TestDatabase::new().unwrap();
    let messaging = database.messaging();
    send(messaging);

    assert!(child.run(database.url()).unwrap().has_aborted());
    let mut runner = Runner::new(messaging).on("orders", |_, _: Message<i32>| Ok(()));
    assert!(runner.run_ready().unwrap().is_empty());
    advance(messaging, Duration::from_secs(61)).unwrap();
    let ran = runner.run_ready().unwrap();

    assert_eq!((ran[0].attempt, &ran[0].outcome), (2, &RunOutcome::Done));
}
