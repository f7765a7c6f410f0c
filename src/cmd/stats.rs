//! `evergrant stats`: what is done for whom, and what that suggests.

use std::fmt::Write as _;

use evergrant_api::{UsageQuestion, UsageReport};

use super::{clock, with_store};
use crate::cli::StatsArgs;
use crate::config::Config;
use crate::exit::Failed;
use crate::output::{Output, Table};
use crate::settings;

pub(super) async fn run(config: &Config, args: &StatsArgs) -> Result<(), Failed> {
    let question = UsageQuestion { days: args.days, by: args.by, limit: args.top, user: args.user.clone() };
    let (present, now) = (settings::usage(config), clock().now());
    let report =
        with_store(config, async |store| Ok(UsageReport::read(&*store, present, now, &question).await?)).await?;
    Ok(Output::stdout(args.output.json).data(&report, |report| text(report, args))?)
}

fn text(report: &UsageReport, args: &StatsArgs) -> String {
    let mut text = format!("From {} to {}, by day in UTC:\n\n", report.since, report.until);
    if report.days.is_empty() {
        text.push_str("Nothing was counted. Processes write what they counted once a minute, and when they end.\n");
    } else {
        let mut table = Table::new([
            "day",
            "provider",
            "users",
            "refreshes",
            "failures",
            "forced",
            "calls",
            "left mean",
            "left least",
            "ended",
        ]);
        for day in &report.days {
            let (counts, left) = (&day.counts, day.counts.left.as_ref());
            let seconds = |of: Option<i64>| of.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
            table.row([
                day.day.to_string(),
                day.provider.clone(),
                day.users.to_string(),
                counts.refreshes.to_string(),
                counts.failures.to_string(),
                counts.forced.to_string(),
                counts.calls.to_string(),
                seconds(left.map(|left| left.mean_seconds)),
                seconds(left.map(|left| left.least_seconds)),
                left.map_or_else(|| "-".to_owned(), |left| left.ended.to_string()),
            ]);
        }
        let _ = write!(text, "{table}");
    }
    if !report.users.is_empty() {
        let mut table = Table::new(["user", "provider", "refreshes", "failures", "forced", "calls"]);
        for user in &report.users {
            table.row([
                user.user_id.clone(),
                user.provider.clone(),
                user.counts.refreshes.to_string(),
                user.counts.failures.to_string(),
                user.counts.forced.to_string(),
                user.counts.calls.to_string(),
            ]);
        }
        let _ = write!(text, "\nThose with the most {}:\n\n{table}", args.by);
    }
    let unused = &report.unused;
    let _ = write!(text, "\nUnused for {} days: {} of {} connections", unused.days, unused.connections, unused.of);
    text.push_str(if unused.rest { ", which rest until somebody uses them.\n" } else { ".\n" });
    for suggestion in &report.suggestions {
        let (setting, now, better, why) = (&suggestion.setting, suggestion.now, suggestion.better, &suggestion.why);
        let _ = write!(text, "\nSuggestion: {setting} = {better} (now {now}): {why}.\n");
    }
    text
}
