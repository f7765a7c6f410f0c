#![doc = include_str!("../README.md")]

mod tokens;

pub use tokens::{Held, Target, TokenError, Tokens};
