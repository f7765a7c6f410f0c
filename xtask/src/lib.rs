#![doc = include_str!("../README.md")]

pub mod commands;
mod output;
pub mod screen;
pub mod services;
mod workspace;
