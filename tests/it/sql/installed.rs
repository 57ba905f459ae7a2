//! The functions of a schema are those of the release that migrated it.

use super::taken;
use crate::support::{Place, empty_database};
use outtray::Messaging;

fn titles(messaging: &Messaging) -> Vec<String> {
    let mut titles = messaging.migrate().unwrap();
    titles.retain(|title| title.starts_with("function "));
    titles
}

#[test]
fn functions_are_installed_once_and_again_when_they_differ() {
    let url = empty_database();
    let messaging = Messaging::connect(&url).unwrap();
    let pending = messaging.pending_migrations().unwrap();
    let all = titles(&messaging);
    let mut place = Place::over(&url, messaging);

    assert!(all.contains(&"function send".to_owned()), "{all:?}");
    assert!(all.iter().all(|title| pending.contains(title)));
    assert!(titles(&place.messaging).is_empty());
    place.sql(
        "UPDATE outtray.function SET checksum = 'of another release' WHERE name = 'send';
        DROP FUNCTION outtray.new_id",
    );
    let missing = ["function new_id", "function send"];
    assert_eq!(place.messaging.pending_migrations().unwrap(), missing);
    assert_eq!(titles(&place.messaging), missing);
    assert!(place.messaging.pending_migrations().unwrap().is_empty());
    place.sql("SELECT outtray.send('t', '1')");
    assert_eq!(taken(&place, "t"), ["1"]);
}

#[test]
fn functions_of_a_later_release_stay() {
    let mut place = Place::new();
    place.sql(
        "CREATE OR REPLACE FUNCTION outtray.new_id(place bigint DEFAULT 0) RETURNS uuid LANGUAGE plpgsql
            AS 'BEGIN RETURN gen_random_uuid(); END';
        UPDATE outtray.function SET checksum = 'newer', release = '{999,0,0}' WHERE name = 'new_id'",
    );

    assert!(place.messaging.pending_migrations().unwrap().is_empty());
    assert!(titles(&place.messaging).is_empty());
    assert_eq!(place.count("outtray.function WHERE checksum = 'newer'"), 1);
}

#[test]
fn what_was_granted_stays_when_a_function_is_replaced() {
    let mut place = Place::new();
    let role = format!("guest_{}", fastrand::u64(..));
    place.sql(&format!(
        "CREATE ROLE {role}; GRANT EXECUTE ON FUNCTION outtray.new_id TO {role};
        GRANT EXECUTE ON FUNCTION outtray.send_many TO PUBLIC;
        UPDATE outtray.function SET checksum = 'older' WHERE name IN ('new_id', 'send_many')"
    ));

    let replaced = titles(&place.messaging);
    assert_eq!(replaced, ["function new_id", "function send_many"]);

    let may = format!(
        "pg_catalog.unnest(ARRAY[has_function_privilege('{role}', 'outtray.new_id(bigint)', 'EXECUTE')]) AS may WHERE may"
    );
    assert_eq!(place.count(&may), 1);
    let public = "pg_proc, aclexplode(proacl) WHERE proname = 'send_many' AND grantee = 0";
    assert_eq!(place.count(public), 1);
    place.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn functions_are_in_the_schema_whatever_its_name_is() {
    let url = empty_database();
    let builder = || Messaging::builder().url(&url).schema("Team7");
    let messaging = builder().connect().unwrap();
    messaging.migrate().unwrap();
    let mut place = Place::over(&url, messaging);

    place.sql(
        "SELECT \"Team7\".send('t', '1', key => 'k', dedupe_key => 'd', tracked_for => '1 hour');
        SELECT \"Team7\".send('t', '2', delay => '1 hour', notify => true)",
    );

    assert_eq!(taken(&place, "t"), ["1"]);
    place.sql("SELECT \"Team7\".publish('a', '1')");
    assert!(place.messaging.drop_schema("Team7").unwrap());
    assert_eq!(place.count("pg_proc WHERE proname = 'send_many'"), 0);
}
