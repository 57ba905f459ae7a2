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
    begin_attempt,
    bury,
    claim,
    claim_head,
    configs,
    configure,
    count_leased,
    counted_attempts,
    dead_letters,
    drop_liveness,
    enroll,
    ensure_slots,
    ensure_turn,
    find_stalled,
    find_vanished,
    forget_attempt,
    has_messages,
    hold,
    hold_liveness,
    line_up_due,
    lock_lanes,
    make_lanes,
    move_due,
    next_due,
    notify,
    park,
    pause,
    peek,
    poll,
    postpone_head,
    promote,
    prune_attempts,
    purge,
    purge_dead,
    redrive,
    resume,
    retry,
    schedule,
    send,
    send_full,
    send_keyed,
    send_one,
    show_life,
    sign_off,
    stall_topic,
    stalled_keys,
    stats,
    suspect,
    take_back_attempt,
    take_free_slots,
    take_lanes,
    take_slot,
    take_stalled,
    take_turn,
    topics,
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
