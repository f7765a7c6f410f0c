//! `evergrant keys`: what rows are encrypted with.

use clap::{Args, Subcommand};

use super::{JsonArg, OperatorArgs};

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Print a new key for FERNET_KEY.
    ///
    /// Several keys are separated by commas: the first encrypts, all decrypt. `evergrant keys rotate` says how a new one
    /// comes into use.
    Generate(JsonArg),
    /// Show the fingerprints of the keys given, of those that peers use, and of those that rows are encrypted with.
    List(JsonArg),
    /// Bring a new key into use, step by step, so that no live process meets a row that it cannot read.
    ///
    /// An embedded process with a generated key file: makes a new key in the file; a running `serve` takes it up by itself.
    /// Where the keys come from FERNET_KEY: says what to set, in which order, and with --to checks that every live process
    /// has the key before it may come first. Shows fingerprints, never a key.
    #[command(after_help = "Examples:\n  \
        evergrant keys rotate                              embedded: done; cluster: the steps\n  \
        evergrant keys rotate --to dda60fb653980164        cluster: may this key encrypt now?")]
    Rotate(RotateKeyArgs),
    /// Encrypt every row again under the present key, now.
    ///
    /// The leading scheduler does the same in the background, at the pace of keys.reencrypt_per_second. Safe beside live
    /// workers: a refresh always wins. It can be stopped and repeated; rows that do not open are left as they are.
    #[command(after_help = "Examples:\n  \
        evergrant keys reencrypt\n  \
        evergrant keys reencrypt --per-second 2000 --why \"a key leaked\"")]
    Reencrypt(ReencryptArgs),
    /// Find out whether a key is needed no more, and say so in the audit log.
    ///
    /// Refuses while rows need it, while a live process encrypts with it, and while results that wait in a spool may be
    /// under it. A generated key file gives it up at once; from FERNET_KEY you take it out yourself. Old backups still need
    /// the key.
    #[command(after_help = "Examples:\n  evergrant keys retire dda60fb653980164 --why \"rotated on Monday\"")]
    Retire(RetireKeyArgs),
}

/// What `keys rotate` takes.
#[derive(Debug, Args)]
pub struct RotateKeyArgs {
    /// The key that is to encrypt, by its fingerprint; it must be in FERNET_KEY already, behind the present one.
    #[arg(long, value_name = "FINGERPRINT")]
    pub to: Option<String>,
    /// Why, and who says so.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `keys reencrypt` takes.
#[derive(Debug, Args)]
pub struct ReencryptArgs {
    /// Rows in a second, at most; without it as many as the store takes.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub per_second: Option<u32>,
    /// Why, and who says so.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `keys retire` takes.
#[derive(Debug, Args)]
pub struct RetireKeyArgs {
    /// The key, by its fingerprint.
    pub fingerprint: String,
    /// Retire it though processes that wrote with it ended without a word within the last day: their spools are empty, or
    /// their disks are gone.
    #[arg(long)]
    pub ignore_vanished: bool,
    /// Why, and who says so.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}
