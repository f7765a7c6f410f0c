//! What must hold of the whole: one test binary, so that it links once.

#![expect(clippy::expect_used, reason = "test code: a broken expectation must end the test")]

mod architecture;
