//! How a decision's cost grows with the number of policies, as a picture.

use std::{collections::BTreeMap, error::Error};

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::table::{Table, folder};

/// The part of the picture's height that a label takes.
const LABEL_HEIGHT: f64 = 0.034;

/// The lowest cost that is shown.
const LEAST: f64 = 10.0;

/// Writes `growth.svg` beside the table.
pub(crate) fn write(table: &Table) {
    draw(table).expect("the picture can be drawn");
}

fn draw(table: &Table) -> Result<(), Box<dyn Error>> {
    let mut curves: BTreeMap<(&str, &str), Vec<(f64, f64)>> = BTreeMap::new();
    for row in &table.rows {
        // Variants that differ in their facts alone lie upon each other; what explains answers another question.
        if !row.variant.contains(',') && row.variant != "explained" {
            curves.entry((row.engine, row.variant)).or_default().push((row.policies as f64, row.costs.allow.p50));
        }
    }
    let most = table.rows.iter().map(|it| it.policies as f64).fold(0.0, f64::max);
    let slowest = table.rows.iter().map(|it| it.costs.allow.p50).fold(0.0, f64::max);
    let path = folder().join("growth.svg");
    let area = SVGBackend::new(&path, (900, 560)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("one decision: median nanoseconds by number of policies", ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(84)
        .build_cartesian_2d((8.0..most * 60.0).log_scale(), (LEAST..slowest * 2.0).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("policies")
        .y_desc("nanoseconds")
        .x_label_formatter(&|it| if *it <= most * 1.01 { format!("{it:.0}") } else { String::new() })
        .y_label_formatter(&|it| format!("{it:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    let mut labels: Vec<(f64, f64, String, RGBColor)> = Vec::new();
    for ((engine, variant), points) in &curves {
        let (color, width) = match (*engine, *variant) {
            ("gatehouse", "prepared") => (RGBColor(0, 110, 90), 3),
            ("gatehouse", _) => (RGBColor(90, 180, 160), 3),
            ("by hand", _) => (RGBColor(30, 60, 160), 3),
            _ => (RGBColor(120, 120, 120), 1),
        };
        chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(width)))?;
        chart.draw_series(points.iter().map(|it| Circle::new(*it, 3, color.filled())))?;
        labels.extend(points.last().map(|last| (last.0, last.1, format!("{engine}, {variant}"), color)));
    }
    labels.sort_by(|a, b| b.1.total_cmp(&a.1));
    let apart = (slowest * 2.0 / LEAST).powf(LABEL_HEIGHT);
    let mut above = f64::INFINITY;
    for (x, y, text, color) in labels {
        // Else those of curves that end side by side would lie upon each other.
        above = f64::min(y, above / apart);
        chart.draw_series([PathElement::new([(x * 1.05, y), (x * 1.25, above)], color.mix(0.5))])?;
        let style = ("sans-serif", 13).into_font().color(&color.mix(1.0)).pos(Pos::new(HPos::Left, VPos::Center));
        chart.draw_series([Text::new(text, (x * 1.3, above), style)])?;
    }
    area.present()?;
    Ok(())
}
