//! While a transaction is held open for long, what a reader of a log asks for is found in the same
//! way, and with as few pages: what is dead meanwhile lies where nobody looks.

use super::guards::Guard;
use crate::support::{Place, client, statement_text};
use outtray::{TopicConfig, TopicKind};
use postgres::SimpleQueryMessage;
use serde_json::Value;

/// Transactions that write, make a tick, and move a place.
const ROUNDS: i64 = 1500;

fn work(from: i64) -> String {
    let to = from + ROUNDS - 1;
    format!(
        "DO $$ BEGIN FOR round IN {from}..{to} LOOP
            INSERT INTO outtray.log_entry (topic, segment, id, payload)
            SELECT 'ledger', segment, gen_random_uuid(), '1' FROM outtray.log;
            COMMIT;
            PERFORM outtray.log_make_tick('ledger', false);
            COMMIT;
            DELETE FROM outtray.log_place WHERE moved = round;
            INSERT INTO outtray.log_place (topic, reader, lane, moved, tick, seq)
            VALUES ('ledger', 'one', 0, round + 1, round + 1, 0);
            COMMIT;
        END LOOP; END $$"
    )
}

/// What a reader calls that has moved so often, with the parameters of then.
fn calls(moved: i64) -> Vec<(&'static str, String)> {
    let (tick, next) = (moved - 1, moved);
    vec![
        ("lock_lane", "'ledger', 'one', 0, 1".to_owned()),
        ("lane_place", format!("'ledger', 'one', 0, {moved}")),
        (
            "move_place",
            format!("'ledger', 'one', 0, {moved}, {next}, 0, NULL, 0, 0, 0"),
        ),
        ("make_tick", "'ledger', false".to_owned()),
        ("ticks_from", format!("'ledger', {tick}, {}", tick + 1000)),
        (
            "read_entries",
            format!(
                "'ledger', '{{1}}', '3', '1000000:1000000:', {}, {tick}, '{{}}', 0, NULL, 1001, {tick}",
                tick - 1
            ),
        ),
        ("log_bounds", "'ledger'".to_owned()),
    ]
}

/// What one call did.
#[derive(Debug)]
struct Call {
    statement: &'static str,
    /// The nodes of its plan.
    plan: Vec<String>,
    pages: u64,
}

fn nodes(plan: &Value, into: &mut Vec<String>) {
    let text = |name: &str| plan[name].as_str().unwrap_or_default().to_owned();
    // An index of a segment is named by that.
    into.push(format!("{} {}", text("Node Type"), text("Index Name")));
    for below in plan["Plans"].as_array().into_iter().flatten() {
        nodes(below, into);
    }
}

fn explain(place: &mut Place, (statement, arguments): (&'static str, String)) -> Call {
    place.sql(&format!("PREPARE it AS {}", statement_text(statement)));
    place.sql("BEGIN; SET LOCAL plan_cache_mode = force_custom_plan");
    place.sql(Guard::of(statement).settings());
    let explain =
        format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE it ({arguments})");
    let explained = place.client.simple_query(&explain).unwrap();
    place.sql("ROLLBACK; DEALLOCATE it");
    let lines = explained.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let explained: Value = serde_json::from_str(&lines.collect::<String>()).unwrap();
    let root = &explained[0]["Plan"];
    let number = |name: &str| root[name].as_u64().unwrap_or_default();
    let mut plan = Vec::new();
    nodes(root, &mut plan);
    Call {
        statement,
        plan,
        pages: number("Shared Hit Blocks") + number("Shared Read Blocks"),
    }
}

#[test]
fn a_reader_of_a_log_finds_what_it_wants_as_quickly_while_a_transaction_is_held() {
    let mut place = Place::new();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(log).unwrap();
    place.sql(
        "INSERT INTO outtray.log_reader (topic, reader, lanes) VALUES ('ledger', 'one', 1);
        INSERT INTO outtray.log_lane (topic, reader, lane) VALUES ('ledger', 'one', 0);
        INSERT INTO outtray.log_place (topic, reader, lane, moved, tick, seq)
        VALUES ('ledger', 'one', 0, 1, 1, 0)",
    );
    place.sql(&work(1));
    place.sql("VACUUM ANALYZE outtray.log_place, outtray.log_tick, outtray.log_entry");
    let called = |place: &mut Place, moved| -> Vec<Call> {
        let calls = calls(moved).into_iter();
        calls.map(|call| explain(place, call)).collect()
    };
    // What is looked for the first time is in no cache of the server process.
    called(&mut place, ROUNDS + 1);
    let before = called(&mut place, ROUNDS + 1);

    let mut holder = client(&place.url);
    let mut held = holder.transaction().unwrap();
    held.batch_execute("SELECT pg_current_xact_id()").unwrap();
    place.sql(&work(ROUNDS + 1));
    place.sql("VACUUM ANALYZE outtray.log_place, outtray.log_tick, outtray.log_entry");
    called(&mut place, 2 * ROUNDS + 1);
    let after = called(&mut place, 2 * ROUNDS + 1);

    for (before, after) in before.iter().zip(&after) {
        let statement = after.statement;
        assert_eq!(before.plan, after.plan, "{statement}");
        let (was, is) = (before.pages, after.pages);
        assert!(is <= was + 12, "{statement}: {was} pages, then {is}");
    }
}
