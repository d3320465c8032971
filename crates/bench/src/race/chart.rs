//! Bars on a logarithmic scale, as an SVG file.

use std::path::Path;

use svg::Document;
use svg::node::element::{Line, Rectangle, Text};

use super::results::{Growth, Results, short};
use crate::Fallible;

const COLOURS: [&str; 5] = ["#1b6ca8", "#d1495b", "#8f9aa3", "#edae49", "#4f9d69"];
const BAR: f64 = 11.0;
const GAP: f64 = 8.0;
const LABELS: f64 = 300.0;
const WIDTH: f64 = 640.0;
/// Space for the values after the longest bars.
const MARGIN: f64 = 70.0;
const TOP: f64 = 70.0;
const FONT: &str = "sans-serif";

/// Groups of bars side by side.
struct Chart {
    title: String,
    series: Vec<String>,
    groups: Vec<(String, Vec<Option<f64>>)>,
}

/// Requests a second of every workload.
pub(super) fn rates(race: &Results, file: &Path) -> Fallible<()> {
    let groups = race.rows.iter().map(|row| {
        let values = row.figures.iter().map(|figures| figures.as_ref().map(|figures| figures.per_second));
        (format!("{}, {} conn.", row.title, row.connections), values.collect())
    });
    Chart {
        title: format!("Requests a second with {} accounts", race.accounts),
        series: race.targets.iter().map(|about| about.name.clone()).collect(),
        groups: groups.collect(),
    }
    .save(file)
}

/// The growth of every workload from the fewest to the most accounts.
pub(super) fn growth(growth: &[Growth], file: &Path) -> Fallible<()> {
    let mut series: Vec<String> = growth.iter().map(|of| of.target.clone()).collect();
    series.dedup();
    let mut groups: Vec<(String, Vec<Option<f64>>)> = Vec::new();
    for of in growth {
        let label = format!("{}, {} conn.", of.title, of.connections);
        let at = series.iter().position(|name| *name == of.target).unwrap_or_default();
        let group = groups.iter().position(|(known, _)| *known == label).unwrap_or_else(|| {
            groups.push((label, vec![None; series.len()]));
            groups.len() - 1
        });
        if let Some(value) = groups.get_mut(group).and_then(|(_, values)| values.get_mut(at)) {
            *value = of.ratio();
        }
    }
    let sizes = || growth.iter().flat_map(|of| &of.medians).map(|(accounts, _)| *accounts);
    let (fewest, most) = (sizes().min().unwrap_or_default(), sizes().max().unwrap_or_default());
    let title = format!("Median with {most} accounts, as a multiple of that with {fewest}");
    Chart { title, series, groups }.save(file)
}

fn text(content: impl Into<String>, x: f64, y: f64, anchor: &str) -> Text {
    Text::new(content)
        .set("x", x)
        .set("y", y)
        .set("text-anchor", anchor)
        .set("font-family", FONT)
        .set("font-size", 11)
}

fn line(x: f64, bottom: f64, colour: &str) -> Line {
    Line::new().set("x1", x).set("x2", x).set("y1", TOP).set("y2", bottom).set("stroke", colour)
}

/// A colour for each series, cyclically.
fn colours() -> impl Iterator<Item = &'static str> {
    COLOURS.into_iter().cycle()
}

impl Chart {
    fn save(&self, file: &Path) -> Fallible<()> {
        let values = || self.groups.iter().flat_map(|(_, values)| values).flatten().copied();
        let positive = || values().filter(|value| *value > 0.0);
        let low = positive().fold(1.0, f64::min).log10().floor();
        let high = positive().fold(10.0, f64::max).log10().ceil();
        let at = |value: f64| LABELS + (value.log10() - low) / (high - low) * WIDTH;

        let lines = f64::from(u32::try_from(self.series.len())?);
        let each = BAR * lines + GAP;
        let bottom = TOP + each * f64::from(u32::try_from(self.groups.len())?);
        let (width, height) = (LABELS + WIDTH + MARGIN, bottom + 30.0);
        let background = Rectangle::new().set("width", width).set("height", height).set("fill", "white");
        let title = text(&self.title, 10.0, 22.0, "start").set("font-size", 16);
        let mut document =
            Document::new().set("viewBox", (0.0, 0.0, width, height)).add(background).add(title);

        let mut x = LABELS;
        for (name, colour) in self.series.iter().zip(colours()) {
            let mark = Rectangle::new().set("x", x).set("y", 38.0).set("width", BAR).set("height", BAR);
            document = document.add(mark.set("fill", colour)).add(text(name, x + BAR + 5.0, 48.0, "start"));
            x += 140.0;
        }
        let mut power = low;
        while power <= high {
            let value = 10_f64.powf(power);
            let digits = if power < 0.0 { short(value) } else { format!("{value:.0}") };
            document = document.add(line(at(value), bottom, "#dddddd")).add(text(
                digits,
                at(value),
                bottom + 18.0,
                "middle",
            ));
            power += 1.0;
        }
        let mut y = TOP;
        for (label, values) in &self.groups {
            let middle = y + BAR * lines / 2.0 + 4.0;
            document = document.add(text(label, LABELS - 8.0, middle, "end"));
            for (value, colour) in values.iter().zip(colours()) {
                if let Some(value) = value.filter(|value| *value > 0.0) {
                    let bar = Rectangle::new().set("x", LABELS).set("y", y).set("height", BAR - 1.0);
                    let bar = bar.set("width", (at(value) - LABELS).max(1.0)).set("fill", colour);
                    document =
                        document.add(bar).add(text(short(value), at(value) + 4.0, y + BAR - 2.0, "start"));
                }
                y += BAR;
            }
            y += GAP;
        }
        document = document.add(line(LABELS, bottom, "#444444"));
        Ok(svg::save(file, &document)?)
    }
}
