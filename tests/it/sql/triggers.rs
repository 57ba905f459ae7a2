//! What docs/SQL.md shows works as it says.

use super::taken;
use crate::support::Place;
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/SQL.md");

/// Returns the SQL of the page, block by block.
fn blocks() -> Vec<&'static str> {
    let after_fence = PAGE.split("```sql\n").skip(1);
    after_fence
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

fn block(part: &str) -> &'static str {
    let found = blocks().into_iter().find(|block| block.contains(part));
    found.expect(part)
}

#[test]
fn each_call_of_the_page_runs() {
    let mut place = Place::new();
    let role = format!("app_{}", fastrand::u64(..));
    place.sql(&format!("CREATE ROLE {role}"));
    place.sql(
        "CREATE TABLE changed AS SELECT 1 AS id;
        CREATE TABLE question AS SELECT '{\"reply-to\": \"replies\", \"correlation-id\": \"1\"}'::json AS headers",
    );

    for block in blocks() {
        if !block.contains("TRIGGER") {
            place.sql(&block.replace("TO app", &format!("TO {role}")));
        }
    }

    place.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert_eq!(place.count("outtray.message WHERE topic = 'replies'"), 1);
    let waiting = place.count("outtray.message") + place.count("outtray.scheduled");
    assert!(waiting > 3, "{waiting}");
}

#[test]
fn a_table_s_changes_become_messages_of_the_same_transaction() {
    let mut place = Place::new();
    place.sql("CREATE TABLE orders (id bigint PRIMARY KEY, amount integer)");
    place.sql(block("order_changed"));

    place.sql("BEGIN; INSERT INTO orders VALUES (9, 9); ROLLBACK");
    place.sql(
        "INSERT INTO orders VALUES (1, 10), (2, 20);
        UPDATE orders SET amount = 11 WHERE id = 1; DELETE FROM orders WHERE id = 1",
    );

    let changes: Vec<Value> = taken(&place, "orders.changed")
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let of_one: Vec<&Value> = changes
        .iter()
        .filter(|change| change["new"]["id"] == 1 || change["old"]["id"] == 1)
        .collect();
    assert_eq!(changes.len(), 4);
    let operations: Vec<&str> = of_one
        .iter()
        .map(|change| change["operation"].as_str().unwrap())
        .collect();
    assert_eq!(operations, ["INSERT", "UPDATE", "DELETE"]);
    assert_eq!(of_one[1]["old"]["amount"], 10);
    assert_eq!(of_one[1]["new"]["amount"], 11);
    assert!(of_one[2]["new"].is_null());
}

#[test]
fn a_statement_s_changes_are_sent_together() {
    let mut place = Place::new();
    place.sql("CREATE TABLE stock (item integer, count integer)");
    place.sql(block("stock_counted"));

    place.sql("INSERT INTO stock SELECT n, n * 2 FROM generate_series(1, 100) AS n");
    place.sql("INSERT INTO stock SELECT 1, 1 WHERE false");

    assert_eq!(place.count("outtray.message WHERE key IS NOT NULL"), 100);
    let same = "outtray.message WHERE payload ->> 'item' = key";
    assert_eq!(place.count(same), 100);
    assert_eq!(
        taken(&place, "stock.counted")[0],
        r#"{"item": 1, "count": 2}"#
    );
}
