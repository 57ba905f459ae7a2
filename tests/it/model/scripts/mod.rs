//! Whatever handlers do, each message comes to what its handler did, and to nothing of what its
//! neighbours did.
//!
//! A round is some messages, what the handler of each does in each attempt, and how the topic is
//! worked on; `script` makes random ones. `acting` (with `misdoing`) is the handler that does it,
//! `wrapped` puts middleware and a router around it, `stage` lets it happen in a database of its
//! own and says what is found there in the end: rows, messages sent on, results, ends. `expected`
//! says what has to be, from the scripts alone, but for which messages shared a batch and which
//! were cancelled. In the end all dead letters are redriven, and handled by a handler that behaves;
//! and what observers were `told` all the while, and what is `kept` in the history, has to be what
//! the database has.
//! `faults` shows that faults are found.
//!
//! A round that fails is tried with fewer messages, and printed with its seed:
//!
//! ```text
//! OUTTRAY_SCRIPTS_SEED=… cargo test --test it scripts
//! OUTTRAY_SCRIPTS_SECONDS=300 cargo test --test it scripts
//! ```

mod acting;
mod expected;
mod faults;
mod kept;
mod misdoing;
mod script;
mod stage;
mod told;
mod wrapped;

use crate::support::shrink;
use expected::History;
use fastrand::Rng;
use script::{Act, End, Hands, Planned, Round, Script, Way};
use stage::{Stage, is_as};
use std::cell::RefCell;
use std::collections::HashMap;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The topic of the messages.
const WORK: &str = "work";
/// The topic that handlers send on to.
const ON: &str = "on";
/// Longer than any test.
const LATER: Duration = Duration::from_secs(3600);
/// How long rounds are begun, unless the environment says so.
const SECONDS: u64 = 15;
/// Rounds that are tried to make one that fails smaller, unless the environment says so.
const MAX_TRIES: usize = 30;

#[test]
fn random_scripts_of_handlers_come_to_what_the_model_says() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let one = number("OUTTRAY_SCRIPTS_SEED");
    let tries = number("OUTTRAY_SCRIPTS_TRIES").map_or(MAX_TRIES, |tries| tries as usize);
    let enough = Duration::from_secs(number("OUTTRAY_SCRIPTS_SECONDS").unwrap_or(SECONDS));
    let started = Instant::now();
    let mut rounds = 0;
    while started.elapsed() < enough && (one.is_none() || rounds == 0) {
        rounds += 1;
        let seed = one.unwrap_or_else(|| fastrand::u64(..));
        let mut round = Round::random(&mut Rng::with_seed(seed));
        let Err(difference) = run(&round, "") else {
            continue;
        };
        let after = started.elapsed();
        let way = round.way;
        let last = RefCell::new(String::new());
        round.messages = shrink(round.messages, tries, |messages| {
            let messages = messages.to_vec();
            let failed = run(&Round { way, messages }, "");
            failed
                .map_err(|difference| last.replace(difference))
                .is_err()
        });
        panic!(
            "seed {seed}, round {rounds}, found after {after:.1?}: {difference}\n{way:?}\nthe smallest that failed: {}\n{}",
            last.take(),
            lines(&round.messages)
        );
    }
    println!("{rounds} rounds");
}

/// Plays a round in a database of its own, to which `sabotage` is done; says what came of it that
/// may not.
fn run(round: &Round, sabotage: &str) -> Result<(), String> {
    let played = catch_unwind(AssertUnwindSafe(|| play(round, sabotage)));
    played.unwrap_or_else(|panic| Err(format!("panicked: {:?}", panic.downcast_ref::<String>())))
}

