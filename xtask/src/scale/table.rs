//! The tables of docs/SCALE.md.

#![expect(clippy::cast_precision_loss, reason = "counts of connections fit a float exactly")]

use anyhow::Result;

use super::costs::{self, Cost};
use super::day::{Day, Outcome};
use super::plan::{Defaults, PLANS, Plan};

/// The same in every run: the page is compared with what comes out.
const SEED: u64 = 2_026;
/// No server is planned to be busier, so that a herd leaves room for people.
const BUSY_AT_MOST: f64 = 0.5;

/// Everything that the simulation says, as the page has it.
pub(crate) fn page() -> Result<String> {
    let defaults = Defaults::read()?;
    let days: Vec<(Plan, Outcome)> = PLANS.iter().map(|plan| (*plan, Day::new(*plan, &defaults, SEED).run())).collect();
    Ok([costs_table(), days_table(&days), needs_table(&days)].join("\n\n"))
}

fn costs_table() -> String {
    let mut lines = vec!["| each refresh costs | | measured how |".to_owned(), "| --- | --- | --- |".to_owned()];
    let row = |cost: &Cost| {
        format!("| {} | {} {} | {} |", cost.what, number(cost.value), cost.unit, cost.conditions).replace("  |", " |")
    };
    lines.extend(costs::ALL.iter().map(row));
    let bytes = costs::message_bytes();
    lines.push(format!(
        "| both messages | {bytes} bytes | as the product encodes them; a quorum queue keeps three copies |"
    ));
    lines.join("\n")
}

/// The name of a line, and what it says of a plan.
type Row<'a, T> = (&'a str, &'a dyn Fn(&T) -> String);

/// A table with a column for each plan.
fn table<T>(head: &str, days: &[T], column: impl Fn(&T) -> String, rows: &[Row<'_, T>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let mut lines = vec![
        line(std::iter::once(head.to_owned()).chain(days.iter().map(column)).collect()),
        line(vec!["---".to_owned(); days.len() + 1]),
    ];
    for (name, cell) in rows {
        lines.push(line(std::iter::once((*name).to_owned()).chain(days.iter().map(cell)).collect()));
    }
    lines.join("\n")
}

fn column(day: &(Plan, Outcome)) -> String {
    format!("{} million", day.0.connections / 1_000_000)
}

fn days_table(days: &[(Plan, Outcome)]) -> String {
    table(
        "the day of",
        days,
        column,
        &[
            ("refreshes a second, a quiet hour", &|(_, day)| whole(day.quiet_hour / 3_600)),
            ("in the busiest second of it", &|(_, day)| whole(day.quiet_peak)),
            ("tokens that ended unrefreshed", &|(_, day)| whole(day.quiet_expired)),
            ("limit of the rate, as set", &|(plan, _)| whole(plan.per_second.into())),
            ("calls while the provider is away", &|(_, day)| whole(day.probes)),
            ("due at once, at most", &|(_, day)| whole(day.backlog_peak)),
            ("tokens ended, at most", &|(_, day)| whole(day.expired_peak)),
            ("busiest second of the herd", &|(_, day)| whole(day.herd_peak)),
            ("every token good again after", &|(_, day)| minutes(day.whole_after)),
            ("nothing waits any more after", &|(_, day)| minutes(day.drained_after)),
            ("second wave, busiest minute, by the second", &|(_, day)| whole(day.echo_peak)),
            ("tokens ended in the second wave", &|(_, day)| whole(day.late_expired)),
            ("refreshes in the day", &|(_, day)| whole(day.refreshed)),
        ],
    )
}

fn needs_table(days: &[(Plan, Outcome)]) -> String {
    let rate = |plan: &Plan| f64::from(plan.per_second);
    let cores = |rate: f64, cost: Cost| number((rate * cost.value / 1e6 / BUSY_AT_MOST * 10.0).ceil() / 10.0);
    let quiet = |day: &Outcome| day.quiet_hour as f64 / 3_600.0;
    let megabytes = |rate: f64, cost: Cost| format!("{} MB/s", number((rate * cost.value / 1e5).ceil() / 10.0));
    table(
        "a deployment for",
        days,
        column,
        &[
            ("provider's budget, calls a second", &|(plan, _)| whole(plan.per_second.into())),
            ("cores for workers and scheduler", &|(plan, _)| cores(rate(plan), costs::CPU_OURS)),
            ("cores for PostgreSQL", &|(plan, _)| cores(rate(plan), costs::CPU_STORE)),
            ("cores for RabbitMQ, each node of a quorum", &|(plan, _)| cores(rate(plan), costs::CPU_BROKER)),
            ("commits a second, quiet", &|(_, day)| number((quiet(day) * costs::COMMITS.value).ceil())),
            ("commits a second, herd", &|(plan, _)| number((rate(plan) * costs::COMMITS.value).ceil())),
            ("write-ahead log, quiet", &|(_, day)| megabytes(quiet(day), costs::WAL)),
            ("write-ahead log, herd", &|(plan, _)| megabytes(rate(plan), costs::WAL)),
            ("messages a second, herd", &|(plan, _)| number(rate(plan) * costs::MESSAGES.value)),
            ("network to the provider, herd", &|(plan, _)| megabytes(rate(plan), costs::WIRE)),
            ("database, without history", &|(plan, _)| {
                format!("{} GB", number((plan.connections as f64 * costs::STORED.value / 1e8).ceil() / 10.0))
            }),
            ("deployments of the size that was measured", &|(plan, _)| {
                number((rate(plan) / costs::MEASURED_RATE.value).ceil())
            }),
        ],
    )
}

/// With commas between the thousands.
fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn number(value: f64) -> String {
    if value.fract().abs() > f64::EPSILON {
        return format!("{value}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes and rates")]
    let rounded = value as u64;
    whole(rounded)
}

fn minutes(seconds: u32) -> String {
    format!("{} min {} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_people() {
        assert_eq!([whole(7), whole(1_234), whole(100_000_000)], ["7", "1,234", "100,000,000"]);
        assert_eq!([number(0.02), number(51.0), number(2_500.0)], ["0.02", "51", "2,500"]);
        assert_eq!(minutes(125), "2 min 5 s");
    }
}
