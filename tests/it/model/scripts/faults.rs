//! Faults that are planted into a copy of the source, to see that random scripts find them. By
//! hand:
//!
//! ```text
//! OUTTRAY_FAULTS=all cargo test --test it scripts::faults -- --nocapture
//! OUTTRAY_FAULTS=neighbour cargo test --test it scripts::faults -- --nocapture
//! ```
//!
//! The library is built anew for each, which takes some minutes. What runs every time is whether
//! they still fit the source.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// How long the rounds may look for each.
const SECONDS: &str = "60";

/// A change of one place that makes the code wrong.
struct Fault {
    name: &'static str,
    /// In one file of the source, there once.
    right: &'static str,
    wrong: &'static str,
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "a message without a savepoint undoes its neighbour's work",
        right: "    pub(super) fn undo(&mut self) -> Result<()> {
        let Savepoint::Open(name) = self.savepoint else {",
        wrong: "    pub(super) fn undo(&mut self) -> Result<()> {
        let (Savepoint::Open(name) | Savepoint::Finished(name)) = self.savepoint else {",
    },
    Fault {
        name: "what a failed message sent is sent",
        right: "        self.session.outbox.roll_back_part();\n",
        wrong: "",
    },
    Fault {
        name: "an undo drops what neighbours sent",
        right: "        session.outbox.begin_part();\n",
        wrong: "",
    },
    Fault {
        name: "what a failed message wrote is kept",
        right: "        let undone = self.state.own()?.transaction.batch_execute(name.undo());\n",
        wrong: "        let undone = self.state.own()?.transaction.batch_execute(\"\");\n",
    },
    Fault {
        name: "the result of a failed message is recorded",
        right: "            recorder.take();\n",
        wrong: "",
    },
    Fault {
        name: "what a handler set outlives its transaction",
        right: "        if !self.side_effects.is_lasting() || self.is_restored {",
        wrong: "        if self.side_effects.is_lasting() || !self.is_restored {",
    },
    Fault {
        name: "what a handler set only for its transaction outlives its part",
        right: "RESET ROLE; RESET ALL; UNLISTEN *;",
        wrong: "RESET ROLE; UNLISTEN *;",
    },
    Fault {
        name: "locks of a handler outlive its transaction",
        right: " SELECT pg_catalog.pg_advisory_unlock_all();",
        wrong: "",
    },
    Fault {
        name: "a temporary table of a handler outlives its transaction",
        right: " DISCARD TEMP;",
        wrong: "",
    },
    Fault {
        name: "what a handler set by a function is not seen",
        right: "            (b\"set_config\", SideEffects::SET),",
        wrong: "            (b\"set_nothing\", SideEffects::SET),",
    },
    Fault {
        name: "what a handler set in a transaction that it was lent is not seen",
        right: "        self.mode.store(GUARDED, Relaxed);",
        wrong: "        self.mode.store(OFF, Relaxed);",
    },
    Fault {
        name: "a swallowed error is not noticed",
        right: "            self.is_in_doubt |= !is_lost;\n",
        wrong: "",
    },
    Fault {
        name: "a snooze costs an attempt",
        right: "Wish::Snooze(delay) => Outcome::retry(attempts, delay",
        wrong: "Wish::Snooze(delay) => Outcome::retry(attempt, delay",
    },
    Fault {
        name: "there is one attempt too many",
        right: "        if attempt >= terms.max_attempts {",
        wrong: "        if attempt > terms.max_attempts {",
    },
    Fault {
        name: "a rejected message is tried again",
        right: "                Wish::Reject => Outcome::dead(attempt, DeadReason::Rejected, text),",
        wrong: "                Wish::Reject => failed(text, None),",
    },
    Fault {
        name: "what the check before COMMIT refuses is charged to the neighbours too",
        right: "                let handled = self.handle(message, taken.crashes(message), Sharing::Again);\n",
        wrong: "                let handled = Ok(Charge::of(message, taken.crashes(message)).decide(&self.shared.terms(), error));\n",
    },
    Fault {
        name: "what only COMMIT refuses is charged to the neighbours too",
        right: "    if let [charge] = entered.as_mut_slice() {",
        wrong: "    if let [charge, ..] = entered.as_mut_slice() {",
    },
    Fault {
        name: "a conflict costs an attempt",
        right: "                if failed.failure.is_some_and(Failure::is_conflict) =>",
        wrong: "                if failed.failure.is_some_and(|_| false) =>",
    },
    Fault {
        name: "a batch that panicked is acked",
        right: "            Ending::Panicked(text) => Some(Ending::Panicked(text.clone())),\n            Ending::Done |",
        wrong: "            Ending::Panicked(_) | Ending::Done |",
    },
    Fault {
        name: "a message that was given up is tried again",
        right: "    if is_cancelled && !matches!(ending, Ending::Done) {",
        wrong: "    if is_cancelled && matches!(ending, Ending::Undecodable(_)) {",
    },
    Fault {
        name: "what a handler under a lease only sends is lost",
        right: "        !self.has_begun() && self.session.outbox.statements() == 0",
        wrong: "        !self.has_begun()",
    },
    Fault {
        name: "of leases that are settled together one is forgotten",
        right: "    let proofs = in_order(proofs);\n    let column =",
        wrong: "    let proofs = &in_order(proofs)[1..];\n    let column =",
    },
    Fault {
        name: "how often a message was delivered is forgotten when it is settled with others",
        right: "        delivered: ended.delivered,\n",
        wrong: "        delivered: None,\n",
    },
    Fault {
        name: "what a process heard once removes a message that was redriven",
        right: "
            AND EXISTS (
                SELECT
                FROM outtray.cancellation
                WHERE cancellation.topic = $1::text
                    AND cancellation.id = message.id
            )",
        wrong: "",
    },
    Fault {
        name: "an acknowledgement that removes nothing passes",
        right: "    RETURNING message.seq
)
SELECT outtray.miscounted(count(*), pg_catalog.cardinality($3::bigint[]))
FROM removed
HAVING count(*) <> pg_catalog.cardinality($3::bigint[])",
        wrong: "    RETURNING message.seq
)
SELECT outtray.miscounted(count(*), 0)
FROM removed
HAVING count(*) < 0",
    },
    Fault {
        name: "the history has one of those that share a row",
        right: "        CASE WHEN pg_catalog.cardinality(alike.ids) > 1 THEN alike.ids END,",
        wrong: "        NULL::uuid[],",
    },
    Fault {
        name: "one that removes nothing passes where it is one message's",
        right: "    RETURNING message.seq
)
SELECT outtray.miscounted(0, 1)
WHERE NOT EXISTS (SELECT FROM removed)",
        wrong: "    RETURNING message.seq
)
SELECT outtray.miscounted(0, 1)
WHERE false",
    },
    Fault {
        name: "one message of each transaction is not acked",
        right: "        removed.map(|(held, _)| held.position).collect()",
        wrong: "        removed.skip(1).map(|(held, _)| held.position).collect()",
    },
    Fault {
        name: "what was undone is told to be sent",
        right: "        self.log.truncate(mark.log);\n",
        wrong: "",
    },
    Fault {
        name: "what a message comes to is told before its COMMIT is refused",
        right: "            Err(refused) if refused.is_undone => {\n",
        wrong: "            Err(refused) if refused.is_undone => {
                settled.tell(shared, &mut self.state.deliveries);\n",
    },
    Fault {
        name: "of two attempts that failed at once one is told",
        right: "            .map_or(last, |delivered| delivered.attempt.min(last));",
        wrong: "            .map_or(last, |_| last);",
    },
    Fault {
        name: "a cancelled message that is given back is told to be tried again",
        right: "            _ if self.is_cancelled => observers.tell",
        wrong: "            _ if topic.is_empty() => observers.tell",
    },
    Fault {
        name: "a reader keeps what a failed part of a batch wrote",
        right: "    if !is_done {
        session.undo()?;
        return Ok(ending);
    }
    let Some(undone) = Ending::undone(",
        wrong: "    if !is_done {
        let _ = session.keep(check)?;
        return Ok(ending);
    }
    let Some(undone) = Ending::undone(",
    },
    Fault {
        name: "a reader passes over the batch that a conflict undid",
        right: "            false => return Err(error),
        }
    }
    session.restore()?;",
        wrong: "            false => {
                let passed = ahead.batch(size).len();
                ahead.done(passed);
                return Err(error);
            }
        }
    }
    session.restore()?;",
    },
    Fault {
        name: "a reader charges an entry with a conflict",
        right: "            state.conflicts += 1;
            if state.conflicts <= MAX_CONFLICTS {",
        wrong: "            state.conflicts += 1;
            if state.conflicts <= MAX_CONFLICTS.min(0) {",
    },
    Fault {
        name: "a reader moves past an entry that it did not put aside",
        right: "    if !pieces.aside.is_empty() {\n        let top",
        wrong: "    if pieces.aside.len() > 1 {\n        let top",
    },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Fault {
    /// Returns the file that it fits, and its text with the fault in it.
    #[track_caller]
    fn planted(&self) -> (PathBuf, String) {
        let mut places = Vec::new();
        for path in files_in(&root().join("src")) {
            let text = fs::read_to_string(&path).unwrap();
            let found = text.matches(self.right).count();
            places.extend((0..found).map(|_| (path.clone(), text.clone())));
        }
        assert_eq!(places.len(), 1, "{}: places of it", self.name);
        let (path, text) = places.remove(0);
        let path = path.strip_prefix(root()).unwrap().to_owned();
        (path, text.replace(self.right, self.wrong))
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_in(&path)),
            false => files.push(path),
        }
    }
    files
}

