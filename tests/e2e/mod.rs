//! Walkthroughs of the whole system, in both shapes, with real processes.

mod crashes;
mod forced;
mod kept_alive;
mod keys;
mod malformed;
mod original;
mod outages;
mod shutdown;
