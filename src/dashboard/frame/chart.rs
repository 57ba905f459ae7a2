//! Charts of the last hour, drawn by the server: they need no script, and follow the colours of the
//! page.

use crate::dashboard::frame::parts::number;
use maud::{Markup, html};
use std::fmt::Write;

/// The size of the drawing in its own units; the page stretches it to the room that it has.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;

/// One line of a chart: a value for each minute, the oldest first.
pub(crate) struct Series<'a> {
    pub(crate) name: &'a str,
    pub(crate) values: Vec<f64>,
}

/// Returns a chart of at most three lines. `unit` says what is counted in each minute, and
/// `minutes` what each value's time is called.
pub(crate) fn chart(title: &str, unit: &str, minutes: &[String], series: &[Series<'_>]) -> Markup {
    let values = series.iter().flat_map(|one| &one.values);
    let most = nice(values.copied().fold(0.0, f64::max));
    let last: Vec<String> = series
        .iter()
        .map(|one| shown(one.values.last().copied()))
        .collect();
    html! {
        figure.chart {
            figcaption {
                strong { (title) }
                span.legend {
                    @for (place, (one, last)) in series.iter().zip(&last).enumerate() {
                        span class={ "k" (place + 1) } { (one.name) " " (last) }
                        " "
                    }
                    (unit)
                }
            }
            svg viewBox="0 0 600 120" preserveAspectRatio="none" role="img" aria-label=(spoken(title, unit, series)) {
                line.axis x1="0" y1="110" x2=(WIDTH) y2="110" vector-effect="non-scaling-stroke" {}
                line.axis x1="0" y1="10" x2=(WIDTH) y2="10" vector-effect="non-scaling-stroke" {}
                @for (place, one) in series.iter().enumerate() {
                    @let points = points(&one.values, most);
                    @if place == 0 {
                        polygon.area points={ "0,110 " (points) " " (WIDTH) ",110" } {}
                    }
                    polyline class={ "line s" (place + 1) } points=(points) {}
                }
                (columns(minutes, series))
            }
            div.scale { span { (minutes.first().map_or("", String::as_str)) } span { "max " (shown(Some(most))) } span { (minutes.last().map_or("", String::as_str)) } }
        }
    }
}

/// Returns what a pointer over a minute shows.
fn columns(minutes: &[String], series: &[Series<'_>]) -> Markup {
    let width = WIDTH / float(minutes.len().max(1));
    html! {
        @for (place, minute) in minutes.iter().enumerate() {
            rect.over x=(float(place) * width) y="10" width=(width) height=(HEIGHT) {
                title {
                    (minute)
                    @for one in series {
                        " · " (one.name) " " (shown(one.values.get(place).copied()))
                    }
                }
            }
        }
    }
}

fn points(values: &[f64], most: f64) -> String {
    let step = WIDTH / float(values.len().saturating_sub(1).max(1));
    let mut text = String::with_capacity(values.len() * 12);
    for (place, value) in values.iter().enumerate() {
        let y = 110.0 - value / most * HEIGHT;
        let _ = write!(text, "{:.1},{y:.1} ", float(place) * step);
    }
    text.pop();
    text
}

/// Returns what a chart says to those who do not see it.
fn spoken(title: &str, unit: &str, series: &[Series<'_>]) -> String {
    let mut text = format!("{title}, {unit}");
    for one in series {
        let most = one.values.iter().copied().fold(0.0, f64::max);
        let (last, most) = (shown(one.values.last().copied()), shown(Some(most)));
        let _ = write!(text, "; {}: {last} now, {most} at most", one.name);
    }
    text
}

/// Returns a round number that is not smaller.
fn nice(most: f64) -> f64 {
    if most <= 1.0 {
        return 1.0;
    }
    let unit = 10_f64.powf(most.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|step| step * unit >= most);
    step.unwrap_or(10.0) * unit
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "values are counts and durations, which are not negative"
)]
fn shown(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value >= 10.0 || value.fract() == 0.0 => number(value.round() as u64),
        Some(value) => format!("{value:.1}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "minutes of an hour")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_is_rounded_up() {
        for (most, expected) in [
            (0.0, 1.0),
            (1.0, 1.0),
            (3.0, 5.0),
            (5.0, 5.0),
            (101.0, 200.0),
        ] {
            assert!((nice(most) - expected).abs() < 1e-9, "{most}");
        }
    }

    #[test]
    fn points_go_from_the_left_to_the_right() {
        assert_eq!(
            points(&[0.0, 1.0, 2.0], 2.0),
            "0.0,110.0 300.0,60.0 600.0,10.0"
        );
        assert_eq!(points(&[], 1.0), "");
    }
}
