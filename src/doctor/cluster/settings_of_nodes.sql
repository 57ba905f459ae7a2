-- Returns of each node how many transactions it can prepare, and how many connections it takes, as
-- two numbers; or what it says instead.
SELECT
    coalesce(pg_dist_node.nodename || ':' || pg_dist_node.nodeport::text, asked.nodeid::text) AS node,
    coalesce(asked.result, ''::text) AS answer
FROM pg_catalog.run_command_on_all_nodes(
    'SELECT current_setting(''max_prepared_transactions'') || '' '' || current_setting(''max_connections'')'
) AS asked
LEFT JOIN pg_catalog.pg_dist_node ON pg_dist_node.nodeid = asked.nodeid
ORDER BY node
