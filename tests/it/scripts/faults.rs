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

use crate::support::statement_file;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// How long the rounds may look for each.
const SECONDS: &str = "60";

/// A change of one place that makes the code wrong.
struct Fault {
    name: &'static str,
    /// Where it is; a statement by its name alone.
    file: &'static str,
    /// There once.
    right: &'static str,
    wrong: &'static str,
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "a message without a savepoint undoes its neighbour's work",
        file: "src/session/savepoint.rs",
        right: "        self.result = None;
        let Savepoint::Open(name) = self.savepoint else {",
        wrong: "        self.result = None;
        let (Savepoint::Open(name) | Savepoint::Finished(name)) = self.savepoint else {",
    },
    Fault {
        name: "what a failed message sent is sent",
        file: "src/session/savepoint.rs",
        right: "        self.outbox.roll_back(self.mark);\n",
        wrong: "",
    },
    Fault {
        name: "an undo drops what neighbours sent",
        file: "src/session/savepoint.rs",
        right: "        self.mark = self.outbox.mark();\n",
        wrong: "",
    },
    Fault {
        name: "what a failed message wrote is kept",
        file: "src/session/savepoint.rs",
        right: "        let undone = self.lent.own()?.transaction.batch_execute(name.undo());\n",
        wrong: "        let undone = self.lent.own()?.transaction.batch_execute(\"\");\n",
    },
    Fault {
        name: "the result of a failed message is recorded",
        file: "src/session/savepoint.rs",
        right: "        self.outbox.roll_back(self.mark);\n        self.result = None;\n",
        wrong: "        self.outbox.roll_back(self.mark);\n",
    },
    Fault {
        name: "what a handler set outlives its transaction",
        file: "src/session/caller_sql.rs",
        right: "        if !self.did.is_lasting() || self.is_restored {",
        wrong: "        if self.did.is_lasting() || !self.is_restored {",
    },
    Fault {
        name: "what a handler set only for its transaction outlives its part",
        file: "src/connect/caller_sql.rs",
        right: "RESET ROLE; RESET ALL; UNLISTEN *;",
        wrong: "RESET ROLE; UNLISTEN *;",
    },
    Fault {
        name: "locks of a handler outlive its transaction",
        file: "src/connect/caller_sql.rs",
        right: " SELECT pg_catalog.pg_advisory_unlock_all();",
        wrong: "",
    },
    Fault {
        name: "a temporary table of a handler outlives its transaction",
        file: "src/connect/caller_sql.rs",
        right: " DISCARD TEMP;",
        wrong: "",
    },
    Fault {
        name: "what a handler set by a function is not seen",
        file: "src/words/side_effects.rs",
        right: "            (b\"set_config\", Did::SET),",
        wrong: "            (b\"set_nothing\", Did::SET),",
    },
    Fault {
        name: "what a handler set in a transaction that it was lent is not seen",
        file: "src/connect/caller_sql.rs",
        right: "            (Some(pulse), None) => pulse.watch.mode.store(GUARDED, Relaxed),",
        wrong: "            (Some(pulse), None) => pulse.watch.mode.store(OFF, Relaxed),",
    },
    Fault {
        name: "a swallowed error is not noticed",
        file: "src/session/messaging_session.rs",
        right: "            self.is_in_doubt |= !is_lost;\n",
        wrong: "",
    },
    Fault {
        name: "a snooze costs an attempt",
        file: "src/receive/ending.rs",
        right: "                    attempts,\n                    delay,\n                    error: text,",
        wrong: "                    attempts: attempt,\n                    delay,\n                    error: text,",
    },
    Fault {
        name: "there is one attempt too many",
        file: "src/receive/ending.rs",
        right: "        if attempt >= terms.max_attempts {",
        wrong: "        if attempt > terms.max_attempts {",
    },
    Fault {
        name: "a rejected message is tried again",
        file: "src/receive/ending.rs",
        right: "                Wish::Reject => bury(held, attempt, DeadReason::Rejected, text),",
        wrong: "                Wish::Reject => failed(held, text, None),",
    },
    Fault {
        name: "what the check before COMMIT refuses is charged to the neighbours too",
        file: "src/receive/bundle.rs",
        right: "            fates.push(handle(line, session, state, message, crashes, Way::Again)?);\n",
        wrong: "            fates.push(Charge::of(message, crashes).decide(line, error));\n",
    },
    Fault {
        name: "what only COMMIT refuses is charged to the neighbours too",
        file: "src/receive/charge.rs",
        right: "    if let [charge] = entered.as_mut_slice() {",
        wrong: "    if let [charge, ..] = entered.as_mut_slice() {",
    },
    Fault {
        name: "a conflict costs an attempt",
        file: "src/receive/handler.rs",
        right: "                if failed.failure.is_some_and(Failure::is_conflict) =>",
        wrong: "                if failed.failure.is_some_and(|_| false) =>",
    },
    Fault {
        name: "a batch that panicked is acked",
        file: "src/receive/handler.rs",
        right: "            Ending::Panicked(text) => Some(Ending::Panicked(text.clone())),\n            Ending::Done |",
        wrong: "            Ending::Panicked(_) | Ending::Done |",
    },
    Fault {
        name: "a message that was given up is tried again",
        file: "src/receive/bundle.rs",
        right: "    if is_cancelled && !matches!(ending, Ending::Done) {",
        wrong: "    if is_cancelled && matches!(ending, Ending::Undecodable(_)) {",
    },
    Fault {
        name: "what a handler under a lease only sends is lost",
        file: "src/receive/lease/deliver.rs",
        right: "    matches!(session.lent, Lent::Leased(_)) && session.outbox.statements() == 0",
        wrong: "    matches!(session.lent, Lent::Leased(_))",
    },
    Fault {
        name: "what a process heard once removes a message that was redriven",
        file: "end_cancelled.sql",
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
        name: "giving a message up that stays passes",
        file: "end_cancelled.sql",
        right: "WHEN counted.removed <> counted.wanted THEN",
        wrong: "WHEN false THEN",
    },
    Fault {
        name: "an acknowledgement that removes nothing passes",
        file: "acknowledge.sql",
        right: "HAVING count(*) <> pg_catalog.cardinality($3::bigint[])",
        wrong: "HAVING count(*) < 0",
    },
    Fault {
        name: "one that removes nothing passes where it is one message's",
        file: "acknowledge_one.sql",
        right: "WHERE NOT EXISTS (SELECT FROM removed)",
        wrong: "WHERE false",
    },
    Fault {
        name: "one message of each transaction is not acked",
        file: "src/receive/settled.rs",
        right: "        removed.map(|held| held.position).collect()",
        wrong: "        removed.skip(1).map(|held| held.position).collect()",
    },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Fault {
    fn path(&self) -> &'static Path {
        match self.file.strip_suffix(".sql") {
            Some(statement) => statement_file(statement),
            None => Path::new(self.file),
        }
    }

    /// Returns the file with the fault in it.
    #[track_caller]
    fn planted(&self) -> String {
        let text = fs::read_to_string(root().join(self.path())).unwrap();
        let places = text.matches(self.right).count();
        assert_eq!(places, 1, "{}: places of it in {}", self.name, self.file);
        text.replace(self.right, self.wrong)
    }
}

#[test]
fn each_fault_fits_one_place_of_the_source() {
    for fault in FAULTS {
        assert_ne!(fault.planted(), "");
    }
}

/// Packages of the workspace that a copy does without.
const MEMBERS: &str = "\"benches/throughput\", \"examples\"";

/// A copy of the source with few tests, which is quick to build.
struct Copy(PathBuf);

impl Copy {
    fn make(name: &str) -> Copy {
        let copy = Copy(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        let _ = fs::remove_dir_all(copy.0.join("src"));
        let _ = fs::remove_dir_all(copy.0.join("tests"));
        for folder in ["src", "docs", "tests/it/support", "tests/it/scripts"] {
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
        let few =
            "//! Few tests.\n#![allow(dead_code, unused_imports)]\nmod scripts;\nmod support;\n";
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
        let file = copy.0.join(fault.path());
        let right = fs::read_to_string(&file).unwrap();
        fs::write(&file, fault.planted()).unwrap();
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
