//! The dashboard in a real browser: every page and change, light and dark, wide and narrow.

use super::{TOKEN, Visit, fill_log, token};
use crate::support::{Gate, Place, eventually, not_checked, reject};
use outtray::dashboard::Dashboard;
use outtray::{NewMessage, Operator, Recurrence};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A browser, driven through a script.
struct Chromium {
    process: Child,
    steps: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    origin: String,
}

impl Chromium {
    /// Starts one; `None` where it is not installed.
    fn start(visit: &Visit) -> Option<Chromium> {
        let folder = Path::new(ROOT).join("target/browser");
        let programs = [
            "/usr/bin/chromium",
            "/usr/bin/chromium-browser",
            "/usr/bin/google-chrome",
        ];
        let program = programs.iter().find(|program| Path::new(program).exists());
        let (true, Some(program)) = (folder.join("complete").exists(), program) else {
            not_checked(
                "no Chromium, or nothing to drive it: call tests/browser/fetch target/browser",
            );
            return None;
        };
        let mut process = Command::new("node")
            .arg(Path::new(ROOT).join("tests/browser/drive.cjs"))
            .args([&folder, &PathBuf::from(program)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Some(Chromium {
            steps: process.stdin.take(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
            origin: format!("http://{}", visit.address()),
        })
    }

    /// Takes a step, which may fail; returns what became of it.
    fn tries(&mut self, step: &str, mut options: Value) -> Value {
        options["step"] = json!(step);
        writeln!(self.steps.as_mut().unwrap(), "{options}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{step} is not answered: {line:?}"))
    }

    #[track_caller]
    fn step(&mut self, step: &str, options: Value) -> Value {
        let answer = self.tries(step, options.clone());
        let text = if answer["ok"] == true {
            String::new()
        } else {
            self.tries("text", json!({}))["text"].to_string()
        };
        assert_eq!(answer["ok"], true, "{step} {options}: {answer} on {text}");
        answer
    }

    #[track_caller]
    fn go(&mut self, path: &str) {
        let url = format!("{}{path}", self.origin);
        let answer = self.step("go", json!({ "url": url }));
        assert_eq!(answer["status"], 200, "{path}");
        // Its script refreshes it until then.
        eventually("the page has all its numbers", || {
            !self.text().contains("still being read")
        });
    }

    #[track_caller]
    fn press(&mut self, text: &str) {
        self.step("press", json!({ "text": text, "loads": true }));
    }

    #[track_caller]
    fn open(&mut self, text: &str) {
        self.step("press", json!({ "text": text }));
    }

    #[track_caller]
    fn types(&mut self, selector: &str, text: &str) {
        self.step("type", json!({ "selector": selector, "text": text }));
    }

    #[track_caller]
    fn text(&mut self) -> String {
        let answer = self.step("text", json!({}));
        answer["text"].as_str().unwrap().replace('\u{202f}', "")
    }

    #[track_caller]
    fn sees(&mut self, text: &str) {
        let page = self.text();
        assert!(page.contains(text), "no {text:?} in {page}");
    }

    #[track_caller]
    fn log_in(&mut self) {
        self.go("/login");
        self.types("#name", "Ada");
        self.types("#token", TOKEN);
        self.press("Log in");
    }

    /// Fails if the page is wider than the window, or a part of it cannot be used by all.
    #[track_caller]
    fn is_usable(&mut self, what: &str) {
        let wide = self.step("overflow", json!({}));
        assert!(wide["over"].as_i64().unwrap() <= 0, "{what}: {wide}");
        let found = self.step("axe", json!({}));
        assert_eq!(found["violations"], json!([]), "{what}");
        let faults = self.step("faults", json!({}));
        assert_eq!(faults["faults"], json!([]), "{what}");
    }

    /// Keeps a picture where somebody wants them: `OUTTRAY_PICTURES=FOLDER`.
    fn picture(&mut self, name: &str) {
        if let Some(folder) = env::var_os("OUTTRAY_PICTURES") {
            fs::create_dir_all(&folder).unwrap();
            let file = Path::new(&folder).join(format!("{name}.png"));
            self.step("picture", json!({ "file": file, "whole": true }));
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Then the script closes its browser, and ends.
        self.steps.take();
        let _ = self.process.wait();
    }
}

/// Sends what makes pages have something of each kind, some of it hostile.
fn fill(place: &mut Place) {
    place.send_all("orders", 0..2_000);
    let message = NewMessage::json("orders", "<script>alert(1)</script>\u{202e}\u{7}").unwrap();
    place.send_new(
        message
            .delay(Duration::from_secs(4_000))
            .key("<img src=x onerror=alert(1)>"),
    );
    place.send_new(
        NewMessage::json("orders", &"x".repeat((1 << 20) - 2))
            .unwrap()
            .priority(-1),
    );
    place.send_new(
        NewMessage::json("orders", &json!({"id": 1, "amount": 30}))
            .unwrap()
            .priority(-2),
    );
    place.send_all("mails", 0..3);
    place.messaging.drain("mails", reject).unwrap();
    for number in 0..3 {
        place.send_new(
            NewMessage::json("lines", &number)
                .unwrap()
                .key("customer-7"),
        );
    }
    place
        .messaging
        .topic("reports.daily-summary.of-a-long-name")
        .pause()
        .unwrap();
    place
        .messaging
        .topic("orders")
        .reconfigure(|config| {
            config.max_in_work = Some(4);
            config.set("rate", "100/1s").unwrap();
        })
        .unwrap();
    place.messaging.subscribe("order.*", "orders").unwrap();
    place.sql(
        "UPDATE outtray.message SET sent_at = now() - interval '2 hours' WHERE topic = 'lines'",
    );
}

/// The pages that are looked at, and what each has to say.
const PAGES: [(&str, &str, &str); 7] = [
    ("overview", "/", "Topics"),
    ("topic", "/topic?name=orders", "Scheduled"),
    ("settings", "/settings?topic=orders", "max_attempts"),
    ("log", "/topic?name=ledger", "billing"),
    ("processes", "/processes", "parcels"),
    ("limits", "/limits", "100/1s"),
    ("nothing", "/topic?name=nowhere", "No message is ready"),
];

#[test]
fn every_page_is_usable_light_and_dark_wide_and_narrow() {
    let mut place = Place::new();
    fill(&mut place);
    fill_log(&place);
    let visit = Visit::with(Dashboard::new(&place.messaging).token(token()));
    let Some(mut browser) = Chromium::start(&visit) else {
        return;
    };
    let gate = Gate::new();
    let receiver = gate.holding(place.messaging.receiver("parcels"));
    place.send("parcels", &1);
    eventually("what is in work is listed", || {
        let processes = place.messaging.processes().unwrap();
        let mut receivers = processes.iter().flat_map(|process| &process.receivers);
        receivers.any(|receiver| !receiver.handlers.is_empty())
    });
    browser.step("size", json!({ "width": 1280, "theme": "light" }));
    browser.go("/login");
    browser.is_usable("login");
    browser.picture("login");
    browser.log_in();

    for theme in ["light", "dark"] {
        for width in [1280, 360] {
            browser.step("size", json!({ "width": width, "theme": theme }));
            for (name, path, says) in PAGES {
                browser.go(path);
                browser.sees(says);
                let what = format!("{name}-{width}-{theme}");
                browser.picture(&what);
                browser.is_usable(&what);
            }
        }
    }
    gate.open_for(1);
    drop(receiver);
}

#[test]
fn changes_are_made_with_and_without_a_script() {
    for has_script in [true, false] {
        let mut place = Place::new();
        fill(&mut place);
        let visit = Visit::with(Dashboard::new(&place.messaging).token(token()));
        let Some(mut browser) = Chromium::start(&visit) else {
            return;
        };
        browser.step("script", json!({ "enabled": has_script }));
        browser.log_in();
        let orders = place.messaging.topic("orders");

        browser.press("orders");
        browser.press("Pause");
        browser.sees("Paused orders");
        assert!(orders.is_paused().unwrap());
        browser.press("Resume");
        browser.sees("Resumed orders");

        browser.press("Change settings");
        browser.types("#max_attempts", "7");
        browser.press("Save what was changed");
        browser.sees("Set for orders: max_attempts to 7");
        let config = orders.config().unwrap();
        assert_eq!(
            (config.max_attempts, config.max_in_work),
            (Some(7), Some(4))
        );

        browser.open("Purge…");
        browser.sees("Removes all ready and scheduled messages");
        browser.press("Remove them all");
        browser.sees("Removed 2003 messages of orders");
        assert!(orders.is_empty().unwrap());

        browser.press("dark");
        browser.press("auto");
        browser.press("Log out");
        browser.sees("Your name");
    }
}

#[test]
fn a_page_that_is_seen_is_refreshed_and_keys_reach_all_of_it() {
    let place = Place::new();
    place.send_all("orders", 0..2);
    let visit = Visit::new(&place.messaging);
    let Some(mut browser) = Chromium::start(&visit) else {
        return;
    };
    browser.step("size", json!({ "width": 1280, "theme": "light" }));
    browser.go("/");
    let first = browser.step("key", json!({ "key": "Tab" }));
    assert_eq!(first["focus"], "Skip to content");
    let brand = browser.step("key", json!({ "key": "Tab" }));
    assert_eq!(
        (brand["focus"].as_str(), brand["outline"].as_str()),
        (Some("outtray"), Some("solid"))
    );

    place.send_all("mails", 0..42);

    browser.step("awaits", json!({ "text": "mails" }));
    browser.sees("42");
    browser.open("Pause updates");
    browser.sees("Resume updates");
    assert_eq!(browser.step("faults", json!({}))["faults"], json!([]));
}

#[test]
fn messages_are_found_mended_and_run_on_pages_that_all_can_use() {
    const HOSTILE: &str = "</pre></textarea><script>alert(1)</script>\u{202e}<img src=x>";
    let mut place = Place::new();
    fill(&mut place);
    let hostile = NewMessage::json("mails", HOSTILE).unwrap().key(HOSTILE);
    let id = place.send_new(hostile.header(HOSTILE, HOSTILE));
    place.send_new(NewMessage::bytes("mails", vec![7; 1 << 20]));
    place.messaging.drain("mails", reject).unwrap();
    let nightly = Recurrence::cron("0 3 * * *").unwrap();
    let message = NewMessage::json("reports", HOSTILE).unwrap();
    place
        .messaging
        .repeat("nightly", &nightly, message)
        .unwrap();
    let ada = place.messaging.as_operator(Operator::new(HOSTILE));
    ada.topic("orders").resume().unwrap();
    let visit = Visit::with(Dashboard::new(&place.messaging).token(token()));
    let Some(mut browser) = Chromium::start(&visit) else {
        return;
    };
    browser.log_in();
    let message = format!("/message?id={id}&topic=mails");

    for theme in ["light", "dark"] {
        for width in [1280, 360] {
            browser.step("size", json!({ "width": width, "theme": theme }));
            for (name, path, says) in [
                ("messages", "/messages?topic=orders", "looked at"),
                ("message", &message, "Edit and redrive"),
                ("dead-topics", "/dead", "mails"),
                ("dead", "/dead?topic=mails", "By error"),
                ("recurring", "/recurring", "nightly"),
                ("changes", "/changes", "resumed"),
            ] {
                browser.go(path);
                browser.sees(says);
                let what = format!("{name}-{width}-{theme}");
                browser.picture(&what);
                browser.is_usable(&what);
            }
        }
    }
    browser.go(&message);
    browser.open("Edit…");
    browser.picture("message-edit");
    browser.is_usable("message-edit");
    browser.types("#payload", "{\"amount\": 2}");
    browser.press("Save and redrive");
    browser.sees("Edited and redriven");
    browser.open("Redrive all found…");
    browser.press("Redrive all dead letters of this topic");
    browser.sees("Redriven 4 dead letters of mails");
    browser.go("/recurring");
    browser.press("Run now");
    browser.sees("Sent a message of nightly to reports");
    browser.go("/changes");
    browser.sees("run now");

    let found = place.messaging.message(id).unwrap().unwrap();
    assert_eq!(found.payload.to_string(), "{\"amount\": 2}");
}
