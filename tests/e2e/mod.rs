//! Walkthroughs of the whole system, in both shapes, with real processes.

mod crashes;
mod kept_alive;
mod keys;
mod malformed;
mod outages;
mod shutdown;
