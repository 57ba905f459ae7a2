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
    bury_lease,
    claim,
    claim_head,
    configs,
    configure,
    counted_attempts,
    dead_letters,
    drop_liveness,
    end_lease,
    enroll,
    ensure_turn,
    extend_lease,
    find_vanished,
    forget_attempt,
    give_back_lease,
    has_messages,
    hold,
    hold_lease,
    hold_liveness,
    lease,
    move_due,
    next_due,
    notify,
    pause,
    peek,
    poll,
    postpone_head,
    postpone_lease,
    prune_attempts,
    purge_dead,
    purge_ready,
    purge_scheduled,
    redrive,
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
