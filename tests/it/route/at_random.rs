//! Random tables and types, compared with a matcher that tries each way.

use super::{Seen, routed, typed};
use crate::support::Place;
use fastrand::Rng;
use outtray::{Message, MessagingSession, NoMatch, Router};

/// Few names, so that they meet.
const NAMES: [&str; 3] = ["a", "b", "c"];

struct Line {
    patterns: Vec<String>,
    from: u32,
    to: u32,
}

fn segments(random: &mut Rng, of: &[&str], most: usize) -> String {
    let count = random.usize(1..=most);
    let mut one = || of[random.usize(..of.len())];
    (0..count).map(|_| one()).collect::<Vec<_>>().join(".")
}

fn line(random: &mut Rng) -> Line {
    let parts = [NAMES.as_slice(), &["*", "#"]].concat();
    let count = random.usize(1..=3);
    let mut patterns: Vec<String> = (0..count).map(|_| segments(random, &parts, 4)).collect();
    patterns.sort();
    patterns.dedup();
    let from = random.u32(0..4);
    Line {
        patterns,
        from,
        to: random.u32(from..5),
    }
}

fn matches(pattern: &[&str], kind: &[&str]) -> bool {
    match (pattern, kind) {
        ([], []) => true,
        (["#", rest @ ..], _) => {
            matches(rest, kind) || !kind.is_empty() && matches(pattern, &kind[1..])
        }
        ([one, rest @ ..], [found, others @ ..]) => {
            (*one == "*" || one == found) && matches(rest, others)
        }
        _ => false,
    }
}

fn split(text: &str) -> Vec<&str> {
    text.split('.').collect()
}

fn takes(line: &Line, kind: &str, version: Option<u32>) -> bool {
    let is_matched = |pattern: &String| matches(&split(pattern), &split(kind));
    let version = version.unwrap_or(0);
    (line.from..=line.to).contains(&version) && line.patterns.iter().any(is_matched)
}

/// Makes a table whose handlers note which message they got and their own number.
fn router(table: &[Line], seen: &Seen) -> Router {
    let add = |router: Router, (number, line): (usize, &Line)| {
        let seen = seen.clone();
        let note = move |_: &mut MessagingSession<'_>, message: Message<usize>| {
            seen.note(&format!("{} to {number}", message.payload));
            Ok(())
        };
        router.on_versions(line.patterns.clone(), line.from..=line.to, note)
    };
    let router = table.iter().enumerate().fold(Router::new(), add);
    router.otherwise(NoMatch::Ignore)
}

#[test]
fn a_table_finds_what_trying_each_way_finds_and_in_order() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let place = Place::new();
    let names = [NAMES.as_slice(), &["d"]].concat();
    for _ in 0..5 {
        let table: Vec<Line> = (0..random.usize(1..60))
            .map(|_| line(&mut random))
            .collect();
        let seen = Seen::default();
        let (mut messages, mut expected) = (Vec::new(), Vec::new());
        for number in 0..60 {
            let kind = segments(&mut random, &names, 5);
            let version = random.bool().then(|| random.u32(0..6));
            let message = typed(&kind, &number);
            messages.push(match version {
                Some(version) => message.schema_version(version),
                None => message,
            });
            let lines = table.iter().enumerate();
            let taking = lines.filter(|(_, line)| takes(line, &kind, version));
            expected.extend(taking.map(|(line, _)| format!("{number} to {line}")));
        }
        let sent = place
            .messaging
            .session(|session| Ok(session.send_all(messages)?));
        assert_eq!(sent.unwrap().len(), 60);

        assert_eq!(routed(&place, &router(&table, &seen)), 60);

        assert_eq!(seen.take(), expected);
    }
}
