//! Sessions can take their connections from a pool of the caller's own.

use crate::support::{Gate, MINUTE, PATIENCE, client, database, empty_database, eventually};
use outtray::{Backoff, ErrorKind, HandlerError, How, Message, Messaging, NewMessage};
use postgres::NoTls;
use postgres::config::Config;
use r2d2_postgres::PostgresConnectionManager;
use std::time::Duration;

type Pool = r2d2::Pool<PostgresConnectionManager<NoTls>>;

const WHO: &str = "SELECT current_setting('application_name')";

/// Makes a pool whose connections say whose they are.
fn pool(url: &str, size: u32) -> Pool {
    let mut config: Config = url.parse().unwrap();
    config.application_name("mine");
    let manager = PostgresConnectionManager::new(config, NoTls);
    let pool = r2d2::Pool::builder().max_size(size).min_idle(Some(0));
    pool.build(manager).unwrap()
}

fn messaging(url: &str, pool: &Pool) -> Messaging {
    let builder = Messaging::builder().url(url).pool(pool.clone());
    let builder = builder.checkout_timeout(Duration::from_millis(200));
    builder.connect().unwrap()
}

fn who(messaging: &Messaging) -> String {
    messaging
        .session(|session| Ok(session.query_one(WHO, &[])?.get(0)))
        .unwrap()
}

#[test]
fn sessions_use_it_and_receivers_have_connections_of_their_own() {
    let url = database();
    let pool = pool(&url, 2);
    let messaging = messaging(&url, &pool);
    let (tell, told) = crossbeam_channel::unbounded();
    let receiver = messaging
        .start_receiving_messages("jobs", move |session, _: Message<i32>| {
            let who: String = session.query_one(WHO, &[])?.get(0);
            Ok(tell.send(who)?)
        })
        .unwrap();

    assert_eq!(who(&messaging), "mine");
    messaging
        .send(NewMessage::json("jobs", &1).unwrap())
        .unwrap();

    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "outtray");
    let mut other = client(&url);
    let ours = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'mine'";
    let lent: i64 = other.query_one(ours, &[]).unwrap().get(0);
    assert_eq!(lent, i64::from(pool.state().connections));
    assert!(lent <= 2, "{lent}");
    receiver.stop(PATIENCE);
}

#[test]
fn workers_and_the_pools_other_users_do_not_wait_for_each_other() {
    let url = database();
    let pool = pool(&url, 1);
    let messaging = messaging(&url, &pool);
    let gate = Gate::new();
    let receiver = gate.holding(messaging.receiver("jobs").workers(4));
    messaging
        .session(|session| Ok(session.send_messages("jobs", 0..4)?))
        .unwrap();
    gate.await_arrivals(4);

    // All workers are busy, and the pool is free.
    assert_eq!(who(&messaging), "mine");
    // The pool is in use, and the workers go on.
    let taken = pool.get().unwrap();
    let refused = messaging.session(|_| Ok(())).unwrap_err();
    gate.open_for(4);
    let mut other = client(&url);
    eventually("they are handled", || {
        let left = "SELECT count(*) FROM outtray.message";
        other.query_one(left, &[]).unwrap().get::<_, i64>(0) == 0
    });

    assert_eq!(refused.kind(), ErrorKind::PoolExhausted);
    assert!(
        refused.to_string().contains("pool that was lent"),
        "{refused}"
    );
    drop(taken);
    assert_eq!(who(&messaging), "mine");
    receiver.stop(PATIENCE);
}

