//! Carries out a search: looks at messages in the order of a key, as many as it may.

use crate::db::{Run, Statement, column, query, sql};
use crate::finding::cursor::{SearchCursor, SearchMark};
use crate::finding::found;
use crate::finding::place::{Located, MessagePlace};
use crate::finding::search::{Search, SearchPage};
use crate::log::log_stats::kept;
use crate::message::written::Param;
use crate::topics;
use crate::words::limits::count;
use crate::words::{Program, Result};
use postgres::Row;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use uuid::Uuid;

static SEARCH_BEHIND: Statement = sql!("search_behind", Anew);
static SEARCH_DEAD: Statement = sql!("search_dead", Anew);
static SEARCH_KEPT: Statement = sql!("search_kept", Anew);
static SEARCH_READY: Statement = sql!("search_ready", Anew);
static SEARCH_SCHEDULED: Statement = sql!("search_scheduled", Anew);

const DOING: &str = "searching for messages";
/// How many names of topics are read at a time.
const TOPICS_AT_A_TIME: i64 = 500;

/// Returns a page of what a search of a topic finds.
pub(crate) fn page(run: &mut dyn Run, topic: &str, search: &Search) -> Result<SearchPage> {
    let walked = walk(run, topic, search)?;
    let mut messages = Vec::with_capacity(walked.found.len());
    for some in walked.found.chunk_by(|one, next| one.place == next.place) {
        messages.extend(found::read(run, topic, some[0].place, some)?);
    }
    Ok(SearchPage {
        messages,
        looked_at: walked.looked_at.unsigned_abs(),
        next: walked.next,
        topics: 1,
        is_stopped_early: walked.is_stopped_early,
    })
}

/// Returns a page of what a search of all topics finds, one after the other by their names. Begins
/// with no further topic once so much time has passed.
pub(crate) fn page_of_all(
    run: &mut dyn Run,
    search: &Search,
    within: Duration,
) -> Result<SearchPage> {
    let begun = Instant::now();
    let mut page = SearchPage::default();
    let mut rest = search.clone();
    let from = rest.after.take();
    // The topic in which it goes on, if that is not gone, and after it.
    let mut topics: VecDeque<String> = from.iter().filter_map(|from| from.topic.clone()).collect();
    rest.after = from;
    let mut last: Option<String> = None;
    loop {
        if topics.is_empty() {
            topics.extend(topics::topics(run, last.as_deref(), TOPICS_AT_A_TIME)?);
        }
        let Some(topic) = topics.pop_front() else {
            return Ok(page);
        };
        let is_late = page.topics > 0 && begun.elapsed() > within;
        if is_late || rest.look_at == 0 || rest.limit == 0 {
            page.is_stopped_early = rest.limit > 0;
            page.next = Some(SearchCursor {
                topic: Some(topic),
                mark: SearchMark::first(MessagePlace::Ready),
            });
            return Ok(page);
        }
        let found = self::page(run, &topic, &rest)?;
        page.topics += 1;
        page.looked_at += found.looked_at;
        rest.look_at = rest.look_at.saturating_sub(things(found.looked_at));
        rest.limit = rest.limit.saturating_sub(found.messages.len());
        rest.after = None;
        page.messages.extend(found.messages);
        if let Some(next) = found.next {
            page.is_stopped_early = found.is_stopped_early;
            page.next = Some(SearchCursor {
                topic: Some(topic),
                ..next
            });
            return Ok(page);
        }
        last = Some(topic);
    }
}