#[test]
fn each_fault_fits_one_place_of_the_source() {
    for fault in FAULTS {
        assert_ne!(fault.planted().1, "");
    }
}

/// Packages of the workspace that a copy does without.
const MEMBERS: &str = "\"benches/throughput\", \"examples\", \"examples/shop\"";

/// A copy of the source with few tests, which is quick to build.
struct Copy(PathBuf);

impl Copy {
    fn make(name: &str) -> Copy {
        let copy = Copy(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        let _ = fs::remove_dir_all(copy.0.join("src"));
        let _ = fs::remove_dir_all(copy.0.join("tests"));
        for folder in ["src", "docs", "tests/it/support", "tests/it/model/scripts"] {
            copy_folder(&root().join(folder), &copy.0.join(folder));
        }
        for file in ["Cargo.lock", "README.md"] {
            fs::copy(root().join(file), copy.0.join(file)).unwrap();
        }
        let package = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        // Cargo builds the command for integration tests, which takes as long as all else.
        let package = package
            .replace("[package]", "[package]\nautobins = false")
            .replace("[[bin]]", "[[example]]")
            .replace(MEMBERS, "");
        fs::write(copy.0.join("Cargo.toml"), package).unwrap();
        let few = "//! Few tests.\n#![allow(dead_code, unused_imports)]\n\
                   mod model {\n    mod scripts;\n}\nmod support;\n";
        fs::write(copy.0.join("tests/it/main.rs"), few).unwrap();
        copy
    }

    /// Builds it and lets rounds look for a fault; returns what they say of it.
    fn find(&self) -> Result<String, String> {
        let ran = Command::new(env!("CARGO"))
            .args(["test", "--offline", "--test", "it", "random_scripts"])
            .current_dir(&self.0)
            .env("CARGO_TARGET_DIR", self.0.join("target"))
            .env("OUTTRAY_SCRIPTS_SECONDS", SECONDS)
            .env("OUTTRAY_SCRIPTS_TRIES", "0")
            .env_remove("OUTTRAY_SCRIPTS_SEED")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let mut lines = said.lines();
        match lines.find(|line| line.contains("found after")) {
            Some(line) => Ok(line.to_owned()),
            None => Err(said + &String::from_utf8_lossy(&ran.stderr)),
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy_folder(&path, &copied),
            false => drop(fs::copy(&path, &copied).unwrap()),
        }
    }
}

#[test]
fn a_copy_of_the_source_is_a_package_of_its_own() {
    let copy = Copy::make("copied");

    let read = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version=1"])
        .current_dir(&copy.0)
        .output()
        .unwrap();

    let _ = fs::remove_dir_all(&copy.0);
    let said = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{said}");
}

#[test]
fn each_fault_is_found_in_seconds() {
    let Ok(wanted) = env::var("OUTTRAY_FAULTS") else {
        println!("not looked for: OUTTRAY_FAULTS is not set");
        return;
    };
    let copy = Copy::make("faults");
    let mut missed = Vec::new();

    let is_wanted = |fault: &&Fault| wanted == "all" || fault.name.contains(&wanted);
    for fault in FAULTS.iter().filter(is_wanted) {
        let (path, wrong) = fault.planted();
        let file = copy.0.join(path);
        let right = fs::read_to_string(&file).unwrap();
        fs::write(&file, wrong).unwrap();
        match copy.find() {
            Ok(line) => println!("{}: {line}", fault.name),
            Err(said) => {
                println!("{}: NOT FOUND\n{said}", fault.name);
                missed.push(fault.name);
            }
        }
        fs::write(&file, right).unwrap();
    }

    assert!(missed.is_empty(), "not found: {missed:?}");
}
