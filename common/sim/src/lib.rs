//! A simulated Amazon with scripted faults.
