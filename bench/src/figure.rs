//! A figure: what was measured, under which conditions, and what it has to reach. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// What a figure has to reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// Nothing: it is told so that others can be understood.
    Told,
}

/// Whether it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does.
    Met,
    /// It does not.
    NotMet,
    /// It has no target.
    Told,
    /// It was not measured as its target wants: too few, or in a build for developing.
    Indicative,
}

impl Target {
    /// What a value means. One that is no number meets nothing.
    pub fn verdict(self, value: f64) -> Verdict {
        let is_met = match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Told => return Verdict::Told,
        };
        if is_met { Verdict::Met } else { Verdict::NotMet }
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// The measurement that it comes from, as `--only` takes it.
    pub of: &'static str,
    /// What it says.
    pub what: &'static str,
    /// The figure.
    pub value: f64,
    /// Its unit; empty for a ratio.
    pub unit: &'static str,
    /// What it has to reach.
    pub target: Target,
    /// Whether it does.
    pub verdict: Verdict,
    /// How it came about.
    pub conditions: String,
    /// Everything else that was seen on the way.
    pub details: BTreeMap<&'static str, Value>,
}

impl Figure {
    /// A figure that is judged by its target.
    pub fn new(of: &'static str, what: &'static str, value: f64, unit: &'static str, target: Target) -> Self {
        let verdict = target.verdict(value);
        Self { of, what, value, unit, target, verdict, conditions: String::new(), details: BTreeMap::new() }
    }

    /// Says how it came about.
    #[must_use]
    pub fn under(mut self, conditions: impl Into<String>) -> Self {
        self.conditions = conditions.into();
        self
    }

    /// With something else that was seen.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Serialize) -> Self {
        self.details.insert(name, serde_json::to_value(value).unwrap_or(Value::Null));
        self
    }

    /// Judged only if it was measured as the target wants it to be.
    #[must_use]
    pub fn only_if(mut self, as_wanted: bool) -> Self {
        if !as_wanted && self.verdict != Verdict::Told {
            self.verdict = Verdict::Indicative;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_by_its_very_value() {
        for (target, value, expected) in [
            (Target::AtLeast(4.0), 4.0, Verdict::Met),
            (Target::AtLeast(4.0), 3.99, Verdict::NotMet),
            (Target::AtMost(2.0), 2.0, Verdict::Met),
            (Target::AtMost(2.0), 2.01, Verdict::NotMet),
            (Target::AtLeast(0.0), f64::NAN, Verdict::NotMet),
            (Target::AtMost(9.0), f64::NAN, Verdict::NotMet),
            (Target::Told, f64::NAN, Verdict::Told),
        ] {
            assert_eq!(target.verdict(value), expected, "{target:?} {value}");
        }
    }

    #[test]
    fn what_was_not_measured_as_wanted_is_not_judged() {
        let figure = |target| Figure::new("x", "x", 1.0, "", target);
        assert_eq!(figure(Target::AtMost(2.0)).only_if(false).verdict, Verdict::Indicative);
        assert_eq!(figure(Target::AtMost(0.5)).only_if(false).verdict, Verdict::Indicative);
        assert_eq!(figure(Target::AtMost(0.5)).only_if(true).verdict, Verdict::NotMet);
        assert_eq!(figure(Target::Told).only_if(false).verdict, Verdict::Told);
    }
}
