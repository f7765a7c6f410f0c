#![doc = include_str!("../README.md")]

pub mod commands;
mod evergrant;
pub mod node;
mod npm;
mod output;
pub mod playwright;
mod python;
mod scale;
pub mod screen;
pub mod services;
mod workspace;
