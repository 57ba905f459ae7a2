//! Who may start threads, wait, and log. What ground and subjects do is called with a connection in
//! hand, and mostly inside of a transaction: who calls says how long that may last, and what is
//! worth telling. Rounds of upkeep and the engine wait and log as they need.

use super::files::{File, Offence, check, hold, none, sources};
use super::rust_text::{line_at, take_apart};

/// Where threads are made. The command is a crate of its own.
const THREADS: [&str; 2] = ["src/threads/", "src/bin/"];
const STARTS: [&str; 3] = ["thread::Builder", "thread::spawn(", "thread::scope("];

/// Folders below those that may, that may all the same: threads and hints are what waiting is for.
const WAITING: [&str; 2] = ["src/threads/", "src/wake/"];
const WAITS: [&str; 7] = [
    "= after(",
    "pause::wait(",
    ".wait(",
    "recv_timeout(",
    "recv_deadline(",
    "send_timeout(",
    "sleep(",
];
const LOGS: [&str; 5] = [
    "tracing::error!",
    "tracing::warn!",
    "tracing::info!",
    "tracing::debug!",
    "tracing::trace!",
];

/// Files of ground and subjects that wait, and why they may.
const MAY_WAIT: [(&str, &str); 4] = [
    (
        "src/capacity/take.rs",
        "a sender asked to wait for room, and its session has no stop",
    ),
    (
        "src/connect/tries.rs",
        "a connect ends by its deadline, whatever the network does",
    ),
    (
        "src/connect/wired.rs",
        "an answer of the server has a limit of time, seen by the stream",
    ),
    (
        "src/schema/turn.rs",
        "a migration waits for locks of its tables in short tries, so that claims go on",
    ),
];

/// Files of ground and subjects that log, and why they may.
const MAY_LOG: [(&str, &str); 7] = [
    (
        "src/connect/pooler.rs",
        "what is between is found out once, by whoever connects first",
    ),
    (
        "src/connect/statement_cache.rs",
        "a pooler that was not named is found by whichever statement meets it",
    ),
    (
        "src/keys/stalled.rs",
        "a stuck key is a fault, told by whoever sweeps: the round, a drain, or one who takes by hand",
    ),
    (
        "src/message/report.rs",
        "the one place that words what became of messages",
    ),
    (
        "src/observe/observers.rs",
        "an observer's panic is its own: whoever tells it of something knows nothing of it",
    ),
    (
        "src/rate_limit/tokens.rs",
        "tokens that cannot be put back cost speed alone: a worker goes on, and nobody else is told",
    ),
    (
        "src/settings/cache.rs",
        "settings are read by sessions, workers and upkeep alike, and told once",
    ),
];

/// Returns whether a file is of ground or of a subject, and no round.
fn is_below(layers: &[String], path: &str) -> bool {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let layer = inside.split(['/', '.']).next().unwrap_or_default();
    layers.iter().any(|name| name == layer)
        && !WAITING.iter().any(|folder| path.starts_with(folder))
        && !path.ends_with("/round.rs")
}

/// Returns the folders of ground and subjects, as the crate's root lists them.
fn layers(root: &str) -> Vec<String> {
    let (below, _) = root
        .split_once("// The engine")
        .expect("the root lists its folders in three groups");
    let mods = below.lines().filter_map(|line| line.strip_prefix("mod "));
    mods.filter_map(|line| line.strip_suffix(';'))
        .map(ToOwned::to_owned)
        .collect()
}

fn uses(file: &File, signs: &[&str], why: &str) -> Vec<Offence> {
    let code = take_apart(file.shipped()).code;
    let mut places: Vec<usize> = signs
        .iter()
        .flat_map(|sign| code.match_indices(sign))
        .map(|(at, _)| at)
        .collect();
    places.sort_unstable();
    let places = places.into_iter();
    places
        .map(|at| file.offence(line_at(&code, at), why))
        .collect()
}

fn starts(file: &File) -> Vec<Offence> {
    match THREADS.iter().any(|folder| file.path.starts_with(folder)) {
        true => Vec::new(),
        false => uses(
            file,
            &STARTS,
            "starts a thread: threads has those that have a name and an owner",
        ),
    }
}

fn waits(layers: &[String], file: &File) -> Vec<Offence> {
    match is_below(layers, &file.path) {
        true => uses(
            file,
            &WAITS,
            "waits: who calls it knows how long it may, or a round",
        ),
        false => Vec::new(),
    }
}

fn logs(layers: &[String], file: &File) -> Vec<Offence> {
    match is_below(layers, &file.path) {
        true => uses(
            file,
            &LOGS,
            "logs: who calls it knows whether that is worth telling, or a round",
        ),
        false => Vec::new(),
    }
}

/// Fails for each file that breaks a rule without being named, and for each that is named and keeps
/// it.
#[track_caller]
fn hold_but_for(exceptions: &[(&str, &str)], rule: impl Fn(&File) -> Vec<Offence>) {
    let sources = sources();
    let named = |file: &&File| exceptions.iter().any(|(path, _)| *path == file.path);
    let (free, bound): (Vec<&File>, Vec<&File>) = sources.iter().partition(named);
    let kept = free.into_iter().filter(|file| rule(file).is_empty());
    let mut offences: Vec<Offence> = kept
        .map(|file| file.offence(1, "keeps the rule: it needs no exception any more"))
        .collect();
    offences.extend(bound.into_iter().flat_map(&rule));
    none(offences);
}

fn root() -> Vec<String> {
    let sources = sources();
    let root = sources.iter().find(|file| file.path == "src/lib.rs");
    layers(&root.expect("the root is read").text)
}

#[test]
fn threads_are_made_in_one_place() {
    hold(&sources(), starts);
}

#[test]
fn ground_and_subjects_wait_for_nobody() {
    let layers = root();
    assert!(layers.len() > 15, "{layers:?}");

    hold_but_for(&MAY_WAIT, |file| waits(&layers, file));
}

#[test]
fn ground_and_subjects_log_nothing() {
    let layers = root();

    hold_but_for(&MAY_LOG, |file| logs(&layers, file));
}

#[test]
fn who_waits_logs_or_starts_a_thread_out_of_place_is_found() {
    let layers = layers("mod words;\nmod threads;\nmod keys;\n// The engine.\nmod session;\n");
    let bad = "//! tracing::warn!(x)\nuse std::thread::Builder;\nlet _ = after(x).recv();\ntracing::warn!(x);\n\
               channel.recv_timeout(x);\nlet text = \"tracing::warn!\";\n";
    check(starts, "src/keys/mod.rs", bad, &[2]);
    check(starts, "src/threads/mod.rs", bad, &[]);
    check(|file| waits(&layers, file), "src/keys/mod.rs", bad, &[3, 5]);
    check(|file| logs(&layers, file), "src/keys/mod.rs", bad, &[4]);
    for above in ["src/keys/round.rs", "src/threads/x.rs", "src/session/x.rs"] {
        check(|file| waits(&layers, file), above, bad, &[]);
        check(|file| logs(&layers, file), above, bad, &[]);
    }
}
