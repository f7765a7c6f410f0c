//! What every store must do. One file for each noun; [`run`] makes a store for a case.
//!
//! No case assumes whose time the store keeps its leases and offices in: where one must lapse it is short and the look is
//! repeated, while the manual clock moves along; where it must not, it is an hour long.

pub mod api_keys;
pub mod apps;
pub mod census;
pub mod connections;
pub mod controls;
pub mod failed_job_lists;
pub mod failed_jobs;
pub mod flows;
pub mod leases;
mod model;
pub mod offices;
pub mod operations;
mod people;
pub mod reconnects;
pub mod schedule;
pub mod searches;
pub mod sessions;
pub mod settlements;
pub(super) mod steps;
pub mod takeovers;
pub mod usage;
pub mod users;
pub mod walk;
pub mod webhooks;

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
            census:
                a_backlog_is_counted_as_far_as_asked,
                expired_tokens_are_counted_among_the_oldest,
                everybody_is_counted_by_app_and_state;
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
            controls:
                a_paused_connection_is_neither_due_nor_leased_and_resumes_where_it_stood,
                a_pause_outlives_what_happens_to_its_connection,
                a_refresh_in_hand_is_finished_and_the_pause_stays,
                what_has_moved_on_is_told_before_a_pause,
                queues_and_apps_are_paused_apart,
                a_pause_is_made_once_and_told_once,
                an_unknown_connection_cannot_be_paused,
                paused_connections_are_listed_page_by_page,
                a_drain_is_of_a_live_process_and_ends_with_it,
                a_drain_is_done_once;
            reconnects:
                a_reconnect_starts_over_on_the_same_row,
                a_reconnect_during_a_refresh_wins,
                a_reconnect_names_an_unknown_account,
                a_reconnect_with_another_account_writes_nothing,
                a_reconnect_is_for_ones_own_connection,
                a_reconnect_without_a_refresh_token_needs_reauth,
                concurrent_reconnects_are_whole,
                one_of_a_put_and_a_reconnect_gets_an_account;
            apps:
                one_caller_announces_a_hold,
                an_outage_becomes_a_fault_and_never_the_reverse,
                one_caller_announces_that_an_app_is_open,
                one_of_twenty_gets_the_turn_to_probe,
                apps_are_held_apart;
            failed_jobs:
                a_job_recorded_twice_is_one_failed_job,
                forgetting_spares_open_jobs;
            failed_job_lists:
                a_failed_job_is_found_as_it_was_recorded,
                failed_jobs_come_newest_first_page_by_page,
                many_failed_jobs_are_each_seen_once,
                each_filter_narrows_the_failed_jobs,
                filters_of_failed_jobs_hold_together,
                a_text_is_found_in_the_error,
                failed_jobs_of_a_user_are_those_of_their_connections,
                a_failed_job_of_a_settlement_is_found_by_its_last_attempt,
                counting_failed_jobs_stops,
                one_of_twenty_callers_closes_a_failed_job,
                a_closed_failed_job_is_not_closed_again;
            operations:
                the_audit_log_begins_with_the_newest,
                the_audit_log_is_narrowed_to_a_subject,
                activity_adds_up,
                of_levels_the_highest_stays,
                concurrent_activity_adds_up,
                activity_is_shown_of_a_range,
                forgetting_spares_the_audit_log;
            webhooks:
                an_endpoint_is_found_as_it_was_added,
                a_rotated_secret_signs_beside_the_former,
                a_change_of_state_is_told_once,
                a_lost_settlement_tells_nothing,
                a_plain_refresh_tells_nothing,
                a_consent_that_heals_is_told,
                a_disconnect_is_nobodys_news,
                a_fault_of_an_app_is_told_once,
                endpoints_hear_what_they_chose,
                a_delivery_is_claimed_by_one,
                a_lapsed_claim_goes_to_another,
                a_delivery_is_retried_given_up_and_replayed,
                a_hopeless_endpoint_is_disabled,
                what_was_missed_is_replayed,
                deliveries_come_newest_first_page_by_page,
                consents_that_end_are_told_of,
                forgetting_spares_messages_on_their_way;
            searches:
                connections_are_found_by_the_beginning_of_a_name,
                every_character_of_a_search_means_itself,
                a_connection_is_found_by_its_id,
                a_search_is_narrowed_and_paged,
                connections_are_found_by_their_reason;
            offices:
                one_of_many_leads,
                a_leader_stays_as_long_as_it_says_so,
                an_office_that_lapsed_goes_to_another,
                only_the_holder_resigns,
                offices_are_held_apart,
                peers_are_those_seen_lately;
            users:
                a_user_is_found_as_it_was_saved,
                addresses_are_found_whatever_the_case_of_their_letters,
                an_empty_address_or_account_is_nobodys,
                saving_again_keeps_the_first_day_and_the_password,
                an_address_or_account_of_another_is_taken,
                one_of_fifty_callers_gets_an_address,
                users_are_listed_by_the_bytes_of_their_ids,
                a_password_is_kept_until_it_is_removed;
            sessions:
                a_session_is_found_as_it_was_opened,
                a_session_is_of_a_user_who_exists,
                advancing_counts_the_tokens_one_by_one,
                one_of_fifty_callers_advances_a_session,
                a_session_ends_once_and_for_good,
                signing_out_everywhere_ends_the_sessions_of_one_user,
                an_end_wins_over_tokens_that_are_being_issued,
                forgetting_spares_sessions_that_are_not_long_over;
            flows:
                a_flow_is_taken_once_as_it_was_kept,
                one_of_fifty_callers_takes_a_flow,
                a_flow_that_has_expired_is_not_taken,
                keeping_a_flow_forgets_expired_ones,
                forgetting_spares_flows_that_can_be_answered;
            api_keys:
                a_key_is_found_as_it_was_kept,
                a_name_belongs_to_one_key_that_is_not_revoked,
                one_of_fifty_callers_gets_a_name,
                keys_are_listed_newest_first,
                a_key_is_revoked_once,
                the_latest_use_of_a_key_is_noted;
            usage:
                usage_adds_up_by_day_and_provider_app,
                concurrent_usage_adds_up,
                users_are_ranked,
                forgetting_usage_takes_the_days_before,
                the_latest_use_of_a_connection_is_noted,
                unused_connections_are_counted;
            walk:
                a_random_walk_agrees_with_the_model;
        }
    };
}
