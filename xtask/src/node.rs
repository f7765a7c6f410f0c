//! Node.js, for tests of what documents say in JavaScript.

use std::process::Command;

use anyhow::{Result, anyhow, bail};

use crate::playwright::BROWSER;
use crate::{npm, screen, workspace};

/// `node`, in the folder of the front end, which has this package. `None`: one of them is not here, which was said loudly.
///
/// Panics instead where a browser is required, which needs Node.js as well.
pub fn command(package: &str) -> Option<Command> {
    let wanted = workspace::environment(BROWSER).unwrap_or_default();
    let found = if wanted == "off" { Err(anyhow!("no Node.js in a quick run")) } else { check(package) };
    if let Err(problem) = found {
        assert!(wanted != "required", "{problem:#}");
        screen::skipped(&problem);
        return None;
    }
    let mut node = Command::new("node");
    node.current_dir(npm::folder());
    Some(node)
}

fn check(package: &str) -> Result<()> {
    npm::node()?;
    if npm::folder().join("node_modules").join(package).exists() {
        Ok(())
    } else {
        bail!("the package {package} is not there: `cargo xtask test` installs it")
    }
}
