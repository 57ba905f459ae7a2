//! Charts of the last hour, on the pages of one topic and of all.

use crate::dashboard::frame::chart::{Series, chart};
use crate::dashboard::frame::hour::LastHour;
use crate::dashboard::frame::minutes::MinuteSums;
use crate::dashboard::frame::parts::live;
use crate::dashboard::frame::view::{PageTrouble, View};
use maud::{Markup, html};

/// Returns the charts of a topic.
pub(crate) fn of_topic(view: &View<'_>, topic: &str) -> Result<Markup, PageTrouble> {
    Ok(charts(Some(&*view.last_hour(topic)?)))
}

/// Returns the charts of all topics together; no charts where there are no sums yet.
pub(crate) fn of_all(view: &View<'_>) -> Result<Markup, PageTrouble> {
    Ok(charts(view.last_hour_of_all()?.as_deref()))
}

fn charts(hour: Option<&LastHour>) -> Markup {
    let Some(hour) = hour else {
        return live("charts", html! {});
    };
    let minutes: Vec<String> = (hour.first..).take(hour.sums.len()).map(clock).collect();
    let series = |name, of: fn(&MinuteSums) -> f64| Series {
        name,
        values: values(hour, of),
    };
    let handled = [series("done", |sums| float(sums.done))];
    let failed = [
        series("failed", |sums| float(sums.failed)),
        series("expired or cancelled", |sums| {
            float(sums.expired + sums.cancelled)
        }),
        series("dead", |sums| float(sums.dead)),
    ];
    let took = [series("mean", mean_ms)];
    live(
        "charts",
        html! {
            div.charts {
                (chart("Handled", "a minute", &minutes, &handled))
                (chart("Went wrong", "a minute", &minutes, &failed))
                (chart("Handlers took", "ms", &minutes, &took))
            }
        },
    )
}

fn values(hour: &LastHour, of: fn(&MinuteSums) -> f64) -> Vec<f64> {
    hour.sums.iter().map(of).collect()
}

/// Returns how long a handler took, in milliseconds.
fn mean_ms(sums: &MinuteSums) -> f64 {
    let handlers = sums.done + sums.failed;
    match handlers {
        0 => 0.0,
        handlers => float(sums.handled_us) / 1000.0 / float(handlers),
    }
}

/// Returns a minute since 1970 as the time of the day, in UTC.
fn clock(minute: i64) -> String {
    let of_day = minute.rem_euclid(24 * 60);
    format!("{:02}:{:02}", of_day / 60, of_day % 60)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
