//! Charts as SVG: lines over runs, and bars. Series differ by dash, place and name, not by colour alone.

use std::fmt::Write as _;

use super::{Unit, escape};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 280.0;
/// Room for the numbers at the left, the names of series at the right, and the names of points below.
const LEFT: f64 = 84.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;
/// Lines across.
const STEPS: u32 = 4;
/// Names of points that have room side by side.
const NAMES: usize = 8;
/// Looks of series; what is beyond them repeats the last.
const LOOKS: usize = 7;

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// How values are drawn.
    pub kind: Kind,
    /// Names of the points, from left to right.
    pub points: Vec<String>,
    /// The values.
    pub series: Vec<Series>,
    /// A line across, with its name.
    pub target: Option<(f64, String)>,
    /// What the values are.
    pub unit: Unit,
}

/// How values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A line for each series.
    Lines,
    /// A bar for each point, the values of the series upon one another.
    Stacks,
}

/// The values of one series, by point; none: nothing is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its values.
    pub values: Vec<Option<f64>>,
}

impl Chart {
    /// The chart as SVG; `id` is unlike that of any other on the page.
    pub(super) fn svg(&self, id: &str, title: &str) -> String {
        let Self {
            kind,
            points,
            series,
            target,
            unit,
        } = self;
        let is_stacked = *kind == Kind::Stacks;
        let field = Field {
            points: points.len(),
            top: unit.round_up(
                highest(points.len(), series, is_stacked)
                    .max(target.as_ref().map_or(0.0, |it| it.0)),
            ),
            is_stacked,
        };
        let id = escape(id);
        let mut out = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
             <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n",
            escape(title),
            escape(&described(points, series, *unit))
        );
        axes(&field, points, *unit, &mut out);
        if is_stacked {
            bars(&field, series, &mut out);
        } else {
            lines(&field, series, &mut out);
        }
        if let Some((value, name)) = target {
            let y = field.y(*value);
            // Written last, and with a rim: lines may run behind it.
            let _ = writeln!(
                out,
                "<line class=\"target\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                WIDTH - RIGHT,
                LEFT + 4.0,
                y - 4.0,
                escape(name)
            );
        }
        names(&field, series, &mut out);
        out.push_str("</svg>\n");
        out
    }
}

/// Where values are drawn.
struct Field {
    points: usize,
    /// The highest value.
    top: f64,
    is_stacked: bool,
}

impl Field {
    #[expect(clippy::cast_precision_loss, reason = "numbers of points are small")]
    fn x(&self, at: usize) -> f64 {
        let room = WIDTH - LEFT - RIGHT;
        if self.is_stacked {
            LEFT + room * (at as f64 + 0.5) / self.points.max(1) as f64
        } else if self.points < 2 {
            LEFT + room / 2.0
        } else {
            LEFT + room * at as f64 / (self.points - 1) as f64
        }
    }

