//! Evergrant keeps OAuth grants alive.

fn main() {}
