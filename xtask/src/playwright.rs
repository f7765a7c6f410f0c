//! Chromium, as Playwright drives it: for `cargo xtask browser`, and for a test that has a system of its own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::services::{self, Need};
use crate::{npm, screen, workspace};

/// Tells tests whether they may have a browser: `required` or `off`. Not set, they find out.
pub(crate) const BROWSER: &str = "EVERGRANT_BROWSER";

/// `playwright test`, in front of the systems that a file tells of. What failing tests leave behind goes into a folder.
pub fn command(worlds: &Path, results: &Path) -> Result<Command> {
    let chromium = services::chromium().context("Chromium is not installed")?;
    let mut playwright = npm::npm(&["exec", "--offline", "--", "playwright", "test"]);
    playwright.env("EVERGRANT_WORLDS", worlds).env("EVERGRANT_BROWSER_OUTPUT", results);
    playwright.env("EVERGRANT_CHROMIUM", chromium);
    Ok(playwright)
}

/// Whether a test may have a browser, and the program a page to show in it. If not, says SKIPPED loudly and why.
///
/// Panics instead where a browser is required, as `cargo xtask test` does on a machine with Node.js.
pub fn startable() -> bool {
    let wanted = workspace::environment(BROWSER).unwrap_or_default();
    let found = if wanted == "off" { Err(anyhow!("no browser in a quick run")) } else { check() };
    let Err(problem) = found else { return true };
    assert!(wanted != "required", "{problem:#}");
    screen::skipped(&problem);
    false
}

/// Node.js for the tests, with what they import. Without it a test does without a browser and without Node.js.
pub(crate) fn install() -> Result<()> {
    services::install_what_is_missing(&[Need::Chromium])?;
    npm::install()
}

fn check() -> Result<()> {
    const ADVICE: &str = "`cargo xtask test` installs it";
    npm::node()?;
    services::check(&[Need::Chromium])?;
    let missing = |what: &str, path: &str| -> Result<()> {
        if npm::folder().join(path).exists() { Ok(()) } else { bail!("{what} is not there: {ADVICE}") }
    };
    missing("Playwright", "node_modules/@playwright/test")?;
    missing("the web page", "dist/index.html")
}
