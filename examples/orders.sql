-- Takes an order and sends what follows from it, all in one transaction:
--   psql -v ON_ERROR_STOP=1 -d "$DATABASE_URL" -v customer=7 -v amount=12.50 -f examples/orders.sql
-- The schema is there after `outtray migrate`.

\set QUIET on
\pset format unaligned
\pset tuples_only on

CREATE TABLE IF NOT EXISTS placed_order (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer bigint NOT NULL,
    amount numeric NOT NULL
);

BEGIN;

INSERT INTO placed_order (customer, amount)
VALUES (:customer, :amount)
RETURNING id AS order_id
\gset

-- Whoever ships it hears of it; the orders of a customer are handled one after the other. A person
-- waits here, so receivers are told at COMMIT.
SELECT 'sent       ' || (outtray.send(
    'orders',
    jsonb_build_object('order', :order_id, 'amount', :amount),
    key => 'customer-' || :customer,
    headers => '{"source": "psql"}',
    notify => true
) IS NOT NULL);

-- Once a day, however many orders there are.
SELECT CASE WHEN is_duplicate THEN 'reminded   already' ELSE 'reminded   today' END
FROM outtray.send_once(
    'mails', jsonb_build_object('customer', :customer, 'what', 'how was it?'),
    'survey-' || :customer, '1 day', delay => '3 hours'
);

-- Everybody who subscribed to it.
SELECT 'published  ' || count(*) || ' copies'
FROM outtray.publish('orders.created', jsonb_build_object('order', :order_id));

COMMIT;

-- What cannot be sent is refused, with a SQLSTATE of its own, and what came before it stays.
\set ON_ERROR_STOP off
\set VERBOSITY sqlstate
BEGIN;
SELECT outtray.send('orders', 'no JSON');
ROLLBACK;
SELECT 'refused    ' || :'LAST_ERROR_SQLSTATE';
