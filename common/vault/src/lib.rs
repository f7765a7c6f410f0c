#![doc = include_str!("../README.md")]

mod ciphertext;
mod envelope;
mod key;
mod keyring;

pub use ciphertext::Ciphertext;
pub use envelope::{Field, Place};
pub use key::Fingerprint;
pub use keyring::{KeyError, Keyring, OpenError};
