//! One target under libFuzzer: `cargo xtask fuzz` builds and starts this.
#![no_main]

use std::sync::OnceLock;

use evergrant_fuzz::{Target, target};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<&Target> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        target(&name).unwrap_or_else(|| panic!("no target has the name {name:?} (FUZZ_TARGET)"))
    });
    (target.run)(data);
});
