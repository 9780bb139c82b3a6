//! The text format of Prometheus (version 0.0.4): figures for whoever watches machines.
//!
//! Promises: names carry their units; each family has its help and type and stands in one piece; what comes from
//! outside is escaped; what is not known is left out, never zero.

mod measured;
mod status;

pub use measured::report;
pub use status::status;

use std::fmt::Write as _;

/// What the names begin with.
const PREFIX: &str = "nanna_cache_";

/// Families of figures, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposition {
    text: String,
}

/// What kind a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It may go up and down.
    Gauge,
    /// It only grows, until records are thinned.
    Counter,
}

/// The labels of a sample and its value; none: it is not known.
pub type Sample<'a> = (Vec<(&'a str, String)>, Option<f64>);

impl Exposition {
    /// Adds a family; one without a value that is known is left out. `name` has its unit at its end.
    pub fn family<'a>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'a>>,
    ) {
        let mut lines = String::new();
        for (labels, value) in samples {
            let Some(value) = value else { continue };
            let labels: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value, true)))
                .collect();
            let labels = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", labels.join(","))
            };
            let _ = writeln!(lines, "{PREFIX}{name}{labels} {}", number(value));
        }
        if lines.is_empty() {
            return;
        }
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let _ = write!(
            self.text,
            "# HELP {PREFIX}{name} {}\n# TYPE {PREFIX}{name} {kind}\n{lines}",
            escaped(help, false)
        );
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        // The shortest text that reads as the same number; whole numbers without a point.
        format!("{value}")
    }
}

/// Text as the format has it: in labels, quotes are escaped as well.
fn escaped(text: &str, is_label: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if is_label => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out
}

/// A number of things or bytes: exact up to 2⁵³, which is 8 PiB.
#[expect(
    clippy::cast_precision_loss,
    reason = "the format has no other numbers"
)]
fn whole(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_what_the_format_wants() {
        let mut all = Exposition::default();
        let label = |value: &str| vec![("cache", value.to_owned())];
        all.family(
            "used_bytes",
            Kind::Gauge,
            "How full,\nin bytes \\ \"so\".",
            [
                (label("a\"b\\c\nd"), Some(whole(1 << 40))),
                (label("unknown"), None),
                (Vec::new(), Some(0.5)),
            ],
        );
        all.family(
            "nothing_bytes",
            Kind::Gauge,
            "Is not known.",
            [(vec![], None)],
        );
        assert_eq!(
            all.into_text(),
            "# HELP nanna_cache_used_bytes How full,\\nin bytes \\\\ \"so\".\n\
             # TYPE nanna_cache_used_bytes gauge\n\
             nanna_cache_used_bytes{cache=\"a\\\"b\\\\c\\nd\"} 1099511627776\n\
             nanna_cache_used_bytes 0.5\n"
        );
        for (value, text) in [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (1e21, "1000000000000000000000"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