    fn y(&self, value: f64) -> f64 {
        let room = HEIGHT - TOP - BOTTOM;
        HEIGHT - BOTTOM - room * (value / self.top).clamp(0.0, 1.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of points are small")]
    fn bar(&self) -> f64 {
        ((WIDTH - LEFT - RIGHT) / self.points.max(1) as f64 * 0.7).min(64.0)
    }
}

/// What a value counts as in a picture: no number that cannot be drawn.
fn drawn(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite() && *value >= 0.0)
}

fn at(series: &Series, point: usize) -> Option<f64> {
    drawn(series.values.get(point).copied().flatten())
}

fn highest(points: usize, series: &[Series], is_stacked: bool) -> f64 {
    let of = |point: usize| {
        let values = series.iter().filter_map(move |one| at(one, point));
        if is_stacked {
            values.sum()
        } else {
            values.fold(0.0, f64::max)
        }
    };
    (0..points).map(of).fold(0.0, f64::max)
}

/// The picture in words, for those who do not see it: where each series begins and ends.
fn described(points: &[String], series: &[Series], unit: Unit) -> String {
    let one = |series: &Series| {
        let known: Vec<(usize, f64)> = (0..points.len())
            .filter_map(|point| Some((point, at(series, point)?)))
            .collect();
        match known.as_slice() {
            [] => format!("{}: nothing is known.", series.name),
            [(point, value)] => format!(
                "{}: {} at {}.",
                series.name,
                unit.text(*value),
                points[*point]
            ),
            [(first, from), .., (last, to)] => format!(
                "{}: from {} at {} to {} at {}.",
                series.name,
                unit.text(*from),
                points[*first],
                unit.text(*to),
                points[*last]
            ),
        }
    };
    let words: Vec<String> = series.iter().map(one).collect();
    words.join(" ")
}

fn axes(field: &Field, points: &[String], unit: Unit, out: &mut String) {
    for step in 0..=STEPS {
        let value = field.top * f64::from(step) / f64::from(STEPS);
        let y = field.y(value);
        let _ = writeln!(
            out,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            escape(&unit.text(value))
        );
    }
    let every = points.len().div_ceil(NAMES).max(1);
    for (at, name) in points.iter().enumerate().step_by(every) {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            field.x(at),
            HEIGHT - BOTTOM + 20.0,
            escape(name)
        );
    }
}

fn lines(field: &Field, series: &[Series], out: &mut String) {
    let (radius, size) = if field.points > 40 {
        (2.0, " small")
    } else {
        (4.0, "")
    };
    for (look, one) in series.iter().enumerate() {
        let look = look.min(LOOKS - 1);
        let mut path = String::new();
        let mut is_drawing = false;
        let mut marks = String::new();
        for point in 0..field.points {
            // Where nothing is known the line is broken.
            let Some(value) = at(one, point) else {
                is_drawing = false;
                continue;
            };
            let (x, y) = (field.x(point), field.y(value));
            let _ = write!(
                path,
                "{}{x:.1} {y:.1}",
                if is_drawing { " L" } else { " M" }
            );
            is_drawing = true;
            let _ = write!(
                marks,
                "<circle class=\"point{size} f{look}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
            );
        }
        if !path.is_empty() {
            let _ = writeln!(
                out,
                "<path class=\"line s{look}\" d=\"{}\"/>{marks}",
                path.trim_start()
            );
        }
    }
}

fn bars(field: &Field, series: &[Series], out: &mut String) {
    let width = field.bar();
    for point in 0..field.points {
        let mut below = 0.0;
        for (look, one) in series.iter().enumerate() {
            let Some(value) = at(one, point).filter(|value| *value > 0.0) else {
                continue;
            };
            let (from, to) = (field.y(below), field.y(below + value));
            let _ = writeln!(
                out,
                "<rect class=\"bar f{}\" x=\"{:.1}\" y=\"{to:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>",
                look.min(LOOKS - 1),
                field.x(point) - width / 2.0,
                (from - to).max(0.5)
            );
            below += value;
        }
    }
}

/// The name of each series beside where it ends, or below the one before.
fn names(field: &Field, series: &[Series], out: &mut String) {
    let mut places: Vec<(f64, usize)> = Vec::new();
    let mut below = 0.0;
    for (number, one) in series.iter().enumerate() {
        let last = (0..field.points).rev().find_map(|point| at(one, point));
        let value = last.unwrap_or(0.0);
        let y = if field.is_stacked {
            below += value;
            field.y(below - value / 2.0)
        } else {
            field.y(value)
        };
        places.push((y, number));
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = TOP + 8.0;
    for (y, number) in places {
        let y = y.max(free);
        free = y + 15.0;
        let _ = writeln!(
            out,
            "<rect class=\"f{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"10\" height=\"10\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            number.min(LOOKS - 1),
            WIDTH - RIGHT + 12.0,
            y - 5.0,
            WIDTH - RIGHT + 28.0,
            y + 4.0,
            escape(&series[number].name)
        );
    }
}
