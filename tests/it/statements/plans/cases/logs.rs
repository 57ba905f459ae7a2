//! Calls of the statements about logs.

use super::{Bound, Case, case, id, ids, keys, same};
use crate::statements::plans::filled::BUSY;

/// Returns calls of the statements that write and read logs.
pub(super) fn logs() -> Vec<Case> {
    use Bound::{Rows, Tables};
    let topic = format!("'{BUSY}'");
    let t = topic.as_str();
    let (nulls, ones) = (same("NULL", 10), same("1", 10));
    const KIND: &str = "when it is set what a topic is: looks for whatever it may hold";
    const SEGMENTS: &str = "seldom: a log has few segments";
    const COUNTED: &str = "by hand: counts or estimates what a log keeps";
    const DDL: &str = "makes or drops tables";
    let read = |low, high, ended, lane| {
        let visible = "'60000:60000:'";
        [
            t, "'{1}'", "'3'", visible, low, high, ended, "0", lane, "100", "5",
        ]
    };
    vec![
        case(
            "append",
            Rows(10),
            &[t, &ids(1, 10), &nulls, &nulls, &ones, &nulls],
        ),
        case(
            "append_one",
            Rows(1),
            &[t, &id(1), "NULL", "NULL", "'1'", "NULL"],
        ),
        case("begin_later", Rows(1), &[t, "5"]),
        case("count_entries", Tables(COUNTED), &[t, "'{1}'", "100001"]),
        case("estimate_entries", Tables(COUNTED), &["'{1}'", "4000"]),
        case("newest_entries", Rows(10), &[t, "'{1}'", "10"]),
        case("empty_segment", Tables(DDL), &[t, "1"]),
        case("end_log", Tables(DDL), &[t]),
        case("first_late", Rows(100), &[t, "'{1}'", "'{15,16}'", "1000"]),
        case("is_log", Rows(1), &[t]),
        case("log_bounds", Rows(1), &[t]),
        case("log_segments", Tables(SEGMENTS), &["'{busy}'"]),
        case("log_is_free", Tables(KIND), &[t]),
        case("log_segment_now", Rows(1), &[t]),
        case("make_tick", Rows(10), &[t, "false"]),
        case("move_strays", Rows(100), &[t, "100"]),
        case("open_segment", Tables(DDL), &[t, "NULL"]),
        case("place_at_time", Rows(20), &[t, "0", "50001"]),
        case("prune_ticks", Rows(1), &[t, "100"]),
        case(
            "read_entries",
            Rows(100),
            &read("1000", "1100", "'{}'", "NULL"),
        ),
        case(
            "read_entries",
            Rows(200),
            &read("1000", "1100", "'{15,16}'", "'{0,2}'"),
        ),
        case("seal_segment", Tables(DDL), &[t, "1"]),
        case("ticks_from", Rows(100), &[t, "1000", "1100"]),
    ]
}

/// Returns calls of the statements about readers of logs.
pub(super) fn readers() -> Vec<Case> {
    use Bound::{Rows, Tables};
    let topic = format!("'{BUSY}'");
    let t = topic.as_str();
    const FEW: &str = "reads all of a table that has a row for each receiver";
    const READERS: &str = "by hand, or seldom: reads all readers of a log";
    let move_to = "'reader-1' 1 49991 50000 0 1 500 0 0";
    let move_to: Vec<&str> = [t].into_iter().chain(move_to.split(' ')).collect();
    vec![
        case("count_deaths", Rows(2), &[t, &ids(301_000, 2), "'{4,5}'"]),
        case("lane_holder", Tables(FEW), &[t, "1"]),
        case("keys_aside", Rows(10), &[t, &keys("key", 100, 10), "1"]),
        case("lane_place", Rows(10), &[t, "'reader-1'", "1", "49900"]),
        case("note_reader_change", Rows(1), &[t]),
        case("lock_lane", Rows(2), &[t, "'reader-1'", "1", "4"]),
        case("move_place", Rows(1), &move_to),
        case("lock_reader", Tables(READERS), &[t, "'reader-1'"]),
        case("log_readers", Tables(READERS), &[t]),
        case(
            "unticked_entries",
            Rows(100),
            &[t, "'{1}'", "49991", "'{15,16}'", "0"],
        ),
        case("read_logs", Tables(READERS), &["1000"]),
        case("ensure_reader", Rows(10), &[t, "'new'", "4", "1", "0"]),
        case("reader_lanes", Rows(1), &[t, "'reader-1'"]),
        case(
            "set_aside",
            Rows(3),
            &[
                t,
                &ids(301_000, 3),
                "'{NULL,a,b}'",
                "'{0,0,0}'",
                "'{NULL,NULL,NULL}'",
                "'{1,2,3}'",
                "'{NULL,NULL,NULL}'",
                "'{dead,retry,follow}'",
                "'{1,1,0}'",
                "'{0,0,0}'",
                "'{no,no,NULL}'",
                "'{exhausted,NULL,NULL}'",
                &id(1),
                "'{NULL,NULL,NULL}'",
                "16",
            ],
        ),
        case("remove_reader", Tables(READERS), &[t, "'reader-2'"]),
        case("seek_reader", Tables(READERS), &[t, "'reader-1'", "1", "0"]),
        case("slowest_reader", Tables(READERS), &[t]),
    ]
}
