//! The page about metrics, the alert rules and the dashboard name what there is.

use super::{Serving, begin_reader};
use crate::support::{MINUTE, Place, not_checked, reject};
use outtray::{NewMessage, metrics};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// Returns what the page says of each metric: the rest of its row in a table.
fn documented() -> BTreeMap<String, String> {
    let page = file("docs/METRICS.md");
    let rows = page.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| `outtray_")?.split_once('`')?;
        Some((format!("outtray_{name}"), rest.to_owned()))
    });
    rows.collect()
}

/// Returns a scrape of a process that shows the numbers of a topic.
fn scrape() -> String {
    let mut place = crate::log::place();
    place.send("orders", &1);
    begin_reader(&mut place);
    Serving::over(&place.url, &[]).get("/metrics").body
}

/// Returns the names of metrics that a text uses.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let words = text.split(is_part);
    let names = words.filter(|word| word.starts_with("outtray_"));
    names
        .map(|name| name.strip_suffix("_bucket").unwrap_or(name).to_owned())
        .collect()
}

#[test]
fn the_page_lists_each_metric_with_its_kind_and_its_labels() {
    let documented = documented();

    for metric in metrics::all() {
        let row = documented.get(metric.name);
        let row = row.unwrap_or_else(|| panic!("{} is not in docs/METRICS.md", metric.name));
        assert!(
            row.contains(&format!("| {} |", metric.kind)),
            "{}: {row}",
            metric.name
        );
        let labels: BTreeSet<&str> = row
            .split('|')
            .nth(2)
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2)
            .collect();
        assert_eq!(
            labels,
            metric.labels.iter().copied().collect(),
            "{}",
            metric.name
        );
    }
    let scraped = named(&scrape());
    assert!(scraped.len() > 15, "{scraped:?}");
    let known: BTreeSet<String> = metrics::all()
        .iter()
        .map(|metric| metric.name.to_owned())
        .collect();
    for name in &scraped {
        assert!(
            documented.contains_key(name),
            "{name} is not in docs/METRICS.md"
        );
    }
    for name in documented.keys() {
        assert!(
            scraped.contains(name) || known.contains(name),
            "there is no {name}"
        );
    }
}

#[test]
fn the_scrape_that_the_page_shows_is_a_real_one() {
    let place = Place::new();
    place.send_all("orders", 0..4);
    place.send_new(NewMessage::json("orders", &4).unwrap().delay(MINUTE));
    let topic = place.messaging.topic("orders");
    let _leased = topic.receive::<i32>(MINUTE).unwrap().unwrap();
    place.send_all("mails", 0..3);
    place.messaging.drain("mails", reject).unwrap();

    let scraped = Serving::over(&place.url, &[]).get("/metrics").body;

    let page = file("docs/METRICS.md");
    let (_, shown) = page.split_once("```prometheus\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    assert!(shown.lines().count() > 5);
    for line in shown.lines() {
        assert!(
            scraped.lines().any(|real| real == line),
            "{line}\n{scraped}"
        );
    }
}

#[test]
fn the_dashboard_and_the_rules_name_metrics_that_there_are() {
    let documented = documented();
    for path in [
        "docs/grafana/outtray.json",
        "docs/prometheus/outtray.rules.yml",
        "tests/prometheus/rules_test.yml",
    ] {
        let names = named(&file(path));
        assert!(names.len() > 10, "{path}: {names:?}");
        for name in names {
            assert!(
                documented.contains_key(&name),
                "{path} names {name}, which there is not"
            );
        }
    }
}

/// Returns the queries of the dashboard, with its variables filled in.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&file("docs/grafana/outtray.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| {
            let query = target["expr"].as_str().unwrap();
            query
                .replace("$__rate_interval", "5m")
                .replace("$topic", ".*")
        })
        .collect()
}

/// Returns promtool; `None` where it was not fetched.
fn promtool() -> Option<PathBuf> {
    let folder = Path::new(ROOT).join("target/prometheus");
    if folder.join("complete").exists() {
        return Some(folder.join("promtool"));
    }
    not_checked("promtool is not there: call tests/prometheus/fetch target/prometheus");
    None
}

#[track_caller]
fn passes(promtool: &Path, arguments: &[&str], input: &str) {
    let mut process = Command::new(promtool)
        .args(arguments)
        .current_dir(ROOT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let ended = process.wait_with_output().unwrap();
    assert!(ended.status.success(), "{arguments:?}: {ended:?}");
}

#[test]
fn promtool_has_nothing_against_metrics_rules_and_queries() {
    let Some(promtool) = promtool() else {
        return;
    };
    passes(
        &promtool,
        &["check", "rules", "docs/prometheus/outtray.rules.yml"],
        "",
    );
    passes(
        &promtool,
        &["test", "rules", "tests/prometheus/rules_test.yml"],
        "",
    );
    let mut rules = tempfile::NamedTempFile::new().unwrap();
    let mut text = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (number, query) in queries().iter().enumerate() {
        writeln!(text, "  - record: query:{number}\n    expr: '{query}'").unwrap();
    }
    rules.write_all(text.as_bytes()).unwrap();
    passes(
        &promtool,
        &["check", "rules", rules.path().to_str().unwrap()],
        "",
    );

    let place = Place::new();
    place.send("orders", &1);
    let arguments = ["work", "orders", "--http", "127.0.0.1:0", "--", "true"];
    let worker = Serving::start(&place.url, &arguments);
    crate::support::eventually("it has handled something", || {
        worker
            .metrics()
            .keys()
            .any(|name| name.starts_with("outtray_process_duration_seconds_bucket"))
    });
    passes(
        &promtool,
        &["check", "metrics"],
        &worker.get("/metrics").body,
    );
}
