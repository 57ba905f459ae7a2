//! What a statement touches, as the server explains it.

use serde_json::Value;

/// What the scans of a plan did.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Pages that they read.
    pub(super) pages: u64,
    /// Rows that they looked at, also those that a join or a sort drops again: many fit a page, and
    /// an index alone is small.
    pub(super) rows: u64,
    /// The scan that did most.
    pub(super) worst: (u64, String),
}

impl Touched {
    /// What a statement touched that was given up.
    pub(super) fn endless() -> Touched {
        Touched {
            pages: u64::MAX,
            ..Touched::default()
        }
    }
}

/// Adds up what the scans did. A plan counts what is below it, but not what is done after it, so
/// the root does not do.
pub(super) fn touched(explained: &Value) -> Touched {
    let mut touched = Touched::default();
    add(&explained[0]["Plan"], &mut touched);
    touched
}

fn add(plan: &Value, touched: &mut Touched) {
    // The mean of all loops, which PostgreSQL 18 writes with its fraction.
    let mean = |name: &str| plan[name].as_f64().unwrap_or_default();
    let loops = mean("Actual Loops");
    let in_all = |names: &[&str]| (loops * names.iter().map(|name| mean(name)).sum::<f64>()) as u64;
    let below = plan["Plans"].as_array().map_or(&[][..], Vec::as_slice);
    for plan in below {
        add(plan, touched);
    }
    let pages_of = |plan: &Value| {
        let number = |name: &str| plan[name].as_u64().unwrap_or_default();
        number("Shared Hit Blocks") + number("Shared Read Blocks")
    };
    let is_scan = plan["Node Type"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("Scan"));
    if !is_scan || (plan.get("Relation Name").is_none() && plan.get("Index Name").is_none()) {
        return;
    }
    // What a TID scan reads first is counted where it is read, too.
    let pages = match plan["Node Type"].as_str() {
        Some("Tid Scan") => in_all(&["Actual Rows"]),
        _ => pages_of(plan).saturating_sub(below.iter().map(pages_of).sum()),
    };
    let rows = in_all(&[
        "Actual Rows",
        "Rows Removed by Filter",
        "Rows Removed by Index Recheck",
    ]);
    touched.pages += pages;
    touched.rows += rows;
    if pages.max(rows) > touched.worst.0 {
        let mut scan = plan.clone();
        if let Some(fields) = scan.as_object_mut() {
            fields.retain(|name, _| {
                [
                    "Node Type",
                    "Index Name",
                    "Relation Name",
                    "Index Cond",
                    "Filter",
                    "Actual Loops",
                ]
                .contains(&name.as_str())
            });
        }
        touched.worst = (pages.max(rows), scan.to_string());
    }
}
