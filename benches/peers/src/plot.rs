//! How a decision's cost grows with the number of policies, as a picture.

use std::{collections::BTreeMap, error::Error};

use plotters::prelude::*;

use crate::table::{Table, folder};

/// Writes `growth.svg` beside the table.
pub(crate) fn write(table: &Table) {
    draw(table).expect("the picture can be drawn");
}

fn draw(table: &Table) -> Result<(), Box<dyn Error>> {
    let mut curves: BTreeMap<(&str, &str), Vec<(f64, f64)>> = BTreeMap::new();
    for row in &table.rows {
        // Variants that differ in their facts alone lie upon each other.
        if !row.variant.contains(',') {
            curves.entry((row.engine, row.variant)).or_default().push((row.policies as f64, row.allow.p50));
        }
    }
    let most = table.rows.iter().map(|it| it.policies as f64).fold(0.0, f64::max);
    let slowest = table.rows.iter().map(|it| it.allow.p50).fold(0.0, f64::max);
    let path = folder().join("growth.svg");
    let area = SVGBackend::new(&path, (900, 560)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("one decision: median nanoseconds by number of policies", ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(84)
        .build_cartesian_2d((8.0..most * 60.0).log_scale(), (10.0..slowest * 2.0).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("policies")
        .y_desc("nanoseconds")
        .x_label_formatter(&|it| if *it <= most * 1.01 { format!("{it:.0}") } else { String::new() })
        .y_label_formatter(&|it| format!("{it:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for (at, ((engine, variant), points)) in curves.iter().enumerate() {
        let is_ours = matches!(*engine, "gatehouse" | "by hand");
        let color = if is_ours { Palette99::pick(at).to_rgba() } else { RGBColor(150, 150, 150).to_rgba() };
        let style = color.stroke_width(if is_ours { 3 } else { 1 });
        chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
        chart.draw_series(points.iter().map(|it| Circle::new(*it, 3, color.filled())))?;
        if let Some(last) = points.last() {
            let label = Text::new(
                format!("{engine}, {variant}"),
                (last.0 * 1.25, last.1 * 1.15),
                ("sans-serif", 13).into_font(),
            );
            chart.draw_series([label])?;
        }
    }
    area.present()?;
    Ok(())
}
