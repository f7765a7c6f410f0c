#![doc = include_str!("../README.md")]

pub mod commands;
mod evergrant;
mod npm;
mod output;
pub mod screen;
pub mod services;
mod workspace;
