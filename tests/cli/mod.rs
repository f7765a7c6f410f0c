//! The program as a user meets it: commands, what they print, and how they end. Embedded shape, no services.

mod connections;
mod desk;
mod import;
mod jobs;
mod keys;
mod running;
