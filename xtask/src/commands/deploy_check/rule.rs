//! The alerts, as the Prometheus Operator wants them: the same groups, inside an object of Kubernetes.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace;

const ALERTS: &str = "deploy/prometheus/alerts.yml";
const RULE: &str = "deploy/kubernetes/components/monitoring/prometheus-rule.yaml";
const HEAD: &str = "\
# deploy/prometheus/alerts.yml, for the Prometheus Operator. Written by `cargo xtask deploy-check --write`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: evergrant
spec:
";

/// Writes the object, or fails if it is not the one that would be written.
pub(super) fn write_or_compare(write: bool) -> Result<()> {
    let alerts = fs::read_to_string(workspace::root().join(ALERTS)).with_context(|| format!("cannot read {ALERTS}"))?;
    let wanted = wrapped(&alerts);
    let path = workspace::root().join(RULE);
    if write {
        return fs::write(&path, wanted).with_context(|| format!("cannot write {RULE}"));
    }
    if fs::read_to_string(&path).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    bail!("{RULE} is not what {ALERTS} makes of it: run `cargo xtask deploy-check --write`")
}

/// Two spaces deeper, without what is said before the groups.
fn wrapped(alerts: &str) -> String {
    let groups = alerts.lines().skip_while(|line| *line != "groups:");
    let deeper = groups.map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") });
    HEAD.to_owned() + &deeper.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_stand_inside_the_object() {
        let wrapped = wrapped("# Why.\ngroups:\n  - name: a\n\n    rules: []\n");
        assert_eq!(wrapped.strip_prefix(HEAD), Some("  groups:\n    - name: a\n\n      rules: []\n"));
    }

    #[test]
    fn kubernetes_has_the_alerts_that_are_tested() {
        write_or_compare(false).unwrap();
    }
}
