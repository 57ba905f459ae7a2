//! Messages a second over time as a picture.

use super::report::Report;
use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
/// Room for the labels on the left and below, and for the title above.
const MARGIN: (f64, f64, f64) = (80.0, 40.0, 36.0);

/// Draws the series of a report, or nothing if it has none.
pub(crate) fn svg(report: &Report) -> Option<String> {
    let last = report.series.last()?.0.max(1e-9);
    let most = report.series.iter().map(|(_, rate)| *rate);
    let top = round_up(most.fold(1.0, f64::max));
    let (left, below, above) = MARGIN;
    let x = |seconds: f64| left + seconds / last * (WIDTH - left - 20.0);
    let y = |rate: f64| HEIGHT - below - rate / top * (HEIGHT - below - above);
    let points: Vec<String> = report
        .series
        .iter()
        .map(|(seconds, rate)| format!("{:.1},{:.1}", x(*seconds), y(*rate)))
        .collect();

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{left}\" y=\"22\" font-size=\"14\">{}: messages handled a second</text>\n",
        report.case
    );
    for step in 0..=4 {
        let rate = top * f64::from(step) / 4.0;
        let at = y(rate);
        push(
            &mut svg,
            format_args!(
                "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{rate:.0}</text>\n",
                x(last),
                left - 8.0,
                at + 4.0
            ),
        );
        let seconds = last * f64::from(step) / 4.0;
        push(
            &mut svg,
            format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{seconds:.0} s</text>\n",
                x(seconds),
                HEIGHT - below + 20.0
            ),
        );
    }
    push(
        &mut svg,
        format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f6feb\" stroke-width=\"1.5\"/>\n</svg>\n",
            points.join(" ")
        ),
    );
    Some(svg)
}

fn push(svg: &mut String, line: std::fmt::Arguments<'_>) {
    svg.write_fmt(line)
        .expect("writing to a string cannot fail");
}

/// Returns the next number of one digit and zeros, so that a scale has round labels.
fn round_up(number: f64) -> f64 {
    let power = 10_f64.powf(number.log10().floor());
    (number / power).ceil() * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_becomes_a_line_within_the_picture() {
        let mut report = Report::new("held", 3);
        assert_eq!(svg(&report), None);

        report.series = vec![(1.0, 800.0), (2.0, 780.0), (3.0, 0.0)];
        let picture = svg(&report).unwrap();
        assert!(
            picture.contains("held: messages handled a second"),
            "{picture}"
        );
        assert!(
            picture.contains("points=\"286.7,36.0 493.3,41.6 700.0,260.0\""),
            "{picture}"
        );
    }

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!(round_up(781.0), 800.0);
        assert_eq!(round_up(800.0), 800.0);
        assert_eq!(round_up(123_456.0), 200_000.0);
    }
}
