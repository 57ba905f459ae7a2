//! Every command prints JSON for machines where it is asked to: this goes through all of them.

use super::{Desk, Running, objects, outtray, run};
use crate::support::{done, eventually, reject};
use outtray::{NewMessage, Position, TopicConfig, TopicKind};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

/// Those that are not run here, each with its reason.
const LEFT_OUT: &[(&str, &str)] = &[("help", "it prints help for people")];

/// Those that go on until they are told to end: they say first where they are.
const GO_ON: &[&[&str]] = &[&["dev"], &["serve", "--http", "127.0.0.1:0"]];

/// Returns all commands, those in groups with their groups: `dead list`.
fn all_commands(group: &[&str]) -> BTreeSet<String> {
    let mut arguments = group.to_vec();
    arguments.push("--help");
    let help = run(outtray(&arguments), "").stdout;
    let listed = help.split_once("Commands:\n").map_or("", |(_, list)| list);
    let lines = listed.lines().take_while(|line| line.starts_with("  "));
    // What a command is for may go on in the next line, further in.
    let names = lines.filter(|line| !line.starts_with("   "));
    let mut commands = BTreeSet::new();
    for name in names.filter_map(|line| line.split_whitespace().next()) {
        let path = [group, &[name]].concat();
        let inner = match name {
            "help" => BTreeSet::new(),
            _ => all_commands(&path),
        };
        match (inner.is_empty(), name) {
            (true, "help") if !group.is_empty() => {}
            (true, _) => drop(commands.insert(path.join(" "))),
            (false, _) => commands.extend(inner),
        }
    }
    commands
}

/// Returns a database in which every command finds something, and the command lines.
#[expect(clippy::too_many_lines, reason = "a list of command lines")]
fn commands() -> (Desk, Vec<Vec<String>>) {
    let desk = Desk::new();
    let send = |message: NewMessage| desk.messaging.send(message).unwrap().id().to_string();
    let dead = send(NewMessage::json("dying", &1).unwrap());
    let edited = send(NewMessage::json("dying", &2).unwrap());
    let purged = send(NewMessage::json("dying", &3).unwrap());
    desk.messaging.drain("dying", reject).unwrap();
    let message = |topic| NewMessage::json(topic, &1).unwrap();
    let ended = send(message("ending").tracked());
    desk.messaging.drain("ending", reject).unwrap();
    let waiting = send(message("t").dedupe("taken", Duration::from_secs(60)));
    let delayed = send(message("t").delay(Duration::from_secs(3600)));
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    desk.messaging.topic("ledger").configure(log).unwrap();
    send(message("ledger"));
    let reader = desk
        .messaging
        .reader("ledger", "billing")
        .from(Position::Start);
    drop(reader.start(|_, _: &[outtray::Message]| Ok(())).unwrap());
    desk.messaging.subscribe("orders.#", "t").unwrap();
    let lines = [
        "migrate",
        "schema",
        "send u 1",
        "publish orders.new 1",
        "subscribe a.b t",
        "unsubscribe a.b t",
        "subscriptions",
        "topics",
        "top --once",
        "stats t",
        "peek t",
        "processes",
        "log read ledger",
        "log readers ledger",
        "log seek ledger billing start",
        "log forget ledger billing",
        "config t --set max_attempts=3",
        "pause t",
        "resume t",
        "recurring set t daily @daily 1",
        "recurring list",
        "recurring run t daily",
        "recurring pause t daily",
        "recurring resume t daily",
        "recurring remove t daily",
        "dead list",
        "dead groups dying",
        "search t",
        "changes",
        "history t",
        "dedupe keep t taken --window 1h",
        "dedupe forget t taken",
        "rate reset t",
        "doctor",
        "verify",
        "bench --list",
        "completions bash",
        "man",
        "purge u --yes",
        "send u 1",
        "work u --until-empty -- true",
    ];
    let mut commands: Vec<Vec<String>> = lines
        .iter()
        .map(|line| line.split(' ').map(str::to_owned).collect())
        .collect();
    let with_ids = [
        format!("dead show dying {dead}"),
        format!("show {dead}"),
        format!("why {dead}"),
        format!("run-now t {delayed}"),
        format!("dead redrive dying {dead}"),
        format!("dead edit dying {edited} 3"),
        format!("dead purge dying {purged} --yes"),
        format!("wait {ended} --timeout 0s"),
        format!("cancel {waiting} --yes"),
        "drop-schema --confirm outtray".to_owned(),
    ];
    commands.extend(
        with_ids
            .iter()
            .map(|line| line.split(' ').map(str::to_owned).collect()),
    );
    (desk, commands)
}

#[test]
fn every_command_prints_an_object_a_line_where_machines_read() {
    let (desk, commands) = commands();
    let receiver = desk.messaging.receiver("received").start(done).unwrap();
    let mut missing = all_commands(&[]);
    for (left_out, _reason) in LEFT_OUT {
        assert!(missing.remove(*left_out), "{left_out}");
    }
    for command in GO_ON {
        let arguments = [*command, &["--json"]].concat();
        let running = Running::start(desk.command(&arguments), Stdio::null());
        eventually("it says where it is", || running.stdout().ends_with('\n'));
        assert!(!objects(&running.stdout()).is_empty());
        running.terminate();
        running.end();
        missing.remove(command[0]);
    }
    // It waits for an answer.
    missing.remove("request");

    for command in commands {
        if command[0] == "drop-schema" {
            receiver.stop(Duration::from_secs(5));
        }
        let mut arguments: Vec<&str> = vec!["--json"];
        arguments.extend(command.iter().map(String::as_str));
        let ended = desk.run(&arguments);

        // What is found there may be a failure.
        let may_fail = ["doctor", "wait"].contains(&command[0].as_str());
        let most = i32::from(may_fail);
        assert!(ended.code <= most, "{command:?}: {ended:?}");
        let printed = objects(&ended.stdout);
        let is_silent = matches!(command[0].as_str(), "history" | "verify" | "work");
        assert!(
            is_silent || !printed.is_empty(),
            "{command:?} prints nothing"
        );
        assert!(
            printed.iter().all(serde_json::Value::is_object),
            "{command:?}"
        );
        let path = [
            command[0].clone(),
            command[..2.min(command.len())].join(" "),
        ];
        path.iter().for_each(|path| {
            missing.remove(path);
        });
    }
    assert!(missing.is_empty(), "not tried: {missing:?}");
}
