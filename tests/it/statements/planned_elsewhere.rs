//! Where the database has Citus, nothing is planned for all values: other servers plan what is done
//! with the tables, and get the values in place.
//!
//! Citus is not there when tests run. The database says that it is, and a trigger tells with what
//! settings rows come and go.

use crate::support::{Place, client, done};
use outtray::{Messaging, NewMessage};

/// Notes how statements are planned that write messages.
const NOTE: &str = "
    CREATE TABLE public.planned (how text);
    CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.planned VALUES (current_setting('plan_cache_mode'));
        RETURN coalesce(NEW, OLD);
    END $$;
    CREATE TRIGGER noting BEFORE INSERT OR DELETE ON outtray.message FOR EACH ROW EXECUTE FUNCTION public.note()";

/// Says that the database has Citus.
const CITUS: &str = "INSERT INTO pg_catalog.pg_extension
    (oid, extname, extowner, extnamespace, extrelocatable, extversion) VALUES (99999, 'citus', 10, 11, false, '13.2')";

/// Sends with keys and without, by SQL and from Rust, and handles all; returns how that was
/// planned.
fn planned(place: &mut Place) -> Vec<String> {
    place.sql(NOTE);
    let messaging = Messaging::connect(&place.url).unwrap();
    let keyed = |number: i32| NewMessage::json("jobs", &number).unwrap().key("k");
    let work = messaging.session(|session| {
        session.send_all((0..20).map(keyed))?;
        session.send_messages("jobs", 0..20)?;
        Ok(())
    });
    work.unwrap();
    place.sql(
        "SELECT outtray.send('jobs', '1'::json, key => 'other'), outtray.send('jobs', '2'::json)",
    );
    assert_eq!(messaging.drain("jobs", done).unwrap().handled, 42);
    let query = "SELECT DISTINCT how FROM public.planned ORDER BY how";
    let rows = client(&place.url).query(query, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn statements_are_planned_for_all_values_only_where_this_server_plans_them() {
    let mut plain = Place::new();
    assert!(planned(&mut plain).contains(&"force_generic_plan".to_owned()));

    let mut distributed = Place::new();
    distributed.sql(CITUS);
    // The functions are installed anew.
    let moved = distributed.messaging.migrate().unwrap();
    assert!(moved.contains(&"function send".to_owned()), "{moved:?}");
    assert!(distributed.messaging.migrate().unwrap().is_empty());

    assert_eq!(planned(&mut distributed), ["auto"]);
}
