//! Promotions under load, one after the other: with a synchronous standby nothing that was
//! confirmed is lost, and with another one just what it did not have; nothing happens twice.

use super::load::Load;
use super::pair;
use super::pair::Node;
use crate::support::Tunnel;
use std::io::Write;
use std::time::{Duration, Instant};
use std::{env, mem};

/// Says how many promotions there are of each kind. One by default; the full count takes minutes.
const ROUNDS: &str = "OUTTRAY_TEST_PROMOTIONS";
/// How soon work goes on; two seconds on a quiet machine.
const BACK: Duration = Duration::from_secs(12);

fn rounds() -> usize {
    let rounds = env::var(ROUNDS).ok();
    rounds.map_or(1, |rounds| rounds.parse().expect("a number of rounds"))
}

fn tell(text: &str) {
    if env::var_os(ROUNDS).is_some() {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// Returns the URL of both servers.
fn both(url: &str, [one, other]: [&Node; 2]) -> String {
    url.replace(&one.place(), &format!("{},{}", one.place(), other.place()))
}

/// Has everything go on after a promotion.
#[track_caller]
fn check_back(load: &Load, promoted: Instant) {
    let back = load.since(promoted);
    tell(&format!(
        "all topics went on {back:.2?} after the promotion"
    ));
    assert!(back < BACK, "{back:?}");
}

/// Checks all that was done, and says how much of what was confirmed is missing.
#[track_caller]
fn check_end(load: Load, url: &str) -> usize {
    let (confirmed, missing) = load.check(url);
    tell(&format!(
        "{confirmed} messages were confirmed, {missing} are missing"
    ));
    missing
}

#[test]
fn promotions_of_a_synchronous_standby_lose_nothing_and_do_nothing_twice() {
    let Some([one, other]) = pair() else {
        return;
    };
    let url = one.database();
    let load = Load::on(&url, &both(&url, [&one, &other]));
    let (mut from, mut to) = (&one, &other);

    for _ in 0..rounds() {
        to.follow(&from.here(&url));
        load.since(Instant::now());
        from.die();
        to.promote(&url);
        check_back(&load, Instant::now());
        mem::swap(&mut from, &mut to);
    }

    check_end(load, &from.here(&url));
}

#[test]
fn promotions_of_a_standby_that_lags_lose_just_what_it_did_not_have_and_do_nothing_twice() {
    let Some([one, other]) = pair() else {
        return;
    };
    let url = one.database();
    let load = Load::on(&url, &both(&url, [&one, &other]));
    let (mut from, mut to) = (&one, &other);

    for _ in 0..rounds() {
        let tunnel = Tunnel::to(&from.here(&url));
        to.follow_loosely(tunnel.url(), &from.here(&url));
        load.since(Instant::now());
        load.cut_off(from, &url, || tunnel.fall_silent());
        load.since(Instant::now());
        from.die();
        load.is_gone();
        drop(tunnel);
        to.promote(&url);
        check_back(&load, Instant::now());
        mem::swap(&mut from, &mut to);
    }

    let missing = check_end(load, &from.here(&url));
    assert!(missing > 0, "the standby lacked something");
}