#[test]
fn a_connection_goes_back_as_it_came_however_its_session_ended() {
    let url = database();
    let pool = pool(&url, 1);
    let messaging = messaging(&url, &pool);
    let write = "CREATE TABLE IF NOT EXISTS effect ()";

    let failed = messaging.session(|session| -> Result<(), HandlerError> {
        session.execute(write, &[])?;
        session.send_message("jobs", &1)?;
        Err("no".into())
    });
    let swallowed = messaging.session(|session| {
        let _ = session.execute("SELECT 1 / 0", &[]);
        Ok(session.send_message("jobs", &1).map(drop)?)
    });
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let worked = messaging.session(|session| -> Result<(), HandlerError> {
            session.execute(write, &[])?;
            panic!("no")
        });
        drop(worked);
    }));
    messaging
        .session(|session| {
            session.execute(write, &[])?;
            Ok(session.send_messages("jobs", 0..3000)?)
        })
        .unwrap();

    assert_eq!(failed.unwrap_err().kind(), ErrorKind::RolledBack);
    assert_eq!(swallowed.unwrap_err().kind(), ErrorKind::RolledBack);
    assert!(panicked.is_err());
    let mut lent = pool.get().unwrap();
    let mut number = |query: &str| lent.query_one(query, &[]).unwrap().get::<_, i64>(0);
    assert_eq!(number("SELECT count(*) FROM effect"), 0);
    assert_eq!(number("SELECT count(*) FROM outtray.message"), 3000);
    // But for that of this question itself.
    assert_eq!(number("SELECT count(*) FROM pg_prepared_statements"), 1);
    let own = "SELECT count(*) FROM pg_settings WHERE source = 'session'";
    assert_eq!(number(own), 0);
    let open = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in%'";
    assert_eq!(number(open), 0);
}

#[test]
fn what_the_pool_set_on_its_connections_is_not_put_back() {
    let url = database();
    let pool = pool(&url, 1);
    let messaging = messaging(&url, &pool);
    let set = |sql: &str| pool.get().unwrap().batch_execute(sql).unwrap();
    set("SET work_mem = '7MB'");

    messaging
        .session(|session| {
            session.batch_execute("SET LOCAL statement_timeout = '1min'")?;
            Ok(session.send_message("jobs", &1).map(drop)?)
        })
        .unwrap();

    let mut lent = pool.get().unwrap();
    let mut show = |name: &str| -> String {
        let row = lent.query_one(&format!("SHOW {name}"), &[]).unwrap();
        row.get(0)
    };
    assert_eq!([show("work_mem"), show("statement_timeout")], ["7MB", "0"]);
}

#[test]
fn all_that_takes_a_connection_of_the_pool_works_on_a_lent_one() {
    let url = empty_database();
    let pool = pool(&url, 1);
    let messaging = messaging(&url, &pool);
    assert!(!messaging.migrate().unwrap().is_empty());
    let jobs = messaging.topic("jobs");
    let message = |payload: i32| NewMessage::json("jobs", &payload).unwrap();

    let first = messaging
        .send(message(1).key("k").dedupe("once", MINUTE))
        .unwrap();
    let again = messaging.send(message(1).dedupe("once", MINUTE)).unwrap();
    assert!(again.is_duplicate() && again.id() == first.id());
    messaging.send(message(2).key("k").tracked()).unwrap();
    let taken = jobs.receive::<i32>(MINUTE).unwrap().unwrap();
    assert_eq!(jobs.stats().unwrap().leased, 1);
    taken
        .settle_in(|session| Ok(session.send_message("next", &1).map(drop)?))
        .unwrap();
    let second = jobs
        .receive_timeout::<i32>(PATIENCE, MINUTE)
        .unwrap()
        .unwrap();
    let id = second.id;
    second.ack().unwrap();
    let ended = messaging
        .wait_for_completion(id, PATIENCE)
        .unwrap()
        .unwrap();
    assert_eq!(ended.how, How::Done);
    messaging.send(message(3)).unwrap();
    let report = messaging
        .receiver("jobs")
        .backoff(Backoff::fixed(MINUTE))
        .drain(|_, _: Message<i32>| Err(HandlerError::reject("no")));
    assert_eq!(report.unwrap().dead, 1);
    assert_eq!(jobs.redrive(..).unwrap(), 1);
    jobs.reconfigure(|config| config.max_attempts = Some(3))
        .unwrap();
    assert_eq!(jobs.config().unwrap().max_attempts, Some(3));
    assert_eq!(jobs.purge().unwrap(), 1);
    assert_eq!(messaging.topic("next").stats().unwrap().ready, 1);
}

#[test]
fn a_pool_of_another_database_is_refused() {
    let [here, there] = [(); 2].map(|()| database());

    let builder = Messaging::builder().url(&here).pool(pool(&there, 1));
    let error = builder.connect().unwrap_err();
    let sized = Messaging::builder().url(&here).pool(pool(&here, 1));
    let sized = sized.pool_size(5).connect().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("another database"), "{error}");
    assert_eq!(sized.kind(), ErrorKind::Invalid);
    assert!(sized.to_string().contains("pool_size is 5"), "{sized}");
}
