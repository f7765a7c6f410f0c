//! What every store must do. One file for each noun; [`run`] makes a store for a case.
//!
//! No case assumes whose time the store keeps its leases and offices in: where one must lapse it is short and the look is
//! repeated, while the manual clock moves along; where it must not, it is an hour long.

pub mod apps;
pub mod connections;
pub mod failed_jobs;
pub mod leases;
mod model;
pub mod offices;
pub mod schedule;
pub mod settlements;
mod steps;
pub mod takeovers;
pub mod walk;

use std::sync::Arc;

use evergrant_contract::ports::Store;

use super::Guard;
use crate::ManualClock;

/// Runs one case on a fresh store, unless there is no service to make it from.
pub async fn run(
    fresh: impl AsyncFnOnce(Arc<ManualClock>) -> Option<(Arc<dyn Store>, Guard)>,
    case: impl AsyncFnOnce(Arc<dyn Store>, Arc<ManualClock>),
) {
    let clock = ManualClock::new();
    let Some((store, guard)) = fresh(Arc::clone(&clock)).await else { return };
    super::complete(case(store, clock)).await;
    drop(guard);
}

/// Makes one test of each thing that a store must do.
///
/// `$fresh` is `async fn(Arc<ManualClock>) -> Option<(Arc<dyn Store>, Box<dyn Any + Send>)>`: an empty store that lives as
/// long as the box, or `None` where the service that it needs is missing.
#[macro_export]
macro_rules! store_conformance {
    ($fresh:path) => {
        $crate::conformance_cases! { $fresh; store;
            schedule:
                due_comes_in_order_and_page_by_page,
                pages_skip_nobody_while_rows_change_between_them,
                only_refreshable_connections_of_the_app_are_due,
                next_refresh_at_is_the_earliest_of_the_app,
                making_due_is_for_refreshable_connections;
            leases:
                one_of_fifty_callers_gets_the_lease,
                concurrent_requests_are_each_answered,
                one_process_gets_its_own_lease_once,
                a_lease_brings_what_a_refresh_needs,
                a_newer_version_has_moved_on,
                a_moved_refresh_at_has_moved_on,
                ended_and_unknown_connections_are_not_refreshable,
                a_lease_given_back_changes_nothing_else;
            takeovers:
                a_lease_that_stands_is_not_taken_over,
                a_lapsed_lease_is_contested_before_it_is_taken_over,
                a_contest_gives_the_holder_its_whole_grace,
                the_holder_settles_while_its_lease_is_contested,
                after_a_takeover_the_former_holder_judges_nobody,
                tokens_of_a_former_holder_are_kept,
                a_takeover_is_told_once;
            settlements:
                new_tokens_are_one_version_more,
                without_tokens_the_tokens_stay_as_they_are,
                a_suspicion_is_kept_with_its_counts,
                a_missing_refresh_token_keeps_the_stored_one,
                an_unread_answer_costs_no_token,
                scopes_and_consent_end_change_only_when_named,
                a_failed_job_comes_with_its_settlement_once,
                a_lost_settlement_writes_nothing,
                a_second_settlement_of_a_lease_is_lost,
                a_disconnect_during_a_refresh_wins,
                a_consent_during_a_refresh_wins,
                one_of_two_concurrent_settlements_is_written,
                concurrent_settlements_are_each_answered;
            connections:
                an_import_keeps_what_is_there,
                a_consent_replaces_the_tokens,
                answers_come_in_the_order_of_the_questions,
                one_account_twice_in_one_call_is_one_connection,
                thousands_are_put_at_once,
                without_a_refresh_token_a_connection_needs_reauth,
                what_is_put_is_found_to_the_millisecond,
                listing_goes_by_id_page_by_page,
                filters_narrow_the_list,
                disconnecting_removes_the_tokens_once,
                an_access_token_is_for_refreshable_connections,
                quarantined_tokens_come_back,
                attempts_come_newest_first,
                stats_name_every_state,
                keys_in_use_are_those_of_stored_tokens;
            apps:
                one_caller_announces_a_hold,
                an_outage_becomes_a_fault_and_never_the_reverse,
                one_caller_announces_that_an_app_is_open,
                one_of_twenty_gets_the_turn_to_probe,
                apps_are_held_apart;
            failed_jobs:
                a_job_recorded_twice_is_one_failed_job,
                open_jobs_come_newest_first,
                forgetting_spares_open_jobs;
            offices:
                one_of_many_leads,
                a_leader_stays_as_long_as_it_says_so,
                an_office_that_lapsed_goes_to_another,
                only_the_holder_resigns,
                offices_are_held_apart,
                peers_are_those_seen_lately;
            walk:
                a_random_walk_agrees_with_the_model;
        }
    };
}
