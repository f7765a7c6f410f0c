#![doc = include_str!("../README.md")]

pub mod baseline;
pub mod cli;
pub mod figure;
pub mod figures;
pub mod http;
pub mod load;
pub mod mock;
mod number;
pub mod parts;
mod product;
pub mod report;
pub mod rows;
pub mod scale;
pub mod screen;
pub mod stats;
pub mod token;
mod usage;
pub mod window;
mod world;
