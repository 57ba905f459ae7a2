//! The list of statements: each is the file of its name in `sql/`.

use crate::schema::name::SchemaName;
use crate::store::statement::Statement;

macro_rules! statements {
    ($($name:ident),* $(,)?) => {
        /// All statements, with the schema's name in its place.
        #[derive(Debug)]
        #[cfg_attr(not(feature = "cron"), allow(dead_code, reason = "some are for recurring messages"))]
        pub(crate) struct Statements {
            $(pub(crate) $name: Statement,)*
        }

        impl Statements {
            pub(crate) fn new(schema: &SchemaName) -> Self {
                Statements {
                    $($name: Statement::new(
                        stringify!($name),
                        &schema.substitute(include_str!(concat!("sql/", stringify!($name), ".sql"))),
                    ),)*
                }
            }
        }

        #[cfg(test)]
        const ALL: &[&str] = &[$(stringify!($name)),*];
    };
}

statements![
    acknowledge,
    acknowledge_one,
    ask_held,
    ask_leased,
    ask_rest,
    bury,
    bury_lease,
    cancel_followers,
    cancel_ready,
    cancel_scheduled,
    cancellations,
    change_dedupe,
    change_room,
    claim,
    claim_filtered,
    claim_head,
    clear_dependencies,
    clock,
    config_access,
    configs,
    configure,
    correct_recurring,
    count_leased,
    count_room,
    crowded_rooms,
    dead_letters,
    dead_topics,
    deaths,
    define_recurring,
    depend,
    dependents,
    distant_recurring,
    drop_liveness,
    due_recurring,
    empty_hand,
    end_cancelled,
    end_held_lease,
    end_holder,
    end_lease,
    end_outcomes,
    end_processes,
    end_suspicion,
    enroll,
    ensure_room,
    ensure_slots,
    ensure_turn,
    estimate,
    expire_followers,
    expire_ready,
    expire_scheduled,
    extend_lease,
    find_again,
    find_stalled,
    find_vanished,
    fold_some_vacated,
    fold_vacated,
    forget_attempts,
    forget_buckets,
    forget_dedupe,
    forget_outcomes,
    forget_room,
    free_dedupe,
    free_dedupe_of_dead,
    give_back_lease,
    group_members,
    group_progress,
    hold,
    hold_again,
    hold_dependents,
    hold_in_turn,
    hold_lease,
    hold_liveness,
    hold_outcomes,
    hold_waiting,
    holders,
    horizon,
    keep_wait,
    identity,
    is_known,
    known_dedupe,
    lease,
    line_up_due,
    lock_config,
    longest_at_work,
    look_at_processes,
    lock_expired_lanes,
    lock_lanes,
    lock_room,
    look_room,
    make_due,
    make_lanes,
    mark_leased,
    move_due,
    move_due_between,
    next_due,
    next_expiry,
    next_recurring,
    note_shift,
    notify,
    old_outcomes,
    orphan,
    outcomes,
    own_transaction,
    park,
    pause,
    peek,
    peek_scheduled,
    poll,
    postpone_head,
    postpone_lease,
    prolong_lease,
    promote,
    promote_first,
    prune_attempts,
    prune_buckets,
    prune_cancellations,
    prune_dead,
    prune_dedupe,
    prune_held_dedupe,
    prune_vacated,
    purge,
    purge_dead,
    put_back,
    queued_matching,
    recount_room,
    recurring,
    redrive,
    release,
    release_dedupe,
    remove_recurring,
    reschedule,
    reset_bucket,
    resume,
    retry,
    return_tokens,
    rewind_workers,
    schedule,
    send,
    send_copy,
    send_deduped,
    send_full,
    send_keyed,
    send_one,
    show_life,
    sign_off,
    stalled_keys,
    standing,
    stats,
    suspect,
    suspicion,
    take_dedupe,
    take_dedupe_one,
    take_free_slots,
    take_in_hand,
    take_lanes,
    take_room,
    take_slots,
    take_stalled,
    take_tokens,
    take_turn,
    topics,
    track,
    vacate,
    waiting_dependents,
    waiting_for_time,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_loads_with_typed_parameters() {
        let name = SchemaName::parse("outtray").unwrap();
        let statements = Statements::new(&name);

        assert_eq!(statements.claim.types().len(), 5);
        assert!(statements.claim.text().contains("\"outtray\".message"));
        assert!(ALL.contains(&"claim"));
    }
}
