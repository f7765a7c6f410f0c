//! The twelve defects of the original project, each with the tests that show that ours does not have it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Number, defect, and tests that would fail if we had it.
const DEFECTS: [(u32, &str, &[&str]); 12] = [
    (
        1,
        "a 401 is never repeated, because the code for it calls what does not exist, and stores nothing",
        &[
            "refusals_and_outages_cost_nobody_their_connection",
            "a_thousand_refusals_in_three_processes_cost_one_call",
            "a_service_beside_evergrant_never_sees_the_expired_token",
        ],
    ),
    (
        2,
        "a proactive refresh returns the old token and says that it refreshed, so that tokens end",
        &[
            "kept_alive_by_two_schedulers_and_three_workers",
            "a_due_token_is_refreshed_once_however_often_its_job_is_delivered",
            "a_token_near_its_end_is_refreshed_and_one_that_lasts_is_not",
        ],
    ),
    (
        3,
        "an outage, a wrong key or a 403 destroys the stored tokens",
        &[
            "refusals_and_outages_cost_nobody_their_connection",
            "an_outage_drops_no_connection_embedded",
            "an_outage_drops_no_connection_cluster",
            "a_lost_key_puts_rows_out_of_use_until_it_is_given_back_embedded",
            "a_lost_key_puts_rows_out_of_use_until_it_is_given_back_cluster",
        ],
    ),
    (
        4,
        "calls lose the status of the answer, and a 401 is told by the word \"unauthorized\"",
        &[
            "refusals_and_outages_cost_nobody_their_connection",
            "a_permission_is_handed_on_untouched_and_no_token_is_asked_for",
            "typed_calls_tell_a_pause_a_failure_and_a_page_of_html_apart",
        ],
    ),
    (
        5,
        "what is refreshed, and consents under way, are in the memory of one process; a failed refresh is forgotten",
        &[
            "the_original_front_end_works_with_a_cluster",
            "killed_workers_leaders_brokers_and_databases_lose_nothing",
            "a_thousand_refusals_in_three_processes_cost_one_call",
            "a_lost_job_is_published_again_within_seconds_since_the_row_is_still_due",
        ],
    ),
    (
        6,
        "an answer without a refresh token overwrites the stored one",
        &["an_answer_without_a_refresh_token_keeps_the_stored_one", "a_missing_refresh_token_keeps_the_stored_one"],
    ),
    (
        7,
        "one slow call of the token endpoint stalls everything else",
        &["a_slow_amazon_holds_up_nobody_else", "a_backlog_of_one_kind_delays_no_other"],
    ),
    (
        8,
        "tokens and keys are in logs and in addresses, which are not encoded",
        &[
            "no_address_that_a_browser_is_sent_to_holds_a_token",
            "pages_of_the_front_end_are_encoded",
            "no_secret_that_was_sent_or_received_is_in_a_trace",
            // And every test with real processes: `World::end` searches their logs, jobs, events and rows.
            "the_original_front_end_works_with_a_cluster",
        ],
    ),
    (
        9,
        "rate limits limit nobody",
        &[
            "a_hundred_and_twenty_sign_ins_in_a_row_are_too_many",
            "of_120_requests_in_a_burst_all_but_a_minutes_worth_are_limited",
        ],
    ),
    (
        10,
        "the code is exchanged with another redirect URI than the consent was asked for with",
        &["the_code_is_exchanged_with_what_the_consent_was_asked_for_with"],
    ),
    (
        11,
        "a token is sent to Amazon still encrypted",
        &["kept_alive_by_two_schedulers_and_three_workers", "the_original_project_s_users_are_taken_over"],
    ),
    (
        12,
        "401 means an expired session and an ended grant alike",
        &[
            "refusals_and_outages_cost_nobody_their_connection",
            "an_ended_grant_is_a_409_and_no_session_is_to_blame",
            "a_grant_that_has_ended_is_told_beside_a_session_that_goes_on",
        ],
    ),
];

#[test]
fn each_defect_of_the_original_has_tests_that_exist() {
    let mut tests = BTreeSet::new();
    for folder in ["api", "common", "scheduler", "src", "tests", "workers"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut tests);
    }
    let numbers: Vec<_> = DEFECTS.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    for (number, defect, shown_by) in DEFECTS {
        assert!(!shown_by.is_empty());
        for test in shown_by {
            assert!(tests.contains(*test), "{number}, {defect}: there is no test {test}");
        }
    }
}

/// The names of tests, and of the checks that every adapter of a port runs.
fn collect(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let mut is_marked = false;
            for line in source.lines().map(str::trim) {
                if let Some((_, name)) = line.split_once("fn ") {
                    let name: String =
                        name.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
                    let is_check = line.starts_with("pub async fn ")
                        && path.components().any(|part| part.as_os_str() == "conformance");
                    if is_marked || is_check {
                        tests.insert(name);
                    }
                    is_marked = false;
                } else if line.starts_with("#[") {
                    is_marked |= line.ends_with("test]") || line.contains("::test(");
                }
            }
        }
    }
}
