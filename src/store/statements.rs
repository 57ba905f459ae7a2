//! The list of statements: each is the file of its name in `sql/`.

use crate::schema::name::SchemaName;
use crate::store::statement::Statement;

macro_rules! statements {
    ($($name:ident),* $(,)?) => {
        /// All statements, with the schema's name in its place.
        #[derive(Debug)]
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
    begin_attempt,
    bury,
    cancel_followers,
    cancel_ready,
    cancel_scheduled,
    cancellations,
    claim,
    claim_head,
    clear_dependencies,
    configs,
    configure,
    counted_attempts,
    dead_letters,
    depend,
    dependents,
    drop_liveness,
    end_outcomes,
    enroll,
    ensure_turn,
    find_vanished,
    forget_attempt,
    forget_outcomes,
    group_members,
    group_progress,
    has_messages,
    hold,
    hold_dependents,
    hold_liveness,
    keep_wait,
    move_due,
    next_due,
    notify,
    orphan,
    outcomes,
    pause,
    peek,
    poll,
    postpone_head,
    prune_attempts,
    prune_cancellations,
    purge_dead,
    purge_ready,
    purge_scheduled,
    queued_with_headers,
    redrive,
    release,
    resume,
    retry,
    schedule,
    send,
    send_full,
    send_one,
    show_life,
    sign_off,
    stats,
    suspect,
    take_back_attempt,
    take_turn,
    topics,
    track,
    waiting_dependents,
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
