//! Every target over its corpus, and over what becomes of that when it is damaged.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests and their helpers fail loudly")]

use std::fs;
use std::path::Path;

use evergrant_fuzz::{TARGETS, Target, target};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// What a fuzzer does to an input.
#[derive(Debug, Clone)]
enum Damage {
    Replace(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    /// The end of another input in the place of its own.
    Splice(usize, usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let words: Vec<&[u8]> = vec![
        b"null",
        b"-1",
        b"1e999",
        b"9007199254740993",
        b"\"\"",
        b"{}",
        b"[]",
        b"\0",
        b"\xff",
        b"\r\n",
        b",",
        b"=",
        b"\"",
        b"\xef\xbb\xbf",
        b"whsec_",
        b"gAAAAA",
        b"Atzr|",
        b"18446744073709551616",
        b"2038-01-19T03:14:08Z",
    ];
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (any::<usize>(), proptest::sample::select(words)).prop_map(|(at, word)| Damage::Insert(at, word.to_vec())),
        (any::<usize>(), proptest::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, more)| Damage::Insert(at, more)),
        (any::<usize>(), 1_usize..40).prop_map(|(at, length)| Damage::Remove(at, length)),
        any::<(usize, usize, usize)>().prop_map(|(at, other, from)| Damage::Splice(at, other, from)),
    ]
}

fn damaged(corpus: &[Vec<u8>], seed: usize, damages: &[Damage]) -> Vec<u8> {
    let mut data = corpus[seed % corpus.len()].clone();
    for damage in damages {
        let place = |at: usize| at % (data.len() + 1);
        match damage {
            Damage::Replace(at, byte) => {
                let at = place(*at);
                if let Some(found) = data.get_mut(at) {
                    *found = *byte;
                }
            }
            Damage::Insert(at, bytes) => {
                let at = place(*at);
                drop(data.splice(at..at, bytes.iter().copied()));
            }
            Damage::Remove(at, length) => {
                let at = place(*at);
                drop(data.drain(at..(at + length).min(data.len())));
            }
            Damage::Splice(at, other, from) => {
                let at = place(*at);
                let other = &corpus[other % corpus.len()];
                data.truncate(at);
                data.extend_from_slice(&other[from % (other.len() + 1)..]);
            }
        }
    }
    data
}

fn hold(name: &str) {
    let target = target(name).expect("a target");
    let corpus = corpus(target);
    for input in &corpus {
        (target.run)(input);
    }
    let damages = proptest::collection::vec(damage(), 1..6);
    let config = Config { cases: 1_000, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(any::<usize>(), damages), |(seed, damages)| {
        (target.run)(&damaged(&corpus, seed, &damages));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn jobs_hold() {
    hold("jobs");
}

#[test]
fn events_hold() {
    hold("events");
}

#[test]
fn replies_hold() {
    hold("replies");
}

#[test]
fn lifetimes_hold() {
    hold("lifetimes");
}

#[test]
fn imports_hold() {
    hold("imports");
}

#[test]
fn fernet_holds() {
    hold("fernet");
}

#[test]
fn config_holds() {
    hold("config");
}

#[test]
fn signatures_hold() {
    hold("signatures");
}

#[test]
fn every_corpus_is_small_and_has_a_target() {
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).unwrap();
    let mut names: Vec<_> = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let mut known: Vec<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    known.sort();
    assert_eq!(names, known);
    for target in &TARGETS {
        let corpus = corpus(target);
        let bytes: usize = corpus.iter().map(Vec::len).sum();
        assert!((3..=200).contains(&corpus.len()) && bytes < 100_000, "{}: {} files", target.name, corpus.len());
    }
}
