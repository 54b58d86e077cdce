//! The measurements as a table.

use std::fmt;
use std::time::Duration;

use crate::load::Load;
use crate::server::{Latency, Round, Server};

/// The results of one workload.
pub(crate) struct Table {
    pub(crate) load: String,
    pub(crate) connections: usize,
    unit: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// The results of one server, the ratios to the first one in the same round.
pub(crate) struct Row {
    pub(crate) server: String,
    rate: f64,
    cost: f64,
    pub(crate) rate_ratio: Spread,
    pub(crate) cost_ratio: Spread,
    /// In microseconds; not a number where no answer has a request of its own.
    latencies: [f64; 2],
}

/// A median with its quartiles.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    low: f64,
    pub(crate) median: f64,
    high: f64,
}

impl Table {
    pub(crate) fn of(load: &Load, servers: &[Server]) -> Self {
        let rows = servers.iter().map(|server| {
            let all = |value: fn(&Round) -> f64| Spread::of(server.rounds.iter().map(value));
            let beside = |value: fn(&Round) -> f64| {
                let first = servers.first().map_or(&[][..], |first| &first.rounds);
                Spread::of(
                    server.rounds.iter().zip(first).map(|(own, first)| value(own) / value(first)),
                )
            };
            let microseconds = |value: fn(&Latency) -> Duration| {
                let all = server.rounds.iter().filter_map(|round| round.latency.as_ref());
                Spread::of(all.map(|latency| value(latency).as_nanos() as f64 / 1e3)).median
            };
            Row {
                latencies: [microseconds(|it| it.median), microseconds(|it| it.high)],
                server: server.name.clone(),
                rate: all(|round| round.rate).median,
                cost: all(|round| round.cost).median,
                rate_ratio: beside(|round| round.rate),
                cost_ratio: beside(|round| round.cost),
            }
        });
        Self {
            load: load.name.clone(),
            connections: load.connections,
            unit: load.unit,
            rows: rows.collect(),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit;
        writeln!(f, "{}\n", self.load)?;
        write!(f, "| server | {unit} per second | ratio | processor, ns | ratio |")?;
        let has_latencies = self.rows.iter().all(|row| row.latencies[0].is_finite());
        let (more, rule) = if has_latencies { (" p50, p99 in µs |", "---|") } else { ("", "") };
        writeln!(f, "{more}\n|---|---|---|---|---|{rule}")?;
        for Row { server, rate, cost, rate_ratio, cost_ratio, latencies: [median, high] } in
            &self.rows
        {
            write!(f, "| {server} | {rate:.0} | {rate_ratio} | {cost:.0} | {cost_ratio} |")?;
            if has_latencies {
                write!(f, " {median:.0}, {high:.0} |")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |quarter| values.get(values.len() * quarter / 4).copied().unwrap_or(f64::NAN);
        Self { low: at(1), median: at(2), high: at(3) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ({:.3} to {:.3})", self.median, self.low, self.high)
    }
}
