//! The commands of a migration travel one by one, and are of a kind that goes on to other servers.

use super::connect;
use crate::support::empty_database;
use outtray::Messaging;
use std::fs;

/// Notes the query that each command which defines something came in.
const NOTE: &str = "
    CREATE TABLE public.said (query text);
    CREATE FUNCTION public.note() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.said VALUES (current_query()); END $$;
    CREATE EVENT TRIGGER noting ON ddl_command_start EXECUTE FUNCTION public.note()";

fn count(url: &str, from: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {from}");
    connect(url).query_one(&query, &[]).unwrap().get(0)
}

#[test]
fn each_command_of_a_migration_and_of_a_removal_is_a_query_of_its_own() {
    let url = empty_database();
    connect(&url).batch_execute(NOTE).unwrap();
    let messaging = Messaging::connect(&url).unwrap();

    messaging.migrate().unwrap();
    let made = count(&url, "public.said");
    messaging.drop_schema("outtray").unwrap();

    assert!(made > 100, "{made}");
    assert!(count(&url, "public.said") > made);
    let together = count(
        &url,
        "(SELECT FROM public.said GROUP BY query HAVING count(*) > 1) AS together",
    );
    assert_eq!(together, 0);
}

#[test]
fn migrations_have_nothing_that_a_distributed_schema_refuses() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema/migrations");
    let refused = [
        "CREATE TEMP",
        "CREATE UNLOGGED",
        "\nDO ",
        "CREATE RULE",
        "INHERITS",
        "SERIAL",
        "AS IDENTITY",
    ];
    let mut found = Vec::new();

    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let words = refused.iter().filter(|word| text.contains(*word));
        found.extend(words.map(|word| format!("{word} in {}", path.display())));
    }

    assert!(found.is_empty(), "{found:?}");
}
