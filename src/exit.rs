//! How the program ends.

use std::process::ExitCode;

/// The exit codes, as the help documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// It did not.
    Failure = 1,
    /// The command line is wrong; clap ends the program itself.
    Usage = 2,
    /// The configuration cannot be read or is refused.
    Config = 3,
    /// The store, the broker or a server cannot be reached.
    Unreachable = 4,
    /// What was named does not exist.
    NotFound = 5,
}

/// An error and its causes in one line. A cause that its effect has told already is not told again.
pub fn story(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |told, cause| {
        let cause = cause.to_string();
        if told.ends_with(&cause) { told } else { format!("{told}: {cause}") }
    })
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with the exit code that it means.
#[derive(Debug)]
pub struct Failed {
    /// How the program ends.
    pub exit: Exit,
    /// Why.
    pub error: anyhow::Error,
}

impl Failed {
    /// Ends with this code for this reason.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }
}

/// Whatever has no code of its own is a failure.
impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self { exit: Exit::Failure, error: error.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the key file cannot be read: {0}")]
    struct Telling(#[source] std::io::Error);

    #[test]
    fn a_cause_is_told_once() {
        let gone = || std::io::Error::other("gone");
        let telling = anyhow::Error::new(Telling(gone())).context("starting");
        assert_eq!(story(&telling), "starting: the key file cannot be read: gone");
        assert_eq!(story(&anyhow::Error::new(gone()).context("starting")), "starting: gone");
    }
}