fn play(round: &Round, sabotage: &str) -> Result<(), String> {
    let mut stage = Stage::set(round, sabotage);
    let (played, asked) = stage.cancelling(Stage::play);
    played?;
    let calls = stage.actor.calls.lock().unwrap().clone();
    let history = History {
        round,
        calls: &calls,
        asked,
    };
    let found = stage.found()?;
    let mut afterwards = HashMap::new();
    for planned in &round.messages {
        let (found, finals) = (&found[&planned.n], history.finals(planned));
        let Some(came) = finals
            .iter()
            .find(|one| is_as(found, one, planned.is_tracked))
        else {
            return Err(differing(planned, found, &finals));
        };
        afterwards.insert(planned.n, history.redriven(planned, came));
    }
    stage.redrive();
    stage.play()?;
    stage.leave();
    let (first, found) = (found, stage.found()?);
    for planned in &round.messages {
        let (found, expected) = (&found[&planned.n], &afterwards[&planned.n]);
        if !is_as(found, expected, planned.is_tracked) {
            return Err(format!(
                "after a redrive: {}",
                differing(planned, found, std::slice::from_ref(expected))
            ));
        }
    }
    kept::check(&stage, &round.messages, [&first, &found])?;
    told::check(&mut stage, &round.messages, [&first, &found])
}

fn lines(messages: &[Planned]) -> String {
    let lines = messages.iter().map(|planned| format!("    {planned:?}\n"));
    lines.collect()
}

fn differing(planned: &Planned, found: &expected::Final, finals: &[expected::Final]) -> String {
    format!(
        "message {}\nfound    {found:?}\nexpected {finals:?}\nof {planned:?}",
        planned.n
    )
}

/// A round in which all that is looked at happens.
fn plain() -> Round {
    let script = |acts: &[Act], end| Script {
        acts: acts.to_vec(),
        end,
        is_whole: false,
    };
    let done = script(
        &[
            Act::Insert,
            Act::Update,
            Act::Send,
            Act::SendDelayed,
            Act::Record,
        ],
        End::Done,
    );
    let planned = |n, attempts: &[&Script]| Planned {
        n,
        fits: true,
        is_tracked: true,
        key: None,
        priority: 0,
        attempts: attempts.iter().map(|script| (*script).clone()).collect(),
    };
    let failed = script(&[Act::Insert, Act::Send], End::Fail);
    let rejected = script(&[], End::Reject);
    Round {
        way: Way {
            hands: Hands::Adaptive,
            workers: 1,
            max_attempts: 2,
            is_drain: true,
            is_suspect: false,
            is_cancelled: false,
            is_leaky: false,
            is_wrapped: false,
            keeps_history: true,
        },
        messages: vec![
            planned(0, &[&done]),
            planned(1, &[&failed, &done]),
            planned(2, &[&failed, &failed]),
            planned(3, &[&rejected]),
        ],
    }
}

#[test]
fn what_differs_from_the_model_is_found_wherever_it_is() {
    let altered = |before: &str, what: &str| {
        format!(
            "CREATE FUNCTION public.alter_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what} END $$;
             CREATE TRIGGER altered BEFORE {before} FOR EACH ROW EXECUTE FUNCTION public.alter_it()"
        )
    };
    assert_eq!(run(&plain(), ""), Ok(()));

    for (before, what) in [
        ("INSERT ON public.effect", "RETURN NULL;"),
        (
            "INSERT ON public.effect",
            "NEW.run := NEW.run + 1; RETURN NEW;",
        ),
        ("UPDATE ON public.tally", "RETURN OLD;"),
        (
            "INSERT ON outtray.message",
            "IF NEW.topic = 'on' THEN RETURN NULL; END IF; RETURN NEW;",
        ),
        (
            "INSERT ON outtray.message",
            "IF NEW.topic = 'on' THEN NEW.payload := '[1, 1, 4]'; END IF; RETURN NEW;",
        ),
        (
            "INSERT ON outtray.scheduled",
            "IF NEW.topic = 'on' THEN RETURN NULL; END IF; RETURN NEW;",
        ),
        (
            "INSERT ON outtray.scheduled",
            "NEW.attempts := NEW.attempts + 1; RETURN NEW;",
        ),
        (
            "INSERT ON outtray.dead_letter",
            "NEW.error := ''; RETURN NEW;",
        ),
        (
            "INSERT ON outtray.dead_letter",
            "NEW.attempts := 3; RETURN NEW;",
        ),
        (
            "UPDATE ON outtray.outcome",
            "NEW.result := NULL; RETURN NEW;",
        ),
    ] {
        assert!(
            run(&plain(), &altered(before, what)).is_err(),
            "{before}: {what}"
        );
    }
}
