//! The lists of the suites are whole: a case that nobody runs proves nothing.

/// The public async functions of the files, and those of them that the list does not name.
fn unlisted(list: &str, files: &[&str]) -> (usize, Vec<String>) {
    let listed: Vec<&str> = list.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let cases: Vec<&str> = files
        .iter()
        .flat_map(|file| file.lines().filter_map(|line| line.strip_prefix("pub async fn ")))
        .filter_map(|rest| rest.split(['(', '<']).next())
        .collect();
    let unlisted = cases.iter().filter(|case| !listed.contains(case)).map(|case| (*case).to_owned()).collect();
    (cases.len(), unlisted)
}

macro_rules! files {
    ($suite:literal: $($file:literal),+) => {
        (
            include_str!(concat!("../src/conformance/", $suite, "/mod.rs")),
            &[$(include_str!(concat!("../src/conformance/", $suite, "/", $file, ".rs"))),+],
        )
    };
}

#[test]
fn every_case_is_in_the_list_of_its_suite() {
    let suites: [(&str, &[&str]); 3] = [
        files!(
            "store": "schedule", "leases", "takeovers", "settlements", "connections", "reconnects", "apps", "failed_jobs",
            "failed_job_lists", "operations", "searches", "offices", "users", "sessions", "flows", "api_keys", "walk"
        ),
        files!("queue": "delivery", "ending"),
        files!("events": "hearing"),
    ];
    for (list, files) in suites {
        let (cases, unlisted) = unlisted(list, files);
        assert!(cases >= 7, "the test has found {cases} cases only: has their form changed?");
        assert!(unlisted.is_empty(), "add these to the list of their suite: {unlisted:?}");
    }
}

#[test]
fn an_unlisted_case_is_found() {
    let file = "pub async fn listed(x: u8) {}\npub async fn forgotten(x: u8) {}\nasync fn step() {}";
    assert_eq!(unlisted("listed, forgotten_too;", &[file]), (2, vec!["forgotten".to_owned()]));
}
