//! The results of the echoes as pictures: rate, and processor time, by the number of connections.

use std::error::Error;
use std::fs;
use std::path::Path;

use plotters::prelude::*;

use crate::report::{Row, Table};

const SIZE: (u32, u32) = (860, 480);

/// Draws `rate.svg` and `processor.svg`, if there are several numbers of connections.
pub(crate) fn draw(folder: &Path, tables: &[Table]) -> Result<(), Box<dyn Error + Send + Sync>> {
    let is_curve = tables.windows(2).all(|pair| pair[0].connections < pair[1].connections);
    if tables.len() < 2 || !is_curve {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let (rate, cost) = ("requests per second", "processor time per request");
    draw_one(&folder.join("rate.svg"), rate, tables, |row| row.rate_ratio.median)?;
    draw_one(&folder.join("processor.svg"), cost, tables, |row| row.cost_ratio.median)?;
    Ok(())
}

fn draw_one(
    path: &Path,
    title: &str,
    tables: &[Table],
    value: impl Fn(&Row) -> f64,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let first = tables[0].rows.first().map_or("", |row| &row.server);
    let all = || tables.iter().flat_map(|table| &table.rows).map(&value);
    let (low, high) =
        all().fold((f64::MAX, f64::MIN), |(low, high), it| (low.min(it), high.max(it)));
    let connections = |table: &Table| table.connections as f64;
    let (least, most) = (connections(&tables[0]), tables.last().map_or(1.0, connections));
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("{title}, of {first}'s in the same round"), ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d((least..most).log_scale(), low * 0.95..high * 1.05)?;
    chart
        .configure_mesh()
        .x_desc("connections")
        .y_label_formatter(&|ratio| format!("{ratio:.2}"))
        .draw()?;
    // Each server once: the first one stands twice, and its copy is at its own ratio.
    for index in 0..tables[0].rows.len() {
        let name = &tables[0].rows[index].server;
        let points = tables
            .iter()
            .filter_map(|table| Some((connections(table), value(table.rows.get(index)?))));
        let points: Vec<_> = points.collect();
        let width = if name.starts_with("forebay") { 3 } else { 1 };
        let style = Palette99::pick(index).stroke_width(width);
        let label =
            if index == 1 && name == first { format!("{name}, again") } else { name.clone() };
        chart
            .draw_series(LineSeries::new(points, style).point_size(3))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.4))
        .draw()?;
    area.present()?;
    Ok(())
}
