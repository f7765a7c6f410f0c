//! Tells cargo to look at the folder of the built front end: files that are new there are no change that it sees by itself.

fn main() {
    println!("cargo::rerun-if-changed=../frontend/dist");
}
