//! Walkthroughs of the whole system, in both shapes, with real processes.

mod kept_alive;
