//! A picture: bytes a second over time.

use std::fmt::Write;

/// Bytes that had come, and when, in seconds.
pub type Samples = Vec<(f64, u64)>;

/// A line of the picture.
pub struct Curve {
    pub name: String,
    pub colour: &'static str,
    pub samples: Samples,
}

/// Rates are averages over this many seconds.
const STEP: f64 = 0.1;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;

/// Room around the plot.
const LEFT: f64 = 60.0;
const TOP: f64 = 50.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 50.0;

/// The picture as SVG. `limit`: what the link carries, in bytes a second.
pub fn svg(title: &str, curves: &[Curve], limit: f64) -> String {
    let ends = curves.iter().filter_map(|c| c.samples.last());
    let seconds = ends.map(|(at, _)| *at).fold(1.0, f64::max).ceil();
    let rates: Vec<Vec<f64>> = curves.iter().map(|c| rates(&c.samples)).collect();
    let fastest = rates.iter().flatten().copied().fold(limit, f64::max);
    let top = (fastest / 20e6).ceil() * 20.0;
    let x = |second: f64| LEFT + second / seconds * (WIDTH - LEFT - RIGHT);
    let y = |mb: f64| HEIGHT - BOTTOM - mb / top * (HEIGHT - TOP - BOTTOM);
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{text}");
    };
    line(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">"
    ));
    line(format_args!(
        "<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/><text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{title}</text>"
    ));
    for step in 0..=5 {
        let mb = top / 5.0 * f64::from(step);
        let (y, right) = (y(mb), WIDTH - RIGHT);
        line(format_args!(
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{mb:.0}</text>",
            LEFT - 6.0,
            y + 4.0
        ));
    }
    let each = (seconds / 12.0).ceil() as usize;
    for second in (0..=seconds as usize).step_by(each) {
        let x = x(second as f64);
        line(format_args!(
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{second} s</text>",
            HEIGHT - BOTTOM + 18.0
        ));
    }
    line(format_args!(
        "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#666\">MB/s</text>",
        LEFT - 44.0,
        TOP - 10.0
    ));
    line(format_args!(
        "<path d=\"M{LEFT} {0:.1}H{1}\" stroke=\"#999\" stroke-dasharray=\"6 4\"/><text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\" fill=\"#666\">the link</text>",
        y(limit / 1e6),
        WIDTH - RIGHT,
        y(limit / 1e6) - 5.0
    ));
    for (at, (curve, rates)) in curves.iter().zip(&rates).enumerate() {
        let mut path = String::new();
        for (step, rate) in rates.iter().enumerate() {
            let letter = if step == 0 { 'M' } else { 'L' };
            let (x, y) = (x((step as f64 + 0.5) * STEP), y(rate / 1e6));
            let _ = write!(path, "{letter}{x:.1} {y:.1}");
        }
        let (name, colour) = (&curve.name, curve.colour);
        line(format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        ));
        let x = LEFT + 10.0 + 330.0 * at as f64;
        line(format_args!(
            "<path d=\"M{x} 38h24\" stroke=\"{colour}\" stroke-width=\"3\"/><text x=\"{}\" y=\"42\">{name}</text>",
            x + 30.0
        ));
    }
    line(format_args!("</svg>"));
    out
}

/// Bytes a second in each step of time.
fn rates(samples: &Samples) -> Vec<f64> {
    let end = samples.last().map_or(0.0, |(at, _)| *at);
    let come = |by: f64| samples[..samples.partition_point(|(at, _)| *at <= by)].last();
    let come = |by: f64| come(by).map_or(0, |(_, bytes)| *bytes);
    let steps = (end / STEP).ceil() as usize;
    let step = |at: usize| {
        let (from, to) = (at as f64 * STEP, ((at + 1) as f64 * STEP).min(end));
        (come(to) - come(from)) as f64 / (to - from).max(STEP / 4.0)
    };
    (0..steps).map(step).collect()
}
