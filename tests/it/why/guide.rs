//! What the guide shows of the command is what it prints.

use super::{TOPIC, why};
use crate::support::{Place, client, eventually};
use outtray::{MessageId, WhyState};
use serde_json::Value;
use std::process::{Command, Output};

const OUTTRAY: &str = env!("CARGO_BIN_EXE_outtray");
const GUIDE: &str = include_str!("../../../docs/OPERATING.md");

fn ask(place: &Place, arguments: &[&str]) -> Output {
    let mut command = Command::new(OUTTRAY);
    command.arg("why").args(arguments);
    command
        .env("DATABASE_URL", &place.url)
        .env_remove("OUTTRAY_SCHEMA");
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Puts the ids, times, numbers of processes and addresses of the guide in the places of others.
fn as_in_the_guide(printed: &str) -> String {
    let is_cut = |c: char| " ;,()".contains(c);
    let mut shown = String::new();
    let mut rest = printed;
    while !rest.is_empty() {
        let end = rest.find(|c| is_cut(c) || c == '\n').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let is_time = word.len() > 10 && word.starts_with("20") && word[4..5] == *"-";
        shown.push_str(match word {
            word if word.parse::<MessageId>().is_ok() => "ID",
            _ if is_time => "TIME",
            word if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) => "N",
            word => word,
        });
        let cut = after.chars().next().map_or(0, char::len_utf8);
        shown.push_str(&after[..cut]);
        rest = &after[cut..];
    }
    shown
}

/// Returns what the guide shows for each command, in its order.
fn shown() -> Vec<String> {
    let (_, section) = GUIDE
        .split_once("\n## Why is my message not handled?\n")
        .unwrap();
    let (_, block) = section.split_once("```console\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let parts = block.split("$ outtray why ").skip(1);
    parts
        .map(|part| part.split_once('\n').unwrap().1.to_owned())
        .collect()
}

#[test]
fn the_guide_shows_what_is_printed() {
    let mut place = Place::new();
    let ready = place.send("mail", &1);
    let locked = place.send("mail", &2);
    place.messaging.topic("mail").pause().unwrap();
    let mut psql = client(&place.url);
    psql.batch_execute("SET application_name = 'psql'").unwrap();
    let mut open = psql.transaction().unwrap();
    open.execute(
        "SELECT FROM outtray.message WHERE id = $1 FOR UPDATE",
        &[&locked.as_uuid()],
    )
    .unwrap();
    place.sql("SELECT 1");
    eventually("it is open for a second", || {
        match why(&place, locked).state {
            WhyState::Locked { holder } => holder.open_for.unwrap().as_secs() >= 1,
            state => panic!("{state:?}"),
        }
    });

    let printed = [ready, locked].map(|id| text(&ask(&place, &[&id.to_string()])));

    let shown = shown();
    assert_eq!(shown.len(), printed.len());
    for (printed, shown) in printed.iter().zip(&shown) {
        assert_eq!(as_in_the_guide(printed), as_in_the_guide(shown));
    }
}

#[test]
fn the_command_takes_several_ids_and_fails_if_one_is_not_there() {
    let place = Place::new();
    let one = place.send(TOPIC, &1).to_string();
    let other = place.send(TOPIC, &2).to_string();
    let gone = "01890a5d-ac96-774b-bcce-b302099a8057";

    let both = ask(&place, &[&one, &other]);
    let with_one_gone = ask(&place, &[&one, gone, "--json"]);
    let bad = ask(&place, &["nonsense"]);

    assert_eq!(both.status.code(), Some(0));
    assert_eq!(
        text(&both)
            .lines()
            .filter(|line| line.starts_with("message "))
            .count(),
        2
    );
    assert_eq!(with_one_gone.status.code(), Some(1));
    let told = text(&with_one_gone);
    let objects: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (objects.len(), &objects[0]["state"]),
        (2, &Value::from("ready"))
    );
    assert_eq!(
        (&objects[1]["state"], &objects[1]["sure"]),
        (&"not_there".into(), &true.into())
    );
    assert_eq!(objects[0]["obstacles"][0]["obstacle"], "no_receiver");
    assert_eq!(bad.status.code(), Some(2));
}
