//! What every ledger does, whichever database it is on. Owns the cases; a database brings a [`Home`] and names the suite.

pub(crate) mod control;
pub(crate) mod items;
pub(crate) mod jobs;
pub(crate) mod notices;
pub(crate) mod passes;
pub(crate) mod people;
pub(crate) mod plan;
pub(crate) mod recording;
pub(crate) mod resources;
pub(crate) mod upkeep;
pub(crate) mod worklists;
pub(crate) mod world;

use std::sync::Arc;

use async_trait::async_trait;
use highwater_engine::ledger::Ledger;

/// Where a test's ledger lives: empty at first, and the same one however often it is opened.
#[async_trait]
pub(crate) trait Home: Send + Sync {
    /// Opens it, as another process would.
    async fn open(&self) -> Arc<dyn Ledger>;
}

/// One test a case, each in a home of its own.
macro_rules! conformance_suite {
    ($home:expr) => {
        $crate::conformance::conformance_suite! { @each $home;
            jobs: a_job_is_registered_once_and_takes_a_new_kind;
            jobs: jobs_are_listed_by_name;
            jobs: r04_a_halt_stands_until_rearm_and_keeps_its_first_evidence;
            jobs: r04_a_halt_is_seen_by_whoever_opens_the_ledger_next;
            jobs: halted_and_drained_are_facts_of_their_own;
            jobs: rearm_starts_the_breaker_afresh;
            jobs: a_pause_stands_until_resume;
            jobs: what_is_set_stands_until_it_is_unset;
            jobs: unsetting_all_unsets_what_is_set;
            jobs: a_job_is_drained_without_a_worklist_but_never_beside_an_open_one;
            jobs: a_drained_job_opens_again_without_its_worklist;
            jobs: a_marker_is_remembered;
            jobs: r18_every_change_of_a_person_is_an_event;
            jobs: events_are_filtered_and_paged;
            resources: a_resource_is_there_once_it_is_named;
            resources: r02_a_ban_is_only_extended;
            resources: r02_only_lift_shortens_a_ban;
            resources: r02_eight_writers_at_once_leave_the_latest_ban;
            resources: r16_each_taking_of_a_lock_counts_its_epoch_up;
            resources: a_pass_lets_go_of_what_it_still_holds_and_no_more;
            resources: tickets_are_listed_oldest_first_until_they_lapse;
            passes: a_pass_has_a_row_from_its_begin_to_its_end;
            passes: a_pass_keeps_what_its_throttle_came_to;
            passes: passes_are_listed_newest_first;
            passes: a_killed_pass_is_reported_once;
            worklists: r06_a_worklist_is_invisible_until_it_is_pinned;
            worklists: r06_what_an_unfinished_worklist_left_goes;
            worklists: r06_duplicate_keys_collapse_and_are_counted;
            worklists: r06_extend_adds_what_is_new_and_keeps_outcomes;
            worklists: r06_an_unfinished_extend_is_invisible_and_goes;
            worklists: r06_a_crash_between_the_index_and_the_pin_loses_nothing;
            worklists: another_process_can_go_on_with_a_discovery;
            worklists: two_jobs_discover_at_once;
            worklists: replace_supersedes_and_begin_is_refused_beside_an_open_one;
            worklists: rounds_count_up;
            worklists: a_sign_of_the_input_is_noted;
            worklists: an_extended_worklist_is_open_again;
            recording: outcomes_are_recorded_in_order_with_the_figures;
            recording: a_group_is_whole_or_nothing;
            recording: an_intent_stays_until_its_outcome_or_its_withdrawal;
            recording: of_an_item_s_entries_in_a_group_the_last_stands;
            recording: retries_end_in_review;
            recording: a_skipped_item_in_hand_is_done_if_it_succeeds_and_stays_skipped_if_not;
            recording: r16_a_pass_that_lost_its_lock_writes_nothing;
            recording: r03_only_a_worklist_without_open_items_is_sealed;
            recording: sealing_stamps_watermarks_and_drains_the_job;
            plan: r13_plan_order_is_rank_then_position;
            plan: r13_an_item_is_tried_once_a_pass;
            plan: open_items_come_in_pages_without_gaps;
            items: items_are_listed_by_filter_in_both_orders;
            items: items_are_listed_in_pages_without_gaps;
            items: keys_that_share_a_beginning_are_told_apart;
            items: what_is_done_is_listed_over_all_worklists_in_the_order_of_its_recording;
            people: retry_puts_items_back_to_untried_and_opens_the_job;
            people: retry_by_outcome_takes_every_page;
            people: retry_of_unknown_keys_changes_nothing;
            people: retry_of_untried_items_changes_nothing;
            people: skip_takes_what_has_no_success;
            people: skip_of_unknown_keys_changes_nothing;
            people: skip_takes_a_review_out_of_the_breaker_s_count;
            control: a_pass_sees_at_once_what_another_process_changed;
            control: a_pass_sees_at_once_what_its_own_process_changed;
            control: recording_does_not_move_the_version;
            notices: a_change_is_queued_once_for_each_target;
            notices: a_notice_is_claimed_by_one_process;
            notices: a_failed_delivery_is_due_again;
            upkeep: prune_forgets_what_is_old_and_keeps_what_is_open;
            upkeep: prune_is_bounded;
            upkeep: a_worklist_whose_items_were_forgotten_is_not_opened_again;
        }
    };
    (@each $home:expr; $($module:ident: $case:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            $crate::conformance::$module::$case(&$home).await;
        }
    )*};
}

pub(crate) use conformance_suite;