fn things(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// What a walk through the places of messages found, and where it goes on.
pub(crate) struct Walked {
    pub(crate) found: Vec<Located>,
    looked_at: i64,
    pub(crate) next: Option<SearchCursor>,
    is_stopped_early: bool,
}

/// Looks at as many messages as it may, until as many are found as are wanted.
pub(crate) fn walk(run: &mut dyn Run, topic: &str, search: &Search) -> Result<Walked> {
    let program = search.program();
    let mut walked = Walked {
        found: Vec::new(),
        looked_at: 0,
        next: None,
        is_stopped_early: false,
    };
    let begun = search.after.as_ref().map(|cursor| cursor.mark.place());
    for place in search.looked_in() {
        if begun.is_some_and(|begun| place < begun) {
            continue;
        }
        let mark = match &search.after {
            Some(SearchCursor { mark, .. }) if mark.place() == place => mark.clone(),
            _ => SearchMark::first(place),
        };
        let rest = LookBudget {
            look_at: count(search.look_at) - walked.looked_at,
            limit: count(search.limit) - count(walked.found.len()),
        };
        let look = look(run, topic, search, program.as_ref(), &mark, &rest)?;
        walked.looked_at += look.looked_at;
        let is_full = count(look.found.len()) >= rest.limit;
        walked.found.extend(look.found);
        walked.is_stopped_early = !is_full && look.looked_at >= rest.look_at;
        if is_full || walked.is_stopped_early {
            let last = if is_full { look.last_found } else { look.last };
            walked.next = last.map(|mark| SearchCursor { topic: None, mark });
            break;
        }
    }
    Ok(walked)
}

/// How much is left to be looked at and to be found.
struct LookBudget {
    look_at: i64,
    limit: i64,
}

/// What was found in one place.
#[derive(Default)]
struct PlaceLook {
    found: Vec<Located>,
    looked_at: i64,
    last_found: Option<SearchMark>,
    last: Option<SearchMark>,
}

/// Looks in one place.
fn look(
    run: &mut dyn Run,
    topic: &str,
    search: &Search,
    program: Option<&Program>,
    mark: &SearchMark,
    rest: &LookBudget,
) -> Result<PlaceLook> {
    let filter = program.map(Program::columns);
    let [steps, names, operands] = match &filter {
        Some([steps, names, operands]) => [Some(steps), Some(names), Some(operands)],
        None => [None; 3],
    };
    let (key, error, shape) = (&search.key, &search.error, &search.shape);
    let (from, before) = (&search.from_us, &search.before_us);
    let LookBudget { look_at, limit } = rest;
    let look = |run: &mut dyn Run, statement, first: [Param<'_>; 6], more: &[Param<'_>]| {
        let filter: [Param<'_>; 5] = [&steps, &names, &operands, from, before];
        let params = [&first[..], &filter[..], more].concat();
        let rows = query(run, statement, &params, DOING)?;
        looked(topic, mark.place(), &rows)
    };
    match mark {
        SearchMark::Ready { rank, seq } => look(
            run,
            &SEARCH_READY,
            [&topic, rank, seq, look_at, key, limit],
            &[],
        ),
        SearchMark::Behind { key: line, seq } => look(
            run,
            &SEARCH_BEHIND,
            [&topic, line, seq, look_at, key, limit],
            &[],
        ),
        SearchMark::Scheduled(id) => look(
            run,
            &SEARCH_SCHEDULED,
            [&topic, id, look_at, limit, key, error],
            &[],
        ),
        SearchMark::Dead(id) => look(
            run,
            &SEARCH_DEAD,
            [&topic, id, look_at, limit, key, error],
            &[shape],
        ),
        SearchMark::Kept(seq) => {
            let Some((segments, _)) = kept(run, topic)? else {
                return Ok(PlaceLook::default());
            };
            look(
                run,
                &SEARCH_KEPT,
                [&topic, &segments, seq, look_at, limit, key],
                &[],
            )
        }
    }
}

fn looked(topic: &str, place: MessagePlace, rows: &[Row]) -> Result<PlaceLook> {
    let mut look = PlaceLook::default();
    for row in rows {
        let Some(id) = column::<Option<Uuid>>(row, "id")? else {
            look.looked_at = column(row, "looked_at")?;
            look.last = Some(mark(row, place)?);
            continue;
        };
        look.last_found = Some(mark(row, place)?);
        look.found.push(Located {
            place,
            topic: topic.to_owned(),
            id,
            rank: column(row, "rank")?,
            seq: column(row, "seq")?,
            key: column(row, "key")?,
            segment: column(row, "segment")?,
        });
    }
    Ok(look)
}

/// Returns where a row stands in the order of its place.
fn mark(row: &Row, place: MessagePlace) -> Result<SearchMark> {
    Ok(match place {
        MessagePlace::Ready => SearchMark::Ready {
            rank: column(row, "rank")?,
            seq: column(row, "seq")?,
        },
        MessagePlace::Behind => SearchMark::Behind {
            key: column(row, "key")?,
            seq: column(row, "seq")?,
        },
        MessagePlace::Scheduled => SearchMark::Scheduled(column(row, "at_id")?),
        MessagePlace::Dead => SearchMark::Dead(column(row, "at_id")?),
        MessagePlace::Kept | MessagePlace::Ended => SearchMark::Kept(column(row, "seq")?),
    })
}
