#![doc = include_str!("../README.md")]

pub mod commands;
mod evergrant;
mod npm;
mod output;
mod python;
pub mod screen;
pub mod services;
mod workspace;
