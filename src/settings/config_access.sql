-- Returns whether the role may read what operators set, and whether a statement in this transaction
-- sees what is set now. In a transaction of the caller's, which a refused reading would abort.
SELECT
    coalesce(has_table_privilege(to_regclass('outtray.topic')::oid, 'SELECT'), false) AS is_allowed,
    current_setting('transaction_isolation') = 'read committed' AS sees_latest
