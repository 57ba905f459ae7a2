//! What a statement touches, as the server explains it.

use serde_json::Value;

/// What the scans of a plan did.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Pages that they read.
    pub(super) pages: u64,
    /// Rows that they looked at in vain.
    pub(super) in_vain: u64,
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

/// Adds up what the scans did. A plan counts what is below it, but not what is done after it, so the root does not do.
pub(super) fn touched(explained: &Value) -> Touched {
    let mut touched = Touched::default();
    add(&explained[0]["Plan"], &mut touched);
    touched
}

fn add(plan: &Value, touched: &mut Touched) {
    let number = |name: &str| plan[name].as_u64().unwrap_or_default();
    let loops = number("Actual Loops");
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
        Some("Tid Scan") => loops * number("Actual Rows"),
        _ => pages_of(plan).saturating_sub(below.iter().map(pages_of).sum()),
    };
    let in_vain =
        loops * (number("Rows Removed by Filter") + number("Rows Removed by Index Recheck"));
    touched.pages += pages;
    touched.in_vain += in_vain;
    if pages.max(in_vain) > touched.worst.0 {
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
        touched.worst = (pages.max(in_vain), scan.to_string());
    }
}
