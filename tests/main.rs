//! What must hold of the whole: one test binary, so that it links once.

mod architecture;
