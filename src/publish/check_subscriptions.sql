-- Fails unless subscriptions are still those of version $1 (all zeros: nobody ever subscribed), and
-- this transaction can see it: where each statement sees what was there when the transaction began,
-- it cannot. Returns no row. Index: the primary key.
SELECT outtray.subscriptions_changed()
WHERE current_setting('transaction_isolation') <> 'read committed'
    OR $1::uuid <> coalesce(
        (
            SELECT subscription_version.version
            FROM outtray.subscription_version
            WHERE subscription_version.topic = ''
        ),
        '00000000-0000-0000-0000-000000000000'
    )
