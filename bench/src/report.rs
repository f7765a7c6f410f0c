//! What a run leaves: a table for people, JSON for programs. Pure, but for writing the file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::figure::{Figure, Target, Verdict};
use crate::scale::Scale;

/// What it ran on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The model of its CPU.
    pub cpu: String,
    /// How many there are.
    pub cpus: usize,
    /// Its memory, in bytes.
    pub memory: u64,
    /// Its kernel.
    pub kernel: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = after(&text("/proc/meminfo"), "MemTotal");
        Self {
            cpu: after(&text("/proc/cpuinfo"), "model name"),
            cpus: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            memory: memory.trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024,
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// When it began, in UTC.
    pub at: String,
    /// How much was measured.
    pub scale: Scale,
    /// What was measured: `evergrant --version`.
    pub program: String,
    /// On what.
    pub machine: Machine,
    /// The servers.
    pub servers: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// The figures.
    pub figures: Vec<Figure>,
    /// Measurements that came to no figure, and why.
    pub failed: Vec<(String, String)>,
}

impl Report {
    /// Whether every target was met.
    pub fn is_good(&self) -> bool {
        self.failed.is_empty() && self.figures.iter().all(|figure| figure.verdict != Verdict::NotMet)
    }

    /// For people.
    pub fn table(&self) -> String {
        let head = ["", "figure", "measured", "target", ""].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(self.figures.iter().map(row)).collect();
        let widths: [usize; 5] =
            std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default());
        let line = |row: &[String; 5]| {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let failed = self.failed.iter().map(|(name, why)| format!("{name}: not measured: {why}"));
        rows.iter().map(line).chain(failed).collect::<Vec<_>>().join("\n")
    }

    /// Writes it for programs, under its time and as the latest.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let text = serde_json::to_string_pretty(self)?;
        let file = folder.join(format!("{}.json", self.at.replace(':', "-")));
        for path in [&file, &folder.join("latest.json")] {
            fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(file)
    }
}

fn row(figure: &Figure) -> [String; 5] {
    let unit = if figure.unit.is_empty() { String::new() } else { format!(" {}", figure.unit) };
    let target = match figure.target {
        Target::AtLeast(least) => format!(">= {}{unit}", number(least)),
        Target::AtMost(most) => format!("<= {}{unit}", number(most)),
        Target::Told => String::new(),
    };
    let verdict = match figure.verdict {
        Verdict::Met => "met",
        Verdict::NotMet => "NOT MET",
        Verdict::Told => "",
        Verdict::Indicative => "not judged",
    };
    let measured = format!("{}{unit}", number(figure.value));
    [figure.of.to_owned(), figure.what.to_owned(), measured, target, verdict.to_owned()]
}

/// Three digits that count, whatever their size.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 || value == 0.0 {
        grouped(&format!("{value:.0}"))
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(figures: Vec<Figure>) -> Report {
        Report {
            at: "2026-01-01T00:00:00Z".to_owned(),
            scale: Scale::Quick,
            program: String::new(),
            machine: Machine { cpu: String::new(), cpus: 2, memory: 0, kernel: String::new() },
            servers: Vec::new(),
            seconds: 1,
            figures,
            failed: Vec::new(),
        }
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        for (value, expected) in [
            (0.0, "0"),
            (0.069_44, "0.0694"),
            (0.666, "0.67"),
            (4.199, "4.20"),
            (12.34, "12.3"),
            (123.4, "123"),
            (11_432.7, "11,433"),
            (-1_234_567.0, "-1,234,567"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn the_table_says_what_is_not_met() {
        let mut report = report(vec![
            Figure::new("throughput-cluster", "times naive", 4.2, "", Target::AtLeast(4.0)),
            Figure::new("binary", "size", 34.6, "MiB", Target::AtMost(30.0)),
            Figure::new("binary", "start", 90.0, "ms", Target::Told),
        ]);
        let table = report.table();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[1], "throughput-cluster  times naive  4.20      >= 4.00      met");
        assert_eq!(lines[2], "binary              size         34.6 MiB  <= 30.0 MiB  NOT MET");
        assert_eq!(lines[3], "binary              start        90.0 ms");
        assert!(!report.is_good());
        report.figures.remove(1);
        assert!(report.is_good());
        report.failed.push(("look".to_owned(), "no room".to_owned()));
        assert!(!report.is_good() && report.table().ends_with("look: not measured: no room"));
    }

    #[test]
    fn it_is_written_twice() {
        let folder = tempfile::tempdir().unwrap();
        let file = report(Vec::new()).write(folder.path()).unwrap();
        assert!(file.ends_with("2026-01-01T00-00-00Z.json"));
        assert_eq!(fs::read(&file).unwrap(), fs::read(folder.path().join("latest.json")).unwrap());
    }
}
