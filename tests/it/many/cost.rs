//! What one more message system costs a process: threads, connections, and the time to end.

use super::schema;
use crate::support::{Child, Place, database, eventually, next, send, telling, test_name};
use outtray::Messaging;
use std::fs;
use std::time::{Duration, Instant};

const CHILD: &str = test_name!(four_schemas_cost_no_more_than_they_must);
const SCHEMAS: usize = 4;

/// The connections of other clients to the database.
const CONNECTIONS: &str = "pg_stat_activity WHERE datname = current_database() \
    AND pid <> pg_backend_pid() AND application_name = 'outtray'";

/// Returns the names of the threads of this process, as far as the system keeps them.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

/// Counts the threads of the library and of its pools, but for those that open a connection.
fn of_the_library() -> usize {
    let is_its = |name: &&String| name.starts_with("outtray") || name.starts_with("r2d2");
    let lasts = |name: &&String| *name != "outtray-dial";
    threads().iter().filter(is_its).filter(lasts).count()
}

/// In a process of its own, since other tests have threads too.
#[test]
fn four_schemas_cost_no_more_than_they_must() {
    let Some(url) = Child::role() else {
        let url = database();
        let mut child = Child::start(Child::this_program(), CHILD, &url);
        assert_eq!(child.listen(), "done");
        return child.finish();
    };
    let mut place = Place::over(&url, Messaging::connect(&url).unwrap());
    let systems: Vec<_> = (0..SCHEMAS)
        .map(|number| schema(&url, &format!("many_{number}")))
        .collect();
    // The watch of each, and the place's.
    eventually("only the watches run", || of_the_library() == SCHEMAS + 1);
    // The one that connected, of each.
    assert_eq!(place.count(CONNECTIONS), SCHEMAS as i64 + 1);

    let receivers: Vec<_> = systems
        .iter()
        .map(|messaging| telling::<i32>(messaging.receiver("jobs")))
        .collect();
    // Four workers, the upkeep, the listener and the watch.
    let resting = 7 * SCHEMAS + 1;
    eventually("all threads run", || of_the_library() == resting);
    place.await_listeners(SCHEMAS as i64);
    // The upkeep, the listener, and a worker that looked; another for each reason to look again
    // while the first was still at it. Never a worker each, beside one of the pool.
    let at_rest = place.count(CONNECTIONS);
    assert!(at_rest <= 5 * SCHEMAS as i64 + 1, "{at_rest}");

    for (messaging, (_, told)) in systems.iter().zip(&receivers) {
        send(messaging, "jobs", &1);
        next(told, 1);
    }
    // The pool's three, and the notifier. A thread that opens a connection has its maker's name at
    // first.
    eventually("only those threads run", || {
        of_the_library() <= resting + 4 * SCHEMAS
    });

    let began = Instant::now();
    drop((receivers, systems));
    let took = began.elapsed();
    eventually("all threads end", || of_the_library() <= 1);
    eventually("all connections are closed", || {
        place.count(CONNECTIONS) <= 1
    });
    assert!(began.elapsed() < Duration::from_secs(15), "{took:?}");
    Child::tell("done");
    Child::await_parent();
}
